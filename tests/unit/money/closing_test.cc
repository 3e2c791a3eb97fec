#include <string>
#include <utility>
#include <vector>

#include "house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using model::PacketKind;
using model::PacketState;
using model::Reason;
using model::ReturnReason;
using What = model::PacketNoticeItem::What;

}  // namespace

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
  const auto packet = house.Make(house.Transfer("anna", "bert", 100), "anna");
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
  const auto accepted = house.Make(house.Transfer("anna", "bert", 100), "anna");
  CHECK(House::Opened(house.Open(accepted, "bert")).amount_fen == 100);
  CHECK(house.notices.back().what == What::kAccepted);
  CHECK(house.notices.back().user == house.User("bert"));
  CHECK(House::Opened(house.Open(accepted, "bert")).already);
  CHECK(House::Why(house.Return(accepted, "bert")) == Reason::kPacketDone);

  const auto returned = house.Make(house.Transfer("anna", "bert", 70), "anna");
  CHECK(House::Why(house.Return(returned, "anna")) == Reason::kNotTheNamedPerson);
  CHECK(House::Why(house.Return(returned, "carl")) == Reason::kNotTheNamedPerson);
  CHECK(house.Return(returned, "bert").ok());
  CHECK(house.notices.back().what == What::kReturned);
  CHECK(house.notices.back().amount_fen == 70);
  CHECK(House::Why(house.Open(returned, "bert")) == Reason::kPacketReturned);

  const auto expired = house.Make(house.Transfer("anna", "bert", 50), "anna");
  house.clock.Advance(kLifeMs);
  CHECK(House::Why(house.Return(expired, "bert")) == Reason::kPacketExpired);
  CHECK(House::Why(house.Open(expired, "bert")) == Reason::kPacketExpired);
  house.Sweep();
  CHECK(House::Why(house.Return(expired, "bert")) == Reason::kPacketExpired);
  CHECK(house.Balance("bert") == 100);
  CHECK(house.Balance("anna") == 120);
  CHECK(Proven(house));
}

TEST_CASE(
    "a return waits for no money: it is busy where the refunds' channel lags, and moves nothing") {
  House house;
  const auto packet = house.Make(house.Transfer("anna", "bert", 100), "anna");
  house.channel_trouble = [&](model::ShardId target) {
    return std::string(target == house.WalletShard("anna") ? "lags" : "");
  };
  for (const char* who : {"bert", ""}) {
    CHECK(House::Why(house.Return(packet, who)) == Reason::kBusy);
    CHECK(house.records == 0);
  }
  house.channel_trouble = nullptr;
  CHECK(house.Return(packet, "bert").ok());
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

TEST_CASE("only a transfer is given back by who it is for") {
  House house;
  auto terms = house.Terms(PacketKind::kExclusive, "anna", 100);
  terms.named = house.User("bert");
  const auto packet = house.Make(terms, "anna");
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
  const auto packet = house.Make(house.Transfer("anna", "bert", 100), "anna");
  CHECK(House::Why(house.Return(packet, "bert")) == Reason::kBusy);
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kBusy);
  CHECK(house.Return(packet, "").ok());
  CHECK(house.Balance("anna") == 100);
  CHECK(Proven(house));
}

}  // namespace hongyan::testing
