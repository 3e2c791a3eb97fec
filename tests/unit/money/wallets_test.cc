#include <string>
#include <utility>
#include <vector>

#include "house.h"
#include "money/packet_id.h"
#include "money/refusals.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using model::PacketKind;
using model::Reason;
using model::StatementKind;

constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;

std::vector<model::StatementRow> Statement(const House& house, const std::string& user) {
  auto page = house.reader().Statement(house.User(user), 0, 200);
  REQUIRE(page.ok());
  return page->rows;
}

}  // namespace

// -- deposits and withdrawals

TEST_CASE("a deposit makes the wallet, a withdrawal takes from it, and world pays") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  CHECK(house.Withdraw("anna", 300).ok());
  CHECK(house.Balance("anna") == 700);
  CHECK(house.Books().world_fen == -700);
  const auto rows = Statement(house, "anna");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].kind == StatementKind::kWithdrawal);
  CHECK(rows[0].balance_fen == 700);
  CHECK(rows[1].amount_fen == 1'000);
  CHECK(rows[1].account_seq == 1);
  CHECK(rows[1].note.ends_with(": test"));
  CHECK(Proven(house));
}

TEST_CASE("the id of a deposit is kept for ever: the same again is the same move") {
  House house;
  const model::Reply first = house.Deposit("anna", 1'000, "pay-7");
  house.clock.Advance(400 * kDayMs);
  house.Restart();
  const model::Reply again = house.Deposit("anna", 1'000, "pay-7");
  CHECK(house.records == 0);
  CHECK(house.Balance("anna") == 1'000);
  CHECK(std::get<model::FundsMoved>(*again).outcomes.front()->time_ms ==
        std::get<model::FundsMoved>(*first).outcomes.front()->time_ms);
  CHECK_FALSE(std::get<model::FundsMoved>(*first).outcomes.front()->already);
  CHECK(std::get<model::FundsMoved>(*again).outcomes.front()->already);
  CHECK(House::Why(house.Deposit("anna", 1'001, "pay-7")) == Reason::kConflict);
  CHECK(house.Balance("anna") == 1'000);
  CHECK(house.Deposit("bert", 1'000, "pay-7").ok());
  CHECK(Proven(house));
}

TEST_CASE("many moves are answered one by one; a refused one is no error of the others") {
  House house;
  model::MoveManyFunds many;
  const model::UserId anna = house.User("anna");
  many.moves = {{anna, "a", 500, "x"},
                {anna, "b", -900, "x"},
                {anna, "a", 500, "x"},
                {anna, "c", 0, "x"},
                {anna, "d", -500, "x"}};
  house.put_aside = 0;
  house.arrivals_missing = false;
  auto reply = house.Batch(house.WalletShard("anna"), {many}).front();
  CHECK_FALSE(reply.has_value());  // one lacks funds: put aside once
  CHECK(house.put_aside == 1);
  many.moves.erase(many.moves.begin() + 1);
  reply = house.Batch(house.WalletShard("anna"), {many}).front();
  REQUIRE(reply.has_value());
  const auto& outcomes = std::get<model::FundsMoved>(**reply).outcomes;
  REQUIRE(outcomes.size() == 4);
  CHECK(outcomes[0]->balance_fen == 500);
  CHECK(outcomes[1]->balance_fen == 500);  // the same move, twice in one batch
  CHECK(outcomes[1]->account_seq == 1);
  CHECK(outcomes[2].error().reason == static_cast<uint16_t>(Reason::kAmountInvalid));
  CHECK(outcomes[3]->balance_fen == 0);
  CHECK(Proven(house));
}

TEST_CASE("a command of too many moves is refused whole") {
  House house;
  model::MoveManyFunds many;
  for (int i = 0; i <= 1000; ++i) {
    many.moves.push_back({house.User("anna"), std::to_string(i), 1, "x"});
  }
  CHECK(House::Why(*house.Batch(house.WalletShard("anna"), {many}).front()) == Reason::kTooLarge);
  CHECK(house.records == 0);
}

TEST_CASE("world is bounded, so no sum overflows") {
  House house;
  CHECK(house.Deposit("anna", money::kMaxFen).ok());
  CHECK(House::Why(house.Deposit("anna", 1)) == Reason::kWorldLimit);
  CHECK(house.Balance("anna") == money::kMaxFen);
  CHECK(house.Withdraw("anna", 1).ok());
  CHECK(house.Deposit("anna", 1).ok());
  CHECK(Proven(house));
}

TEST_CASE("a withdrawal never takes more than there is") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  CHECK(House::Why(house.Withdraw("anna", 101)) == Reason::kNoFunds);
  CHECK(House::Why(house.Withdraw("nobody", 1)) == Reason::kNoFunds);
  CHECK(house.records == 0);
  CHECK(house.Withdraw("anna", 100).ok());
  CHECK(Proven(house));
}

// -- freeze

TEST_CASE("failure 37: freeze stops debits, never credits, refunds or opens") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  CHECK(House::Why(house.Freeze("bert")) == Reason::kNoSuchWallet);
  CHECK(house.Deposit("bert", 50).ok());
  CHECK(house.Freeze("bert").ok());
  CHECK(house.Freeze("anna").ok());
  CHECK(House::Why(house.Withdraw("bert", 1)) == Reason::kWalletFrozen);
  CHECK(House::Why(house.Send(house.Terms(PacketKind::kLucky, "bert", 50))) ==
        Reason::kWalletFrozen);
  const auto opened = House::Opened(house.Open(packet, "bert"));
  CHECK(house.Balance("bert") == 50 + opened.amount_fen);
  CHECK(house.Deposit("bert", 1).ok());
  house.Pass(kDayMs);
  CHECK(house.Balance("anna") == 100 - opened.amount_fen);  // the refund came home
  CHECK(house.Freeze("bert", false).ok());
  CHECK(house.Withdraw("bert", 1).ok());
  CHECK(Proven(house));
}

// -- send

TEST_CASE("a send debits at once and answers with a packet id that says where the packet lies") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  house.settle = false;
  auto terms = house.Terms(PacketKind::kLucky, "anna", 600, 3);
  const model::PacketId packet = House::Packet(house.Send(terms));
  CHECK(house.Balance("anna") == 400);
  const auto parts = money::ReadPacketId(packet);
  REQUIRE(parts.has_value());
  CHECK(parts->day == money::DayOf(house.clock.WallMs()));
  CHECK(parts->allocator == house.WalletShard("anna") - model::kFirstMoneyShard);
  CHECK(house.reader().FindSend(house.User("anna"), terms.request_id)->state ==
        money::Reader::SendState::kSending);
  house.Run();
  CHECK(house.reader().FindSend(house.User("anna"), terms.request_id)->state ==
        money::Reader::SendState::kSent);
  CHECK(house.Packet(packet).status.state == model::PacketState::kOpen);
  CHECK(house.Packet(packet).header.terms.share_cap_fen == 600);
  REQUIRE(house.announced.size() == 1);
  CHECK(house.announced.front().packet.terms.request_id == terms.request_id);
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 2: a repeated send returns the same packet, in the batch, after it and after a "
    "crash") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  const model::SendPacket send{house.Terms(PacketKind::kLucky, "anna", 600, 3)};
  auto twice = house.Batch(house.WalletShard("anna"), {send, send});
  const model::PacketId packet = House::Packet(*twice[0]);
  CHECK(House::Packet(*twice[1]) == packet);
  CHECK(House::Packet(house.Send(send.terms)) == packet);
  CHECK(house.records == 0);
  house.Restart();
  CHECK(House::Packet(house.Send(send.terms)) == packet);
  CHECK(house.Balance("anna") == 400);
  CHECK(house.announced.size() == 1);
  CHECK(Proven(house));
}

TEST_CASE("failure 3: the same request id with another meaning is a conflict, whatever differs") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  CHECK(house.Send(terms).ok());
  std::vector<model::PacketTerms> others(6, terms);
  others[0].total_fen = 101;
  others[1].shares = 1;
  others[2].greeting = "another";
  others[3].kind = PacketKind::kEqual;
  others[4].conversation = model::ConversationId::Group(model::GroupId(78));
  others[5].named = house.User("bert");
  for (const auto& other : others) {
    CHECK(House::Why(house.Send(other)) == Reason::kConflict);
    CHECK(house.records == 0);
  }
  CHECK(house.Balance("anna") == 900);
  // The cap is the server's: a change of the limits between two tries is no other request.
  auto same = terms;
  same.share_cap_fen = 7;
  CHECK(house.Send(same).ok());
  CHECK(house.Balance("anna") == 900);
}

TEST_CASE(
    "failure 4: a verdict on the request is remembered, and stands when the wallet has money "
    "again") {
  House house;
  CHECK(house.Deposit("anna", 10).ok());
  const auto poor = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  CHECK(House::Why(house.Send(poor)) == Reason::kNoFunds);
  CHECK(house.Freeze("anna").ok());
  const auto frozen = house.Terms(PacketKind::kLucky, "anna", 5);
  CHECK(House::Why(house.Send(frozen)) == Reason::kWalletFrozen);
  CHECK(house.Freeze("anna", false).ok());
  auto zero = house.Terms(PacketKind::kLucky, "anna", 0);
  CHECK(House::Why(house.Send(zero)) == Reason::kAmountInvalid);
  CHECK(house.Deposit("anna", 1'000).ok());
  house.Restart();
  CHECK(House::Why(house.Send(poor)) == Reason::kNoFunds);
  CHECK(House::Why(house.Send(frozen)) == Reason::kWalletFrozen);
  CHECK(House::Why(house.Send(zero)) == Reason::kAmountInvalid);
  zero.total_fen = 5;
  CHECK(House::Why(house.Send(zero)) == Reason::kConflict);
  CHECK(house.Balance("anna") == 1'010);
  const auto sent = house.reader().FindSend(house.User("anna"), poor.request_id);
  CHECK(sent.error().reason == static_cast<uint16_t>(Reason::kNoFunds));
}

TEST_CASE("what was no verdict on the request is not remembered") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  SUBCASE("busy") {
    house.channel_trouble = [](model::ShardId) { return std::string("lags"); };
    CHECK(House::Why(house.Send(terms)) == Reason::kBusy);
  }
  SUBCASE("a stopped channel") {
    house.channel_trouble = [](model::ShardId) { return std::string("stopped: lost its tail"); };
    CHECK(House::Why(house.Send(terms)) == Reason::kChannelStopped);
  }
  SUBCASE("a stopped channel to the chat alone, where its message would lie") {
    const model::ShardId chat = house.routes().ConversationOf(terms.conversation);
    REQUIRE_FALSE(model::IsMoneyShard(chat));
    house.channel_trouble = [chat](model::ShardId target) {
      return std::string(target == chat ? "stopped: lost its tail" : "");
    };
    CHECK(House::Why(house.Send(terms)) == Reason::kChannelStopped);
  }
  SUBCASE("a full disk") {
    house.below_disk_reserve = true;
    CHECK(House::Why(house.Send(terms)) == Reason::kDiskReserve);
  }
  SUBCASE("an edge that could not find out") {
    const auto no = model::Refuse(base::Code::kUnavailable, Reason::kStoreStopped, "stopped", 500);
    CHECK(House::Why(house.Send(terms, no)) == Reason::kStoreStopped);
  }
  SUBCASE("funds on their way") {
    CHECK(house.Withdraw("anna", 50).ok());
    house.arrivals_missing = true;
    CHECK(House::Why(house.Send(terms)) == Reason::kFundsPending);
  }
  CHECK(house.records == 0);
  house.channel_trouble = nullptr;
  house.below_disk_reserve = false;
  house.arrivals_missing = false;
  if (house.Balance("anna") < 100) CHECK(house.Deposit("anna", 50).ok());
  CHECK(house.Send(terms).ok());
  CHECK(house.Balance("anna") == 0);
}

TEST_CASE("what the edge says no to is answered as the first try was, if that was taken") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  const model::Reply first = house.Send(terms);
  REQUIRE(first.ok());
  const model::Reply again = house.Send(terms, money::Refusal(Reason::kNotAMember));
  REQUIRE(again.ok());
  CHECK(std::get<model::PacketSending>(*again).packet ==
        std::get<model::PacketSending>(*first).packet);
  CHECK(house.Balance("anna") == 900);
}

TEST_CASE("a verdict of the edge on a request stays its answer, whatever changes afterwards") {
  for (const Reason why : {Reason::kNotAMember, Reason::kMuted, Reason::kNamedPersonInvalid,
                           Reason::kNoSuchUser, Reason::kOverLimit}) {
    House house;
    CHECK(house.Deposit("anna", 1'000).ok());
    const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
    CHECK(House::Why(house.Send(terms, money::Refusal(why))) == why);
    house.Restart();
    const model::Reply again = house.Send(terms);  // it may by now
    CHECK(House::Why(again) == why);
    CHECK(again.error().text == money::Refusal(why).text);
    CHECK(again.error().text != "refused");
    CHECK(house.reader().FindSend(house.User("anna"), terms.request_id).error().reason ==
          static_cast<uint16_t>(why));
    CHECK(house.Send(house.Terms(PacketKind::kLucky, "anna", 100, 2)).ok());
    CHECK(house.Balance("anna") == 900);
  }
}

TEST_CASE("a send that lacks funds waits once for credits that are on their way") {
  House house;
  const model::PacketId gift = house.Lucky("anna", 100, 1);
  house.hold_money_items = true;
  CHECK(house.Open(gift, "bert").ok());
  CHECK(house.Balance("bert") == 0);
  house.hold_money_items = false;
  house.settle = false;
  const auto terms = house.Terms(PacketKind::kLucky, "bert", 100, 2);
  const auto reply = house.Send(terms);
  CHECK(house.put_aside == 1);
  CHECK(reply.ok());
  CHECK(house.Balance("bert") == 0);
  house.Run();
  CHECK(Proven(house));
}

TEST_CASE("a wallet that holds enough is never put aside") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  CHECK(house.Send(house.Terms(PacketKind::kLucky, "anna", 100, 2)).ok());
  CHECK(house.Withdraw("anna", 1).ok() == false);
  CHECK(house.put_aside == 1);  // only the withdrawal, which lacked funds
}

TEST_CASE("requests eight days old are refused; a week is the border, by the server's time") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  const auto aged = [&](int64_t ago_ms) {
    auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
    terms.request_id = house.NewId(ago_ms);
    return House::Why(house.Send(terms));
  };
  CHECK(aged(8 * kDayMs) == Reason::kRequestTooOld);
  CHECK(aged(7 * kDayMs + 1) == Reason::kRequestTooOld);
  CHECK(house.records == 0);
  CHECK(aged(7 * kDayMs) == Reason::kNone);
  CHECK(aged(-5 * 60 * 1000) == Reason::kNone);
  CHECK(aged(-5 * 60 * 1000 - 1) == Reason::kStaleId);
  auto v4 = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  v4.request_id.bytes[6] = 0x40;
  CHECK(House::Why(house.Send(v4)) == Reason::kStaleId);
  // Old enough to be refused, though its outcome is still known: no second debit, ever.
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  CHECK(house.Send(terms).ok());
  house.clock.Advance(7 * kDayMs + 1);
  CHECK(House::Why(house.Send(terms)) == Reason::kRequestTooOld);
}

// -- packet ids

TEST_CASE("failure 30: a clock set back, or a store rolled back, never gives an id twice") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  const auto send = [&] {
    return *money::ReadPacketId(
        House::Packet(house.Send(house.Terms(PacketKind::kLucky, "anna", 1))));
  };
  const auto first = send();
  CHECK(first.counter == 0);
  CHECK(send().counter == 1);
  house.Restart();
  CHECK(send().counter == 2);
  // Back by a day: still the day it was, still counting.
  house.clock.StepWall(-kDayMs);
  const auto back = send();
  CHECK(back.day == first.day);
  CHECK(back.counter == 3);
  house.clock.StepWall(2 * kDayMs);
  const auto next = send();
  CHECK(next.day == first.day + 1);
  CHECK(next.counter == 0);
  // A restored store has a new generation and may not know all it gave out.
  house.state->identity.generation += 1;
  house.Restart();
  CHECK(send().counter == 1'000'000);
  CHECK(send().counter == 1'000'001);
  house.state->identity.generation += 1;
  house.clock.StepWall(kDayMs);
  house.Restart();
  CHECK(send().counter == 1'000'000);  // a day on, and still above what may be lost
}

TEST_CASE("books whose day or counter of ids cannot be refuse sends, and nothing falls over") {
  struct Row {
    const char* what;
    int32_t day;
    int64_t counter;
    int64_t generations;
  };
  const Row rows[] = {
      {"a day after the last", 99'999, 0, 0},
      {"the greatest day", INT32_MAX, 5, 0},
      {"a negative counter", 20'717, -1, 0},
      {"a negative counter of another day", 3, -1, 0},
      {"a counter beyond a day's ids", 20'717, 100'000'001, 0},
      {"the greatest counter, to be raised", 20'717, INT64_MAX, 1},
      {"the least counter, to be raised", 20'717, INT64_MIN, 1},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.what));
    House house;
    CHECK(house.Deposit("anna", 1'000).ok());
    model::Books& books = house.state->books.at(house.WalletShard("anna"));
    books.id_day = row.day;
    books.id_counter = row.counter;
    house.state->identity.generation += row.generations;
    house.Restart();
    const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 5);
    CHECK(House::Why(house.Send(terms)) == Reason::kBroken);
    CHECK(house.records == 0);
    CHECK(house.Balance("anna") == 1'000);
    const auto report = house.Audit();
    REQUIRE(report.findings.size() == 1);
    CHECK(report.findings.front().what == "books_ids");
    // Not remembered: when the books are mended the same request goes through.
    books.id_day = 20'717;
    books.id_counter = 7;
    house.Restart();
    CHECK(house.Send(terms).ok());
  }
}

TEST_CASE("packets spread over the cells, and pass by a cell whose shard cannot take them") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  const auto send = [&] {
    return *money::ReadPacketId(
        House::Packet(house.Send(house.Terms(PacketKind::kLucky, "anna", 1))));
  };
  for (int i = 0; i < 5; ++i) CHECK(send().cell == i);
  const model::ShardId down = house.routes().CellOf(5);
  house.channel_trouble = [down](model::ShardId target) {
    return std::string(target == down ? "stopped: its store is closed" : "");
  };
  for (int i = 0; i < 4; ++i) CHECK(house.routes().CellOf(send().cell) != down);
}

TEST_CASE("a shard that has given out all ids of a day is busy until the next") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  CHECK(house.Send(house.Terms(PacketKind::kLucky, "anna", 1)).ok());
  house.state->books[house.WalletShard("anna")].id_counter = money::kMaxPacketsPerDay;
  house.Restart();
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 1);
  CHECK(House::Why(house.Send(terms)) == Reason::kBusy);
  CHECK(house.records == 0);
  house.clock.Advance(kDayMs);
  CHECK(house.Send(terms).ok());
}

// -- totals

TEST_CASE(
    "yearly totals count what was sent, came back and was received, by the calendar of UTC+8") {
  House house;
  // 2026-12-31 23:59:59.999 there, then midnight.
  constexpr int64_t kNewYear = 1'798'732'800'000;
  house.clock.StepWall(kNewYear - 1 - house.clock.WallMs());
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  const int64_t got = House::Opened(house.Open(packet, "bert")).amount_fen;
  house.Pass(kDayMs);
  auto anna = house.reader().FindWallet(house.User("anna"));
  auto bert = house.reader().FindWallet(house.User("bert"));
  CHECK(anna->years.at(2026).sent_count == 1);
  CHECK(anna->years.at(2026).sent_fen == 100);
  CHECK(anna->years.at(2026).returned_fen == 0);
  CHECK(anna->years.at(2027).returned_fen == 100 - got);
  CHECK(bert->years.at(2026).received_count == 1);
  CHECK(bert->years.at(2026).received_fen == got);
  CHECK(Proven(house));
}

TEST_CASE("a wallet that changed tells its user once per batch") {
  House house;
  const model::UserId anna = house.User("anna");
  model::MoveManyFunds many;
  many.moves = {{anna, "a", 500, "x"}, {anna, "b", 500, "x"}};
  house.Batch(house.WalletShard("anna"), {many});
  REQUIRE(house.effects.size() == 1);
  CHECK(std::get<model::WalletChanged>(house.effects.front()).user == anna);
}

TEST_CASE("a wallet changed by a commit of which recovery had to decide tells its user as well") {
  for (const auto fate :
       {storage::CommitFate::kUnknownApplied, storage::CommitFate::kUnknownLost}) {
    House house;
    house.faults.commit = [&, first = true]() mutable {
      return std::exchange(first, false) ? fate : storage::CommitFate::kApply;
    };
    CHECK_FALSE(house.Deposit("anna", 500).ok());  // nobody knows yet
    REQUIRE(house.effects.size() == 1);            // a hint, and at worst for nothing
    CHECK(std::get<model::WalletChanged>(house.effects.front()).user == house.User("anna"));
    CHECK(house.Deposit("bert", 500).ok());
    CHECK(house.effects.size() == 2);  // said once
  }
}

}  // namespace hongyan::testing
