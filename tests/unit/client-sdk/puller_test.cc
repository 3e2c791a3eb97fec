#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client-sdk/src/wire_tap.h"
#include "tests/unit/client-sdk/person.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan;

TEST_CASE_FIXTURE(Scene, "a device that was away gets everything, page by page, in order") {
  for (const auto& text : Numbers(0, 250)) server.Say("bob", "ann", text);
  Server([](auto& s) { return s.knobs.sync_limit = 30; });
  ann.Open();
  ann.WaitTexts(Numbers(0, 250));
  ann.Crash();
  for (const auto& text : Numbers(250, 300)) server.Say("bob", "ann", text);
  ann.Open();
  ann.WaitTexts(Numbers(0, 300));
}

TEST_CASE_FIXTURE(Scene, "lost notifies heal with the next heartbeat") {
  Server([](auto& s) {
    s.knobs.notify = false;
    s.knobs.heartbeat_ms = 20;
    return 0;
  });
  ann.Open();
  ann.WaitConnected();
  server.Say("bob", "ann", "m0");
  ann.WaitTexts({"m0"});
}

TEST_CASE_FIXTURE(Scene, "a head unknown at login does not hide what is there") {
  Server([](auto& s) {
    s.knobs.tell_head = false;
    s.knobs.notify = false;
    return 0;
  });
  server.Say("bob", "ann", "m0");
  ann.Open();
  ann.WaitTexts({"m0"});
}

TEST_CASE_FIXTURE(Scene, "a failed sync is repeated until it succeeds, without any notify") {
  auto refusals = std::make_shared<int>(4);  // the knobs outlive the test body
  Server([&](auto& s) {
    s.knobs.notify = false;
    s.knobs.refuse_sync = [refusals](int64_t) -> std::optional<v1::Error> {
      if ((*refusals)-- <= 0) return std::nullopt;
      return MakeError(v1::UNAVAILABLE, v1::BUSY, 5);
    };
    return 0;
  });
  server.Say("bob", "ann", "m0");
  ann.Open();
  ann.WaitTexts({"m0"});
  CHECK(Server([](auto& s) { return s.seen.sync_cursors.size(); }) >= 5);
}

TEST_CASE_FIXTURE(Scene, "a gap inside a generation is asked for again, never skipped") {
  for (const auto& text : Numbers(0, 6)) server.Say("bob", "ann", text);
  auto gaps = std::make_shared<int>(2);  // the knobs outlive the test body
  Server([&](auto& s) {
    s.knobs.change_sync_reply = [gaps](v1::SyncReply& reply) {
      if (reply.entries_size() > 3 && (*gaps)-- > 0) reply.mutable_entries()->DeleteSubrange(2, 1);
    };
    return 0;
  });
  ann.Open();
  ann.WaitTexts(Numbers(0, 6));
  ann.WaitUntil([&] { return !ann.problems.empty(); });
  CHECK(ann.Look([&] { return ann.problems[0].code; }) == Code::kDataLoss);
}

TEST_CASE_FIXTURE(Scene, "a jump where the generation changes is no gap") {
  server.Say("bob", "ann", "m0");
  ann.Open();
  ann.WaitTexts({"m0"});
  server.RaiseGeneration();
  server.Say("bob", "ann", "m1");
  server.Say("bob", "ann", "m2");
  ann.WaitTexts(Numbers(0, 3));
  CHECK(ann.problems.empty());
  CHECK(ann.client->GetStatus().cursor == (int64_t{1} << 40) + 2);
}

TEST_CASE_FIXTURE(Scene, "a new generation without an entry is caught up with") {
  server.Say("bob", "ann", "m0");
  server.RaiseGenerationOf("ann");  // as after `store accept`: the head is the generation itself
  ann.Open();
  ann.WaitTexts({"m0"});
  for (int i = 0; i < 400 && ann.client->GetStatus().cursor != int64_t{1} << 40; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(ann.client->GetStatus().cursor == int64_t{1} << 40);
  server.Say("bob", "ann", "m1");
  ann.WaitTexts(Numbers(0, 2));
  CHECK(ann.problems.empty());
}

TEST_CASE_FIXTURE(Scene, "what the cursor has passed is filtered, the wire tap sees it") {
  server.Say("bob", "ann", "m0");
  int shown = 0;
  ann.tap = std::make_shared<sdk::WireTap>();
  ann.tap->on_sync_reply = [&](int64_t, const v1::SyncReply& reply) {
    shown += reply.entries_size();
  };
  ann.Open();
  ann.WaitTexts({"m0"});
  Server([&](auto& s) {
    s.knobs.change_sync_reply = [first = v1::Entry()](v1::SyncReply& reply) mutable {
      // The reply begins one too early: the entry already seen comes again.
      v1::Entry again = reply.entries(0);
      again.set_seq(1);
      v1::SyncReply changed = reply;
      changed.clear_entries();
      *changed.add_entries() = again;
      changed.mutable_entries()->MergeFrom(reply.entries());
      reply = changed;
    };
    return 0;
  });
  server.Say("bob", "ann", "m1");
  ann.WaitTexts(Numbers(0, 2));
  ann.client.reset();
  CHECK(shown == 3);
}

TEST_CASE_FIXTURE(Scene, "the cursor moves only after the app's callback has returned") {
  server.Say("bob", "ann", "m0");
  server.Say("bob", "ann", "m1");
  std::vector<int64_t> seen;
  Client* client = nullptr;
  std::promise<void> opened;
  const auto runtime = NewRuntime();
  auto options = ann.MakeOptions();
  options.runtime = runtime;
  Events events;
  std::promise<void> done;
  auto ready = opened.get_future().share();
  events.on_message = [&, ready](const Message& message) {
    ready.wait();
    client->GetStatus([&, seq = message.seq](const Result<Status>&) { (void)seq; });
    seen.push_back(ann.store->Load()->cursor);
    if (message.seq == 2) done.set_value();
  };
  auto made = Client::Open(std::move(options), std::move(events));
  REQUIRE(made.ok());
  client = made->get();
  opened.set_value();
  REQUIRE(done.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  made->reset();
  CHECK(seen == std::vector<int64_t>{0, 0});
  CHECK(ann.store->Load()->cursor == 2);
}

TEST_CASE_FIXTURE(
    Scene, "a cursor lost in a crash brings messages again, in one process each comes once") {
  server.Say("bob", "ann", "m0");
  ann.Open();
  ann.WaitTexts({"m0"});
  (void)ann.client->GetStatus();
  ann.Crash();
  Saved saved = *ann.store->Load();
  CHECK(saved.cursor == 1);
  ann.store->SetCursor(0);  // as if it had never reached the disk
  (void)ann.store->Commit(Store::Durability::kDurable);
  ann.Open();
  ann.WaitTexts({"m0", "m0"});
  CHECK(ann.messages[0].conv_seq == ann.messages[1].conv_seq);
}

TEST_CASE_FIXTURE(Scene, "below what is kept the client is told and goes on from what there is") {
  for (const auto& text : Numbers(0, 5)) server.Say("bob", "ann", text);
  Server([&](auto& s) {
    s.knobs.change_sync_reply = [](v1::SyncReply& reply) {
      if (reply.entries_size() < 5) return;
      reply.set_truncated(true);
      reply.mutable_entries()->DeleteSubrange(0, 3);
    };
    return 0;
  });
  ann.Open();
  ann.WaitTexts(Numbers(3, 5));
  ann.WaitUntil([&] { return ann.truncated == 1; });
}

TEST_CASE_FIXTURE(
    Scene,
    "a server that knows less than the device has seen is a problem told, the cursor stays") {
  server.Say("bob", "ann", "m0");
  ann.Open();
  ann.WaitTexts({"m0"});
  server.LoseInbox("ann");
  server.End("ann", v1::END_DRAINING);
  ann.WaitUntil([&] { return !ann.problems.empty(); });
  CHECK(ann.Look([&] { return ann.problems[0].reason; }) == Reason::kCursorAhead);
  CHECK(ann.client->GetStatus().cursor == 1);
}

}  // namespace
