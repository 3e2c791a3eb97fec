#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "client-sdk/src/runtime.h"
#include "tests/unit/client-sdk/person.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan;

TEST_CASE_FIXTURE(Scene, "bodies of every kind arrive as they were sent") {
  ann.Open();
  bob.Open();
  const Conversation to = ann.With("bob");
  const std::string raw("\0\xff not utf-8", 12);
  ann.client->Send(to, Text{raw, {{7}, {8}}, 3}, nullptr);
  ann.client->Send(to,
                   Media{Media::Kind::kVoice, "key/1", std::string(32, 'h'), 77, "audio/opus", "th",
                         "n", 9, 1, 2},
                   nullptr);
  ann.client->Send(to, Custom{"app.dice", std::string("\1\0\2", 3)}, nullptr);
  bob.WaitUntil([&] { return bob.messages.size() == 3; });
  const auto& text = std::get<Text>(bob.messages[0].body);
  CHECK(text.text == raw);
  CHECK(text.mentions == std::vector<UserId>{{7}, {8}});
  CHECK(text.quote == 3);
  const auto& media = std::get<Media>(bob.messages[1].body);
  CHECK(media.kind == Media::Kind::kVoice);
  CHECK(media.url == "key/1");
  CHECK(media.size == 77);
  CHECK(media.duration_ms == 9);
  CHECK(media.height == 2);
  const auto& custom = std::get<Custom>(bob.messages[2].body);
  CHECK(custom.type == "app.dice");
  CHECK(custom.data == std::string("\1\0\2", 3));
}

TEST_CASE_FIXTURE(Scene,
                  "packets and money that came back are handed over in the order of the inbox") {
  Server([](FakeHongyan& fake) {
    fake.knobs.change_sync_reply = [](v1::SyncReply& reply) {
      for (v1::Entry& entry : *reply.mutable_entries()) {
        v1::Body body;
        if (entry.seq() == 2) {
          entry.set_kind(v1::ENTRY_PACKET_RETURNED);
          entry.clear_message();
          entry.clear_conv_seq();
          entry.mutable_packet_returned()->set_packet_id(77);
          entry.mutable_packet_returned()->set_amount_fen(123);
          entry.mutable_packet_returned()->set_reason(v1::RETURN_EXPIRED);
          entry.mutable_packet_returned()->set_request_id(std::string(16, 'r'));
        } else if (entry.seq() == 3) {
          body.mutable_red_packet()->set_packet_id(78);
          body.mutable_red_packet()->set_kind(v1::PACKET_EQUAL);
          body.mutable_red_packet()->set_greeting("luck");
          body.mutable_red_packet()->set_shares(5);
          entry.mutable_message()->set_body(body.SerializeAsString());
        } else if (entry.seq() == 4) {
          auto* const notice = body.mutable_system()->mutable_packet_notice();
          notice->set_what(v1::PacketNotice::ACCEPTED);
          notice->set_packet_id(79);
          notice->set_user(5);
          notice->set_amount_fen(9);
          entry.mutable_message()->set_body(body.SerializeAsString());
        }
      }
    };
    for (const char* text : {"one", "two", "three", "four", "five"}) fake.Say("ann", "bob", text);
  });
  bob.Open();
  bob.WaitTexts({"one", "returned", "?", "?", "five"});
  REQUIRE(bob.returned.size() == 1);
  CHECK(bob.returned[0].packet == PacketId{77});
  CHECK(bob.returned[0].amount_fen == 123);
  CHECK(bob.returned[0].reason == ReturnReason::kExpired);
  CHECK(bob.returned[0].conversation == bob.With("ann"));
  CHECK(bob.returned[0].request_id == std::string(16, 'r'));
  CHECK(bob.returned[0].seq == 2);
  const auto& packet = std::get<RedPacket>(bob.messages[1].body);
  CHECK(packet.packet == PacketId{78});
  CHECK(packet.kind == PacketKind::kEqual);
  CHECK(packet.greeting == "luck");
  CHECK(packet.shares == 5);
  const auto& notice = std::get<PacketNotice>(bob.messages[2].body);
  CHECK(notice.what == PacketNotice::What::kAccepted);
  CHECK(notice.packet == PacketId{79});
  CHECK(notice.user == UserId{5});
  CHECK(notice.amount_fen == 9);
}

TEST_CASE_FIXTURE(Scene, "calls wait for a connection until their time is over") {
  server.GoDown();
  ann.Open();
  auto late = ann.client->FindUser("bob", 30);
  REQUIRE(late.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  const auto failed = late.get();
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().code == Code::kDeadlineExceeded);
  auto patient = ann.client->FindUser("bob", kNoTimeout);
  const int64_t bob_id = server.UserIdOf("bob");
  server.ComeBack();
  REQUIRE(patient.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  const auto found = patient.get();
  REQUIRE(found.ok());
  CHECK(found->id.value == bob_id);
  auto nobody = ann.client->FindUser("nobody at all");
  REQUIRE(nobody.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  const auto missing = nobody.get();
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().reason == Reason::kNoSuchUser);
}

TEST_CASE_FIXTURE(Scene,
                  "a packet whose fate is not known names its request, which finds it again") {
  PacketOrder order;
  order.conversation = ann.With("bob");
  order.amount_fen = 100;
  const auto send = [&](int timeout_ms) {
    auto sent = ann.client->SendPacket(order, timeout_ms);
    REQUIRE(sent.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    return sent.get();
  };
  server.GoDown();
  ann.Open();
  const auto never_left = send(30);
  REQUIRE_FALSE(never_left.ok());
  CHECK(never_left.error().request_id.empty());

  server.ComeBack();
  ann.WaitConnected();
  Server([](FakeHongyan& fake) { fake.knobs.answer_packets = false; });
  const auto unknown = send(1500);
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().code == Code::kDeadlineExceeded);
  CHECK(unknown.error().request_id.size() == 16);
  Server([](FakeHongyan& fake) { fake.knobs.answer_packets = true; });
  order.request_id = unknown.error().request_id;
  const auto known = send(10'000);
  REQUIRE(known.ok());
  CHECK(known->packet == PacketId{7000});
  CHECK(known->request_id == order.request_id);
  Server([&](FakeHongyan& fake) {
    REQUIRE(fake.seen.packets.size() >= 2);
    for (const auto& seen : fake.seen.packets) CHECK(seen.request_id() == order.request_id);
  });
}

TEST_CASE_FIXTURE(Scene, "history is read page by page, newest first") {
  for (const auto& text : Numbers(0, 5)) server.Say("bob", "ann", text);
  ann.Open();
  HistoryQuery query;
  query.conversation = ann.With("bob");
  query.limit = 3;
  auto first = ann.client->History(query);
  REQUIRE(first.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  const auto page = first.get();
  REQUIRE(page.ok());
  REQUIRE(page->items.size() == 3);
  CHECK(page->more);
  CHECK(page->items[0].conv_seq == 5);
  CHECK(std::get<Text>(page->items[0].body).text == "m4");
  CHECK(page->items[0].seq == 0);
}

TEST_CASE_FIXTURE(Scene, "bad options and another user's store are refused with what to do") {
  auto options = ann.MakeOptions();
  options.address = "nowhere";
  CHECK_FALSE(Client::Open(options, {}).ok());
  options = ann.MakeOptions();
  options.store = nullptr;
  CHECK_FALSE(Client::Open(options, {}).ok());
  options = ann.MakeOptions();
  options.password.clear();
  CHECK_FALSE(Client::Open(options, {}).ok());
  ann.Open();
  ann.WaitConnected();
  ann.Crash();
  options = ann.MakeOptions();
  options.user_name = "bob";
  const auto refused = Client::Open(options, {});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().text.find("another store") != std::string::npos);
}

TEST_CASE_FIXTURE(Scene, "a client that is closed ends what waits and keeps what is unsent") {
  server.GoDown();
  ann.Open();
  auto call = ann.client->FindUser("bob", kNoTimeout);
  auto send = ann.client->Send(ann.With("bob"), Text{"m0"});
  ann.client.reset();
  REQUIRE(call.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  CHECK(call.get().error().code == Code::kCancelled);
  CHECK(Wait(send).error().code == Code::kCancelled);
  CHECK(ann.store->Load()->unsent.size() == 1);
}

TEST_CASE("many clients share one runtime") {
  FakeHongyan server;
  const auto runtime = NewRuntime();
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::future<Result<Sent>>> futures;
  for (int i = 0; i < 50; ++i) {
    Options options;
    options.address = server.address();
    options.user_name = "user" + std::to_string(i);
    options.password = "secret";
    options.store = std::make_shared<MemoryStore>();
    options.runtime = runtime;
    auto opened = Client::Open(std::move(options), {});
    REQUIRE(opened.ok());
    clients.push_back(*std::move(opened));
  }
  for (int i = 0; i < 50; ++i) {
    const auto to = Conversation::Between({server.UserIdOf("user" + std::to_string(i))},
                                          {server.UserIdOf("user" + std::to_string((i + 1) % 50))});
    futures.push_back(clients[static_cast<size_t>(i)]->Send(to, Text{"hi"}));
  }
  for (auto& future : futures) CHECK(Wait(future).ok());
  runtime->Run([&] { clients.clear(); });
}

}  // namespace
