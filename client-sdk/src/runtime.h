#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "hongyan/runtime.h"

struct uv_loop_s;

namespace hongyan {

namespace sdk {

// Something that has gathered bytes during a loop turn and writes them at its end.
class Flushable {
 public:
  virtual void Flush() = 0;

 protected:
  ~Flushable() = default;
};

// A one-shot timer. All timers of a runtime share one timer of the loop: an armed one is a pointer
// in a heap, and nothing wakes up before the first is due. Disarmed by its destructor. Runtime's
// thread.
class Timer {
 public:
  Timer(Runtime& runtime, std::function<void()> on_fire)
      : runtime_(runtime), on_fire_(std::move(on_fire)) {}
  ~Timer() { Disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Fires once, `delay_ms` from now (0 = in the next turn of the loop); an armed timer is moved.
  // The callback may arm it again or destroy it.
  void Arm(int64_t delay_ms);
  void Disarm();
  bool armed() const { return slot_ != kNotArmed; }
  int64_t due_ms() const { return due_ms_; }  // as Runtime::now_ms(); only while armed

 private:
  friend class hongyan::Runtime;
  static constexpr size_t kNotArmed = ~size_t{0};
  Runtime& runtime_;
  std::function<void()> on_fire_;
  int64_t due_ms_ = 0;
  size_t slot_ = kNotArmed;
};

}  // namespace sdk

// Declared to apps in hongyan/runtime.h; this is its inside, for the SDK and for load tools.
//
// Links and timers on it must be gone before it is destroyed. Destroying it runs what was posted,
// then ends the thread. Any thread but its own.
class Runtime {
 public:
  using Task = std::function<void()>;

  Runtime();
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Runs the task on the runtime's thread, in the order of posting; never from inside Post. Any
  // thread.
  void Post(Task task);

  // Runs it there and waits for it (at once when called on the thread itself). Any thread.
  template <class F>
  auto Run(F work) -> std::invoke_result_t<F> {
    if (on_thread()) return work();
    std::packaged_task<std::invoke_result_t<F>()> task(std::move(work));
    auto done = task.get_future();
    Post([&task] { task(); });
    return done.get();
  }

  bool on_thread() const { return std::this_thread::get_id() == thread_id_; }

  // Milliseconds of the steady clock as the current turn of the loop sees it. Runtime's thread.
  int64_t now_ms() const;

  // ---- for links and timers; runtime's thread ----
  uv_loop_s* loop() { return loop_; }

  // All reads of all links go here: a loop reads one socket at a time, so an idle link needs no
  // buffer.
  static constexpr size_t kReadBufferBytes = 256 * 1024;
  char* read_buffer() { return read_buffer_.data(); }

  // Flush is called once before the loop waits again. Forget takes back what was asked.
  void FlushAtEndOfTurn(sdk::Flushable* what) { dirty_.push_back(what); }
  void Forget(sdk::Flushable* what);

 private:
  friend class sdk::Timer;
  struct Handles;

  void ThreadMain(std::promise<void>& ready);
  void RunPosted();
  void FlushDirty();

  // The heap of timers: the earliest at 0.
  void Insert(sdk::Timer& timer);
  void Remove(sdk::Timer& timer);
  void Place(size_t slot, sdk::Timer* timer);
  void SiftUp(size_t slot);
  void SiftDown(size_t slot);
  void FireDue();
  void AimLoopTimer();

  uv_loop_s* loop_ = nullptr;
  Handles* handles_ = nullptr;
  std::vector<char> read_buffer_;
  std::vector<sdk::Flushable*> dirty_;
  std::vector<sdk::Flushable*> flushing_;
  std::vector<sdk::Timer*> timers_;
  bool firing_ = false;

  std::mutex mutex_;  // guards posted_ and stopping_
  std::vector<Task> posted_;
  bool stopping_ = false;
  std::vector<Task> running_;

  std::thread::id thread_id_;
  std::thread thread_;
};

}  // namespace hongyan
