#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace hongyan::net {

class TimerWheel;

// One libuv loop and its thread. Everything made on a loop lives and dies on its thread; Post is the only
// door for others. The owner calls Start once, and Stop before destruction.
class Loop {
 public:
  explicit Loop(int index);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  int index() const { return index_; }

  void Start();

  // Ends the loop after what is posted already; closes what is still open on it. Joins. Any other thread.
  void Stop();

  // Runs `task` on the loop's thread. A burst of posts wakes the loop once and runs as one batch. Any thread.
  void Post(std::function<void()> task);

  // Runs `task` once at the end of the current turn, after all sockets that were ready have been read: what
  // is gathered over a turn (replies, notifies, submissions) is handed on there. Loop thread.
  void AtTurnEnd(std::function<void()> task);

  // Milliseconds of a clock that never falls, read once per turn. Loop thread.
  int64_t now_ms() const;

  // Loop thread.
  TimerWheel& timers();

  // True on the loop's thread.
  bool InThread() const;

  struct Impl;
  Impl& impl() { return *impl_; }  // for this room only

 private:
  const int index_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hongyan::net
