#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client-sdk/src/random.h"
#include "client-sdk/src/runtime.h"
#include "client-sdk/src/wire_tap.h"
#include "hongyan/client.h"
#include "tests/unit/client-sdk/fake_hongyan.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan;

// A person with one device: a store that outlives its clients, and what the client told.
class Person {
 public:
  Person(FakeHongyan& server, std::string name) : server_(server), name_(std::move(name)) {
    timing.reconnect_min_ms = 5;
    timing.reconnect_max_ms = 40;
    timing.sync_retry_min_ms = 5;
    timing.sync_retry_max_ms = 40;
    timing.idle_sync_ms = 20;
  }

  ~Person() { client.reset(); }  // before what its callbacks write to

  Options MakeOptions() const {
    Options options;
    options.address = server_.address();
    options.user_name = name_;
    options.password = password;
    options.store = store;
    options.timing = timing;
    options.wire_tap = tap;
    return options;
  }

  void Open() {
    auto opened = Client::Open(MakeOptions(), MakeEvents());
    REQUIRE(opened.ok());
    client = *std::move(opened);
  }
  // As if the process were killed: what only this process knew is gone.
  void Crash() {
    client.reset();
    std::lock_guard lock(mutex_);
    connected = stopped = synced = 0;
  }

  Conversation With(const std::string& other) const {
    return Conversation::Between({server_.UserIdOf(name_)}, {server_.UserIdOf(other)});
  }

  void WaitUntil(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), done));
  }
  void WaitTexts(const std::vector<std::string>& expected) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(20),
                                        [&] { return texts.size() >= expected.size(); });
    CHECK(came);
    CHECK(texts == expected);
  }
  template <class F>
  auto Look(F look) {
    std::lock_guard lock(mutex_);
    return look();
  }
  void WaitConnected(int times = 1) {
    WaitUntil([&] { return connected >= times; });
  }

  Timing timing;
  std::string password = "secret";
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  std::shared_ptr<sdk::WireTap> tap;
  std::unique_ptr<Client> client;

  // Under the mutex; WaitUntil's condition runs under it.
  std::vector<std::string> texts;
  std::vector<Message> messages;
  std::vector<Error> problems;
  std::vector<Error> disconnects;
  std::vector<int64_t> waits_ms;
  std::vector<std::pair<int64_t, Result<Sent>>> sent;
  int connected = 0;
  int synced = 0;
  int stopped = 0;
  int truncated = 0;
  StopReason stop_reason = StopReason::kLoggedOut;

 private:
  Events MakeEvents() {
    Events events;
    events.on_connected = [this](const Connected&) { Note([this] { ++connected; }); };
    events.on_disconnected = [this](const Error& why, int64_t wait_ms) {
      Note([&] {
        disconnects.push_back(why);
        waits_ms.push_back(wait_ms);
      });
    };
    events.on_stopped = [this](StopReason reason, const std::string&) {
      Note([&] {
        ++stopped;
        stop_reason = reason;
      });
    };
    events.on_message = [this](const Message& message) {
      Note([&] {
        messages.push_back(message);
        const auto* text = std::get_if<Text>(&message.body);
        texts.push_back(text != nullptr ? text->text : "?");
      });
    };
    events.on_synced = [this] { Note([this] { ++synced; }); };
    events.on_truncated = [this] { Note([this] { ++truncated; }); };
    events.on_problem = [this](const Error& error) { Note([&] { problems.push_back(error); }); };
    events.on_sent = [this](int64_t number, const Conversation&, const Result<Sent>& result) {
      Note([&] { sent.emplace_back(number, result); });
    };
    return events;
  }
  void Note(const std::function<void()>& change) {
    {
      std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

  FakeHongyan& server_;
  std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

struct Scene {
  FakeHongyan server;
  Person ann{server, "ann"};
  Person bob{server, "bob"};

  template <class F>
  auto Server(F look) {
    std::lock_guard lock(server.mutex());
    return look(server);
  }
};

Result<Sent> Wait(std::future<Result<Sent>>& future) {
  REQUIRE(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  return future.get();
}

std::vector<std::string> Numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i < to; ++i) all.push_back("m" + std::to_string(i));
  return all;
}

}  // namespace

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

// ---- receiving ----

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

// ---- the connection ----

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
