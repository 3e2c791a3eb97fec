#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace hongyan::net {

class Connection;
class TimerWheel;

// What a loop has done since its start. A copy; the counts may be some events apart from each
// other.
struct LoopStats {
  int64_t turns = 0;
  int64_t reads = 0;  // reads that brought bytes
  int64_t bytes_in = 0;
  int64_t frames_in = 0;
  int64_t writes = 0;     // write calls, tried or queued
  int64_t bytes_out = 0;  // handed to the kernel or to libuv's queue
  int64_t frames_out = 0;
  int64_t connections = 0;   // open now
  int64_t slow_readers = 0;  // closed as kSlowReader
};

// One libuv loop and its thread. Everything made on a loop lives and dies on its thread; Post is
// the only door for others. The owner calls Start once, and Stop before destruction.
//
// A turn: timers, then all sockets that are ready and all posted tasks, then the turn's end: first
// frames that were held back on connections resumed meanwhile, then the AtTurnEnd tasks, then one
// write per connection. What these leave behind is done in a next turn that does not wait for
// anything.
class Loop {
 public:
  explicit Loop(int index);

  // REQUIRES stopped, or never started. Tasks never run are destroyed here.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  int index() const { return index_; }

  // Starts the thread. Sets SIGPIPE to be ignored if it is at its default: a peer that has gone
  // must be an error of its connection, not the end of the process.
  void Start();

  // Ends the loop after what is posted already: closes what is still open on it (connections as
  // kShutdown, what they have queued is tried once). Joins. May be repeated. Any other thread.
  void Stop();

  // Runs `task` on the loop's thread, in the order of posting. A burst of posts wakes the loop once
  // and runs as one batch; a task posted by a task runs in the next turn. False if the loop has
  // ended: then the task is destroyed without having run. Before Start it waits for it. Any thread.
  bool Post(std::function<void()> task);

  // Runs `task` once at the end of the current turn, after all sockets that were ready have been
  // read and before the turn's writes: what is gathered over a turn (replies, notifies,
  // submissions) is handed on there. Asked for by such a task, it runs at the end of the next turn.
  // Loop thread.
  void AtTurnEnd(std::function<void()> task);

  // The connection of that id, or null if it has been closed, or is being closed. Loop thread.
  Connection* Find(uint64_t connection_id);

  // Milliseconds of a clock that never falls, read once per turn. Loop thread.
  int64_t now_ms() const;

  // Loop thread.
  TimerWheel& timers();

  // True on the loop's thread.
  bool InThread() const;

  // Any thread.
  LoopStats stats() const;

  struct Impl;
  Impl& impl() { return *impl_; }  // for this room only

 private:
  const int index_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hongyan::net
