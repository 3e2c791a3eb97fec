// The front door on stores in memory, over sockets: what it says of money, to whom, and while the
// shards behind it have clocks of their own, are held up, have too much to do, or are stopped.

#include <chrono>
#include <string>
#include <thread>

#include "open_house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {

TEST_CASE(
    "a packet that is over by the edge's clock but not by its shard's is the shard's to judge") {
  OpenHouse house;
  Guest anna(house, "anna", 10'000);
  Guest bert(house, "bert");
  Guest carl(house, "carl");
  const auto talk = integration::Direct(anna.id, bert.id);
  // The edge goes by the clock of the first money shard; the packet's is the second.
  int64_t packet = 0;
  while (packet == 0 || house.PacketShard(packet) != model::kFirstMoneyShard + 1) {
    const auto sent = anna.Send(Packet(talk, 100, 1));
    REQUIRE_MESSAGE(sent.ok, sent.error.text());
    packet = sent.reply.packet_id();
  }
  REQUIRE(carl.Open(packet).error.reason() == v1::NOT_ELIGIBLE);  // and it is announced
  house.money_clocks[0].ahead_ms = 2 * kHourMs;
  v1::GrabPacket grab;
  grab.set_packet_id(packet);
  for (const bool on_the_board : {true, false}) {
    CAPTURE(on_the_board);
    if (!on_the_board) house.ForgetBoard();
    const auto there = bert.client.Ask<v1::GrabPacketReply>(v1::GRAB_PACKET, grab);
    CHECK_MESSAGE(there.ok, there.error.text());
    const auto strange = carl.client.Ask<v1::GrabPacketReply>(v1::GRAB_PACKET, grab);
    CHECK(strange.error.reason() == v1::NOT_ELIGIBLE);
    CHECK(carl.Open(packet).error.reason() == v1::NOT_ELIGIBLE);
  }
  const auto opened = bert.Open(packet);
  CHECK_MESSAGE(opened.ok, opened.error.text());
  CHECK(opened.reply.amount_fen() == 100);
}

TEST_CASE("while chat is stopped no money leaves for it, and the same request is good afterwards") {
  OpenHouse house;
  Guest anna(house, "anna", 1'000);
  Guest bert(house, "bert");
  const auto request = Packet(integration::Direct(anna.id, bert.id), 100, 1);
  house.StopMessages();
  const auto refused = anna.Send(request);
  REQUIRE_FALSE(refused.ok);
  CHECK(refused.error.code() == v1::UNAVAILABLE);
  CHECK(refused.error.reason() == v1::STORE_STOPPED);
  CHECK(refused.error.retry_after_ms() > 0);
  CHECK(house.Balance("anna") == 1'000);
  house.OpenMessages();
  const auto sent = anna.Send(request);
  REQUIRE_MESSAGE(sent.ok, sent.error.text());
  CHECK(bert.Open(sent.reply.packet_id()).reply.amount_fen() == 100);
  // What was taken before is still answered so.
  house.StopMessages();
  const auto again = anna.Send(request);
  REQUIRE_MESSAGE(again.ok, again.error.text());
  CHECK(again.reply.packet_id() == sent.reply.packet_id());
  CHECK(house.Balance("anna") == 900);
}

TEST_CASE("a transfer whose money is on its way is busy, not unknown, to who gives it back") {
  OpenHouse house;
  Guest anna(house, "anna", 10'000);
  Guest bert(house, "bert");
  house.carrier.loses_money = true;
  int64_t packet = 0;
  while (packet == 0 || house.PacketShard(packet) == house.WalletShard(anna.id)) {
    auto request = Packet(integration::Direct(anna.id, bert.id), 100, 1);
    request.set_kind(v1::PACKET_TRANSFER);
    const auto sent = anna.Send(request);
    REQUIRE_MESSAGE(sent.ok, sent.error.text());
    packet = sent.reply.packet_id();
  }
  for (const v1::Error& early : {bert.Return(packet), End(house, packet)}) {
    CHECK(early.reason() == v1::BUSY);
    CHECK(early.retry_after_ms() > 0);
  }
  house.carrier.loses_money = false;
  v1::Error returned;
  while ((returned = bert.Return(packet)).reason() == v1::BUSY) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK_MESSAGE(returned.code() == v1::OK, returned.text());
  CHECK(End(house, packet).code() == v1::OK);  // the first that came has decided
  // Nothing is on its way any more: an id that was never given is nobody's.
  CHECK(bert.Return(packet + 1'000'000).reason() == v1::NO_SUCH_PACKET);
  CHECK(End(house, packet + 1'000'000).reason() == v1::NO_SUCH_PACKET);
}

TEST_CASE("what a packet still holds is told to its sender only, and to all once it is closed") {
  OpenHouse house;
  Guest anna(house, "anna", 1'000);
  Guest bert(house, "bert");
  Guest carl(house, "carl");
  const auto group = anna.MakeGroup({bert.id, carl.id});
  const auto sent = anna.Send(Packet(group, 100, 3));
  REQUIRE_MESSAGE(sent.ok, sent.error.text());
  const int64_t packet = sent.reply.packet_id();
  const auto opened = bert.Open(packet);
  REQUIRE_MESSAGE(opened.ok, opened.error.text());
  for (Guest* guest : {&bert, &carl}) {  // who has a share, and who could count on the last
    const auto detail = guest->Detail(packet);
    CHECK(detail.state() == v1::PACKET_STATE_OPEN);
    CHECK(detail.taken() == 1);
    CHECK(detail.total_fen() == 0);
    CHECK(detail.taken_fen() == 0);
  }
  CHECK(anna.Detail(packet).total_fen() == 100);
  CHECK(anna.Detail(packet).taken_fen() == opened.reply.amount_fen());
  CHECK(End(house, packet).code() == v1::OK);
  for (Guest* guest : {&anna, &carl}) {
    const auto detail = guest->Detail(packet);
    CHECK(detail.state() == v1::PACKET_STATE_RETURNED);
    CHECK(detail.total_fen() == 100);
    CHECK(detail.taken_fen() == opened.reply.amount_fen());
  }
  CHECK(anna.Detail(packet).refund_fen() == 100 - opened.reply.amount_fen());
  CHECK(carl.Detail(packet).refund_fen() == 0);
}

TEST_CASE("who leaves while an open waits in the queue gets its share when it is asked again") {
  OpenHouse house;
  Guest anna(house, "anna", 1'000);
  Guest bert(house, "bert");
  Guest carl(house, "carl");
  const auto group = anna.MakeGroup({bert.id, carl.id});
  v1::OpenPacket open;
  // A share of anna's leaves the packet's shard, which stops with it.
  while (open.packet_id() == 0 ||
         house.PacketShard(open.packet_id()) == house.WalletShard(anna.id)) {
    const auto sent = anna.Send(Packet(group, 100, 3));
    REQUIRE_MESSAGE(sent.ok, sent.error.text());
    open.set_packet_id(sent.reply.packet_id());
  }
  REQUIRE(carl.Open(open.packet_id()).ok);
  house.carrier.held_shard = house.PacketShard(open.packet_id());
  REQUIRE(anna.Open(open.packet_id()).ok);
  while (!house.carrier.holding) std::this_thread::yield();
  {
    RawClient first(house.port());
    first.Hello();
    REQUIRE(first.LogIn("bert", "pw", integration::Device(2)).ok);
    first.Send(v1::OPEN_PACKET, open);
    v1::LeaveGroup leave;
    leave.set_request_id(integration::NewRequestId());
    leave.set_group_id(group.b());
    REQUIRE(first.Ask<v1::GroupReply>(v1::LEAVE_GROUP, leave).ok);
  }
  RawClient second(house.port());
  second.Hello();
  REQUIRE(second.LogIn("bert", "pw", integration::Device(2)).ok);
  const uint32_t asked = second.Send(v1::OPEN_PACKET, open);
  second.Heartbeat();  // answered: what came before it has been judged
  house.carrier.LetGo();
  const auto again = RawClient::Decode<v1::OpenPacketReply>(second.AnswerTo(asked));
  REQUIRE_MESSAGE(again.ok, again.error.text());
  CHECK(again.reply.already());
  CHECK(again.reply.ordinal() == 3);
}

TEST_CASE("money is not refused because chat is overloaded, nor chat because money is") {
  OpenHouse house;
  Guest anna(house, "anna", 1'000);
  Guest bert(house, "bert");
  const auto talk = integration::Direct(anna.id, bert.id);
  const auto send = [&] { return anna.Send(Packet(talk, 1, 1)).error; };
  const auto say = [&] { return anna.client.SendText(talk, "hello").error; };
  const auto overload = [&](overload::Admission& admission) {
    for (int window = 0; window < 5; ++window) {
      send();
      say();
      admission.Observe(10'000);
    }
  };
  SUBCASE("chat is") {
    overload(house.chat_admission);
    CHECK(say().reason() == v1::BUSY);
    CHECK(send().code() == v1::OK);
  }
  SUBCASE("money is") {
    overload(house.money_admission);
    CHECK(send().reason() == v1::BUSY);
    CHECK(say().code() == v1::OK);
  }
}

TEST_CASE("a device is told that its wallet has changed, whoever changed it") {
  OpenHouse house;
  Guest anna(house, "anna", 1'000);
  Guest bert(house, "bert");
  const auto told = [](RawClient& client) {
    for (;;) {
      const auto push = client.NextPush();
      REQUIRE(push.has_value());
      if (push->header.command == v1::WALLET_CHANGED) return push->payload.empty();
    }
  };
  house.Deposit("bert", 50);
  CHECK(told(bert.client));
  const auto sent = anna.Send(Packet(integration::Direct(anna.id, bert.id), 100, 1));
  REQUIRE_MESSAGE(sent.ok, sent.error.text());
  CHECK(told(anna.client));
  CHECK(bert.Open(sent.reply.packet_id()).ok);
  CHECK(told(bert.client));
}

}  // namespace hongyan::testing
