#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client-sdk/src/random.h"
#include "tests/unit/client-sdk/person.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan;

TEST_CASE_FIXTURE(Scene, "what one sends the other receives, and the sender's own copy comes too") {
  ann.Open();
  bob.Open();
  bob.WaitConnected();
  auto future = ann.client->Send(ann.With("bob"), Text{"hello"});
  const auto result = Wait(future);
  REQUIRE(result.ok());
  CHECK(result->conv_seq == 1);
  CHECK(result->time_ms > 0);
  bob.WaitTexts({"hello"});
  ann.WaitTexts({"hello"});
  ann.WaitUntil([&] { return ann.messages[0].own && ann.messages[0].client_msg_id.size() == 16; });
  bob.WaitUntil([&] { return !bob.messages[0].own && bob.messages[0].client_msg_id.empty(); });
  CHECK(bob.messages[0].seq == 1);
}

TEST_CASE_FIXTURE(Scene, "messages written offline leave in order once there is a connection") {
  server.GoDown();
  ann.Open();
  std::vector<std::future<Result<Sent>>> futures;
  for (const auto& text : Numbers(0, 20))
    futures.push_back(ann.client->Send(ann.With("bob"), Text{text}));
  server.ComeBack();
  for (auto& future : futures) CHECK(Wait(future).ok());
  CHECK(server.Texts("ann", "bob") == Numbers(0, 20));
}

TEST_CASE_FIXTURE(Scene, "a message survives a crash before any connection") {
  server.GoDown();
  ann.Open();
  ann.client->Send(ann.With("bob"), Text{"m0"}, nullptr);
  ann.client->Send(ann.With("bob"), Text{"m1"}, nullptr);
  (void)ann.client->GetStatus();  // both are with the client
  CHECK(ann.client->GetStatus().unsent == 2);
  ann.Crash();
  ann.store->LoseUndurable();
  server.ComeBack();
  ann.Open();
  ann.WaitUntil([&] { return ann.sent.size() == 2; });
  CHECK(server.Texts("ann", "bob") == Numbers(0, 2));
}

TEST_CASE_FIXTURE(
    Scene, "a message leaves only after the store has it durably, with its id and its bytes") {
  // Remembers what is durable, visibly for the server's thread.
  struct WatchedStore : MemoryStore {
    std::mutex mutex;
    std::map<int64_t, UnsentMessage> put;
    std::map<std::string, std::string> durable;  // client_msg_id -> body
    void PutUnsent(const UnsentMessage& message) override {
      put[message.number] = message;
      MemoryStore::PutUnsent(message);
    }
    Result<Done> Commit(Durability durability) override {
      if (durability == Durability::kDurable) {
        std::lock_guard lock(mutex);
        for (const auto& [number, message] : put) durable[message.client_msg_id] = message.body;
      }
      return MemoryStore::Commit(durability);
    }
  };
  auto watched = std::make_shared<WatchedStore>();
  auto early = std::make_shared<std::atomic<int>>(0);
  Server([&](auto& s) {
    s.knobs.refuse_send = [watched,
                           early](const v1::SendMessage& send) -> std::optional<v1::Error> {
      std::lock_guard lock(watched->mutex);
      const auto at = watched->durable.find(send.client_msg_id());
      if (at == watched->durable.end() || at->second != send.body()) ++*early;
      return std::nullopt;
    };
    return 0;
  });
  server.GoDown();
  ann.store = watched;
  ann.Open();
  std::vector<std::future<Result<Sent>>> futures;
  for (const auto& text : Numbers(0, 10)) {  // offline: the ids come later
    futures.push_back(ann.client->Send(ann.With("bob"), Text{text}));
  }
  server.ComeBack();
  for (auto& future : futures) CHECK(Wait(future).ok());
  for (const auto& text : Numbers(10, 20)) {
    auto online = ann.client->Send(ann.With("bob"), Text{text});
    CHECK(Wait(online).ok());
  }
  CHECK(early->load() == 0);
  CHECK(server.Texts("ann", "bob") == Numbers(0, 20));
}

TEST_CASE_FIXTURE(Scene, "a store that cannot be written refuses sends, receiving goes on") {
  struct FailingStore : MemoryStore {
    std::atomic<bool> failing{false};
    Result<Done> Commit(Durability durability) override {
      if (!failing) return MemoryStore::Commit(durability);
      return Error{Code::kResourceExhausted, Reason::kNone, "no space left"};
    }
  };
  auto store = std::make_shared<FailingStore>();
  ann.store = store;
  ann.Open();
  ann.WaitUntil([&] { return ann.synced > 0; });
  store->failing = true;
  auto refused = ann.client->Send(ann.With("bob"), Text{"lost"});
  CHECK(Wait(refused).error().text == "no space left");
  ann.WaitUntil([&] { return ann.problems.size() == 1; });
  server.Say("bob", "ann", "m0");
  ann.WaitTexts({"m0"});
  store->failing = false;
  auto accepted = ann.client->Send(ann.With("bob"), Text{"m1"});
  CHECK(Wait(accepted).ok());
  CHECK(server.Texts("ann", "bob") == Numbers(0, 2));
}

TEST_CASE_FIXTURE(Scene,
                  "one whose ack was lost is not stored twice, and its answer comes from the inbox "
                  "or the repeat") {
  ann.Open();
  ann.WaitConnected();
  Server([](auto& s) { return s.knobs.lose_acks = 1; });
  auto first = ann.client->Send(ann.With("bob"), Text{"m0"});
  auto second = ann.client->Send(ann.With("bob"), Text{"m1"});
  const auto one = Wait(first);
  const auto two = Wait(second);
  REQUIRE(one.ok());
  REQUIRE(two.ok());
  CHECK(one->conv_seq == 1);
  CHECK(two->conv_seq == 2);
  CHECK(server.Texts("ann", "bob") == Numbers(0, 2));
  ann.WaitTexts(Numbers(0, 2));
}

TEST_CASE_FIXTURE(Scene,
                  "after a crash with an unknown outcome the client syncs first and resends only "
                  "what did not come back") {
  ann.Open();
  ann.WaitConnected();
  Server([](auto& s) { return s.knobs.answer_sends = false; });
  ann.client->Send(ann.With("bob"), Text{"m0"}, nullptr);
  ann.client->Send(ann.With("bob"), Text{"m1"}, nullptr);
  for (;;) {
    if (!server.Texts("ann", "bob").empty()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ann.Crash();
  ann.store->LoseUndurable();
  Server([](auto& s) {
    s.knobs.answer_sends = true;
    s.seen = {};
    return 0;
  });
  ann.Open();
  ann.WaitUntil([&] { return ann.sent.size() == 2; });
  CHECK(server.Texts("ann", "bob") == Numbers(0, 2));
  // m0 came back by sync; only m1 was sent.
  Server([](auto& s) {
    REQUIRE(s.seen.sends.size() == 1);
    const auto sync = std::find(s.seen.order.begin(), s.seen.order.end(), "SYNC");
    const auto send = std::find(s.seen.order.begin(), s.seen.order.end(), "SEND_MESSAGE");
    CHECK(sync < send);
    return 0;
  });
  ann.WaitUntil([&] { return ann.sent[0].second.ok() && ann.sent[0].second->conv_seq == 1; });
}

TEST_CASE_FIXTURE(Scene, "a resent message has the same id and the same bytes") {
  ann.Open();
  ann.WaitConnected();
  auto refusals = std::make_shared<int>(3);  // the knobs outlive the test body
  Server([&](auto& s) {
    s.knobs.refuse_send = [refusals](const v1::SendMessage&) -> std::optional<v1::Error> {
      if ((*refusals)-- <= 0) return std::nullopt;
      return MakeError(v1::UNAVAILABLE, v1::STORE_STOPPED);
    };
    return 0;
  });
  auto future = ann.client->Send(ann.With("bob"), Text{"m0", {{5}}, 1});
  CHECK(Wait(future).ok());
  Server([](auto& s) {
    REQUIRE(s.seen.sends.size() == 4);
    for (const auto& send : s.seen.sends) {
      CHECK(send.client_msg_id() == s.seen.sends[0].client_msg_id());
      CHECK(send.body() == s.seen.sends[0].body());
    }
    return 0;
  });
}

TEST_CASE_FIXTURE(Scene,
                  "BUSY is retried after its hint and keeps the order; other conversations go on") {
  ann.Open();
  ann.WaitConnected();
  const int64_t bob_id = server.UserIdOf("bob");
  auto refusals = std::make_shared<int>(5);  // the knobs outlive the test body
  Server([&](auto& s) {
    s.knobs.refuse_send = [refusals,
                           bob_id](const v1::SendMessage& send) -> std::optional<v1::Error> {
      const bool to_bob = send.conversation().a() == bob_id || send.conversation().b() == bob_id;
      if (!to_bob || (*refusals)-- <= 0) return std::nullopt;
      return MakeError(v1::RESOURCE_EXHAUSTED, v1::BUSY, 30);
    };
    return 0;
  });
  std::vector<std::future<Result<Sent>>> futures;
  for (const auto& text : Numbers(0, 10))
    futures.push_back(ann.client->Send(ann.With("bob"), Text{text}));
  auto other = ann.client->Send(ann.With("carl"), Text{"not held up"});
  CHECK(Wait(other).ok());
  CHECK(server.Texts("ann", "bob").size() < 10);
  for (auto& future : futures) CHECK(Wait(future).ok());
  CHECK(server.Texts("ann", "bob") == Numbers(0, 10));
}

TEST_CASE_FIXTURE(Scene,
                  "a refusal for good fails that message with its reason, the next one leaves") {
  ann.Open();
  Server([&](auto& s) {
    s.knobs.refuse_send = [](const v1::SendMessage& send) -> std::optional<v1::Error> {
      if (send.body().find("bad") == std::string::npos) return std::nullopt;
      return MakeError(v1::PERMISSION_DENIED, v1::NOT_A_MEMBER);
    };
    return 0;
  });
  auto bad = ann.client->Send(ann.With("bob"), Text{"bad"});
  auto good = ann.client->Send(ann.With("bob"), Text{"good"});
  const auto refused = Wait(bad);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().reason == Reason::kNotAMember);
  CHECK(refused.error().code == Code::kPermissionDenied);
  CHECK(Wait(good).ok());
  CHECK(ann.client->GetStatus().unsent == 0);
}

TEST_CASE_FIXTURE(Scene,
                  "a message too large for the server fails instead of ending every connection") {
  Server([](auto& s) { return s.knobs.max_frame_bytes = 4096; });
  ann.Open();
  auto large = ann.client->Send(ann.With("bob"), Text{std::string(5000, 'x')});
  auto small = ann.client->Send(ann.With("bob"), Text{"small"});
  const auto refused = Wait(large);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().reason == Reason::kTooLarge);
  CHECK(Wait(small).ok());
}

TEST_CASE_FIXTURE(Scene, "a send that times out stays on its way and on_sent tells its fate") {
  server.GoDown();
  ann.Open();
  auto future = ann.client->Send(ann.With("bob"), Text{"m0"}, 20);
  const auto late = Wait(future);
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().code == Code::kDeadlineExceeded);
  CHECK(ann.client->GetStatus().unsent == 1);
  server.ComeBack();
  ann.WaitUntil([&] { return ann.sent.size() == 1 && ann.sent[0].second.ok(); });
}

TEST_CASE_FIXTURE(
    Scene, "ids carry the server's clock, also for messages written before the first login") {
  Server([](auto& s) { return s.knobs.clock_ahead_ms = 3'600'000; });
  server.GoDown();
  ann.Open();
  auto offline = ann.client->Send(ann.With("bob"), Text{"m0"});
  server.ComeBack();
  CHECK(Wait(offline).ok());
  auto online = ann.client->Send(ann.With("bob"), Text{"m1"});
  CHECK(Wait(online).ok());
  Server([](auto& s) {
    for (const auto& send : s.seen.sends) {
      const std::string& id = send.client_msg_id();
      REQUIRE(id.size() == 16);
      int64_t ms = 0;
      for (int i = 0; i < 6; ++i)
        ms = ms << 8 | static_cast<unsigned char>(id[static_cast<size_t>(i)]);
      CHECK(ms > sdk::WallClockMs() + 3'500'000);
      CHECK((static_cast<unsigned char>(id[6]) >> 4) == 7);
      CHECK((static_cast<unsigned char>(id[8]) >> 6) == 2);
    }
    return 0;
  });
}

}  // namespace
