#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "client-sdk/src/wire_tap.h"
#include "hongyan/client.h"
#include "tests/unit/client-sdk/fake_hongyan.h"

namespace hongyan {

// A person with one device: a store that outlives its clients, and what the client told. Waits
// fail the test after 20 seconds. Test's thread; the client's events come on the runtime's.
class Person {
 public:
  Person(FakeHongyan& server, std::string name);
  ~Person() { client.reset(); }  // before what its callbacks write to

  Options MakeOptions() const;

  void Open();
  // As if the process were killed: what only this process knew is gone.
  void Crash();

  Conversation With(const std::string& other) const;

  void WaitUntil(const std::function<bool()>& done);
  void WaitTexts(const std::vector<std::string>& expected);
  void WaitConnected(int times = 1);
  template <class F>
  auto Look(F look) {
    std::lock_guard lock(mutex_);
    return look();
  }

  Timing timing;
  std::string password = "secret";
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  std::shared_ptr<sdk::WireTap> tap;
  std::unique_ptr<Client> client;

  // Under the mutex; WaitUntil's condition runs under it.
  std::vector<std::string> texts;
  std::vector<Message> messages;
  std::vector<PacketReturned> returned;
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
  Events MakeEvents();
  void Note(const std::function<void()>& change);

  FakeHongyan& server_;
  std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Two people and a server.
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

// The result, at most 20 seconds later.
Result<Sent> Wait(std::future<Result<Sent>>& future);

// m<from> ... m<to - 1>.
std::vector<std::string> Numbers(int from, int to);

}  // namespace hongyan
