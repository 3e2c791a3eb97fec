#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "house.h"
#include "money/packet_id.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using model::PacketKind;
using model::PacketState;
using model::Reason;
using model::ReturnReason;

}  // namespace

// -- sending: each crash and event, and how it ends

TEST_CASE("failure 5: a crash after the debit loses nothing: the funds are on their way") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  house.settle = false;
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  const model::PacketId packet = House::Packet(house.Send(terms));
  CHECK_FALSE(house.reader().Find(packet).ok());
  CHECK(Proven(house));
  CHECK(house.Audit().in_transit_fen == 100);
  house.Restart();
  CHECK(house.Packet(packet).status.state == PacketState::kOpen);
  CHECK(House::Packet(house.Send(terms)) == packet);  // the reply was lost: the same again
  CHECK(house.Audit().in_transit_fen == 0);
  CHECK(Proven(house));
}

TEST_CASE("before the first commit there is nothing, and the same request id repeats it") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  bool lost = true;
  house.faults.commit = [&lost] {
    return lost ? storage::CommitFate::kReject : storage::CommitFate::kApply;
  };
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  CHECK_FALSE(house.Send(terms).ok());
  CHECK(house.Balance("anna") == 100);
  lost = false;
  CHECK(house.Send(terms).ok());
  CHECK(house.Balance("anna") == 0);
  CHECK(Proven(house));
}

TEST_CASE("failure 25: after a commit of unknown outcome the same request finds what it became") {
  for (const auto fate :
       {storage::CommitFate::kUnknownApplied, storage::CommitFate::kUnknownLost}) {
    House house;
    CHECK(house.Deposit("anna", 100).ok());
    bool unknown = true;
    house.faults.commit = [&] {
      return std::exchange(unknown, false) ? fate : storage::CommitFate::kApply;
    };
    const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
    CHECK_FALSE(house.Send(terms).ok());
    CHECK(house.Send(terms).ok());
    CHECK(house.Balance("anna") == 0);
    const model::PacketId packet = house.announced.front().packet.id;
    unknown = true;
    CHECK_FALSE(house.Open(packet, "bert").ok());
    const auto opened = House::Opened(house.Open(packet, "bert"));
    CHECK(opened.already == (fate == storage::CommitFate::kUnknownApplied));
    CHECK(house.Balance("bert") == opened.amount_fen);
    CHECK(house.announced.size() == 1);
    CHECK(Proven(house));
  }
}

TEST_CASE("funds that come a day after the send still make their packet") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  house.hold_money_items = true;
  const model::PacketId packet =
      House::Packet(house.Send(house.Terms(PacketKind::kLucky, "anna", 100, 2)));
  house.clock.Advance(kLifeMs);
  house.hold_money_items = false;
  house.Run();
  CHECK(house.Packet(packet).status.state == PacketState::kOpen);
}

TEST_CASE("funds that come later than a day go back whole, and the sender hears of it") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  house.hold_money_items = true;
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  const model::PacketId packet = House::Packet(house.Send(terms));
  house.clock.Advance(2 * kLifeMs);
  house.hold_money_items = false;
  house.Run();
  CHECK(house.Balance("anna") == 100);
  CHECK_FALSE(house.reader().Find(packet).ok());
  REQUIRE(house.returned.size() == 1);
  CHECK(house.returned.front().reason == ReturnReason::kTooLate);
  CHECK(house.returned.front().request_id == terms.request_id);
  CHECK(house.returned.front().packet == packet);
  CHECK(house.returned.front().amount_fen == 100);
  const auto send = house.reader().FindSend(house.User("anna"), terms.request_id);
  CHECK(send->state == money::Reader::SendState::kReturned);
  CHECK(send->reason == ReturnReason::kTooLate);
  CHECK(House::Packet(house.Send(terms)) == packet);  // asked again: no second debit
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE("while the announcement is not answered nobody opens; then everybody may") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  CHECK(house.announced.size() == 1);
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kBusy);
  house.Restart();
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kBusy);
  house.Verdict(packet, true);
  house.Verdict(packet, true);  // told twice
  house.Run();
  CHECK(house.Open(packet, "bert").ok());
  CHECK(Proven(house));
}

TEST_CASE("a refused announcement gives all back at once") {
  House house;
  house.conversation = House::Conversation::kRefuses;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  CHECK(house.Balance("anna") == 100);
  CHECK(house.Packet(packet).status.state == PacketState::kRefused);
  CHECK(house.returned.front().reason == ReturnReason::kRefused);
  CHECK(house.notices.empty());
  const auto send =
      house.reader().FindSend(house.User("anna"), house.announced.front().packet.terms.request_id);
  CHECK(send->state == money::Reader::SendState::kReturned);
  CHECK(Proven(house));
}

TEST_CASE("if chat stays down the packet expires, and is refunded to the fen") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const model::PacketId packet = house.Lucky("anna", 101, 2);
  house.Pass(kLifeMs);
  CHECK(house.Balance("anna") == 101);
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(house.notices.empty());  // nobody knows of it
  SUBCASE("the refusal that meets it finds it closed") { house.Verdict(packet, false); }
  SUBCASE("so does the late word that it was stored") { house.Verdict(packet, true); }
  house.Run();
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(house.Balance("anna") == 101);
  CHECK(house.returned.size() == 1);
  CHECK(Proven(house));
}

TEST_CASE("a refusal that comes first is what expiry finds") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  house.Verdict(packet, false);
  house.Run();
  house.Pass(kLifeMs);
  CHECK(house.Packet(packet).status.state == PacketState::kRefused);
  CHECK(house.returned.size() == 1);
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 40: announcement, notices and news of a return leave with the money's own commit") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  house.settle = false;
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 1);
  const model::PacketId packet = House::Packet(house.Send(terms));
  bool lost = true;
  house.faults.commit = [&lost] {
    return std::exchange(lost, false) ? storage::CommitFate::kUnknownLost
                                      : storage::CommitFate::kApply;
  };
  house.Run();  // the creation is lost at its commit: nobody hears of it
  CHECK(house.announced.empty());
  house.Run();
  CHECK(house.announced.size() == 1);
  lost = true;
  CHECK_FALSE(house.Open(packet, "bert").ok());
  house.Run();
  CHECK(house.notices.empty());
  CHECK(house.Open(packet, "bert").ok());
  house.Run();
  CHECK(house.notices.size() == 1);
  CHECK(Proven(house));
}

// -- money on its way

TEST_CASE("failure 6: a crash between claim and credit loses nothing, and credits nothing twice") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  house.settle = false;
  const auto opened = House::Opened(house.Open(packet, "bert"));
  CHECK(house.Balance("bert") == 0);
  CHECK(Proven(house));
  CHECK(house.Audit().in_transit_fen == opened.amount_fen);
  house.Restart();
  CHECK(house.Balance("bert") == opened.amount_fen);
  house.Restart();
  CHECK(house.Balance("bert") == opened.amount_fen);
  CHECK(Proven(house));
}

TEST_CASE("failure 30: a packet id that comes again makes nothing again") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  CHECK(house.Open(packet, "bert").ok());
  const model::PacketTerms terms = house.Packet(packet).header.terms;
  const model::ShardId shard = house.PacketShard(packet);
  // The same send: kept whole for the administrator, for its money cannot be explained.
  auto again = house.Force(shard, model::FundItem{packet, terms});
  REQUIRE(again.ok());
  CHECK(again->kind == shard::ItemOutcome::Kind::kPark);
  // Another send under this id: refused, and its money goes back.
  model::PacketTerms other = terms;
  other.sender = house.User("carl");
  other.request_id = house.NewId();
  other.total_fen = 50;
  CHECK(house.Force(shard, model::FundItem{packet, other}).ok());
  CHECK(house.Balance("carl") == 50);
  CHECK(house.returned.back().reason == ReturnReason::kRule);
  CHECK(house.Packet(packet).header.terms.sender == house.User("anna"));
  CHECK(house.Claims(packet).size() == 1);
  CHECK(house.announced.size() == 1);
}

TEST_CASE("funds that break a rule go back whole") {
  struct Row {
    const char* rule;
    std::function<void(model::PacketTerms&)> change;
  };
  const Row rows[] = {
      {"more shares than fen", [](auto& t) { t.shares = 101; }},
      {"more than the cap of its shares", [](auto& t) { t.share_cap_fen = 49; }},
      {"equal shares that do not come out even",
       [](auto& t) {
         t.kind = PacketKind::kEqual;
         t.shares = 3;
         t.share_cap_fen = 100;
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.rule));
    House house;
    model::PacketTerms terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
    terms.share_cap_fen = 100;
    row.change(terms);
    const model::PacketId id(money::MakePacketId({money::DayOf(house.clock.WallMs()), 0, 5, 0, 0}));
    CHECK(house.Force(house.PacketShard(id), model::FundItem{id, terms}).ok());
    CHECK(house.Balance("anna") == 100);
    CHECK(house.announced.empty());
    CHECK(house.returned.front().reason == ReturnReason::kRule);
  }
}

TEST_CASE("failure 33: an item of nonsense is an error of its own, and moves nothing") {
  House house;
  const model::ShardId shard = house.WalletShard("bert");
  const model::UserId bert = house.User("bert");
  const model::PacketId packet(2077800000000000010);
  const std::vector<model::Item> broken = {
      model::CreditItem{packet, bert, 0, PacketKind::kLucky, bert, 1},
      model::CreditItem{packet, bert, -5, PacketKind::kLucky, bert, 1},
      model::CreditItem{packet, bert, INT64_MAX, PacketKind::kLucky, bert, 1},
      model::CreditItem{packet, {}, 5, PacketKind::kLucky, bert, 1},
      model::RefundItem{packet, bert, {}, {}, PacketKind::kLucky, -1, ReturnReason::kExpired, true},
      model::FundItem{packet, {}},
      model::AnnounceItem{},
  };
  for (const model::Item& item : broken) {
    CHECK_FALSE(house.Force(shard, item).ok());
    CHECK(house.records == 0);
  }
  CHECK(house.Force(shard, model::VerdictItem{packet, true, model::ConvSeq(1), 0}).ok());
  CHECK(house.records == 0);
}

TEST_CASE(
    "failure 20: an item that cannot be applied is parked, its money in suspense, until it can") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 1);
  house.settle = false;
  CHECK(house.Open(packet, "bert").ok());
  // The wallet's books cannot take it: their sum would pass what an integer holds.
  const model::ShardId shard = house.WalletShard("bert");
  const int64_t was = house.state->books[shard].wallets_fen;
  house.state->books[shard].wallets_fen = INT64_MAX;
  house.Restart();
  CHECK(house.state->parked.size() == 1);
  CHECK(house.Balance("bert") == 0);
  CHECK(house.state->books[shard].suspense_fen == 100);
  house.state->books[shard].wallets_fen = was;
  house.Restart();
  auto report = house.Audit();
  CHECK(report.verdict == money::AuditReport::Verdict::kFinding);
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings.front().what == "parked");
  house.RetryParked(shard);
  CHECK(house.Balance("bert") == 100);
  CHECK(Proven(house));
}

TEST_CASE("parked funds that make no packet go back to their sender, and the books are whole") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  house.settle = false;
  const auto terms = house.Terms(model::PacketKind::kLucky, "anna", 300, 3);
  const model::PacketId packet = House::Packet(house.Send(terms));
  const model::ShardId shard = house.PacketShard(packet);
  const int64_t was = house.state->books[shard].escrow_fen;
  house.state->books[shard].escrow_fen = INT64_MAX;
  house.Restart();
  house.state->books[shard].escrow_fen = was;
  house.Restart();
  REQUIRE(house.state->parked.size() == 1);
  const storage::ParkedItem row = house.state->parked.begin()->second;
  CHECK(house.Balance("anna") == 700);

  house.settle = true;
  house.channel_trouble = [&](model::ShardId target) {
    return std::string(target == house.WalletShard("anna") ? "lags" : "");
  };
  const auto lagging = house.ReturnParked(row);
  REQUIRE_FALSE(lagging.ok());
  CHECK(lagging.error().reason == static_cast<uint16_t>(Reason::kBusy));
  CHECK(house.state->parked.size() == 1);
  house.channel_trouble = nullptr;
  CHECK(house.ReturnParked(row).ok());
  CHECK(house.Balance("anna") == 1'000);
  CHECK(house.reader().FindSend(house.User("anna"), terms.request_id)->state ==
        money::Reader::SendState::kReturned);
  CHECK(house.returned.size() == 1);
  CHECK(Proven(house));
}

TEST_CASE("a parked share that names nobody goes to whom it belongs, once somebody says so") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 1);
  house.settle = false;
  CHECK(house.Open(packet, "bert").ok());
  const model::ShardId shard = house.WalletShard("bert");
  const int64_t was = house.state->books[shard].wallets_fen;
  house.state->books[shard].wallets_fen = INT64_MAX;
  house.Restart();
  house.state->books[shard].wallets_fen = was;
  house.Restart();
  REQUIRE(house.state->parked.size() == 1);
  const storage::ParkedItem row = house.state->parked.begin()->second;
  model::CreditItem nobody{packet, model::UserId(), 100, model::PacketKind::kLucky, {}, 0};
  house.settle = true;
  CHECK_FALSE(house.ReturnParked(row, nobody).ok());
  nobody.user = house.User("bert");
  nobody.sender = house.User("anna");
  house.state->parked.begin()->second.item = "lost";
  CHECK(house.ReturnParked(row, nobody).ok());
  CHECK(house.Balance("bert") == 100);
  CHECK(Proven(house));
}

}  // namespace hongyan::testing
