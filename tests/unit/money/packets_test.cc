#include <algorithm>
#include <functional>
#include <set>
#include <string>
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
using What = model::PacketNoticeItem::What;

constexpr int64_t kLifeMs = int64_t{24} * 3600 * 1000;

bool Proven(const House& house) {
  const auto report = house.Audit();
  for (const auto& finding : report.findings) {
    MESSAGE(finding.what << " " << finding.where << " " << finding.text);
  }
  return report.verdict == money::AuditReport::Verdict::kProven;
}

model::PacketId Make(House& house, const model::PacketTerms& terms, const std::string& sender) {
  CHECK(house.Deposit(sender, terms.total_fen).ok());
  return House::Packet(house.Send(terms));
}

}  // namespace

// -- opening

TEST_CASE("a group opens a lucky packet: the total comes out, once each, and the wallets have it") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 10'000, 10);
  int64_t sum = 0;
  for (int i = 0; i < 10; ++i) {
    const auto opened = House::Opened(house.Open(packet, "user" + std::to_string(i)));
    CHECK(opened.ordinal == i + 1);
    CHECK_FALSE(opened.already);
    CHECK(house.Balance("user" + std::to_string(i)) == opened.amount_fen);
    sum += opened.amount_fen;
  }
  CHECK(sum == 10'000);
  CHECK(house.Packet(packet).status.state == PacketState::kDone);
  CHECK(House::Why(house.Open(packet, "late")) == Reason::kPacketDone);
  CHECK(house.records == 0);
  REQUIRE(house.notices.size() == 1);
  CHECK(house.notices.front().what == What::kFinished);
  CHECK(Proven(house));
}

TEST_CASE("the last share makes the best luck: the earliest of the largest") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 12, 10);
  for (int i = 0; i < 9; ++i) CHECK(house.Open(packet, "user" + std::to_string(i)).ok());
  auto detail = house.reader().Show(packet, house.User("user0"), true, 0, 100);
  CHECK_FALSE(detail->best_luck);  // not before it is done
  house.clock.Advance(5'000);
  CHECK(house.Open(packet, "user9").ok());
  const auto claims = house.Claims(packet);
  const auto best =
      std::max_element(claims.begin(), claims.end(),
                       [](const auto& a, const auto& b) { return a.amount_fen < b.amount_fen; });
  detail = house.reader().Show(packet, house.User("user0"), true, 0, 100);
  CHECK(detail->best_luck == best->user);
  CHECK(detail->took_ms == 5'000);
  CHECK(house.notices.back().user == best->user);
  CHECK(house.notices.back().took_ms == 5'000);
}

TEST_CASE("equal shares are equal") {
  House house;
  const auto packet = Make(house, house.Terms(PacketKind::kEqual, "anna", 300, 3), "anna");
  for (const char* name : {"a", "b", "c"}) {
    CHECK(House::Opened(house.Open(packet, name)).amount_fen == 100);
  }
  CHECK_FALSE(house.notices.back().user);  // nobody is luckier
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 1: the same user opening twice in one batch has one claim, and hears its amount "
    "twice") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 3);
  const model::OpenPacket open{packet, house.User("bert"), {true, 1}};
  const auto replies = house.Batch(house.PacketShard(packet), {open, open, open});
  house.Run();
  const auto first = House::Opened(*replies[0]);
  CHECK_FALSE(first.already);
  for (const size_t i : {size_t{1}, size_t{2}}) {
    CHECK(House::Opened(*replies[i]).already);
    CHECK(House::Opened(*replies[i]).amount_fen == first.amount_fen);
  }
  CHECK(house.Balance("bert") == first.amount_fen);
  CHECK(house.Claims(packet).size() == 1);
  house.Restart();
  CHECK(House::Opened(house.Open(packet, "bert")).already);
  CHECK(house.records == 0);
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 13: opens of one batch see each other's shares, and the shares one amount per "
    "ordinal") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 5);
  std::vector<model::CommandBody> opens;
  for (int i = 0; i < 8; ++i) {
    opens.push_back(model::OpenPacket{packet, house.User("u" + std::to_string(i)), {true, 1}});
  }
  const auto replies = house.Batch(house.PacketShard(packet), opens);
  house.Run();
  int64_t sum = 0;
  for (size_t i = 0; i < 5; ++i) sum += House::Opened(*replies[i]).amount_fen;
  CHECK(sum == 100);
  for (size_t i = 5; i < 8; ++i) CHECK(House::Why(*replies[i]) == Reason::kPacketDone);
  CHECK(Proven(house));
}

TEST_CASE("an aborted batch cannot draw again: the amounts are fixed when the packet is made") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 10'000, 10);
  int tries = 0;
  house.faults.commit = [&tries] {
    return ++tries < 4 ? storage::CommitFate::kReject : storage::CommitFate::kApply;
  };
  const model::OpenPacket open{packet, house.User("bert"), {true, 1}};
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(house.Batch(house.PacketShard(packet), {open}).front().has_value());
  }
  const int64_t got = House::Opened(house.Open(packet, "bert")).amount_fen;
  CHECK(got == house.Claims(packet).front().amount_fen);
  CHECK(Proven(house));  // which derives it again
}

TEST_CASE(
    "failure 38: who opens is who the session says; an answer to another is that other's own") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 2);
  const auto berts = House::Opened(house.Open(packet, "bert"));
  const auto carls = House::Opened(house.Open(packet, "carl"));
  CHECK_FALSE(carls.already);
  CHECK(berts.ordinal != carls.ordinal);
}

// One row per rule of the order of checks: the first that holds is the answer.
TEST_CASE("the order of checks of an open, one code each, and what is refused moves nothing") {
  struct Row {
    const char* rule;
    std::function<model::PacketId(House&)> make;
    const char* opener;
    bool eligible;
    Reason why;
  };
  const auto lucky = [](House& house) { return house.Lucky("anna", 100, 2); };
  const auto one_left_by_bert = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    CHECK(house.Open(packet, "bert").ok());
    return packet;
  };
  const auto done = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 1);
    CHECK(house.Open(packet, "bert").ok());
    return packet;
  };
  const auto expired = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    CHECK(house.Open(packet, "bert").ok());
    house.Pass(kLifeMs);
    return packet;
  };
  const auto unswept = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    house.clock.Advance(kLifeMs);  // to the millisecond
    return packet;
  };
  const auto alive = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    house.clock.Advance(kLifeMs - 1);
    return packet;
  };
  const auto created = [](House& house) {
    house.conversation = House::Conversation::kSilent;
    return house.Lucky("anna", 100, 2);
  };
  const auto refused = [](House& house) {
    house.conversation = House::Conversation::kRefuses;
    return house.Lucky("anna", 100, 2);
  };
  const auto exclusive = [](House& house) {
    auto terms = house.Terms(PacketKind::kExclusive, "anna", 100);
    terms.named = house.User("bert");
    return Make(house, terms, "anna");
  };
  const auto direct = [](House& house) {
    auto terms = house.Terms(PacketKind::kLucky, "anna", 100);
    terms.conversation = house.Direct("anna", "bert");
    return Make(house, terms, "anna");
  };
  const auto transfer = [](House& house) {
    return Make(house, house.Transfer("anna", "bert", 100), "anna");
  };
  const auto returned = [](House& house) {
    const auto packet = Make(house, house.Transfer("anna", "bert", 100), "anna");
    CHECK(house.Return(packet, "bert").ok());
    return packet;
  };
  const auto none = [](House&) { return model::PacketId(2077800000000000010); };
  const auto nonsense = [](House&) { return model::PacketId(12); };
  const Row rows[] = {
      {"an unknown packet", none, "bert", true, Reason::kNoSuchPacket},
      {"no packet id at all", nonsense, "bert", true, Reason::kNoSuchPacket},
      {"an own claim, whatever the membership", one_left_by_bert, "bert", false, Reason::kNone},
      {"an own claim in a packet that is done", done, "bert", false, Reason::kNone},
      {"an own claim in a packet that expired", expired, "bert", false, Reason::kNone},
      {"not announced yet, for an outsider too", created, "bert", false, Reason::kBusy},
      {"done, for an outsider too", done, "carl", false, Reason::kPacketDone},
      {"expired", expired, "carl", true, Reason::kPacketExpired},
      {"returned", returned, "bert", true, Reason::kPacketReturned},
      {"refused", refused, "bert", true, Reason::kPacketRefused},
      {"expired, before any sweep, for an outsider too", unswept, "carl", false,
       Reason::kPacketExpired},
      {"a millisecond before", alive, "carl", true, Reason::kNone},
      {"an outsider", lucky, "carl", false, Reason::kNotEligible},
      {"an outsider who is the sender", direct, "anna", false, Reason::kNotEligible},
      {"somebody else's exclusive packet", exclusive, "carl", true, Reason::kNotTheNamedPerson},
      {"one's own exclusive packet", exclusive, "anna", true, Reason::kNotTheNamedPerson},
      {"the named person", exclusive, "bert", true, Reason::kNone},
      {"one's own packet in a 1:1 chat", direct, "anna", true, Reason::kOwnPacket},
      {"the other of a 1:1 chat", direct, "bert", true, Reason::kNone},
      {"one's own transfer", transfer, "anna", true, Reason::kNotTheNamedPerson},
      {"a transfer by who it is for", transfer, "bert", true, Reason::kNone},
      {"one's own lucky packet in a group", lucky, "anna", true, Reason::kNone},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.rule));
    House house;
    const model::PacketId packet = row.make(house);
    const auto reply = house.Open(packet, row.opener, row.eligible);
    CHECK(static_cast<int>(House::Why(reply)) == static_cast<int>(row.why));
    if (row.why != Reason::kNone) CHECK(house.records == 0);
    if (row.why == Reason::kBusy) CHECK(reply.error().retry_after_ms == 50);
    house.conversation = House::Conversation::kTakes;
    CHECK(Proven(house));
  }
}

TEST_CASE("failure 36: the membership that let an opener in is recorded in the claim") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  CHECK(house.Open(packet, "bert").ok());
  CHECK(house.Claims(packet).front().member_version == 3);
}

TEST_CASE(
    "an open waits for no money: it is busy where the credits' channel lags, and moves nothing") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  house.channel_trouble = [](model::ShardId) { return std::string("lags"); };
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kBusy);
  CHECK(house.records == 0);
  house.channel_trouble = nullptr;
  CHECK(house.Open(packet, "bert").ok());
}

// -- records: what makes the rates

TEST_CASE("an open writes at most two records of its own, a send four, a credit two") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 10'000, 100);
  std::vector<model::CommandBody> opens;
  for (int i = 0; i < 50; ++i) {
    opens.push_back(model::OpenPacket{packet, house.User("u" + std::to_string(i)), {true, 1}});
  }
  house.settle = false;
  house.Batch(house.PacketShard(packet), opens);
  CHECK(house.records == 50 + 2);  // a claim each; one status, one books
  house.Run();
  CHECK(house.Deposit("anna", 100).ok());
  CHECK(house.Send(house.Terms(PacketKind::kLucky, "anna", 100)).ok());
  CHECK(house.records == 4);  // statement, wallet, outcome, books
}

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

// -- expiry

TEST_CASE("failure 9: the refund is what is left in the very commit that closes") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  int64_t taken = 0;
  for (const char* name : {"a", "b", "c"})
    taken += House::Opened(house.Open(packet, name)).amount_fen;
  house.Pass(kLifeMs);
  CHECK(house.Balance("anna") == 1'000 - taken);
  const auto status = house.Packet(packet).status;
  CHECK(status.refund_fen == 1'000 - taken);
  CHECK(status.left_fen == 0);
  CHECK(status.left == 7);
  CHECK(house.notices.back().what == What::kRefunded);
  CHECK(house.notices.back().amount_fen == 1'000 - taken);
  CHECK(Proven(house));
}

TEST_CASE("failure 8: an open and the expiry meet in one queue: the time of the batch decides") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 1);
  house.clock.Advance(kLifeMs - 1);
  SUBCASE("a millisecond before its end it is opened, and nothing is refunded") {
    CHECK(house.Open(packet, "bert").ok());
    house.Pass(1);
    CHECK(house.Balance("bert") == 100);
    CHECK(house.Balance("anna") == 0);
  }
  SUBCASE("at its end it is refunded, though no sweep has come yet") {
    house.clock.Advance(1);
    CHECK(House::Why(house.Open(packet, "bert")) == Reason::kPacketExpired);
    house.Sweep();
    CHECK(House::Why(house.Open(packet, "bert")) == Reason::kPacketExpired);
    CHECK(house.Balance("anna") == 100);
  }
  CHECK(Proven(house));
}

TEST_CASE("failure 10: every way out passes through one door: a packet is given back once") {
  House house;
  const auto packet = Make(house, house.Transfer("anna", "bert", 100), "anna");
  CHECK(house.Return(packet, "bert").ok());
  CHECK(house.Return(packet, "bert").ok());  // the winner's repeat
  CHECK(house.records == 0);
  CHECK(house.Return(packet, "").ok());
  CHECK(house.records == 0);
  house.Verdict(packet, false);
  house.Run();
  house.Pass(kLifeMs);
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kPacketReturned);
  CHECK(house.Balance("anna") == 100);
  CHECK(house.returned.size() == 1);
  CHECK(Proven(house));
}

TEST_CASE("failure 21: expiry needs no timer that was set: a restarted server refunds") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  house.Restart();
  house.clock.Advance(kLifeMs);
  house.Restart();
  house.Sweep();
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 22: a packet nobody looked at for a year is refunded whole: no row of money ends by "
    "itself") {
  House house;
  house.Lucky("anna", 100, 2);
  house.Pass(365 * kLifeMs);
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE("failure 28: a shard that was down refunds late, never early") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  house.Pass(kLifeMs - 1);
  CHECK(house.Packet(packet).status.state == PacketState::kOpen);
  house.clock.Advance(5 * kLifeMs);
  house.Restart();
  CHECK(house.Balance("anna") == 0);
  house.Sweep();
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 23: a life is fixed once, when the packet is made, and a clock set back lengthens "
    "none") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  const auto header = house.Packet(packet).header;
  CHECK(header.expires_ms == header.created_ms + kLifeMs);
  house.clock.Advance(kLifeMs);
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kPacketExpired);
  house.Sweep();
  house.clock.StepWall(-kLifeMs);
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kPacketExpired);  // closed is closed
  CHECK(house.Packet(packet).header.expires_ms == header.expires_ms);
}

TEST_CASE("failure 34: a storm of expiries is swept in bounded slices, and all of it") {
  House house;
  CHECK(house.Deposit("anna", 10'000).ok());
  std::vector<model::PacketId> packets;
  for (int i = 0; i < 300; ++i) {
    packets.push_back(House::Packet(house.Send(house.Terms(PacketKind::kLucky, "anna", 10, 2))));
  }
  house.clock.Advance(kLifeMs);
  const model::ShardId shard = house.PacketShard(packets.front());
  CHECK(house.logic(shard).Due(house.clock.WallMs()));
  house.Sweep(30);
  CHECK(house.records <= 30);
  CHECK_FALSE(house.logic(shard).Due(house.clock.WallMs()));
  CHECK(house.Balance("anna") == 10'000);
  CHECK(house.returned.size() == 300);
  // And a sweep that is behind still finds what is made meanwhile.
  const model::PacketId late = house.Lucky("anna", 10, 2);
  CHECK_FALSE(house.logic(house.PacketShard(late)).Due(house.clock.WallMs() + kLifeMs - 1));
  CHECK(house.logic(house.PacketShard(late)).Due(house.clock.WallMs() + kLifeMs));
  house.Pass(kLifeMs);
  CHECK(house.Packet(late).status.state == PacketState::kExpired);
  CHECK(Proven(house));
}

TEST_CASE("a sweep whose commit did not happen is made again") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  house.clock.Advance(kLifeMs);
  bool fails = true;
  house.faults.commit = [&fails] {
    return std::exchange(fails, false) ? storage::CommitFate::kReject : storage::CommitFate::kApply;
  };
  house.Sweep();
  house.Sweep();
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE("a packet made in the batch of a sweep is not forgotten by it") {
  House house;
  house.Lucky("anna", 100, 2);
  CHECK(house.Deposit("bert", 100).ok());
  house.hold_money_items = true;
  const model::PacketId packet =
      House::Packet(house.Send(house.Terms(PacketKind::kLucky, "bert", 100)));
  house.hold_money_items = false;
  house.clock.Advance(kLifeMs);
  house.settle = false;
  house.Run();  // creates it
  house.Sweep();
  house.Run();
  CHECK(house.Packet(packet).status.state == PacketState::kOpen);
  house.settle = true;
  house.Pass(kLifeMs);
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(Proven(house));
}

// -- transfers

TEST_CASE(
    "accept, return and expiry of a transfer: the first wins, a repeat of the winner hears the "
    "same") {
  House house;
  const auto accepted = Make(house, house.Transfer("anna", "bert", 100), "anna");
  CHECK(House::Opened(house.Open(accepted, "bert")).amount_fen == 100);
  CHECK(house.notices.back().what == What::kAccepted);
  CHECK(house.notices.back().user == house.User("bert"));
  CHECK(House::Opened(house.Open(accepted, "bert")).already);
  CHECK(House::Why(house.Return(accepted, "bert")) == Reason::kPacketDone);

  const auto returned = Make(house, house.Transfer("anna", "bert", 70), "anna");
  CHECK(House::Why(house.Return(returned, "anna")) == Reason::kNotTheNamedPerson);
  CHECK(House::Why(house.Return(returned, "carl")) == Reason::kNotTheNamedPerson);
  CHECK(house.Return(returned, "bert").ok());
  CHECK(house.notices.back().what == What::kReturned);
  CHECK(house.notices.back().amount_fen == 70);
  CHECK(House::Why(house.Open(returned, "bert")) == Reason::kPacketReturned);

  const auto expired = Make(house, house.Transfer("anna", "bert", 50), "anna");
  house.clock.Advance(kLifeMs);
  CHECK(House::Why(house.Return(expired, "bert")) == Reason::kPacketExpired);
  CHECK(House::Why(house.Open(expired, "bert")) == Reason::kPacketExpired);
  house.Sweep();
  CHECK(House::Why(house.Return(expired, "bert")) == Reason::kPacketExpired);
  CHECK(house.Balance("bert") == 100);
  CHECK(house.Balance("anna") == 120);
  CHECK(Proven(house));
}

TEST_CASE("only a transfer is given back by who it is for") {
  House house;
  auto terms = house.Terms(PacketKind::kExclusive, "anna", 100);
  terms.named = house.User("bert");
  const auto packet = Make(house, terms, "anna");
  CHECK(House::Why(house.Return(packet, "bert")) == Reason::kNotAllowed);
  CHECK(House::Why(house.Return(model::PacketId(5), "bert")) == Reason::kNoSuchPacket);
  CHECK(house.Return(packet, "").ok());  // the administrator may, always
  CHECK(house.returned.back().reason == ReturnReason::kByAdmin);
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE("a transfer whose message is not stored is neither accepted nor returned yet") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const auto packet = Make(house, house.Transfer("anna", "bert", 100), "anna");
  CHECK(House::Why(house.Return(packet, "bert")) == Reason::kBusy);
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kBusy);
  CHECK(house.Return(packet, "").ok());
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

// -- memory and store

TEST_CASE("failure 32: what a commit did not take is not in memory either") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  for (const auto fate : {storage::CommitFate::kReject, storage::CommitFate::kGuard,
                          storage::CommitFate::kUnknownLost}) {
    house.faults.commit = [fate] { return fate; };
    const auto shard = house.PacketShard(packet);
    house.Batch(shard, {model::OpenPacket{packet, house.User("bert"), {true, 1}},
                        model::OpenPacket{packet, house.User("carl"), {true, 1}}});
    house.faults.commit = nullptr;
    CHECK(house.Claims(packet).empty());
    CHECK(house.Packet(packet).status.left == 2);
  }
  const auto bert = House::Opened(house.Open(packet, "bert"));
  CHECK(bert.ordinal == 1);
  CHECK_FALSE(bert.already);
  CHECK(house.Open(packet, "carl").ok());
  CHECK(Proven(house));
}

TEST_CASE("a packet that left memory is opened from the store alike") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 4);
  int64_t sum = 0;
  for (const char* name : {"a", "b", "c", "d"}) {
    sum += House::Opened(house.Open(packet, name)).amount_fen;
    house.Restart();
    CHECK(House::Opened(house.Open(packet, name)).already);
    house.Restart();
  }
  CHECK(sum == 1'000);
  CHECK(house.notices.size() == 1);
  CHECK(house.notices.front().user);  // the best luck, from claims read again
  CHECK(Proven(house));
}

}  // namespace hongyan::testing
