#include "money/board.h"

#include <set>
#include <string>

#include "house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using Kind = money::Board::Grab::Kind;
using model::Reason;

constexpr model::Eligible kMember{true, 3};
constexpr model::Eligible kOutsider{false, 3};

Kind Look(const House& house, model::PacketId packet, const std::string& user,
          const model::Eligible* eligible = &kMember, int64_t in_flight = 0) {
  auto grab = house.board.Look(packet, house.User(user), eligible, house.clock.WallMs(), in_flight);
  REQUIRE(grab.ok());
  return grab->kind;
}

Reason Why(const House& house, model::PacketId packet, const std::string& user,
           const model::Eligible* eligible = &kMember, int64_t in_flight = 0) {
  auto grab = house.board.Look(packet, house.User(user), eligible, house.clock.WallMs(), in_flight);
  REQUIRE_FALSE(grab.ok());
  return static_cast<Reason>(grab.error().reason);
}

}  // namespace

TEST_CASE("a grab is answered from what the shard has committed, in the order of an open") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 2);
  CHECK(Look(house, packet, "bert", nullptr) == Kind::kWhoIsIt);
  auto ask = house.board.Look(packet, house.User("bert"), nullptr, house.clock.WallMs(), 0);
  CHECK(ask->conversation == house.Group());
  CHECK(Look(house, packet, "bert") == Kind::kOpen);
  CHECK(Why(house, packet, "carl", &kOutsider) == Reason::kNotEligible);
  const auto opened = House::Opened(house.Open(packet, "bert"));
  auto grab = house.board.Look(packet, house.User("bert"), &kOutsider, house.clock.WallMs(), 0);
  CHECK(grab->kind == Kind::kAlready);
  CHECK(grab->opened.amount_fen == opened.amount_fen);
  CHECK(grab->opened.already);
  CHECK(house.Open(packet, "carl").ok());
  CHECK(Why(house, packet, "dora") == Reason::kPacketDone);
  CHECK(Why(house, packet, "dora", &kOutsider) == Reason::kPacketDone);
  CHECK(Look(house, packet, "bert") == Kind::kAlready);
}

TEST_CASE("failure 16: only a committed terminal state says gone; grabbing reserves nothing") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 1);
  // A crowd grabs and never opens.
  for (int i = 0; i < 1'000; ++i) {
    CHECK(Look(house, packet, "u" + std::to_string(i)) == Kind::kOpen);
  }
  CHECK(house.Open(packet, "bert").ok());
  CHECK(Why(house, packet, "carl") == Reason::kPacketDone);
}

TEST_CASE(
    "failure 18: what a batch did is shown with its commit, never before and never without it") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 1);
  house.faults.commit = [] { return storage::CommitFate::kReject; };
  CHECK_FALSE(house.Open(packet, "bert").ok());
  CHECK(Look(house, packet, "carl") == Kind::kOpen);
  CHECK(Look(house, packet, "bert") == Kind::kOpen);
  house.faults.commit = nullptr;
  CHECK(house.Open(packet, "bert").ok());
  CHECK(Why(house, packet, "carl") == Reason::kPacketDone);
}

TEST_CASE(
    "failure 17: what is not on the board is asked of the shard, and nothing is issued twice") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 2);
  const auto opened = House::Opened(house.Open(packet, "bert"));
  house.Restart();
  CHECK(Look(house, packet, "bert") == Kind::kUnknown);
  CHECK(Look(house, model::PacketId(5), "bert") == Kind::kUnknown);
  CHECK(House::Opened(house.Open(packet, "bert")).amount_fen == opened.amount_fen);
  CHECK(house.Open(packet, "carl").ok());
  CHECK(Look(house, packet, "carl") == Kind::kAlready);
  CHECK(Look(house, packet, "bert") == Kind::kAlready);
}

TEST_CASE("after a restart one open shows the packet again, with every claim, to everybody") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 4);
  CHECK(house.Open(packet, "bert").ok());
  CHECK(house.Open(packet, "carl").ok());
  house.Restart();
  CHECK(Look(house, packet, "dora") == Kind::kUnknown);
  CHECK(house.Open(packet, "dora").ok());
  CHECK(Look(house, packet, "bert") == Kind::kAlready);
  CHECK(Look(house, packet, "emil") == Kind::kOpen);
  CHECK(Look(house, packet, "emil", nullptr) == Kind::kWhoIsIt);
  CHECK(house.Open(packet, "emil").ok());
  CHECK(Why(house, packet, "fritz") == Reason::kPacketDone);
}

TEST_CASE("a board that shows fewer claims than are posted shows them all from then on") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 3);
  const model::Packet before = house.Packet(packet);
  CHECK(house.Open(packet, "bert").ok());
  house.board.Forget();
  const money::Claims none;
  const std::vector<model::Claim> no_new;
  const auto header = std::make_shared<const model::PacketHeader>(before.header);
  house.board.Post({{header, before.status, &none, &no_new}});
  CHECK(Look(house, packet, "bert") == Kind::kOpen);
  CHECK(house.Open(packet, "carl").ok());
  CHECK(Look(house, packet, "bert") == Kind::kAlready);
  CHECK(house.board.weight() == money::kPacketWeight + 2);
}

TEST_CASE("not announced, expired and quarantined are told on the board too, once committed") {
  House house;
  house.conversation = House::Conversation::kSilent;
  const model::PacketId packet = house.Lucky("anna", 1'000, 2);
  auto busy = house.board.Look(packet, house.User("bert"), &kMember, house.clock.WallMs(), 0);
  CHECK(busy.error().reason == static_cast<uint16_t>(Reason::kBusy));
  CHECK(busy.error().retry_after_ms == 50);
  house.Verdict(packet, true);
  house.Run();
  CHECK(Look(house, packet, "bert") == Kind::kOpen);
  // No clock but the shard's ends its life, and that one in a commit.
  house.clock.Advance(2 * kLifeMs);
  CHECK(Look(house, packet, "bert") == Kind::kOpen);
  CHECK(Look(house, packet, "bert", nullptr) == Kind::kWhoIsIt);
  CHECK(Why(house, packet, "carl", &kOutsider) == Reason::kNotEligible);
  house.Sweep();
  CHECK(Why(house, packet, "bert") == Reason::kPacketExpired);
}

TEST_CASE("more opens under way than shares left are busy, with hints from 20 to 200 ms apart") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 5);
  CHECK(Look(house, packet, "bert", &kMember, 20) == Kind::kOpen);
  CHECK(Why(house, packet, "bert", &kMember, 21) == Reason::kBusy);
  CHECK(Why(house, packet, "bert", &kMember, 100'000) == Reason::kBusy);
  CHECK(Look(house, packet, "bert", &kMember, 0) == Kind::kOpen);  // nothing to release
  std::set<int64_t> hints;
  for (int i = 0; i < 200; ++i) {
    auto busy = house.board.Look(packet, house.User("u" + std::to_string(i)), &kMember,
                                 house.clock.WallMs(), 100);
    hints.insert(busy.error().retry_after_ms);
  }
  CHECK(hints.size() > 80);
  CHECK(*hints.begin() >= 20);
  CHECK(*hints.rbegin() <= 200);
}

TEST_CASE("the board is bounded: what was posted longest ago goes first") {
  money::Board board(64 * 10 * money::kPacketWeight);
  for (int64_t i = 1; i <= 10'000; ++i) {
    auto header = std::make_shared<model::PacketHeader>();
    header->id = model::PacketId(2'071'700'000'000'000'000 + i * 10);
    header->terms.shares = 1;
    const money::Claims none;
    const std::vector<model::Claim> no_new;
    board.Post({{header, {model::PacketState::kOpen, 1, 1}, &none, &no_new}});
  }
  CHECK(board.packets() <= 640);
  CHECK(board.packets() >= 600);
  CHECK(board.weight() == board.packets() * money::kPacketWeight);
  const auto shows = [&](int64_t id) {
    const auto grab = board.Look(model::PacketId(id), model::UserId(1), nullptr, 0, 0);
    return !grab || grab->kind != money::Board::Grab::Kind::kUnknown;
  };
  CHECK(shows(2'071'700'000'000'000'000 + 10'000 * 10));
  CHECK_FALSE(shows(2'071'700'000'000'000'010));
}

}  // namespace hongyan::testing
