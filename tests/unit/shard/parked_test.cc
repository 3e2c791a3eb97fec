// Money on channels that cannot be applied: parked, tried again, sent on, accepted.

#include "tests/unit/shard/two_stores.h"

namespace hongyan::shard {

namespace {

// So many credits of ten fen to this user, parked behind everything the channel ever carried.
void Park(TwoStores& two, int64_t count, int64_t user) {
  storage::MemoryMoneyState& disk = *two.money;
  const model::CreditItem credit = CreditOf(PacketId(1), UserId(user), 10);
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
  const auto back = two.Submit(
      kSecond, model::ReturnParked{
                   kFirst, kSecond, row.number,
                   std::make_shared<const model::Item>(CreditOf(PacketId(1), UserId(3), 10))});
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
  model::CreditItem credit = CreditOf(PacketId(1), UserId(2), 11);
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
