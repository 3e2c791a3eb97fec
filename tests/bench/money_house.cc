#include "money_house.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "money_shard.h"

namespace hongyan::bench {
namespace {

// A conversation shard as money sees it: it stores every message, and says so.
class Agreeable final : public shard::Logic {
 public:
  explicit Agreeable(const money::Routes& routes) : routes_(routes) {}

  void Apply(shard::UnitOfWork& work, const model::Command& command) override {
    work.Reply(command.reply_to, base::Error(base::Code::kUnimplemented, "nothing to ask here"));
  }
  base::Result<shard::ItemOutcome> ApplyItem(shard::UnitOfWork& work, const shard::ItemPlace&,
                                             const model::Item& item, size_t) override {
    if (const auto* announce = std::get_if<model::AnnounceItem>(&item)) {
      const model::PacketId packet = announce->packet.id;
      work.Emit(*routes_.ShardOf(packet), model::VerdictItem{packet, true, model::ConvSeq(1), 0},
                1);
    }
    return shard::ItemOutcome::Applied();
  }
  void Publish(std::vector<model::Effect>&) override {}
  void Drop() override {}
  void Forget(std::vector<model::Effect>&) override {}
  void AbandonWaiting(shard::UnitOfWork&, const base::Error&) override {}

 private:
  const money::Routes& routes_;
};

constexpr model::ShardId kTalk = 0;

}  // namespace

MoneyHouse::MoneyHouse(Options options) : clock_(*options.clock), number_(options.number) {
  storage::RocksdbOptions store;
  store.path = options.path;
  store.clock = &clock_;
  store.shards = options.shards;
  auto opened = storage::RocksdbMoneyStore::Open(store);
  if (!opened) LOG_ERROR("bench_store_unusable error=\"{}\"", opened.error().text);
  CHECK(opened.ok());
  money_store_ = *std::move(opened);
  message_store_ = std::make_unique<storage::MemoryMessageStore>(options.talk);
  messages_ = std::make_unique<shard::Router>(message_store_->identity());
  wallets_ = std::make_unique<shard::Router>(money_store_->identity());
  routes_ = std::make_unique<money::Routes>(*wallets_, money_store_->money_identity(), *messages_);

  std::vector<model::ShardId> cash;
  for (int i = 0; i < money_store_->identity().shards; ++i) {
    cash.push_back(static_cast<model::ShardId>(model::kFirstMoneyShard + i));
  }
  talk_ = std::make_unique<shard::Executor>("talk", std::vector{kTalk}, *message_store_, carrier_,
                                            *this, clock_, shard::ExecutorLimits(), cash);
  money_ = std::make_unique<shard::Executor>("money", cash, *money_store_, carrier_, *this, clock_,
                                             shard::ExecutorLimits(), std::vector{kTalk});
  carrier_.Register(kTalk, *talk_);
  for (const auto shard : cash) carrier_.Register(shard, *money_);
  CHECK(talk_->Open([this](model::ShardId) { return std::make_unique<Agreeable>(*routes_); }).ok());
  money::Limits limits;
  limits.life_ms = options.packet_life_ms;
  CHECK(money_
            ->Open([this, limits](model::ShardId shard) {
              return std::make_unique<MoneyShard>(shard, *money_store_, *routes_, board_, counters_,
                                                  limits);
            })
            .ok());
  Run();
}

MoneyHouse::~MoneyHouse() = default;

uint64_t MoneyHouse::Submit(model::ShardId shard, model::CommandBody body) {
  model::Command command;
  command.reply_to = {0, next_ticket_++};
  command.shard = shard;
  command.body = std::move(body);
  const uint64_t ticket = command.reply_to.ticket;
  CHECK(money_->Submit(std::move(command)).ok());
  return ticket;
}

bool MoneyHouse::Step() {
  const bool money = money_->RunOnce();
  const bool talk = talk_->RunOnce();
  return money || talk;
}

void MoneyHouse::Run() {
  constexpr int kQuiet = 4;  // an item may pass through as many hands
  for (int quiet = 0; quiet < kQuiet;) quiet = Step() ? 0 : quiet + 1;
}

void MoneyHouse::Tick() {
  money_->Tick();
  talk_->Tick();
  Run();
}

model::Reply MoneyHouse::Take(uint64_t ticket) {
  const auto found = replies_.find(ticket);
  CHECK(found != replies_.end());
  model::Reply reply = std::move(found->second);
  replies_.erase(found);
  return reply;
}

void MoneyHouse::Await(uint64_t ticket) {
  constexpr int kSteps = 10'000;
  for (int steps = 0; !replies_.contains(ticket); ++steps) {
    CHECK(steps < kSteps);
    Step();
  }
}

model::Reply MoneyHouse::Ask(model::ShardId shard, model::CommandBody body) {
  const uint64_t ticket = Submit(shard, std::move(body));
  Run();
  return Take(ticket);
}

money::Ask MoneyHouse::asker() {
  return [this](model::ShardId shard, model::CommandBody body) {
    Tick();
    return Ask(shard, std::move(body));
  };
}

money::Reader MoneyHouse::reader() const {
  return {*money_store_, *routes_};
}

void MoneyHouse::Replies(std::vector<shard::Outbound> replies) {
  if (drop_replies) return;
  for (auto& reply : replies) replies_.insert_or_assign(reply.to.ticket, std::move(reply.reply));
}

model::UserId MoneyHouse::User(int64_t index) {
  return model::UserId(
      static_cast<int64_t>((static_cast<uint64_t>(index + 1) * 0x9e3779b97f4a7c15) >> 1));
}

void MoneyHouse::Deposit(int64_t first, int64_t count, int64_t fen) {
  std::map<model::ShardId, model::MoveManyFunds> moves;
  std::vector<uint64_t> tickets;
  const auto submit = [&](model::ShardId shard, model::MoveManyFunds& many) {
    tickets.push_back(Submit(shard, std::exchange(many, {})));
  };
  for (int64_t index = first; index < first + count; ++index) {
    const model::UserId user = User(index);
    auto& many = moves[routes_->WalletOf(user)];
    many.moves.push_back(
        {user, std::to_string(number_) + "-" + std::to_string(next_move_++), fen, "bench"});
    if (many.moves.size() == 250) submit(routes_->WalletOf(user), many);
    if (tickets.size() == 100) {
      Run();
      for (const uint64_t ticket : std::exchange(tickets, {})) CHECK(Take(ticket).ok());
    }
  }
  for (auto& [shard, many] : moves) {
    if (!many.moves.empty()) submit(shard, many);
  }
  Run();
  for (const uint64_t ticket : tickets) CHECK(Take(ticket).ok());
}

model::SendPacket MoneyHouse::Lucky(model::UserId sender, int64_t fen, int32_t shares) {
  model::SendPacket send;
  model::PacketTerms& terms = send.terms;
  terms.kind = model::PacketKind::kLucky;
  terms.conversation = model::ConversationId::Group(model::GroupId(sender.value));
  terms.sender = sender;
  const int64_t ms = clock_.WallMs();
  for (size_t i = 0; i < 6; ++i) {
    terms.request_id.bytes[i] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  }
  terms.request_id.bytes[6] = 0x70;
  terms.request_id.bytes[7] = number_;
  terms.request_id.bytes[8] = 0x80;
  const uint64_t number = next_request_++;
  for (size_t i = 0; i < 7; ++i) {
    terms.request_id.bytes[15 - i] = static_cast<uint8_t>(number >> (8 * i));
  }
  terms.total_fen = fen;
  terms.shares = shares;
  terms.greeting = "best wishes";
  return send;
}

uint64_t MoneyHouse::Send(const model::SendPacket& send) {
  return Submit(routes_->WalletOf(send.terms.sender), send);
}

uint64_t MoneyHouse::Open(model::PacketId packet, model::UserId user) {
  return Submit(*routes_->ShardOf(packet), model::OpenPacket{packet, user, {true, 1}});
}

}  // namespace hongyan::bench
