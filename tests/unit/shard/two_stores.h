// Two stores and a logic of the tests' own making: what the executor's tests share.

#pragma once

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

using model::PacketId;
using model::ShardId;
using model::UserId;

inline constexpr ShardId kFirst = model::kFirstMoneyShard;
inline constexpr ShardId kSecond = kFirst + 1;

inline model::CreditItem CreditOf(PacketId packet, UserId user, int64_t fen) {
  model::CreditItem credit;
  credit.packet = packet;
  credit.user = user;
  credit.amount_fen = fen;
  credit.kind = model::PacketKind::kLucky;
  credit.sender = UserId(1);
  return credit;
}

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
      const model::CreditItem credit = CreditOf(open->packet, open->user, 10);
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

inline constexpr storage::ChannelId kAcross{kFirst, kSecond};

}  // namespace hongyan::shard
