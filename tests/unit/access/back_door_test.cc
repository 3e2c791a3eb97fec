// The administrator's door on stores in memory, while money is on its way between shards.

#include <chrono>
#include <string>
#include <thread>

#include "open_house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

// A house in which bert's share of a packet has left the packet's shard and does not arrive.
struct OnItsWay {
  OnItsWay() {
    for (;;) {
      const auto sent = anna.Send(Packet(integration::Direct(anna.id, bert.id), 100, 1));
      REQUIRE_MESSAGE(sent.ok, sent.error.text());
      packet = sent.reply.packet_id();
      if (house.PacketShard(packet) == house.WalletShard(bert.id)) continue;
      REQUIRE(carl.Open(packet).error.reason() == v1::NOT_ELIGIBLE);  // it is announced
      break;
    }
    // Of the others nothing is on its way.
    while (Figure(Audit(false), "items_in_flight") > 0) std::this_thread::yield();
    house.carrier.loses_money = true;
    REQUIRE(bert.Open(packet).ok);
  }

  static v1::AdminRequest AuditRequest(bool wait) {
    v1::AdminRequest request;
    request.mutable_audit()->set_wait_drained(wait);
    return request;
  }
  v1::AuditReply Audit(bool wait) {
    const auto answer =
        RawClient(house.admin_port()).Ask<v1::AdminReply>(v1::ADMIN, AuditRequest(wait));
    REQUIRE_MESSAGE(answer.ok, answer.error.text());
    return answer.reply.audit();
  }
  static int64_t Figure(const v1::AuditReply& audit, const std::string& name) {
    for (const auto& figure : audit.figures()) {
      if (figure.name() == name) return figure.value();
    }
    FAIL("there is no such figure");
    return 0;
  }

  OpenHouse house;
  Guest anna{house, "anna", 10'000};
  Guest bert{house, "bert"};
  Guest carl{house, "carl"};
  int64_t packet = 0;
};

}  // namespace

TEST_CASE_FIXTURE(OnItsWay, "an audit that waits has no answer while money is between shards") {
  const auto at_once = Audit(false);
  CHECK(at_once.verdict() == 0);
  CHECK(Figure(at_once, "in_transit_fen") == 100);
  RawClient admin(house.admin_port());
  const uint32_t asked = admin.Send(v1::ADMIN, AuditRequest(true));
  CHECK_FALSE(admin.Readable(200));
  SUBCASE("and proves that none is once it has arrived") {
    house.carrier.loses_money = false;
    auto answer = RawClient::Decode<v1::AdminReply>(admin.AnswerTo(asked)).reply.audit();
    while (answer.verdict() == 2) answer = Audit(true);  // a machine so slow that it gave up
    CHECK(answer.verdict() == 0);
    CHECK(Figure(answer, "in_transit_fen") == 0);
    CHECK(house.Balance("bert") == 100);
  }
  SUBCASE("and proves nothing where it does not arrive in time") {
    const auto answer = RawClient::Decode<v1::AdminReply>(admin.AnswerTo(asked));
    REQUIRE_MESSAGE(answer.ok, answer.error.text());
    CHECK(answer.reply.audit().verdict() == 2);
    CHECK(Figure(answer.reply.audit(), "in_transit_fen") == 100);
    REQUIRE(answer.reply.audit().findings_size() > 0);
    CHECK(answer.reply.audit().findings(0).find("still on its way") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(OnItsWay, "no share is paid out of what is parked while it is on its way") {
  v1::AdminRequest request;
  auto& back = *request.mutable_return_parked();
  back.set_source(house.PacketShard(packet));
  back.set_target(house.WalletShard(bert.id));
  back.set_number(1);
  back.set_packet_id(packet);
  back.set_user("bert");
  const auto refused = [&] {
    return RawClient(house.admin_port()).Ask<v1::AdminReply>(v1::ADMIN, request).error;
  };
  CHECK(refused().reason() == v1::BUSY);
  CHECK(refused().retry_after_ms() > 0);
  house.carrier.loses_money = false;
  v1::Error last;
  while ((last = refused()).reason() == v1::BUSY) {
  }
  CHECK(last.text().find("owes this user no such amount") != std::string::npos);
  CHECK(house.Balance("bert") == 100);
}

}  // namespace hongyan::testing
