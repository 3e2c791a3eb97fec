#include "house.h"

#include "shard/item_codec.h"
#include "storage/memory/memory_state.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {

class House::Work final : public shard::UnitOfWork {
 public:
  Work(House& house, Step& step, model::ShardId shard)
      : UnitOfWork(shard, house.clock.WallMs(), *step.batch), house_(house), step_(step) {}

  void Emit(model::ShardId target, model::Item item, int32_t) override {
    step_.emitted[target].push_back(std::move(item));
  }
  void Reply(const model::ReplyTo& to, model::Reply reply) override {
    step_.replies.emplace_back(to.ticket, std::move(reply));
  }
  bool MayEmit(model::ShardId target, std::string* why) const override {
    if (!house_.channel_trouble) return true;
    *why = house_.channel_trouble(target);
    return why->empty();
  }
  void AwaitArrivals() override {
    REQUIRE(!step_.waited);
    step_.aside = true;
    ++house_.put_aside;
  }
  bool waited() const override { return step_.waited; }
  bool arrivals_missing() const override { return step_.waited && house_.arrivals_missing; }
  bool BelowDiskReserve() const override { return house_.below_disk_reserve; }

 private:
  House& house_;
  Step& step_;
};

House::House(Options options) : options_(options) {
  state = storage::MemoryMoneyState::Create(7, options_.shards);
  message_identity_ = storage::MemoryState::Create(11, 4)->identity;
  Start();
}

void House::Start() {
  store_ = std::make_unique<storage::MemoryMoneyStore>(
      state, storage::MemoryFaults{
                 [this] { return faults.commit ? faults.commit() : storage::CommitFate::kApply; },
                 {},
                 {},
                 {}});
  wallets_ = std::make_unique<shard::Router>(store_->identity());
  messages_ = std::make_unique<shard::Router>(message_identity_);
  routes_ = std::make_unique<money::Routes>(*wallets_, store_->money_identity(), *messages_);
  for (int i = 0; i < options_.shards; ++i) {
    const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + i);
    shards_[shard] = std::make_unique<MoneyShard>(shard, *store_, *routes_, board, counters,
                                                  options_.limits, options_.held);
  }
}

void House::Restart() {
  shards_.clear();
  routes_.reset();
  store_.reset();
  board.Forget();
  state->Crash();
  Start();
  Run();
}

model::RequestId House::NewId(int64_t ago_ms) {
  model::RequestId id;
  const int64_t ms = clock.WallMs() - ago_ms;
  for (int i = 0; i < 6; ++i) {
    id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  }
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  const uint64_t n = next_id_++;
  for (int i = 0; i < 7; ++i) {
    id.bytes[static_cast<size_t>(15 - i)] = static_cast<uint8_t>(n >> (8 * i));
  }
  return id;
}

model::PacketTerms House::Terms(model::PacketKind kind, const std::string& sender, int64_t fen,
                                int32_t shares) {
  model::PacketTerms terms;
  terms.kind = kind;
  terms.conversation = Group();
  terms.sender = User(sender);
  terms.request_id = NewId();
  terms.total_fen = fen;
  terms.shares = shares;
  terms.greeting = "best wishes";
  return terms;
}

model::PacketTerms House::Transfer(const std::string& sender, const std::string& to, int64_t fen) {
  model::PacketTerms terms = Terms(model::PacketKind::kTransfer, sender, fen);
  terms.conversation = Direct(sender, to);
  terms.named = User(to);
  return terms;
}

// -- commands

std::vector<std::optional<model::Reply>> House::Batch(
    model::ShardId shard, const std::vector<model::CommandBody>& commands) {
  Step step;
  step.batch = store_->NewBatch();
  Work work(*this, step, shard);
  std::vector<std::optional<model::Reply>> replies(commands.size());
  for (size_t i = 0; i < commands.size(); ++i) {
    model::Command command;
    command.reply_to = {0, i + 1};
    command.shard = shard;
    command.body = commands[i];
    shards_.at(shard)->Apply(work, command);
  }
  records = static_cast<int64_t>(step.batch->records());
  aside_ = step.aside;
  if (!Finish(shard, step)) return replies;
  for (auto& [ticket, reply] : step.replies) replies[ticket - 1] = std::move(reply);
  return replies;
}

model::Reply House::Do(model::ShardId shard, model::CommandBody body) {
  auto reply = std::move(Batch(shard, {body}).front());
  if (!reply.has_value() && aside_) {
    // What it waits for arrives, then it has its second turn.
    if (!arrivals_missing) Run();
    Step step;
    step.batch = store_->NewBatch();
    step.waited = true;
    Work work(*this, step, shard);
    model::Command command;
    command.reply_to = {0, 1};
    command.shard = shard;
    command.body = std::move(body);
    shards_.at(shard)->Apply(work, command);
    records = static_cast<int64_t>(step.batch->records());
    if (Finish(shard, step) && !step.replies.empty())
      reply = std::move(step.replies.front().second);
  }
  if (settle) Run();
  if (!reply.has_value()) return base::Error(base::Code::kUnavailable, "the outcome is not known");
  return *std::move(reply);
}

// Heads, outbox rows and running totals, then the commit, as the executor does it.
bool House::Finish(model::ShardId shard, Step& step) {
  if (step.batch->records() > 0 || !step.emitted.empty()) {
    auto head = store_->channels().ReadHead(shard);
    REQUIRE(head.ok());
    ++head->batch;
    head->time_ms = clock.WallMs();
    for (auto& [target, items] : step.emitted) {
      auto& emitted = head->emitted[target];
      storage::OutboxRow row{emitted.number + 1, 0, {}, emitted.total_fen, {}};
      for (const model::Item& item : items) {
        ++emitted.number;
        emitted.total_fen += model::FenOf(item);
        row.items.push_back(shard::EncodeItem(item));
        row.fen.push_back(model::FenOf(item));
      }
      row.last = emitted.number;
      store_->channels().PutOutbox(*step.batch, {shard, target}, row);
    }
    store_->channels().PutHead(*step.batch, shard, *head);
    const auto outcome = store_->Commit(std::move(step.batch));
    if (outcome == storage::CommitOutcome::kUnknown) {
      shards_.at(shard)->Drop();
      REQUIRE(store_->Reopen().ok());
      for (auto& [id, logic] : shards_) logic->Forget(effects);
      return false;
    }
    if (outcome != storage::CommitOutcome::kCommitted) {
      shards_.at(shard)->Drop();
      return false;
    }
  }
  shards_.at(shard)->Publish(effects);
  return true;
}

// -- channels

bool House::Take(model::ShardId shard, const shard::ItemPlace& place, const model::Item& item,
                 std::optional<storage::ChannelMark> mark) {
  Step step;
  step.batch = store_->NewBatch();
  Work work(*this, step, shard);
  const model::ChannelId channel{place.source, shard};
  auto outcome = shards_.at(shard)->ApplyItem(work, place, item, 1000);
  if (!outcome || outcome->kind == shard::ItemOutcome::Kind::kPark) {
    const std::string why = outcome ? outcome->why : outcome.error().text;
    const int64_t fen = model::FenOf(item);
    if (fen != 0) REQUIRE(shards_.at(shard)->Suspend(work, fen).ok());
    store_->channels().Park(
        *step.batch,
        {channel, place.number, {}, clock.WallMs(), why, shard::EncodeItem(item), 0, fen});
  }
  if (mark) {
    mark->applied = place.number;
    mark->total_fen += model::FenOf(item);
    store_->channels().PutMark(*step.batch, channel, *mark);
  }
  return Finish(shard, step);
}

bool House::Deliver(model::ChannelId channel) {
  if (hold_money_items) return false;
  auto mark = store_->channels().ReadMark(channel);
  REQUIRE(mark.ok());
  auto rows = store_->channels().ReadOutbox(channel, mark->applied + 1, 1000, 1 << 20);
  REQUIRE(rows.ok());
  bool moved = false;
  for (const auto& row : *rows) {
    for (size_t i = 0; i < row.items.size(); ++i) {
      const int64_t number = row.first + static_cast<int64_t>(i);
      if (number <= mark->applied) continue;
      auto item = shard::DecodeItem(row.items[i]);
      REQUIRE(item.ok());
      if (!Take(channel.target, {channel.source, number, 0}, *item, *mark)) return moved;
      mark = store_->channels().ReadMark(channel);
      moved = true;
    }
  }
  return moved;
}

bool House::TellConversations(model::ChannelId channel) {
  int64_t& told = told_[channel];
  auto rows = store_->channels().ReadOutbox(channel, told + 1, 1000, 1 << 20);
  REQUIRE(rows.ok());
  bool moved = false;
  for (const auto& row : *rows) {
    for (size_t i = 0; i < row.items.size(); ++i) {
      const int64_t number = row.first + static_cast<int64_t>(i);
      if (number <= told) continue;
      auto item = shard::DecodeItem(row.items[i]);
      REQUIRE(item.ok());
      if (const auto* announce = std::get_if<model::AnnounceItem>(&*item)) {
        announced.push_back(*announce);
        if (conversation != Conversation::kSilent) {
          Verdict(announce->packet.id, conversation == Conversation::kTakes);
        }
      } else if (const auto* notice = std::get_if<model::PacketNoticeItem>(&*item)) {
        notices.push_back(*notice);
      } else {
        returned.push_back(std::get<model::PacketReturnedItem>(*item));
      }
      told = number;
      moved = true;
    }
  }
  return moved;
}

void House::Verdict(model::PacketId packet, bool is_announced) {
  const auto shard = routes_->ShardOf(packet);
  REQUIRE(shard.has_value());
  verdicts_[*shard].push_back({packet, is_announced, model::ConvSeq(is_announced ? 1 : 0),
                               static_cast<uint16_t>(is_announced ? 0 : 5)});
}

void House::Run() {
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& [source, logic] : shards_) {
      for (const auto& [target, other] : shards_) moved = Deliver({source, target}) || moved;
      for (model::ShardId target = 0; target < 4; ++target) {
        moved = TellConversations({source, target}) || moved;
      }
    }
    for (auto& [shard, queue] : verdicts_) {
      while (!queue.empty()) {
        if (!Take(shard, {0, 1, 0}, queue.front(), {})) break;
        queue.pop_front();
        moved = true;
      }
    }
  }
}

base::Result<shard::ItemOutcome> House::Force(model::ShardId shard, const model::Item& item) {
  Step step;
  step.batch = store_->NewBatch();
  Work work(*this, step, shard);
  auto outcome = shards_.at(shard)->ApplyItem(work, {shard, 1, 0}, item, 1000);
  records = static_cast<int64_t>(step.batch->records());
  REQUIRE(Finish(shard, step));
  if (settle) Run();
  return outcome;
}

bool House::SetApart(model::PacketId packet) {
  Step step;
  step.batch = store_->NewBatch();
  Work work(*this, step, PacketShard(packet));
  model::Command command;
  command.shard = PacketShard(packet);
  command.body = model::OpenPacket{packet, {}, {}};
  const bool apart = shards_.at(command.shard)->SetApart(work, command);
  return Finish(command.shard, step) && apart;
}

bool House::SetApartDue(model::ShardId shard) {
  Step step;
  step.batch = store_->NewBatch();
  Work work(*this, step, shard);
  shards_.at(shard)->SetApartDue(work);
  const bool writes = step.batch->records() > 0;
  return Finish(shard, step) && writes;
}

base::Result<void> House::ReturnParked(const storage::ParkedItem& row,
                                       std::optional<model::Item> as) {
  Step step;
  step.batch = store_->NewBatch();
  Work work(*this, step, row.channel.target);
  if (!as) as = shard::DecodeItem(row.item).value();
  auto sent = shards_.at(row.channel.target)->SendOn(work, *as);
  if (sent) store_->channels().Unpark(*step.batch, row.channel, row.number);
  REQUIRE(Finish(row.channel.target, step));
  if (settle) Run();
  return sent;
}

void House::RetryParked(model::ShardId shard) {
  auto parked = store_->channels().ListParked(shard, {}, 1000);
  REQUIRE(parked.ok());
  for (const auto& row : *parked) {
    Step step;
    step.batch = store_->NewBatch();
    Work work(*this, step, shard);
    auto item = shard::DecodeItem(row.item);
    REQUIRE(item.ok());
    MoneyShard& logic = *shards_.at(shard);
    REQUIRE(logic.Suspend(work, -row.fen).ok());
    auto outcome = logic.ApplyItem(work, {row.channel.source, row.number, 0}, *item, 1000);
    if (outcome && outcome->kind == shard::ItemOutcome::Kind::kApplied) {
      store_->channels().Unpark(*step.batch, row.channel, row.number);
    } else {
      REQUIRE(logic.Suspend(work, row.fen).ok());
    }
    REQUIRE(Finish(shard, step));
  }
  if (settle) Run();
}

void House::Sweep(size_t max_records) {
  for (const auto& [shard, logic] : shards_) {
    while (logic->Due(clock.WallMs())) {
      Step step;
      step.batch = store_->NewBatch();
      Work work(*this, step, shard);
      logic->ApplyDue(work, max_records);
      records = static_cast<int64_t>(step.batch->records());
      if (!Finish(shard, step)) break;
    }
  }
  if (settle) Run();
}

void House::Pass(int64_t ms) {
  clock.Advance(ms);
  Sweep();
}

// -- people

model::Reply House::Deposit(const std::string& user, int64_t fen, const std::string& id) {
  model::MoveManyFunds moves;
  moves.moves.push_back(
      {User(user), id.empty() ? "move-" + std::to_string(next_id_++) : id, fen, "test"});
  model::Reply reply = Do(WalletShard(user), moves);
  if (!reply) return reply;
  auto& outcome = std::get<model::FundsMoved>(*reply).outcomes.front();
  if (!outcome) return outcome.error();
  return reply;
}

model::Reply House::Withdraw(const std::string& user, int64_t fen, const std::string& id) {
  return Deposit(user, -fen, id);
}

model::Reply House::Freeze(const std::string& user, bool frozen) {
  return Do(WalletShard(user), model::SetFrozen{User(user), frozen});
}

model::Reply House::Send(const model::PacketTerms& terms, std::optional<base::Error> no) {
  return Do(routes_->WalletOf(terms.sender), model::SendPacket{terms, std::move(no)});
}

model::Reply House::Open(model::PacketId packet, const std::string& user, bool eligible) {
  return Do(routes_->ShardOf(packet).value_or(model::kFirstMoneyShard),
            model::OpenPacket{packet, User(user), {eligible, 3}});
}

model::Reply House::Return(model::PacketId packet, const std::string& user) {
  return Do(routes_->ShardOf(packet).value_or(model::kFirstMoneyShard),
            model::ReturnPacket{packet, user.empty() ? model::UserId() : User(user)});
}

model::Reply House::Mend(model::PacketId packet, model::MendPacket::How how) {
  return Do(PacketShard(packet), model::MendPacket{packet, how});
}

model::PacketId House::Lucky(const std::string& sender, int64_t fen, int32_t shares) {
  REQUIRE(Deposit(sender, fen).ok());
  return Packet(Send(Terms(model::PacketKind::kLucky, sender, fen, shares)));
}

model::PacketId House::Make(const model::PacketTerms& terms, const std::string& sender) {
  REQUIRE(Deposit(sender, terms.total_fen).ok());
  return Packet(Send(terms));
}

int64_t House::Balance(const std::string& user) const {
  auto wallet = reader().FindWallet(User(user));
  REQUIRE(wallet.ok());
  return wallet->balance_fen;
}

model::Packet House::Packet(model::PacketId packet) const {
  auto found = reader().Find(packet);
  REQUIRE(found.ok());
  return *found;
}

std::vector<model::Claim> House::Claims(model::PacketId packet) const {
  auto claims = store_->packets().ListClaims(PacketShard(packet), packet);
  REQUIRE(claims.ok());
  return *claims;
}

model::Books House::Books() const { return Audit().total; }

model::Reason House::Why(const model::Reply& reply) {
  return reply.ok() ? model::Reason::kNone : static_cast<model::Reason>(reply.error().reason);
}

model::PacketId House::Packet(const model::Reply& reply) {
  REQUIRE(reply.ok());
  return std::get<model::PacketSending>(*reply).packet;
}

model::Opened House::Opened(const model::Reply& reply) {
  REQUIRE(reply.ok());
  return std::get<model::Opened>(*reply);
}

bool Proven(const House& house) {
  const auto report = house.Audit();
  for (const auto& finding : report.findings) {
    MESSAGE(finding.what << " " << finding.where << " " << finding.text);
  }
  for (const auto& unread : report.unread) MESSAGE(unread);
  return report.verdict == money::AuditReport::Verdict::kProven;
}

}  // namespace hongyan::testing
