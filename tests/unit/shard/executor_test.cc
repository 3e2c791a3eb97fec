// The executor with two stores: channels between them, money on channels, what is due.

#include "tests/unit/shard/two_stores.h"

namespace hongyan::shard {

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

}  // namespace hongyan::shard
