#include <future>
#include <random>
#include <set>
#include <thread>

#include "tests/unit/net/peers.h"

#include "tests/doctest_last.h"

namespace hongyan::net {
namespace {

using Reasons = std::vector<CloseReason>;

bool EventuallyClosed(const Server& server, const Reasons& reasons) {
  return Eventually([&] { return server.script.closed() == reasons; });
}

TEST_CASE("frames of any size come back to each of many peers on several loops, in order") {
  Server server(3);
  server.script.on_open = [](Connection& c) { c.set_max_payload(1 << 20); };
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::vector<Peer> peers;
      for (int i = 0; i < 5; ++i) peers.emplace_back(server);
      for (uint32_t round = 1; round <= 30; ++round) {
        for (Peer& peer : peers) {
          const size_t size = round % 10 == 0 ? random() % 300'000 : random() % 300;
          const std::string payload(size, static_cast<char>('a' + round % 26));
          peer.SendFrame(round, payload, 7);
          const auto back = peer.Receive();
          if (back && back->header.request_id == round && back->header.command == 7 &&
              back->header.is_answer() && back->payload == payload) {
            ++good;
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 6 * 5 * 30);
  CHECK(server.listener().accepted() == 30);
}

TEST_CASE("a frame that trickles in byte by byte is one frame") {
  Server server;
  Peer peer(server);
  for (const char c : FrameBytes(5, "slow but sure")) peer.Send(std::string(1, c));
  const auto back = peer.Receive();
  REQUIRE(back);
  CHECK(back->payload == "slow but sure");
}

TEST_CASE("all answers of a turn leave in one write per connection") {
  Server server;
  std::promise<void> gate;
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) peers.emplace_back(server);
  REQUIRE(Eventually([&] { return server.stats().connections == 3; }));
  // The loop is held until everything is in its sockets, so that one turn reads it all.
  server.loop().Post([&] { gate.get_future().wait(); });
  for (Peer& peer : peers) {
    std::string hundred;
    for (uint32_t i = 1; i <= 100; ++i) hundred += FrameBytes(i, "ping");
    peer.Send(hundred);
  }
  gate.set_value();
  for (Peer& peer : peers) {
    for (uint32_t i = 1; i <= 100; ++i) {
      const auto back = peer.Receive();
      REQUIRE(back);
      REQUIRE(back->header.request_id == i);
    }
  }
  CHECK(server.stats().frames_out == 300);
  CHECK(server.stats().writes == 3);
}

TEST_CASE("a flooding peer brings no more than its share into one turn") {
  Server server;
  std::map<int64_t, size_t> bytes_by_turn;  // of the loop
  server.script.on_open = [](Connection& c) { c.set_max_payload(64 << 10); };
  server.script.on_frame = [&](Connection& c, const proto::Frame& frame) {
    bytes_by_turn[c.loop().stats().turns] += frame.payload.size();
    if (frame.header.request_id == 2'000) Echo(c, frame);
  };
  Peer peer(server);
  std::thread flood([&] {
    for (uint32_t i = 1; i <= 2'000; ++i) peer.SendFrame(i, std::string(8'000, 'x'));
  });
  CHECK(peer.Receive());
  flood.join();
  // 64 KiB, the read that passed the mark, and a frame begun in an earlier turn.
  for (const auto& [turn, bytes] : bytes_by_turn) CHECK(bytes <= (64 << 10) + (16 << 10) + 8'000);
  CHECK(bytes_by_turn.size() >= 2'000 * 8'000 / (88 << 10));
}

TEST_CASE(
    "a peer that does not read is not read from: what waits for it stays bounded, nothing is "
    "lost") {
  ListenerOptions options;
  options.unsent_high_water = 256 << 10;
  Server server(1, options);
  std::atomic<size_t> most_unsent{0};
  server.script.on_frame = [&](Connection& c, const proto::Frame& frame) {
    Echo(c, frame);
    most_unsent = std::max(most_unsent.load(), c.unsent_bytes());
  };
  Peer peer(server.listener().address(), 4'096);
  // The flood must end by itself: the server's memory and the sockets' buffers are all there is.
  std::atomic<uint32_t> sent{0};
  std::atomic<bool> all_sent{false};
  std::thread flood([&] {
    for (uint32_t i = 1; i <= 20'000; ++i) {
      peer.SendFrame(i, std::string(1'000, 'f'));
      sent = i;
    }
    all_sent = true;
  });
  uint32_t last = 0;
  int quiet = 0;
  while (quiet < 100) {
    quiet = sent == last ? quiet + 1 : 0;
    last = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK_FALSE(all_sent);
  CHECK(most_unsent >= options.unsent_high_water);
  // One more read's worth of answers at most.
  CHECK(most_unsent <= options.unsent_high_water + (20 << 10));
  for (uint32_t i = 1; i <= 20'000; ++i) {
    const auto back = peer.Receive();
    REQUIRE(back);
    REQUIRE(back->header.request_id == i);
  }
  flood.join();
  CHECK(server.stats().frames_in == 20'000);
  CHECK(server.script.closed().empty());
  // All was taken, so nothing is held any more.
  CHECK(Eventually([&] {
    size_t unsent = 1;
    OnLoop(server.loop(), [&] { unsent = server.loop().Find(1)->unsent_bytes(); });
    return unsent == 0;
  }));
}

TEST_CASE("a peer that takes nothing for the stall time is closed as a slow reader") {
  ListenerOptions options;
  options.unsent_high_water = 64 << 10;
  options.slow_reader_ms = 400;
  Server server(1, options);
  server.script.on_open = [](Connection& c) {
    for (int i = 0; i < 8; ++i) c.Send({}, std::string(1 << 20, 's'));
  };
  Peer stuck(server.listener().address(), 4'096);
  CHECK(EventuallyClosed(server, {CloseReason::kSlowReader}));
  CHECK(server.stats().slow_readers == 1);
}

TEST_CASE("who does not end a frame in time is closed, however it goes on sending") {
  ListenerOptions options;
  options.unfinished_ms = 300;
  options.max_payload_before_login = 1 << 20;
  Server server(1, options);
  std::string frame = FrameBytes(7, std::string(1 << 20, 'u'));
  Peer stalls(server);
  stalls.Send(FrameBytes(1, "whole") + frame.substr(0, 1 << 19));
  CHECK(stalls.Receive().has_value());
  CHECK(EventuallyClosed(server, {CloseReason::kUnfinished}));
  Peer drips(server);
  CHECK(Eventually([&, sent = size_t{0}]() mutable {
    drips.SendSome(frame.substr(sent++, 1));
    return server.script.closed().size() == 2;
  }));
  CHECK(server.script.closed() == Reasons(2, CloseReason::kUnfinished));
}

TEST_CASE("a frame's time begins with its first byte, and stands still while we do not read") {
  ListenerOptions options;
  options.unfinished_ms = 300;
  Server server(1, options);
  Connection* held = nullptr;
  server.script.on_frame = [&](Connection& c, const proto::Frame& frame) {
    Echo(c, frame);
    if (frame.header.request_id != 2) return;
    held = &c;
    c.PauseReading(Connection::Pause::kHandler);
  };
  const std::string third = FrameBytes(3, "third");
  Peer peer(server);
  peer.SendFrame(1, "first");
  CHECK(peer.Receive().has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(600));  // idle is not unfinished
  peer.Send(FrameBytes(2, "second") + third.substr(0, third.size() - 1));
  CHECK(peer.Receive().has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  CHECK(server.script.closed().empty());
  peer.Send(third.substr(third.size() - 1));
  OnLoop(server.loop(), [&] { held->ResumeReading(Connection::Pause::kHandler); });
  const auto last = peer.Receive();
  REQUIRE(last.has_value());
  CHECK(last->payload == "third");
}

TEST_CASE("more than the limit of unsent bytes closes the connection at once") {
  ListenerOptions options;
  options.unsent_limit = 8 << 20;
  Server server(1, options);
  size_t most = 0;
  server.script.on_open = [&](Connection& c) {
    for (int i = 0; i < 100; ++i) {
      c.Send({}, std::string(1 << 20, 's'));
      most = std::max(most, c.unsent_bytes());
    }
  };
  Peer stuck(server.listener().address(), 4'096);
  CHECK(EventuallyClosed(server, {CloseReason::kSlowReader}));
  CHECK(most <= (9 << 20) + 100);
}

TEST_CASE("a paused connection holds its frames and gives them out in order when resumed") {
  Server server;
  std::atomic<int> seen{0};
  server.script.on_frame = [&](Connection& c, const proto::Frame& frame) {
    ++seen;
    Echo(c, frame);
    if (frame.header.request_id % 3 == 0) c.PauseReading(Connection::Pause::kInFlight);
  };
  Peer peer(server);
  std::string ten;
  for (uint32_t i = 1; i <= 10; ++i) ten += FrameBytes(i, "x");
  peer.Send(ten);
  uint32_t next = 1;
  for (const int stop : {3, 6, 9}) {
    for (; next <= static_cast<uint32_t>(stop); ++next) {
      const auto back = peer.Receive();
      REQUIRE(back);
      REQUIRE(back->header.request_id == next);
    }
    peer.SendFrame(10 + next, "later");
    OnLoop(server.loop(), [] {});
    CHECK(seen == stop);
    OnLoop(server.loop(), [&] {
      Connection& c = *server.loop().Find(1);
      c.ResumeReading(Connection::Pause::kInFlight);
      CHECK(seen == stop);  // not from within
    });
  }
  for (const uint32_t id : {10u, 14u, 17u, 20u}) {
    const auto back = peer.Receive();
    REQUIRE(back);
    CHECK(back->header.request_id == id);
  }
}

TEST_CASE("reading goes on only when no purpose pauses it any more") {
  Server server;
  std::atomic<int> seen{0};
  server.script.on_frame = [&](Connection&, const proto::Frame&) { ++seen; };
  server.script.on_open = [](Connection& c) {
    c.PauseReading(Connection::Pause::kInFlight);
    c.PauseReading(Connection::Pause::kHandler);
    c.PauseReading(Connection::Pause::kHandler);
  };
  Peer peer(server);
  peer.SendFrame(1, "held in the socket");
  REQUIRE(Eventually([&] { return server.stats().connections == 1; }));
  OnLoop(server.loop(), [&] { server.loop().Find(1)->ResumeReading(Connection::Pause::kHandler); });
  for (int i = 0; i < 20; ++i) OnLoop(server.loop(), [] {});
  CHECK(seen == 0);
  CHECK(server.stats().bytes_in == 0);
  OnLoop(server.loop(),
         [&] { server.loop().Find(1)->ResumeReading(Connection::Pause::kInFlight); });
  CHECK(Eventually([&] { return seen == 1; }));
}

TEST_CASE(
    "paused and resumed within one call, a connection loses and repeats nothing, even at its end") {
  Server server;
  std::vector<uint32_t> seen;
  server.script.on_frame = [&](Connection& c, const proto::Frame& frame) {
    seen.push_back(frame.header.request_id);
    c.PauseReading(Connection::Pause::kHandler);
    c.ResumeReading(Connection::Pause::kHandler);
  };
  Peer peer(server);
  std::string many;
  for (uint32_t i = 1; i <= 500; ++i) many += FrameBytes(i, "abc");
  peer.Send(many);
  peer.Close();
  CHECK(EventuallyClosed(server, {CloseReason::kPeerClosed}));
  REQUIRE(seen.size() == 500);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("a connection may be closed while it waits to be resumed") {
  Server server;
  std::atomic<int> frames{0};
  server.script.on_frame = [&](Connection& c, const proto::Frame&) {
    ++frames;
    c.PauseReading(Connection::Pause::kHandler);
    // Resumed at a turn's end, its frames would come at the next one; by then it is gone.
    c.loop().AtTurnEnd([&c] {
      c.ResumeReading(Connection::Pause::kHandler);
      c.Close(false);
    });
  };
  for (int i = 0; i < 20; ++i) {
    Peer peer(server);
    peer.Send(FrameBytes(1, "a") + FrameBytes(2, "b") + FrameBytes(3, "c"));
    CHECK_FALSE(peer.Receive());
  }
  CHECK(Eventually([&] { return server.script.closed().size() == 20; }));
  CHECK(frames == 20);
}

TEST_CASE(
    "a frame above the limit before login is refused with words that arrive, whatever else was "
    "sent") {
  Server server;
  server.script.on_too_large = [](Connection& c, const proto::FrameHeader& header) {
    c.Send({.flags = proto::kFlagAnswer | proto::kFlagError, .request_id = header.request_id},
           "at most 4096 bytes before login");
  };
  Peer peer(server);
  peer.SendFrame(1, std::string(4'096, 'y'));
  REQUIRE(peer.Receive());
  // Far more than one read takes: what is never read must not turn our words into a reset.
  std::thread sender([&] { peer.SendFrame(2, std::string(100'000, 'n')); });
  const auto refused = peer.Receive();
  REQUIRE(refused);
  CHECK(refused->header.request_id == 2);
  CHECK(refused->header.is_error());
  CHECK(peer.AtEnd());
  sender.join();
  peer.Close();
  CHECK(EventuallyClosed(server, {CloseReason::kFrameTooLarge}));
}

TEST_CASE("a limit raised after login holds from the next frame") {
  Server server;
  server.script.on_frame = [](Connection& c, const proto::Frame& frame) {
    c.set_max_payload(1 << 20);
    Echo(c, frame);
  };
  Peer peer(server);
  peer.Send(FrameBytes(1, "login") + FrameBytes(2, std::string(1 << 20, 'b')));
  REQUIRE(peer.Receive());
  const auto big = peer.Receive();
  REQUIRE(big);
  CHECK(big->payload.size() == 1 << 20);
}

TEST_CASE("garbage closes its own connection and nobody else's") {
  Server server;
  Peer good(server), bad(server);
  bad.Send(std::string(1'000, '\xee'));
  CHECK(bad.AtEnd());
  bad.Close();
  CHECK(EventuallyClosed(server, {CloseReason::kFrameTooLarge}));
  good.SendFrame(1, "still here");
  CHECK(good.Receive());
}

TEST_CASE("Close with flush sends everything first, however much, and delivers no frame any more") {
  Server server;
  std::atomic<int> seen{0};
  server.script.on_frame = [&](Connection& c, const proto::Frame&) {
    ++seen;
    for (uint32_t i = 1; i <= 10; ++i) c.Send({.request_id = i}, std::string(1 << 20, 'l'));
    c.Close(true);
    CHECK(c.loop().Find(c.id()) == nullptr);
    c.Send({.request_id = 99}, "too late");
  };
  Peer peer(server.listener().address(), 4'096);
  peer.Send(FrameBytes(1, "a") + FrameBytes(2, "b") + FrameBytes(3, "c"));
  for (uint32_t i = 1; i <= 10; ++i) {
    const auto got = peer.Receive();
    REQUIRE(got);
    REQUIRE(got->header.request_id == i);
  }
  CHECK(peer.AtEnd());
  peer.Close();
  CHECK(EventuallyClosed(server, {CloseReason::kClosedByUs}));
  CHECK(seen == 1);
}

TEST_CASE("who does not close after our Close is closed after a while") {
  Server server;
  server.script.on_frame = [](Connection& c, const proto::Frame&) { c.Close(true); };
  Peer peer(server);
  peer.SendFrame(1, "bye");
  CHECK(peer.AtEnd());
  CHECK(EventuallyClosed(server, {CloseReason::kClosedByUs}));
}

TEST_CASE("who takes nothing after our Close is closed after the stall time") {
  ListenerOptions options;
  options.slow_reader_ms = 300;
  Server server(1, options);
  server.script.on_open = [](Connection& c) {
    for (int i = 0; i < 10; ++i) c.Send({}, std::string(1 << 20, 'l'));
    c.Close(true);
  };
  Peer stuck(server.listener().address(), 4'096);
  CHECK(Eventually([&] { return server.script.closed().size() == 1; }));
}

TEST_CASE("Close without flush ends at once, from within a frame too") {
  Server server;
  std::atomic<int> seen{0};
  server.script.on_frame = [&](Connection& c, const proto::Frame& frame) {
    ++seen;
    Echo(c, frame);
    c.Close(false);
    c.Close(true);
    c.Close(false);
  };
  Peer peer(server);
  peer.Send(FrameBytes(1, "a") + FrameBytes(2, "b"));
  CHECK_FALSE(peer.Receive());
  CHECK(EventuallyClosed(server, {CloseReason::kClosedByUs}));
  CHECK(seen == 1);
}

TEST_CASE("a peer that shuts down its sending side still gets the answers to what it sent") {
  Server server;
  Peer peer(server);
  peer.Send(FrameBytes(1, "one") + FrameBytes(2, "two"));
  peer.ShutdownWrite();
  CHECK(peer.Receive());
  CHECK(peer.Receive());
  CHECK(peer.AtEnd());
  CHECK(EventuallyClosed(server, {CloseReason::kPeerClosed}));
}

TEST_CASE("a reset is the end of its connection only") {
  Server server;
  Peer good(server);
  Reasons expected;
  for (int i = 0; i < 20; ++i) {
    Peer bad(server);
    bad.SendFrame(1, "x");
    REQUIRE(bad.Receive());
    bad.Reset();
    expected.push_back(CloseReason::kPeerReset);
  }
  CHECK(EventuallyClosed(server, expected));
  good.SendFrame(1, "still here");
  CHECK(good.Receive());
}

TEST_CASE("sending to a peer that has gone is an error of the connection, not a signal") {
  Server server;
  {
    Peer gone(server);
    REQUIRE(Eventually([&] { return server.stats().connections == 1; }));
    // Not read from, so its going shows only when something is sent.
    OnLoop(server.loop(),
           [&] { server.loop().Find(1)->PauseReading(Connection::Pause::kHandler); });
    gone.Reset();
  }
  CHECK(Eventually([&] {
    OnLoop(server.loop(), [&] {
      if (Connection* c = server.loop().Find(1)) c->Send({}, "hello?");
    });
    return server.script.closed().size() == 1;
  }));
}

TEST_CASE("ids are found while open, never given twice, and lead to the right connection") {
  Server server;
  std::set<uint64_t> ids;
  std::mutex mutex;
  server.script.on_open = [&](Connection& c) {
    const std::lock_guard lock(mutex);
    CHECK(ids.insert(c.id()).second);
  };
  for (int i = 0; i < 10; ++i) {
    Peer peer(server);
    peer.SendFrame(1, "x");
    REQUIRE(peer.Receive());
  }
  Peer peer(server);
  peer.SendFrame(1, "x");
  REQUIRE(peer.Receive());
  REQUIRE(Eventually([&] { return server.script.closed().size() == 10; }));
  CHECK(ids.size() == 11);
  OnLoop(server.loop(), [&] {
    size_t found = 0;
    for (const uint64_t id : ids) {
      if (Connection* c = server.loop().Find(id)) {
        ++found;
        CHECK(c->id() == id);
        c->Send({.request_id = 77}, "push by id");
      }
    }
    CHECK(found == 1);
  });
  const auto push = peer.Receive();
  REQUIRE(push);
  CHECK(push->header.request_id == 77);
}

TEST_CASE("handlers may close and send to other connections from wherever they are called") {
  Server server;
  server.script.on_frame = [&](Connection& c, const proto::Frame& frame) {
    for (uint64_t id = 1; id <= 20; ++id) {
      Connection* other = c.loop().Find(id);
      if (other == nullptr || other == &c) continue;
      other->Send({}, frame.payload);
      if (id % 2 == 0) other->Close(id % 4 == 0);
    }
  };
  server.script.on_closed = [&](Connection& c, CloseReason) {
    for (uint64_t id = 1; id <= 20; ++id) {
      if (Connection* other = c.loop().Find(id)) {
        other->Send({}, "somebody left");
        other->ResumeReading(Connection::Pause::kHandler);
        if (id > 10) other->Close(false);
      }
    }
  };
  std::vector<Peer> peers;
  for (int i = 0; i < 20; ++i) peers.emplace_back(server);
  REQUIRE(Eventually([&] { return server.stats().connections == 20; }));
  for (Peer& peer : peers) peer.SendSome(FrameBytes(1, "go"));
  for (Peer& peer : peers) peer.Close();
  CHECK(Eventually([&] { return server.script.closed().size() == 20; }));
}

TEST_CASE("stopping a loop tries what is queued, closes its connections and ends their handlers") {
  Server server(2);
  server.script.on_open = [](Connection& c) { c.set_max_payload(1 << 20); };
  Peer a(server), b(server);
  for (Peer* peer : {&a, &b}) {
    peer->SendFrame(1, "x");
    REQUIRE(peer->Receive());
  }
  OnLoop(server.loop(0), [&] { server.loop(0).Find(1)->Send({.request_id = 5}, "last words"); });
  server.Stop();
  CHECK(server.script.closed() == Reasons{CloseReason::kShutdown, CloseReason::kShutdown});
  const auto last = a.Receive();
  REQUIRE(last);
  CHECK(last->payload == "last words");
  CHECK_FALSE(a.Receive());
  CHECK_FALSE(b.Receive());
}

}  // namespace
}  // namespace hongyan::net
