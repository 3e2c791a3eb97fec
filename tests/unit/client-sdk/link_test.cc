#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client-sdk/src/address.h"
#include "client-sdk/src/link.h"
#include "hongyan/v1/error.pb.h"
#include "proto/frame.h"
#include "tests/unit/client-sdk/fake_server.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan;
using hongyan::proto::FrameHeader;
using sdk::Answer;
using sdk::Down;
using sdk::DownReason;
using sdk::Link;

// What happened, in order, seen from the test's thread.
class Log {
 public:
  void Add(std::string line) {
    std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  // The next line; fails the test when none comes.
  std::string Next() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !lines_.empty(); }));
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }
  bool empty() {
    std::lock_guard lock(mutex_);
    return lines_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
};

std::string Text(const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::kOk:
      return "ok " + std::string(answer.payload);
    case Answer::Kind::kRefused:
      return "refused " + std::string(answer.payload);
    case Answer::Kind::kTimedOut:
      return "timed out";
    case Answer::Kind::kDown:
      return "down";
  }
  return "?";
}

// One link on a runtime, driven from the test's thread.
struct LinkFixture {
  std::shared_ptr<Runtime> runtime = NewRuntime();
  Log log;
  std::unique_ptr<Link> link;

  ~LinkFixture() {
    runtime->Run([this] { link.reset(); });
  }

  void Connect(sdk::LinkOptions options) {
    runtime->Run([&] {
      link = std::make_unique<Link>(
          *runtime, std::move(options),
          Link::Events{.on_up = [this] { log.Add("up"); },
                       .on_push =
                           [this](uint16_t command, std::string_view payload) {
                             log.Add("push " + std::to_string(command) + " " +
                                     std::string(payload));
                           },
                       .on_down =
                           [this](const Down& down) {
                             log.Add("down " + std::to_string(static_cast<int>(down.reason)));
                             last_text = down.text;
                           }});
    });
  }
  void Connect(const FakeServer& server) { Connect({.address = server.address()}); }

  bool Request(uint16_t command, std::string payload, int timeout_ms = 20'000) {
    return runtime->Run([&, command, timeout_ms] {
      return link->Request(command, payload, timeout_ms,
                           [this](const Answer& answer) { log.Add(Text(answer)); });
    });
  }
  std::string last_text;
};

std::string DownLine(DownReason reason) {
  return "down " + std::to_string(static_cast<int>(reason));
}

}  // namespace

TEST_CASE("addresses are host:port, [v6]:port or unix:/path, and nothing else") {
  const auto host = sdk::ParseAddress("chat.example.org:7600");
  REQUIRE(host);
  CHECK(host->host == "chat.example.org");
  CHECK(host->port == "7600");
  const auto v6 = sdk::ParseAddress("[::1]:80");
  REQUIRE(v6);
  CHECK(v6->host == "::1");
  CHECK(v6->port == "80");
  const auto path = sdk::ParseAddress("unix:/run/x.sock");
  REQUIRE(path);
  CHECK(path->path == "/run/x.sock");
  for (const char* bad :
       {"", "host", ":80", "host:", "host:abc", "host:70000", "::1:80", "unix:", "[]:80"}) {
    CAPTURE(bad);
    CHECK_FALSE(sdk::ParseAddress(bad));
  }
}

TEST_CASE_FIXTURE(LinkFixture, "answers find their requests in any order, errors are told apart") {
  std::vector<std::pair<FrameHeader, std::string>> held;
  FakeServer* self = nullptr;
  FakeServer server({.on_accept = {},
                     .on_frame =
                         [&](int from, const FrameHeader& header, std::string_view payload) {
                           held.emplace_back(header, payload);
                           if (held.size() < 3) return;
                           self->Answer(from, held[2].first, "for " + held[2].second);
                           self->Answer(from, held[0].first, "for " + held[0].second,
                                        proto::kFlagError);
                           self->Answer(from, held[1].first, "for " + held[1].second);
                         },
                     .on_close = {}});
  self = &server;
  Connect(server);
  CHECK(log.Next() == "up");
  CHECK(Request(1, "a"));
  CHECK(Request(1, "b"));
  CHECK(Request(1, "c"));
  CHECK(log.Next() == "ok for c");
  CHECK(log.Next() == "refused for a");
  CHECK(log.Next() == "ok for b");
}

TEST_CASE_FIXTURE(LinkFixture, "pushes and answers split at any byte arrive whole") {
  FakeServer* self = nullptr;
  int connection = 0;
  FakeServer server(
      {.on_accept = [&](int id) { connection = id; }, .on_frame = {}, .on_close = {}});
  self = &server;
  Connect(server);
  CHECK(log.Next() == "up");
  const std::string big(300'000, 'x');
  std::string bytes;
  proto::AppendFrame(bytes, {.command = 64}, "one");
  proto::AppendFrame(bytes, {.command = 65}, "");
  proto::AppendFrame(bytes, {.command = 66}, big);
  proto::AppendFrame(bytes, {.command = 67}, "four");
  for (size_t at = 0; at < bytes.size();) {
    const size_t step = at < 60 ? 1 : 50'000;
    {
      std::lock_guard lock(server.mutex());
      self->SendRaw(connection, std::string_view(bytes).substr(at, step));
    }
    at += step;
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // so that most pieces come alone
  }
  CHECK(log.Next() == "push 64 one");
  CHECK(log.Next() == "push 65 ");
  CHECK(log.Next() == "push 66 " + big);
  CHECK(log.Next() == "push 67 four");
}

TEST_CASE_FIXTURE(LinkFixture, "a request without an answer times out, a late answer is dropped") {
  std::vector<FrameHeader> held;
  FakeServer* self = nullptr;
  FakeServer server({.on_accept = {},
                     .on_frame =
                         [&](int from, const FrameHeader& header, std::string_view) {
                           held.push_back(header);
                           if (held.size() < 2) return;
                           self->Answer(from, held[0], "late");
                           self->Answer(from, held[1], "in time");
                         },
                     .on_close = {}});
  self = &server;
  Connect(server);
  CHECK(log.Next() == "up");
  CHECK(Request(1, "a", 30));
  CHECK(log.Next() == "timed out");
  CHECK(Request(1, "b"));
  CHECK(log.Next() == "ok in time");
  CHECK(log.empty());
}

TEST_CASE_FIXTURE(LinkFixture,
                  "when the server closes, pending requests end first, then the link") {
  FakeServer* self = nullptr;
  FakeServer server({.on_accept = {},
                     .on_frame = [&](int from, const FrameHeader&,
                                     std::string_view) { self->CloseConnection(from); },
                     .on_close = {}});
  self = &server;
  Connect(server);
  CHECK(log.Next() == "up");
  CHECK(Request(1, "a"));
  CHECK(log.Next() == "down");
  CHECK(log.Next() == DownLine(DownReason::kClosedByPeer));
  CHECK_FALSE(Request(1, "b"));
}

TEST_CASE_FIXTURE(LinkFixture, "a refused connect, a bad address and a missing socket say why") {
  int free_port;
  {
    FakeServer gone({});
    free_port = gone.port();
  }
  Connect({.address = "127.0.0.1:" + std::to_string(free_port)});
  CHECK(log.Next() == DownLine(DownReason::kConnectFailed));
  Connect({.address = "nonsense"});
  CHECK(log.Next() == DownLine(DownReason::kConnectFailed));
  runtime->Run([this] { CHECK(last_text.find("HOST:PORT") != std::string::npos); });
  Connect({.address = "unix:/nowhere/at/all.sock"});
  CHECK(log.Next() == DownLine(DownReason::kConnectFailed));
}

TEST_CASE_FIXTURE(LinkFixture, "a host name is looked up and every address of it is tried") {
  FakeServer server({});
  Connect({.address = "localhost:" + std::to_string(server.port())});
  CHECK(log.Next() == "up");
}

TEST_CASE_FIXTURE(LinkFixture, "a peer that speaks something else ends the link") {
  FakeServer* self = nullptr;
  FakeServer server(
      {.on_accept = [&](int id) { self->SendRaw(id, "HTTP/1.1 400 Bad Request\r\n"); },
       .on_frame = {},
       .on_close = {}});
  self = &server;
  Connect(server);
  CHECK(log.Next() == "up");
  CHECK(log.Next() == DownLine(DownReason::kBadFrame));
}

TEST_CASE_FIXTURE(LinkFixture,
                  "a link may be destroyed inside its callbacks, and nothing comes after") {
  FakeServer* self = nullptr;
  FakeServer server({.on_accept = {},
                     .on_frame = [&](int from, const FrameHeader& header,
                                     std::string_view) { self->Answer(from, header, "x"); },
                     .on_close = {}});
  self = &server;
  Connect(server);
  CHECK(log.Next() == "up");
  runtime->Run([this] {
    for (int i = 0; i < 10; ++i) {
      CHECK(link->Request(1, "r", 20'000, [this, i](const Answer&) {
        log.Add("answer " + std::to_string(i));
        link.reset();
      }));
    }
  });
  CHECK(log.Next() == "answer 0");
  runtime->Run([] {});
  CHECK(log.empty());
}

TEST_CASE_FIXTURE(LinkFixture,
                  "a peer that does not read is bounded: Request refuses beyond the limit") {
  FakeServer server({.on_accept = {},
                     .on_frame =
                         [&](int, const FrameHeader&, std::string_view) {
                           std::this_thread::sleep_for(std::chrono::milliseconds(5));
                         },
                     .on_close = {}});
  Connect({.address = server.address(), .source_address = {}, .max_unsent_bytes = 1 << 20});
  CHECK(log.Next() == "up");
  const std::string big(100'000, 'y');
  int taken = 0;
  while (taken < 2000 && Request(1, big)) ++taken;
  CHECK(taken >= 10);
  CHECK(taken < 2000);
}

TEST_CASE("requests of one turn leave together, thousands of links share one thread") {
  constexpr int kLinks = 200;
  constexpr int kRounds = 50;
  FakeServer* self = nullptr;
  FakeServer server({.on_accept = {},
                     .on_frame = [&](int from, const FrameHeader& header,
                                     std::string_view p) { self->Answer(from, header, p); },
                     .on_close = {}});
  self = &server;
  const auto runtime = NewRuntime();
  struct One {
    std::unique_ptr<Link> link;
    int answered = 0;
  };
  std::vector<One> all(kLinks);
  std::promise<void> done;
  int left = kLinks;
  std::function<void(One*)> next = [&](One* one) {
    if (!one->link->Request(4, "hello", 60'000, [&next, one](const Answer& answer) {
          if (!answer.ok()) return;
          ++one->answered;
          next(one);
        })) {
      return;
    }
    if (one->answered == kRounds && --left == 0) done.set_value();
  };
  runtime->Run([&] {
    for (int i = 0; i < kLinks; ++i) {
      One* one = &all[static_cast<size_t>(i)];
      one->link = std::make_unique<Link>(
          *runtime,
          sdk::LinkOptions{.address = server.address(),
                           .source_address = "127.0.0." + std::to_string(2 + i % 8)},
          Link::Events{.on_up = [&next, one] { next(one); }, .on_push = {}, .on_down = {}});
    }
  });
  CHECK(done.get_future().wait_for(std::chrono::seconds(60)) == std::future_status::ready);
  runtime->Run([&] { all.clear(); });
}

TEST_CASE("timers fire in the order of their times and not after Disarm") {
  const auto runtime = NewRuntime();
  std::vector<std::unique_ptr<sdk::Timer>> timers;
  std::vector<int> fired;
  std::promise<void> done;
  runtime->Run([&] {
    for (int i = 0; i < 100; ++i) {
      timers.push_back(std::make_unique<sdk::Timer>(*runtime, [&fired, &done, i] {
        fired.push_back(i);
        if (i == 99) done.set_value();
      }));
    }
    for (int i = 99; i >= 0; --i) timers[static_cast<size_t>(i)]->Arm(i / 2);
    timers[10]->Disarm();
    timers[99]->Arm(80);
    timers[11].reset();
  });
  REQUIRE(done.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  runtime->Run([&] {
    timers.clear();
    CHECK(fired.size() == 98);
    for (size_t i = 1; i < fired.size(); ++i) CHECK(fired[i - 1] / 2 <= fired[i] / 2);
    for (int i : fired) CHECK((i != 10 && i != 11));
  });
}
