// Commands that wait for what had been given when they came.

#include "tests/unit/shard/two_stores.h"

namespace hongyan::shard {

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

}  // namespace hongyan::shard
