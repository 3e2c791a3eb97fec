// The executor with two stores and a logic of its own making: channels between them, money on
// channels, what is due, who waits.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/local/local_carrier.h"
#include "model/reason.h"
#include "shard/executor.h"
#include "shard/item_codec.h"
#include "storage/memory/memory_message_store.h"
#include "storage/memory/memory_money_store.h"
#include "tests/doctest_last.h"

namespace hongyan::shard {
namespace {

using model::PacketId;
using model::ShardId;
using model::UserId;

constexpr ShardId kFirst = model::kFirstMoneyShard;
constexpr ShardId kSecond = kFirst + 1;

// Books in one row, so that what the batch drops is dropped here too.
class PlainLogic final : public Logic {
 public:
  // What a test tells all shards to do, and what they saw.
  struct Script {
    bool credit_fails = false;
    bool books_broken = false;
    std::map<ShardId, int64_t> due;  // closes that are due now
    size_t most_due_records = 0;     // of one call
    std::vector<std::string> seen;   // committed or not
    // Of these packets a row is in the store already that must be new: a guard fires.
    std::set<int64_t> opens_collide;
    std::set<int64_t> credits_collide;
    bool due_collides = false;
    bool can_set_apart = true;
    std::set<int64_t> apart;
    int32_t entries = 1000;  // of a credit: above the shortcut's
  };

  PlainLogic(ShardId shard, storage::LedgerStore* ledger, Script& script)
      : shard_(shard), ledger_(ledger), script_(script) {}

  void Apply(UnitOfWork& work, const model::Command& command) override {
    if (const auto* open = std::get_if<model::OpenPacket>(&command.body)) {
      // Gives the user 10 fen of a packet, by channel.
      if (script_.apart.contains(open->packet.value)) {
        return work.Reply(command.reply_to, base::Error(base::Code::kDataLoss, "set apart"));
      }
      if (script_.opens_collide.contains(open->packet.value)) Collide(work);
      model::CreditItem credit;
      credit.packet = open->packet;
      credit.user = open->user;
      credit.amount_fen = 10;
      credit.kind = model::PacketKind::kLucky;
      credit.sender = UserId(1);
      books_.transit_out_fen += 10;
      books_.escrow_fen -= 10;
      Put(work);
      work.Emit(open->user.value % 2 == 0 ? kFirst : kSecond, credit, script_.entries);
      work.Reply(command.reply_to, model::ReplyBody(model::Done{}));
    } else if (std::holds_alternative<model::SendPacket>(command.body)) {
      if (!work.waited()) return work.AwaitArrivals();
      script_.seen.push_back("send after " + std::to_string(books_.transit_in_fen) +
                             (work.arrivals_missing() ? " missing" : " complete"));
      work.Reply(command.reply_to, model::ReplyBody(model::Done{}));
    } else if (const auto* freeze = std::get_if<model::SetFrozen>(&command.body)) {
      // Tells a conversation something.
      model::VerdictItem verdict{PacketId(freeze->user.value), true, model::ConvSeq(1), 0};
      work.Emit(shard_ >= kFirst ? ShardId{0} : kFirst, verdict, 1);
      work.Reply(command.reply_to, model::ReplyBody(model::Done{}));
    } else {
      // Writes a hundred records.
      for (int i = 0; i < 100; ++i) {
        model::Wallet wallet;
        wallet.user = UserId(1'000'000 + next_row_++);
        ledger_->PutWallet(work.batch(), shard_, wallet);
      }
      work.Reply(command.reply_to, model::ReplyBody(model::Done{}));
    }
  }

  base::Result<ItemOutcome> ApplyItem(UnitOfWork& work, const ItemPlace&, const model::Item& item,
                                      size_t) override {
    if (const auto* credit = std::get_if<model::CreditItem>(&item)) {
      if (script_.credit_fails) return base::Error(base::Code::kDataLoss, "a broken wallet");
      if (script_.credits_collide.contains(credit->packet.value)) Collide(work);
      books_.transit_in_fen += credit->amount_fen;
      books_.wallets_fen += credit->amount_fen;
      Put(work);
      return ItemOutcome::Applied();
    }
    const auto& verdict = std::get<model::VerdictItem>(item);
    script_.seen.push_back("shard " + std::to_string(shard_) + " hears of " +
                           std::to_string(verdict.packet.value));
    return ItemOutcome::Applied();
  }

  base::Result<void> Suspend(UnitOfWork& work, int64_t fen) override {
    if (script_.books_broken) return base::Error(base::Code::kDataLoss, "no books");
    books_.suspense_fen += fen;
    books_.transit_in_fen += fen;
    Put(work);
    return {};
  }

  base::Result<void> SendOn(UnitOfWork& work, const model::Item& item) override {
    const auto credit = std::get<model::CreditItem>(item);
    books_.suspense_fen -= credit.amount_fen;
    books_.transit_out_fen += credit.amount_fen;
    Put(work);
    work.Emit(credit.user.value % 2 == 0 ? kFirst : kSecond, credit, 1000);
    return {};
  }

  bool Due(int64_t) const override {
    const auto due = script_.due.find(shard_);
    return due != script_.due.end() && due->second > 0;
  }
  void ApplyDue(UnitOfWork& work, size_t max_records) override {
    script_.most_due_records = std::max(script_.most_due_records, max_records);
    if (script_.due_collides) return Collide(work);
    for (size_t i = 0; i < max_records && script_.due[shard_] > 0; ++i) {
      model::Wallet wallet;
      wallet.user = UserId(2'000'000 + next_row_++);
      ledger_->PutWallet(work.batch(), shard_, wallet);
      --script_.due[shard_];
    }
  }

  bool SetApart(UnitOfWork& work, const model::Command& command) override {
    if (!script_.can_set_apart) return false;
    script_.apart.insert(std::get<model::OpenPacket>(command.body).packet.value);
    Put(work);
    return true;
  }
  void SetApartDue(UnitOfWork& work) override {
    if (!script_.can_set_apart) return;
    script_.due_collides = false;
    --script_.due[shard_];
    Put(work);
  }

  void Publish(std::vector<model::Effect>&) override { committed_ = books_; }
  void Drop() override { books_ = committed_; }
  void Forget(std::vector<model::Effect>&) override {
    if (ledger_ != nullptr) books_ = committed_ = *ledger_->ReadBooks(shard_);
  }
  void AbandonWaiting(UnitOfWork&, const base::Error&) override {}

 private:
  void Put(UnitOfWork& work) { ledger_->PutBooks(work.batch(), shard_, books_); }
  void Collide(UnitOfWork& work) {
    model::StatementRow row;
    row.account_seq = 1;
    for (int i = 0; i < 2; ++i) ledger_->AppendStatement(work.batch(), shard_, UserId(1), row);
  }

  const ShardId shard_;
  storage::LedgerStore* const ledger_;  // null: a message shard
  Script& script_;
  model::Books books_;
  model::Books committed_;
  int64_t next_row_ = 0;
};

// A message shard 0 and two money shards, each store with its executor, in one thread.
class TwoStores final : public Outlet {
 public:
  explicit TwoStores(ExecutorLimits limits = {}) : limits_(limits) { Start(); }

  void Start() {
    storage::MemoryFaults faults;
    faults.commit = [this] {
      ++commits;
      return std::exchange(fate, storage::CommitFate::kApply);
    };
    message_store_ = std::make_unique<storage::MemoryMessageStore>(messages);
    money_store_ = std::make_unique<storage::MemoryMoneyStore>(money, std::move(faults));
    carrier_ = std::make_unique<cluster::LocalCarrier>();
    const std::vector<ShardId> ours{kFirst, kSecond};
    messages_ = std::make_unique<Executor>("messages", std::vector<ShardId>{0}, *message_store_,
                                           *carrier_, *this, clock, limits_, ours);
    money_ = std::make_unique<Executor>("money", ours, *money_store_, *carrier_, *this, clock,
                                        limits_, std::vector<ShardId>{0});
    carrier_->Register(0, *messages_);
    for (const ShardId shard : ours) carrier_->Register(shard, *money_);
    const auto make = [this](ShardId shard) -> std::unique_ptr<Logic> {
      auto* const ledger = shard == 0 ? nullptr : &money_store_->ledger();
      auto logic = std::make_unique<PlainLogic>(shard, ledger, script);
      std::vector<model::Effect> none;
      logic->Forget(none);
      return logic;
    };
    REQUIRE(messages_->Open(make).ok());
    REQUIRE(money_->Open(make).ok());
  }

  void Restart() {
    messages_.reset();
    money_.reset();
    Start();
  }

  uint64_t Submit(ShardId shard, model::CommandBody body) {
    model::Command command;
    command.shard = shard;
    command.reply_to.ticket = next_ticket_++;
    command.body = std::move(body);
    Executor& executor = shard == 0 ? *messages_ : *money_;
    REQUIRE(executor.Submit(command).ok());
    return command.reply_to.ticket;
  }
  uint64_t Open(ShardId shard, int64_t packet, int64_t user) {
    return Submit(shard, model::OpenPacket{PacketId(packet), UserId(user), {true, 1}});
  }
  void Run() {
    constexpr int kQuiet = 4;  // a batch may write nothing and yet tell the other end something
    for (int quiet = 0; quiet < kQuiet;) {
      const bool moved = messages_->RunOnce();
      quiet = money_->RunOnce() || moved ? 0 : quiet + 1;
    }
  }
  // The channels meet again, or send again.
  void Later() {
    clock.Advance(1100);
    messages_->Tick();
    money_->Tick();
    Run();
  }
  // Until all rest; false = they do not.
  bool Rests() {
    for (int i = 0; i < 200; ++i) {
      const bool moved = messages_->RunOnce();
      if (money_->RunOnce() || moved) continue;
      if (!messages_->RunOnce() && !money_->RunOnce()) return true;
    }
    return false;
  }

  model::Books Books(ShardId shard) { return *money_store_->ledger().ReadBooks(shard); }
  const model::Reply* ReplyTo(uint64_t ticket) const {
    const auto found = replies_.find(ticket);
    return found == replies_.end() ? nullptr : &found->second;
  }

  void Replies(std::vector<Outbound> replies) override {
    for (auto& reply : replies) {
      CHECK(replies_.try_emplace(reply.to.ticket, std::move(reply.reply)).second);  // once
    }
  }
  void Effects(std::vector<model::Effect>) override {}

  std::shared_ptr<storage::MemoryState> messages = storage::MemoryState::Create(1, 1);
  std::shared_ptr<storage::MemoryMoneyState> money = storage::MemoryMoneyState::Create(2, 2);
  storage::CommitFate fate = storage::CommitFate::kApply;
  int64_t commits = 0;  // of the store of money, asked for
  PlainLogic::Script script;
  base::ManualClock clock{1'790'000'000'000};

  Executor& money_executor() { return *money_; }
  storage::MoneyStore& money_store() { return *money_store_; }

 private:
  const ExecutorLimits limits_;
  std::unique_ptr<storage::MemoryMessageStore> message_store_;
  std::unique_ptr<storage::MemoryMoneyStore> money_store_;
  std::unique_ptr<cluster::LocalCarrier> carrier_;
  std::unique_ptr<Executor> messages_;
  std::unique_ptr<Executor> money_;
  std::map<uint64_t, model::Reply> replies_;
  uint64_t next_ticket_ = 1;
};

constexpr storage::ChannelId kAcross{kFirst, kSecond};

// So many credits of ten fen to this user, parked behind everything the channel ever carried.
void Park(TwoStores& two, int64_t count, int64_t user) {
  storage::MemoryMoneyState& disk = *two.money;
  model::CreditItem credit;
  credit.packet = PacketId(1);
  credit.user = UserId(user);
  credit.amount_fen = 10;
  credit.kind = model::PacketKind::kLucky;
  credit.sender = UserId(1);
  for (int64_t number = 1; number <= count; ++number) {
    disk.parked[{kAcross, number}] = {kAcross, number, {}, 5, "failed", EncodeItem(credit), 0, 10};
  }
  disk.heads[kFirst].emitted[kSecond] = {count, 10 * count};
  disk.books[kFirst].transit_out_fen = 10 * count;
  disk.books[kFirst].escrow_fen = -10 * count;
  disk.marks[kAcross] = {disk.identity.incarnation, count, 10 * count, 0};
  disk.books[kSecond].transit_in_fen = disk.books[kSecond].suspense_fen = 10 * count;
  two.Restart();
  two.Run();
}

}  // namespace

TEST_CASE("shards of two stores have channels both ways, each with its own store's incarnation") {
  TwoStores two;
  two.Run();
  two.Submit(kSecond, model::SetFrozen{UserId(7), true});
  two.Submit(0, model::SetFrozen{UserId(8), true});
  two.Run();
  std::sort(two.script.seen.begin(), two.script.seen.end());
  CHECK(two.script.seen == std::vector<std::string>{"shard 0 hears of 7", "shard 1024 hears of 8"});
  CHECK(two.messages->marks.at({kSecond, 0}).incarnation == two.money->identity.incarnation);
  CHECK(two.money->marks.at({0, kFirst}).incarnation == two.messages->identity.incarnation);
  CHECK(two.money->heads.at(kSecond).emitted.at(0).number == 1);

  // They go on after both have started anew.
  two.Restart();
  two.Run();
  two.Submit(kSecond, model::SetFrozen{UserId(9), true});
  two.Run();
  CHECK(two.script.seen.back() == "shard 0 hears of 9");
  CHECK(two.messages->marks.at({kSecond, 0}).applied == 2);
}

TEST_CASE("a source of another store that lost its tail is stopped, whatever it has given since") {
  TwoStores two;
  two.Run();
  const storage::MemoryMoneyState before = *two.money;
  for (int64_t i = 0; i < 3; ++i) two.Submit(kFirst, model::SetFrozen{UserId(i + 1), true});
  two.Run();
  CHECK(two.messages->marks.at({kFirst, 0}).applied == 3);
  *two.money = before;
  two.Restart();
  for (int64_t i = 0; i < 5; ++i) two.Submit(kFirst, model::SetFrozen{UserId(i + 11), true});
  two.Run();
  two.Later();
  CHECK(two.messages->marks.at({kFirst, 0}).applied == 3);
  two.money_executor().Tick();
  bool stopped = false;
  for (const auto& channel : two.money_executor().report().channels) {
    if (channel.source == kFirst && channel.target == 0) {
      stopped = channel.stopped.find("lost its tail") != std::string::npos;
    }
  }
  CHECK(stopped);
}

TEST_CASE("money on a channel is counted in head, outbox and mark, and comes home once") {
  TwoStores two;
  two.Run();
  for (int64_t i = 0; i < 5; ++i) two.Open(kFirst, 1, 3);
  two.Run();
  CHECK(two.money->heads.at(kFirst).emitted.at(kSecond).total_fen == 50);
  CHECK(two.money->marks.at(kAcross).total_fen == 50);
  CHECK(two.Books(kSecond).wallets_fen == 50);
  const storage::OutboxRow& row = two.money->outbox.at({kAcross, 5});
  CHECK(row.fen == std::vector<int64_t>{10, 10, 10, 10, 10});
  CHECK(row.total_before_fen == 0);
}

TEST_CASE("an outbox whose money does not add up stops its channel, and accepting books the rest") {
  TwoStores two;
  two.Run();
  two.Open(kFirst, 1, 3);
  two.Run();
  two.money_executor().RunOnce();
  // Given, not yet taken, and changed on disk: 4 fen less in the row, the item says 10.
  two.script.books_broken = false;
  storage::MemoryMoneyState& disk = *two.money;
  storage::OutboxRow row = disk.outbox.at({kAcross, 1});
  disk.outbox.clear();
  disk.marks[kAcross] = storage::ChannelMark();
  row.fen = {6};
  disk.outbox[{kAcross, 1}] = row;
  disk.heads.at(kFirst).emitted.at(kSecond).total_fen = 6;
  disk.books.at(kSecond) = model::Books();
  two.Restart();
  two.Run();
  two.Later();
  CHECK(two.money->marks.at(kAcross).applied == 0);
  CHECK(two.Books(kSecond).wallets_fen == 0);
  std::string why;
  two.money_executor().Tick();
  for (const auto& channel : two.money_executor().report().channels) {
    if (channel.source == kFirst && channel.target == kSecond) why = channel.stopped;
  }
  CHECK(why.find("does not add up") != std::string::npos);

  const auto accept = two.Submit(kSecond, model::AcceptChannel{kFirst, kSecond});
  two.Run();
  REQUIRE(two.ReplyTo(accept) != nullptr);
  CHECK(two.ReplyTo(accept)->ok());
  for (int i = 0; i < 3; ++i) two.Later();
  CHECK(two.money->marks.at(kAcross).applied == 1);
  CHECK(two.Books(kSecond).wallets_fen == 10);
  CHECK(two.Books(kSecond).suspense_fen == -4);
  CHECK(two.Books(kSecond).transit_in_fen == 6);  // what the source counts
  REQUIRE(two.money->parked.size() == 1);         // suspense holds nothing else
  CHECK(two.money->parked.begin()->second.fen == -4);
}

TEST_CASE("what is given up when a channel is accepted stays parked, and goes to whom it belongs") {
  TwoStores two;
  two.Run();
  two.script.books_broken = two.script.credit_fails = true;
  two.Open(kFirst, 1, 3);
  two.Run();
  two.script.books_broken = two.script.credit_fails = false;
  REQUIRE(two.money->marks[kAcross].applied == 0);
  two.money->outbox.erase({kAcross, 1});  // its source does not have it any more
  two.Restart();
  for (int i = 0; i < 3; ++i) two.Later();
  const auto accept = two.Submit(kSecond, model::AcceptChannel{kFirst, kSecond});
  two.Run();
  REQUIRE(two.ReplyTo(accept) != nullptr);
  REQUIRE_MESSAGE(two.ReplyTo(accept)->ok(), two.ReplyTo(accept)->error().text);
  CHECK(two.Books(kSecond).suspense_fen == 10);
  REQUIRE(two.money->parked.size() == 1);
  const storage::ParkedItem row = two.money->parked.begin()->second;
  CHECK(row.fen == 10);
  CHECK(row.number == 1);

  const auto retry = two.Submit(kSecond, model::RetryParked{kFirst, kSecond, row.number});
  model::CreditItem credit;
  credit.packet = PacketId(1);
  credit.user = UserId(3);
  credit.amount_fen = 10;
  credit.kind = model::PacketKind::kLucky;
  credit.sender = UserId(1);
  const auto back =
      two.Submit(kSecond, model::ReturnParked{kFirst, kSecond, row.number,
                                              std::make_shared<const model::Item>(credit)});
  two.Run();
  REQUIRE(two.ReplyTo(retry)->ok());
  CHECK(std::get<model::ParkedRetried>(**two.ReplyTo(retry)).applied == 0);
  REQUIRE_MESSAGE(two.ReplyTo(back)->ok(), two.ReplyTo(back)->error().text);
  two.Later();
  CHECK(two.money->parked.empty());
  CHECK(two.Books(kSecond).suspense_fen == 0);
  CHECK(two.Books(kSecond).wallets_fen == 10);
}

TEST_CASE("an item whose number was given before is parked beside the one that had it") {
  TwoStores two;
  two.Run();
  two.script.credit_fails = true;
  two.Open(kFirst, 1, 3);
  two.Run();
  for (int i = 0; i < 3; ++i) two.Later();
  REQUIRE(two.money->parked.contains({kAcross, 1}));
  // The source lost its tail: it does not know of the item that is parked.
  two.money->heads.at(kFirst).emitted.clear();
  two.money->outbox.clear();
  two.Restart();
  for (int i = 0; i < 3; ++i) two.Later();
  const auto accept = two.Submit(kSecond, model::AcceptChannel{kFirst, kSecond});
  two.Run();
  REQUIRE(two.ReplyTo(accept) != nullptr);
  REQUIRE_MESSAGE(two.ReplyTo(accept)->ok(), two.ReplyTo(accept)->error().text);
  two.Open(kFirst, 2, 5);
  for (int i = 0; i < 3; ++i) two.Later();
  int64_t fen = 0;
  for (const auto& [place, row] : two.money->parked) fen += row.fen;
  CHECK(two.money->parked.size() == 3);  // the old one, less what its source gave, the new one
  CHECK(fen == 10 - 10 + 10);
  CHECK(two.Books(kSecond).suspense_fen == fen);
}

TEST_CASE("an item with money that cannot be applied waits in suspense, and comes out of it") {
  TwoStores two;
  two.Run();
  two.script.credit_fails = true;
  two.script.books_broken = true;
  two.Open(kFirst, 1, 3);
  two.Run();
  for (int i = 0; i < 3; ++i) two.Later();
  // Not even parked while its money cannot be booked.
  CHECK(two.money->parked.empty());
  two.script.books_broken = false;
  for (int i = 0; i < 3; ++i) two.Later();
  REQUIRE(two.money->parked.size() == 1);
  CHECK(two.money->parked.begin()->second.fen == 10);
  CHECK(two.Books(kSecond).suspense_fen == 10);
  CHECK(two.money->marks.at(kAcross).total_fen == 10);

  // A retry that fails leaves everything as it was.
  two.Submit(kSecond, model::RetryParked{kFirst, kSecond, 0});
  two.Run();
  CHECK(two.money->parked.size() == 1);
  CHECK(two.Books(kSecond).suspense_fen == 10);
  CHECK(two.Books(kSecond).wallets_fen == 0);
  CHECK(two.Books(kSecond).transit_in_fen == 10);

  two.script.credit_fails = false;
  two.Submit(kSecond, model::RetryParked{kFirst, kSecond, 0});
  two.Run();
  CHECK(two.money->parked.empty());
  CHECK(two.Books(kSecond).suspense_fen == 0);
  CHECK(two.Books(kSecond).wallets_fen == 10);
  CHECK(two.Books(kSecond).transit_in_fen == 10);
}

TEST_CASE("what is due gets an eighth of each batch, however many commands there are") {
  ExecutorLimits limits;
  limits.batch_records = 800;
  TwoStores two(limits);
  two.Run();
  two.script.due = {{kFirst, 150}, {kSecond, 150}};
  for (int i = 0; i < 40; ++i) two.Submit(kFirst, model::MoveManyFunds());
  const auto done = [&] { return 300 - two.script.due[kFirst] - two.script.due[kSecond]; };
  two.money_executor().RunOnce();
  CHECK(done() >= 100);
  CHECK(done() < 300);  // and the commands the rest
  two.money_executor().RunOnce();
  two.money_executor().RunOnce();
  CHECK(done() == 300);
}

TEST_CASE("an idle executor does what is due, and rests when there is nothing left") {
  TwoStores two;
  two.Run();
  two.script.due = {{kSecond, 3}};
  CHECK(two.money_executor().RunOnce());
  CHECK(two.script.due[kSecond] == 0);
  CHECK_FALSE(two.money_executor().RunOnce());
}

TEST_CASE("a command put aside comes back when what had been given by then is applied") {
  TwoStores two;
  two.Run();
  // Ten fen are under way to the second shard when it is asked to send; ten more come later.
  two.script.credit_fails = true;
  two.Open(kFirst, 1, 3);
  two.money_executor().RunOnce();
  const auto send = two.Submit(kSecond, model::SendPacket());
  two.money_executor().RunOnce();
  CHECK(two.ReplyTo(send) == nullptr);
  two.script.credit_fails = false;
  two.Run();
  REQUIRE(two.ReplyTo(send) != nullptr);
  CHECK(two.ReplyTo(send)->ok());
  CHECK(two.script.seen.back() == "send after 10 complete");
}

TEST_CASE("a command put aside for nothing comes back at once") {
  TwoStores two;
  two.Run();
  const auto send = two.Submit(kSecond, model::SendPacket());
  two.Run();
  CHECK(two.ReplyTo(send) != nullptr);
  CHECK(two.script.seen.back() == "send after 0 complete");
}

TEST_CASE("a command put aside waits 300 ms and no longer") {
  TwoStores two;
  two.Run();
  two.script.credit_fails = true;
  two.script.books_broken = true;  // so it is not parked either
  two.Open(kFirst, 1, 3);
  two.Run();
  const auto send = two.Submit(kSecond, model::SendPacket());
  two.Run();
  two.clock.Advance(299);
  two.Run();
  CHECK(two.ReplyTo(send) == nullptr);
  two.clock.Advance(1);
  two.Run();
  REQUIRE(two.ReplyTo(send) != nullptr);
  CHECK(two.script.seen.back() == "send after 0 missing");
}

TEST_CASE("more commands than may wait for arrivals are told that the server is busy") {
  ExecutorLimits limits;
  limits.await_commands = 2;
  TwoStores two(limits);
  two.Run();
  two.script.credit_fails = two.script.books_broken = true;
  two.Open(kFirst, 1, 3);
  two.Run();
  std::vector<uint64_t> sends;
  for (int i = 0; i < 3; ++i) sends.push_back(two.Submit(kSecond, model::SendPacket()));
  two.Run();
  CHECK(two.ReplyTo(sends[0]) == nullptr);
  CHECK(two.ReplyTo(sends[1]) == nullptr);
  REQUIRE(two.ReplyTo(sends[2]) != nullptr);
  CHECK(two.ReplyTo(sends[2])->error().reason == static_cast<uint16_t>(model::Reason::kBusy));
  two.clock.Advance(300);
  two.Run();
  CHECK(two.ReplyTo(sends[0]) != nullptr);
  CHECK(two.ReplyTo(sends[1]) != nullptr);
  two.money_executor().Tick();
  CHECK(two.money_executor().report().queued == 0);
}

TEST_CASE("a command put aside is answered once, however the batch that did so ends") {
  for (const auto fate :
       {storage::CommitFate::kReject, storage::CommitFate::kGuard,
        storage::CommitFate::kUnknownApplied, storage::CommitFate::kUnknownLost}) {
    CAPTURE(static_cast<int>(fate));
    TwoStores two;
    two.Run();
    two.script.credit_fails = two.script.books_broken = true;
    two.Open(kFirst, 1, 3);
    two.Run();
    const auto waiting = two.Submit(kSecond, model::SendPacket());  // of an earlier batch
    two.Run();
    const auto send = two.Submit(kSecond, model::SendPacket());
    two.Open(kFirst, 1, 3);  // so that there is something to commit
    two.fate = fate;
    two.Run();
    two.clock.Advance(300);
    two.Run();
    CHECK(two.ReplyTo(send) != nullptr);
    CHECK(two.ReplyTo(waiting) != nullptr);
    two.money_executor().Tick();
    CHECK(two.money_executor().report().queued == 0);
    CHECK(two.money_executor().report().put_aside == 0);
  }
}

TEST_CASE("commands put aside are answered before the thread ends") {
  TwoStores two;
  two.Run();
  two.script.credit_fails = two.script.books_broken = true;
  two.Open(kFirst, 1, 3);
  two.Run();
  two.money_executor().Start();
  const auto send = two.Submit(kSecond, model::SendPacket());
  two.money_executor().Stop();
  REQUIRE(two.ReplyTo(send) != nullptr);
  CHECK(two.script.seen.back() == "send after 0 missing");
}

TEST_CASE("opens are counted from the queue until they are answered") {
  TwoStores two;
  two.Run();
  CHECK(two.money_executor().opens_in_flight(PacketId(1)) == 0);
  for (int i = 0; i < 3; ++i) two.Open(kFirst, 1, 3);
  two.Open(kFirst, 2, 3);
  CHECK(two.money_executor().opens_in_flight(PacketId(1)) == 3);
  CHECK(two.money_executor().opens_in_flight(PacketId(2)) == 1);
  two.Run();
  CHECK(two.money_executor().opens_in_flight(PacketId(1)) == 0);
  CHECK(two.money_executor().opens_in_flight(PacketId(2)) == 0);
  // However their batch ends.
  for (const auto fate :
       {storage::CommitFate::kReject, storage::CommitFate::kGuard,
        storage::CommitFate::kUnknownApplied, storage::CommitFate::kUnknownLost}) {
    two.Open(kFirst, 1, 3);
    two.fate = fate;
    two.Run();
    CHECK(two.money_executor().opens_in_flight(PacketId(1)) == 0);
  }
}

TEST_CASE("what a command is about is set apart when the store refuses it alone") {
  TwoStores two;
  two.Run();
  two.script.opens_collide = {666};
  std::vector<uint64_t> good;
  for (int64_t i = 0; i < 4; ++i) good.push_back(two.Open(kFirst, 1, 3));
  const auto bad = two.Open(kFirst, 666, 3);
  REQUIRE(two.Rests());
  for (const auto ticket : good) CHECK(two.ReplyTo(ticket)->ok());
  REQUIRE(two.ReplyTo(bad) != nullptr);
  CHECK(two.ReplyTo(bad)->error().text == "set apart");
  CHECK(two.Books(kFirst).transit_out_fen == 40);
  CHECK(two.Books(kSecond).wallets_fen == 40);

  // The next costs the others nothing.
  const int64_t before = two.commits;
  const auto again = two.Open(kFirst, 666, 3);
  two.Open(kFirst, 1, 3);
  two.money_executor().RunOnce();
  CHECK(two.commits == before + 1);
  CHECK(two.ReplyTo(again)->error().text == "set apart");
}

TEST_CASE("what cannot be set apart is refused unasked for a while, each time for longer") {
  TwoStores two;
  two.Run();
  two.script.opens_collide = {666};
  two.script.can_set_apart = false;
  const auto cost = [&] {
    const int64_t before = two.commits;
    const auto bad = two.Open(kFirst, 666, 3);
    const auto good = two.Submit(kFirst, model::MoveManyFunds());
    REQUIRE(two.Rests());
    CHECK(two.ReplyTo(good)->ok());
    CHECK_FALSE(two.ReplyTo(bad)->ok());
    return two.commits - before;
  };
  CHECK(cost() == 13);  // all, the broken one alone, that again, the good one alone
  CHECK(cost() == 1);
  two.clock.Advance(11'000);
  CHECK(cost() == 13);
  two.clock.Advance(11'000);
  CHECK(cost() == 1);
  two.clock.Advance(11'000);
  CHECK(cost() == 13);
  // Another packet was never suspected.
  CHECK(two.ReplyTo(two.Open(kFirst, 1, 3)) == nullptr);
  REQUIRE(two.Rests());
  CHECK(two.Books(kFirst).transit_out_fen == 10);
}

TEST_CASE("an item that the store refuses alone is parked with its money, and the others pass it") {
  for (const int32_t entries : {1000, 1}) {  // by channel, or by shortcut in its opener's batch
    CAPTURE(entries);
    TwoStores two;
    two.Run();
    two.script.entries = entries;
    two.script.credits_collide = {666};
    std::vector<uint64_t> opens;
    for (const int64_t packet : {1, 2, 666, 3, 4}) opens.push_back(two.Open(kFirst, packet, 3));
    for (int i = 0; i < 5; ++i) {
      REQUIRE(two.Rests());
      two.Later();
    }
    for (const auto ticket : opens) {
      REQUIRE(two.ReplyTo(ticket) != nullptr);
      CHECK(two.ReplyTo(ticket)->ok());
    }
    REQUIRE(two.money->parked.size() == 1);
    CHECK(two.money->parked.begin()->second.fen == 10);
    CHECK(two.Books(kSecond).wallets_fen == 40);
    CHECK(two.Books(kSecond).suspense_fen == 10);
    CHECK(two.money->marks.at(kAcross).applied == 5);

    // Afterwards a batch costs one commit again.
    for (int i = 0; i < 30; ++i) two.Open(kFirst, 1, 3);
    REQUIRE(two.Rests());
    two.Later();
    const int64_t before = two.commits;
    for (int i = 0; i < 5; ++i) two.Open(kFirst, 1, 3);
    two.money_executor().RunOnce();
    CHECK(two.commits == before + 1);
  }
}

TEST_CASE("what is due and refused alone is set apart, and the rest of what is due goes on") {
  TwoStores two;
  two.Run();
  two.script.due = {{kSecond, 5}};
  two.script.due_collides = true;
  REQUIRE(two.Rests());
  CHECK(two.script.due[kSecond] == 0);

  // Where nothing can be set apart, it rests between two tries, and commands go on.
  two.script.due = {{kSecond, 5}};
  two.script.due_collides = true;
  two.script.can_set_apart = false;
  const auto good = two.Open(kFirst, 1, 3);
  REQUIRE(two.Rests());
  CHECK(two.ReplyTo(good)->ok());
  CHECK(two.script.due[kSecond] == 5);
  two.script.due_collides = false;
  two.clock.Advance(1100);
  REQUIRE(two.Rests());
  CHECK(two.script.due[kSecond] == 0);
}

TEST_CASE("parked items are tried again as many at once as a batch takes, wherever some stay") {
  ExecutorLimits limits;
  limits.batch_records = 40;
  TwoStores two(limits);
  Park(two, 100, 3);
  storage::ParkedItem& broken = two.money->parked.at({kAcross, 7});
  broken.item = "no item";
  int64_t after = 0, retried = 0, applied = 0, rounds = 0;
  for (bool more = true; more; ++rounds) {
    const auto ticket = two.Submit(kSecond, model::RetryParked{kFirst, kSecond, 0, after});
    two.Run();
    REQUIRE(two.ReplyTo(ticket)->ok());
    const auto answer = std::get<model::ParkedRetried>(**two.ReplyTo(ticket));
    CHECK(answer.retried <= 40);
    CHECK(answer.why.empty() == (after != 0));
    retried += answer.retried;
    applied += answer.applied;
    after = answer.last;
    more = answer.more;
  }
  CHECK(rounds >= 3);
  CHECK(retried == 100);
  CHECK(applied == 99);
  CHECK(two.money->parked.size() == 1);
  CHECK(two.Books(kSecond).wallets_fen == 990);
  CHECK(two.Books(kSecond).suspense_fen == 10);
}

TEST_CASE("parked money that cannot be applied is sent on to whom it belongs") {
  TwoStores two;
  Park(two, 3, 2);  // two's wallet is in the other shard
  two.money->parked.at({kAcross, 2}).item = "no item";
  two.money->parked.at({kAcross, 3}).fen = 0;
  const auto ask = [&](int64_t number, std::shared_ptr<const model::Item> as) {
    const auto ticket = two.Submit(kSecond, model::ReturnParked{kFirst, kSecond, number, as});
    two.Run();
    REQUIRE(two.ReplyTo(ticket) != nullptr);
    return *two.ReplyTo(ticket);
  };
  CHECK(ask(1, nullptr).ok());
  two.Later();
  CHECK(two.Books(kFirst).wallets_fen == 10);
  CHECK(two.Books(kSecond).suspense_fen == 20);
  CHECK_FALSE(ask(1, nullptr).ok());  // once

  // Of one whose bytes are lost somebody must say what it was, to the fen.
  CHECK(ask(2, nullptr).error().text.find("name the packet and the user") != std::string::npos);
  model::CreditItem credit;
  credit.packet = PacketId(1);
  credit.user = UserId(2);
  credit.amount_fen = 11;
  CHECK_FALSE(ask(2, std::make_shared<const model::Item>(credit)).ok());
  credit.amount_fen = 10;
  CHECK(ask(2, std::make_shared<const model::Item>(credit)).ok());
  two.Later();
  CHECK(two.Books(kFirst).wallets_fen == 20);
  CHECK(two.Books(kSecond).suspense_fen == 10);

  CHECK(ask(3, nullptr).error().text.find("no money") != std::string::npos);
  CHECK_FALSE(ask(4, nullptr).ok());
  CHECK(two.money->parked.size() == 1);
}

}  // namespace hongyan::shard
