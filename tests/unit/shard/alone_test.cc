// What the store refuses is found by committing one thing after another, and set apart.

#include "tests/unit/shard/two_stores.h"

namespace hongyan::shard {

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

}  // namespace hongyan::shard
