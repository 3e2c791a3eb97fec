#pragma once

// Inside of the room: the only headers that see <uv.h> are *_impl.h, and only net's sources include
// them.

#include <absl/container/flat_hash_map.h>
#include <uv.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/connection.h"
#include "net/loop.h"
#include "net/timer_wheel.h"

namespace hongyan::net {

// Something with libuv handles on a loop that is not a connection: a listener, a watch on signals.
// It closes them when the loop ends before it does. Loop thread.
class Resident {
 public:
  virtual ~Resident() = default;
  virtual void CloseHandles() = 0;
};

// Written by the loop thread only, read by any.
class Count {
 public:
  void Add(int64_t n) { value_.store(get() + n, std::memory_order_relaxed); }
  int64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

struct UvLoop {
  UvLoop();
  ~UvLoop();  // REQUIRES all handles closed
  uv_loop_t uv;
};

struct Loop::Impl : UvLoop {
  explicit Impl(Loop& owner);
  ~Impl();

  void Run();
  void RunPosted();
  void EndTurn();
  void ArmGrain();
  void BeginStop();
  void StopIfEmpty();

  // Buffers for writes go round instead of being allocated for each turn. Bounded.
  std::string TakeBuffer();
  void GiveBuffer(std::string buffer);

  // Reads of all connections go into one buffer: an idle connection holds none. The size bounds
  // what one connection can have held back when its handler pauses it.
  static constexpr size_t kReadBytes = 16 << 10;
  // What one connection may bring in one turn; the rest waits in its socket until the others had
  // theirs.
  static constexpr size_t kReadBytesPerTurn = 64 << 10;

  Loop& self;
  uv_async_t wake;
  uv_prepare_t before_poll;
  uv_check_t after_poll;
  uv_idle_t more_to_do;  // active: the next poll does not wait
  uv_timer_t grain;
  std::thread thread;
  std::atomic<bool> started{false};
  std::atomic<std::thread::id> thread_id{};

  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // guarded by mutex
  bool ended = false;                         // guarded by mutex

  // From here on: loop thread.
  TimerWheel timers;
  bool stopping = false;
  uint32_t turn = 0;
  uint64_t last_connection_id = 0;
  absl::flat_hash_map<uint64_t, Connection::Impl*> connections;  // until their handle is closed
  std::vector<Resident*> residents;
  std::vector<std::function<void()>> batch, turn_end, turn_end_batch;
  std::vector<Connection::Impl*> resumed, resumed_batch;  // may have held frames to deliver
  std::vector<Connection::Impl*> touched, touched_batch;  // to write, to stop or start reading
  std::vector<std::string> spare_buffers;
  std::unique_ptr<char[]> read_buffer = std::make_unique<char[]>(kReadBytes);

  Count turns, reads, bytes_in, frames_in, writes, bytes_out, frames_out, open, slow_readers;
};

// Runs `task` on the loop and returns when it has run, or at once if the loop has ended. REQUIRES a
// started loop. Any thread, the loop's too.
void RunOn(Loop& loop, const std::function<void()>& task);

}  // namespace hongyan::net
