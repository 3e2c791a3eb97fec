#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using How = model::MendPacket::How;
using model::PacketState;
using model::Reason;

model::PacketStatus& StatusOf(House& house, model::PacketId packet) {
  return house.state->statuses.at({house.PacketShard(packet), packet});
}

}  // namespace

// Rows as rot, a bug or a careless hand may leave them.
TEST_CASE(
    "a packet whose rows do not add up is quarantined by who touches it; everything else goes on") {
  struct Row {
    const char* what;
    std::function<void(House&, model::PacketId)> rot;
  };
  const Row rows[] = {
      {"failure 12: no shares left and money left",
       [](House& h, model::PacketId p) { StatusOf(h, p).left = 0; }},
      {"failure 12: shares left and no money left",
       [](House& h, model::PacketId p) { StatusOf(h, p).left_fen = 0; }},
      {"less money than shares", [](House& h, model::PacketId p) { StatusOf(h, p).left_fen = 1; }},
      {"more money than it ever had",
       [](House& h, model::PacketId p) { StatusOf(h, p).left_fen = 5'000; }},
      {"negative", [](House& h, model::PacketId p) { StatusOf(h, p).left_fen = -100; }},
      {"more shares than it ever had",
       [](House& h, model::PacketId p) { StatusOf(h, p).left = 11; }},
      {"the least integer",
       [](House& h, model::PacketId p) { StatusOf(h, p).left_fen = INT64_MIN; }},
      {"a refund, and open", [](House& h, model::PacketId p) { StatusOf(h, p).refund_fen = 7; }},
      {"a secret nobody knows",
       [](House& h, model::PacketId p) {
         h.state->headers.at({h.PacketShard(p), p}).secret_number = 9;
       }},
      {"drawn in a way nobody knows",
       [](House& h, model::PacketId p) {
         h.state->headers.at({h.PacketShard(p), p}).split_version = 2;
       }},
      {"a cap below its shares",
       [](House& h, model::PacketId p) {
         h.state->headers.at({h.PacketShard(p), p}).terms.share_cap_fen = 3;
       }},
  };
  for (const Row& row : rows) {
    for (const bool by_sweep : {false, true}) {
      CAPTURE(std::string(row.what));
      CAPTURE(by_sweep);
      House house;
      const model::PacketId broken = house.Lucky("anna", 1'000, 10);
      const model::PacketId sound = house.Lucky("bert", 1'000, 10);
      CHECK(house.Open(broken, "early").ok());
      row.rot(house, broken);
      house.Restart();
      if (by_sweep) {
        house.Pass(kLifeMs);
        CHECK(house.Packet(sound).status.state == PacketState::kExpired);
        CHECK(house.Balance("bert") == 1'000);
      } else {
        CHECK(House::Why(house.Open(broken, "carl")) == Reason::kQuarantined);
        CHECK(house.Open(sound, "carl").ok());
      }
      CHECK(house.Packet(broken).status.quarantined);
      CHECK(house.counters.quarantined == 1);
      // One clear code from then on, for whoever has no claim; nothing is written any more.
      CHECK(House::Why(house.Open(broken, "dora")) == Reason::kQuarantined);
      CHECK(house.records == 0);
      CHECK(House::Why(house.Return(broken, "")) == Reason::kQuarantined);
      CHECK(House::Opened(house.Open(broken, "early")).already);
      CHECK(house.reader().Quarantined(house.PacketShard(broken), 10)->size() == 1);
      // The books stay zero-sum; the audit names it.
      const auto books = house.Books();
      CHECK(books.sum() == 0);
      const auto report = house.Audit();
      CHECK(report.verdict == money::AuditReport::Verdict::kFinding);
      CHECK(report.quarantined == 1);
    }
  }
}

TEST_CASE(
    "failure 11: one bad packet in the sweep does not end it, nor is it swept again and again") {
  House house;
  std::vector<model::PacketId> packets;
  for (int i = 0; i < 30; ++i) packets.push_back(house.Lucky("anna", 100, 2));
  for (const size_t i : {size_t{0}, size_t{7}, size_t{29}})
    StatusOf(house, packets[i]).left_fen = 1;
  house.Restart();
  house.clock.Advance(kLifeMs);
  house.Sweep(12);
  CHECK(house.Balance("anna") == 27 * 100);
  CHECK(house.counters.quarantined == 3);
  // After a restart the sweep begins before them, and passes them by.
  const model::PacketId later = house.Lucky("bert", 100, 2);
  house.Restart();
  house.Pass(kLifeMs);
  CHECK(house.Packet(later).status.state == PacketState::kExpired);
  CHECK(house.counters.quarantined == 3);
  CHECK(house.Balance("anna") == 27 * 100);
}

TEST_CASE("an expiry key that is not its packet's time of expiry ends no packet early") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  const model::PacketId sound = house.Lucky("bert", 1'000, 10);
  const int64_t stray_ms = house.Packet(packet).header.expires_ms - kLifeMs / 2;
  house.state->expiries[{house.PacketShard(packet), {stray_ms, packet}}] = true;
  house.Restart();
  house.Pass(kLifeMs / 2);
  CHECK(house.Packet(packet).status.quarantined);
  CHECK(house.Packet(packet).status.state == PacketState::kOpen);
  CHECK(house.Balance("anna") == 0);
  CHECK(house.Books().suspense_fen == 1'000);
  CHECK(house.Open(sound, "carl").ok());
  // Nothing else is wrong with it.
  CHECK(house.Mend(packet, How::kRetry).ok());
  CHECK(house.Open(packet, "carl").ok());
  house.Pass(kLifeMs / 2);
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(house.Books().suspense_fen == 0);
}

TEST_CASE("a packet that adds up again is let go, and its money is where it was") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  CHECK(house.Open(packet, "bert").ok());
  const model::PacketStatus was = StatusOf(house, packet);
  StatusOf(house, packet).left = 0;
  house.Restart();
  CHECK(House::Why(house.Open(packet, "carl")) == Reason::kQuarantined);
  CHECK(house.Books().suspense_fen == was.left_fen);
  CHECK(House::Why(house.Mend(packet, How::kRetry)) == Reason::kQuarantined);  // not yet
  CHECK(house.records == 0);
  StatusOf(house, packet).left = was.left;  // mended by hand
  SUBCASE("in time") {
    CHECK(house.Mend(packet, How::kRetry).ok());
    CHECK(house.Open(packet, "carl").ok());
  }
  SUBCASE("after its end: it is closed at once") {
    house.Pass(kLifeMs);
    CHECK(house.Mend(packet, How::kRetry).ok());
    CHECK(house.Packet(packet).status.state == PacketState::kExpired);
    CHECK(house.Balance("anna") == was.left_fen);
  }
  CHECK(house.Books().suspense_fen == 0);
  CHECK(house.Audit().verdict == money::AuditReport::Verdict::kProven);
  CHECK_FALSE(house.Mend(packet, How::kRetry).ok());
}

TEST_CASE("returning a quarantined packet gives back what its rows agree on, and never more") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  const int64_t taken = House::Opened(house.Open(packet, "bert")).amount_fen;
  SUBCASE("the state row says more than the claims leave") {
    StatusOf(house, packet).left_fen = 1'000;
    StatusOf(house, packet).left = 11;
    house.Restart();
    CHECK(House::Why(house.Open(packet, "carl")) == Reason::kQuarantined);
    CHECK(house.Mend(packet, How::kReturn).ok());
    CHECK(house.Balance("anna") == 1'000 - taken);
    CHECK(house.Packet(packet).status.quarantined);  // the rest is still unexplained
    CHECK(house.Packet(packet).status.held_fen == taken);
    CHECK(house.Books().suspense_fen == taken);
    CHECK_FALSE(house.Mend(packet, How::kReturn).ok());
  }
  SUBCASE("only the count of shares is wrong") {
    StatusOf(house, packet).left = 0;
    house.Restart();
    CHECK(House::Why(house.Open(packet, "carl")) == Reason::kQuarantined);
    CHECK(house.Mend(packet, How::kReturn).ok());
    CHECK(house.Balance("anna") == 1'000 - taken);
    CHECK_FALSE(house.Packet(packet).status.quarantined);
    CHECK(house.Books().suspense_fen == 0);
    CHECK(house.Audit().verdict == money::AuditReport::Verdict::kProven);
  }
  CHECK(house.Packet(packet).status.state == PacketState::kReturned);
  CHECK(house.returned.back().reason == model::ReturnReason::kByAdmin);
  CHECK(house.Books().sum() == 0);
  house.Pass(kLifeMs);
  CHECK(house.Balance("anna") == 1'000 - taken);  // no second refund
}

TEST_CASE("a packet stays in quarantine while its two views disagree, whichever says more") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  const auto packet =
      House::Packet(house.Send(house.Terms(model::PacketKind::kEqual, "anna", 1'000, 10)));
  CHECK(house.Open(packet, "bert").ok());
  StatusOf(house, packet).left_fen = 880;  // the claims leave 900
  house.Restart();
  CHECK(House::Why(house.Open(packet, "carl")) == Reason::kQuarantined);
  CHECK(house.Mend(packet, How::kReturn).ok());
  CHECK(house.Balance("anna") == 880);
  CHECK(house.Packet(packet).status.quarantined);  // 20 fen of escrow are not explained
  CHECK(house.reader().Quarantined(house.PacketShard(packet), 10)->size() == 1);
  CHECK(house.Books().escrow_fen == 20);
  CHECK_FALSE(house.Mend(packet, How::kReturn).ok());
  CHECK_FALSE(house.Mend(packet, How::kRetry).ok());
  CHECK(house.Books().sum() == 0);
}

TEST_CASE("a packet that suspense had no room for is returned out of escrow") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  const int64_t taken = House::Opened(house.Open(packet, "bert")).amount_fen;
  StatusOf(house, packet).left = 3;
  model::Books& books = house.state->books.at(house.PacketShard(packet));
  books.suspense_fen = INT64_MAX;
  house.Restart();
  CHECK(House::Why(house.Open(packet, "carl")) == Reason::kQuarantined);
  CHECK(house.Packet(packet).status.quarantined);
  CHECK(house.Packet(packet).status.held_fen == 0);
  books.suspense_fen = 0;
  house.Restart();
  CHECK(house.Mend(packet, How::kReturn).ok());
  CHECK(house.Balance("anna") == 1'000 - taken);
  CHECK_FALSE(house.Packet(packet).status.quarantined);
  CHECK(house.Audit().verdict == money::AuditReport::Verdict::kProven);
}

TEST_CASE("a quarantined packet that nobody was told of is returned without a notice") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  StatusOf(house, packet).left = 1;
  house.Restart();
  house.Verdict(packet, false);
  house.Run();
  CHECK(house.Mend(packet, How::kReturn).ok());
  CHECK(house.Balance("anna") == 100);
  CHECK(house.notices.empty());
  CHECK(house.returned.back().reason == model::ReturnReason::kByAdmin);
}

TEST_CASE("the claims decide what is left, whatever the state row says of them") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  const model::PacketStatus fresh = StatusOf(house, packet);
  const int64_t taken = House::Opened(house.Open(packet, "bert")).amount_fen;
  // As if nobody had opened it.
  StatusOf(house, packet) = fresh;
  house.Restart();
  CHECK(House::Why(house.Open(packet, "carl")) == Reason::kQuarantined);
  CHECK(house.Balance("carl") == 0);
  CHECK(House::Why(house.Mend(packet, How::kRetry)) == Reason::kQuarantined);
  CHECK(house.Mend(packet, How::kReturn).ok());
  CHECK(house.Balance("anna") == 1'000 - taken);
  CHECK(house.Books().sum() == 0);
}

TEST_CASE("a packet one of whose claims cannot be read pays nobody, and everybody's claim stays") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  const auto bert = House::Opened(house.Open(packet, "bert"));
  CHECK(house.Open(packet, "carl").ok());
  house.state->broken_claims.insert({packet, house.User("carl")});
  house.Restart();
  CHECK(House::Opened(house.Open(packet, "bert")).amount_fen == bert.amount_fen);
  CHECK(House::Why(house.Open(packet, "carl")) == Reason::kBroken);
  CHECK_FALSE(house.Packet(packet).status.quarantined);
  SUBCASE("an open finds it") {
    CHECK(House::Why(house.Open(packet, "dora")) == Reason::kQuarantined);
  }
  SUBCASE("the sweep finds it") { house.Pass(kLifeMs); }
  CHECK(house.Packet(packet).status.quarantined);
  CHECK(House::Opened(house.Open(packet, "bert")).amount_fen == bert.amount_fen);
  CHECK_FALSE(house.Mend(packet, How::kReturn).ok());
  CHECK(house.Balance("anna") == 0);
  house.state->broken_claims.clear();
  CHECK(house.Mend(packet, How::kReturn).ok());
  CHECK(house.Balance("anna") + house.Balance("bert") + house.Balance("carl") == 1'000);
  CHECK(house.Audit().verdict == money::AuditReport::Verdict::kProven);
}

TEST_CASE("an expired packet that cannot be read is listed, named by the audit and tried again") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 10);
  const model::PacketId sound = house.Lucky("bert", 1'000, 10);
  CHECK(house.Open(packet, "carl").ok());
  house.state->broken_packets.insert(packet);
  house.Restart();
  CHECK(House::Why(house.Open(packet, "dora")) == Reason::kBroken);
  house.Pass(kLifeMs);
  CHECK(house.Packet(sound).status.state == PacketState::kExpired);
  CHECK(*house.reader().Quarantined(house.PacketShard(packet), 10) ==
        std::vector<model::PacketId>{packet});
  const auto report = house.Audit();
  CHECK(report.verdict != money::AuditReport::Verdict::kProven);
  CHECK(std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
    return finding.what == "packet_unreadable" &&
           finding.where == "packet=" + std::to_string(packet.value);
  }));
  CHECK(House::Why(house.Mend(packet, How::kRetry)) == Reason::kBroken);
  CHECK_FALSE(house.logic(house.PacketShard(packet)).Due(house.clock.WallMs()));  // no spinning
  house.state->broken_packets.clear();
  SUBCASE("by the administrator") {
    CHECK_FALSE(house.Mend(packet, How::kReturn).ok());
    CHECK(house.Mend(packet, How::kRetry).ok());
    CHECK_FALSE(house.Mend(packet, How::kRetry).ok());
  }
  SUBCASE("by itself, after a minute") { house.Pass(60'000); }
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(house.Balance("anna") + house.Balance("carl") == 1'000);
  CHECK(house.Audit().verdict == money::AuditReport::Verdict::kProven);
}

TEST_CASE("what is not in quarantine is not mended") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  for (const How how : {How::kRetry, How::kReturn}) {
    CHECK_FALSE(house.Mend(packet, how).ok());
    CHECK(house.records == 0);
  }
}

TEST_CASE("a packet let go before it was announced is announced again, so a refusal is not lost") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  StatusOf(house, packet).left = 1;
  house.Restart();
  house.Verdict(packet, false);  // finds the flaw instead of closing it, and does not come again
  house.Run();
  CHECK(house.Packet(packet).status.quarantined);
  house.Verdict(packet, false);  // nor does this one
  house.Run();
  StatusOf(house, packet).left = 2;
  SUBCASE("refused again") {
    house.conversation = House::Conversation::kRefuses;
    CHECK(house.Mend(packet, How::kRetry).ok());
    CHECK(house.Packet(packet).status.state == PacketState::kRefused);
    CHECK(house.Balance("anna") == 100);
  }
  SUBCASE("taken now") {
    house.conversation = House::Conversation::kTakes;
    CHECK(house.Mend(packet, How::kRetry).ok());
    CHECK(house.Open(packet, "bert").ok());
  }
  CHECK(house.Audit().verdict == money::AuditReport::Verdict::kProven);
}

TEST_CASE("an announced packet in quarantine is open when it is let go") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  StatusOf(house, packet).left = 1;
  house.Restart();
  house.Verdict(packet, false);  // a refusal would close it: it is quarantined instead
  house.Run();
  CHECK(house.Packet(packet).status.quarantined);
  house.Verdict(packet, true);
  house.Run();
  StatusOf(house, packet).left = 2;
  CHECK(house.Mend(packet, How::kRetry).ok());
  CHECK(house.Open(packet, "bert").ok());
}

TEST_CASE("a packet of which the store refuses a row is set apart, and only that one") {
  House house;
  const auto packet = house.Lucky("anna", 1000, 3);
  const auto other = house.Lucky("anna", 500, 2);
  REQUIRE(house.Open(packet, "bert").ok());
  // Its claim has the place of the next one: neither the state row nor their number shows it.
  const std::pair key(house.PacketShard(packet), packet);
  house.state->claims.at({key, house.User("bert")}).ordinal = 2;
  house.state->ordinals.clear();
  house.state->ordinals[{key, 2}] = house.User("bert");
  const int64_t left = house.Packet(packet).status.left_fen;
  CHECK_FALSE(house.Open(packet, "carl").ok());
  CHECK(house.Claims(packet).size() == 1);

  CHECK(house.SetApart(packet));
  CHECK(House::Why(house.Open(packet, "carl")) == Reason::kQuarantined);
  CHECK(House::Opened(house.Open(packet, "bert")).already);
  CHECK(house.Books().suspense_fen == left);
  CHECK(house.Books().sum() == 0);
  CHECK(house.Open(other, "carl").ok());
  CHECK_FALSE(house.SetApart(packet));  // it is
  CHECK_FALSE(house.SetApart(model::PacketId(packet.value + 1000)));
}

TEST_CASE("of what is due the next is set apart, and the sweep goes on behind it") {
  House::Options options;
  options.shards = 1;
  House house(options);
  const auto first = house.Lucky("anna", 1000, 3);
  house.clock.Advance(10);
  const auto second = house.Lucky("anna", 500, 2);
  house.clock.Advance(kLifeMs + 1000);
  CHECK(house.SetApartDue(house.PacketShard(first)));
  house.Sweep();
  CHECK(house.Packet(first).status.quarantined);
  CHECK(house.Packet(first).status.state == PacketState::kOpen);
  CHECK(house.Packet(second).status.state == PacketState::kExpired);
  CHECK(house.Books().suspense_fen == 1000);
}

}  // namespace hongyan::testing
