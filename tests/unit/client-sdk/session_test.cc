#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client-sdk/src/random.h"
#include "tests/unit/client-sdk/person.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan;

TEST_CASE_FIXTURE(Scene, "the first login uses the password, later ones the token") {
  ann.Open();
  ann.WaitConnected();
  ann.Crash();
  ann.store->LoseUndurable();
  ann.password.clear();
  ann.Open();
  ann.WaitConnected();
  CHECK(Server([](auto& s) { return s.seen.password_logins; }) == 1);
  CHECK(Server([](auto& s) { return s.seen.token_logins; }) == 1);
}

TEST_CASE_FIXTURE(Scene,
                  "a server that comes back is found again, and nothing is lost or doubled") {
  ann.Open();
  bob.Open();
  std::vector<std::future<Result<Sent>>> futures;
  for (int round = 0; round < 5; ++round) {
    ann.WaitConnected(round + 1);
    for (const auto& text : Numbers(round * 10, round * 10 + 10)) {
      futures.push_back(ann.client->Send(ann.With("bob"), Text{text}));
    }
    server.GoDown();
    server.ComeBack();
  }
  for (auto& future : futures) CHECK(Wait(future).ok());
  bob.WaitTexts(Numbers(0, 50));
  ann.WaitTexts(Numbers(0, 50));
}

TEST_CASE_FIXTURE(
    Scene, "waits between tries grow with jitter up to their limit and follow the server's hint") {
  server.GoDown();
  ann.Open();
  ann.WaitUntil([&] { return ann.waits_ms.size() >= 12; });
  for (const int64_t wait : ann.Look([&] { return ann.waits_ms; })) CHECK(wait <= 40);
  CHECK(ann.Look([&] { return ann.disconnects[0].code; }) == Code::kUnavailable);
  Server([](auto& s) {
    s.knobs.refuse_login = [] { return MakeError(v1::RESOURCE_EXHAUSTED, v1::BUSY, 77); };
    return 0;
  });
  server.ComeBack();
  ann.WaitUntil([&] { return std::count(ann.waits_ms.begin(), ann.waits_ms.end(), 77) >= 2; });
}

TEST_CASE("a back-off is drawn between 0 and a doubling limit, never below the hint") {
  sdk::Backoff backoff(100, 1000);
  int64_t largest = 0;
  for (int failure = 0; failure < 200; ++failure) {
    const int64_t limit = failure < 4 ? 100LL << failure : 1000;
    const int64_t wait = backoff.Next();
    CHECK(wait >= 0);
    CHECK(wait <= limit);
    largest = std::max(largest, wait);
  }
  CHECK(largest > 700);
  CHECK(backoff.Next(5000) == 5000);
  backoff.Reset();
  CHECK(backoff.Next() <= 100);
}

TEST_CASE_FIXTURE(Scene, "a draining server is left and found again after its hint") {
  ann.Open();
  ann.WaitUntil([&] { return ann.synced >= 1; });
  server.End("ann", v1::END_DRAINING, 50);
  ann.WaitConnected(2);
  ann.Look([&] {
    CHECK(ann.waits_ms.size() == 1);
    CHECK(ann.waits_ms[0] >= 50);
  });
}

TEST_CASE_FIXTURE(Scene, "a dead connection is noticed by its heartbeat") {
  Server([](auto& s) {
    s.knobs.heartbeat_ms = 20;
    s.knobs.answer_heartbeats = false;
    return 0;
  });
  ann.timing.heartbeat_timeout_ms = 30;
  ann.Open();
  ann.WaitConnected(3);
}

TEST_CASE_FIXTURE(Scene, "a send without an answer makes the client check the connection") {
  Server([](auto& s) {
    s.knobs.answer_sends = false;
    s.knobs.answer_heartbeats = false;
    return 0;
  });
  ann.timing.request_timeout_ms = 30;
  ann.timing.heartbeat_timeout_ms = 30;
  ann.Open();
  ann.WaitConnected();
  auto future = ann.client->Send(ann.With("bob"), Text{"m0"});
  ann.WaitUntil([&] { return !ann.disconnects.empty(); });
  Server([](auto& s) {
    s.knobs.answer_sends = s.knobs.answer_heartbeats = true;
    return 0;
  });
  CHECK(Wait(future).ok());
  CHECK(server.Texts("ann", "bob") == Numbers(0, 1));
}

TEST_CASE_FIXTURE(Scene, "replaced and disabled stop the client; it does not come back") {
  for (const auto& [end, reason] : {std::pair{v1::END_REPLACED, StopReason::kReplaced},
                                    std::pair{v1::END_DISABLED, StopReason::kDisabled}}) {
    ann.Open();
    ann.WaitConnected();
    server.End("ann", end);
    ann.WaitUntil([&] { return ann.stopped == 1; });
    CHECK(ann.stop_reason == reason);
    const int accepted = Server([](auto& s) { return s.seen.accepted; });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // several of its longest waits
    CHECK(Server([](auto& s) { return s.seen.accepted; }) == accepted);
    auto future = ann.client->Send(ann.With("bob"), Text{"m0"});
    const auto refused = Wait(future);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::kCancelled);
    ann.Crash();
  }
}

TEST_CASE_FIXTURE(Scene,
                  "a revoked token leads to one password login, without a password to the end") {
  ann.Open();
  ann.WaitConnected();
  server.RevokeTokens("ann");
  server.End("ann", v1::END_REVOKED);
  ann.WaitConnected(2);
  CHECK(Server([](auto& s) { return s.seen.password_logins; }) == 2);
  ann.Crash();

  server.RevokeTokens("ann");
  ann.Open();  // finds its stored token refused
  ann.WaitConnected();
  CHECK(Server([](auto& s) { return s.seen.password_logins; }) == 3);
  ann.Crash();

  ann.password.clear();
  server.RevokeTokens("ann");
  ann.Open();
  ann.WaitUntil([&] { return ann.stopped == 1; });
  CHECK(ann.stop_reason == StopReason::kRevoked);
}

TEST_CASE_FIXTURE(Scene, "a wrong password stops at once and is tried once") {
  ann.password = "wrong";
  ann.Open();
  ann.WaitUntil([&] { return ann.stopped == 1; });
  CHECK(ann.stop_reason == StopReason::kBadCredentials);
  CHECK(Server([](auto& s) { return s.seen.password_logins; }) == 1);
}

TEST_CASE_FIXTURE(Scene, "logout forgets the token and stops") {
  ann.Open();
  ann.WaitConnected();
  auto future = ann.client->Logout();
  REQUIRE(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  CHECK(future.get().ok());
  ann.WaitUntil([&] { return ann.stopped == 1; });
  CHECK(ann.stop_reason == StopReason::kLoggedOut);
  ann.client.reset();
  CHECK(ann.store->Load()->token.empty());
}

}  // namespace
