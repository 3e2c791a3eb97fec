#include "tests/unit/client-sdk/person.h"

#include <chrono>

#include <doctest/doctest.h>

namespace hongyan {

Person::Person(FakeHongyan& server, std::string name) : server_(server), name_(std::move(name)) {
  timing.reconnect_min_ms = 5;
  timing.reconnect_max_ms = 40;
  timing.sync_retry_min_ms = 5;
  timing.sync_retry_max_ms = 40;
  timing.idle_sync_ms = 20;
}

Options Person::MakeOptions() const {
  Options options;
  options.address = server_.address();
  options.user_name = name_;
  options.password = password;
  options.store = store;
  options.timing = timing;
  options.wire_tap = tap;
  return options;
}

void Person::Open() {
  auto opened = Client::Open(MakeOptions(), MakeEvents());
  REQUIRE(opened.ok());
  client = *std::move(opened);
}

void Person::Crash() {
  client.reset();
  std::lock_guard lock(mutex_);
  connected = stopped = synced = 0;
}

Conversation Person::With(const std::string& other) const {
  return Conversation::Between({server_.UserIdOf(name_)}, {server_.UserIdOf(other)});
}

void Person::WaitUntil(const std::function<bool()>& done) {
  std::unique_lock lock(mutex_);
  REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), done));
}

void Person::WaitTexts(const std::vector<std::string>& expected) {
  std::unique_lock lock(mutex_);
  const bool came = changed_.wait_for(lock, std::chrono::seconds(20),
                                      [&] { return texts.size() >= expected.size(); });
  CHECK(came);
  CHECK(texts == expected);
}

void Person::WaitConnected(int times) {
  WaitUntil([&] { return connected >= times; });
}

Events Person::MakeEvents() {
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
  events.on_packet_returned = [this](const PacketReturned& what) {
    Note([&] {
      returned.push_back(what);
      texts.push_back("returned");
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

void Person::Note(const std::function<void()>& change) {
  {
    std::lock_guard lock(mutex_);
    change();
  }
  changed_.notify_all();
}

Result<Sent> Wait(std::future<Result<Sent>>& future) {
  REQUIRE(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  return future.get();
}

std::vector<std::string> Numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i < to; ++i) all.push_back("m" + std::to_string(i));
  return all;
}

}  // namespace hongyan
