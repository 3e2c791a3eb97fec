#include "client-sdk/src/runtime.h"

#include <signal.h>
#include <uv.h>

#include <algorithm>
#include <utility>

#include "client-sdk/src/check.h"

namespace hongyan {

struct Runtime::Handles {
  uv_loop_t loop;
  uv_async_t wake;
  uv_prepare_t end_of_turn;
  uv_timer_t timer;
};

std::shared_ptr<Runtime> NewRuntime() { return std::make_shared<Runtime>(); }

Runtime::Runtime() : read_buffer_(kReadBufferBytes) {
  std::promise<void> ready;
  thread_ = std::thread([this, &ready] { ThreadMain(ready); });
  ready.get_future().get();
}

Runtime::~Runtime() {
  SDK_CHECK(!on_thread());
  Post([this] {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  });
  thread_.join();
}

void Runtime::ThreadMain(std::promise<void>& ready) {
  // A write to a closed connection is an error we read, not a signal; only this thread writes.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);

  Handles handles;
  handles_ = &handles;
  loop_ = &handles.loop;
  SDK_CHECK(uv_loop_init(loop_) == 0);
  SDK_CHECK(uv_async_init(loop_, &handles.wake,
                          [](uv_async_t* h) { static_cast<Runtime*>(h->data)->RunPosted(); }) == 0);
  SDK_CHECK(uv_prepare_init(loop_, &handles.end_of_turn) == 0);
  SDK_CHECK(uv_timer_init(loop_, &handles.timer) == 0);
  handles.wake.data = handles.end_of_turn.data = handles.timer.data = this;
  uv_prepare_start(&handles.end_of_turn,
                   [](uv_prepare_t* h) { static_cast<Runtime*>(h->data)->FlushDirty(); });
  thread_id_ = std::this_thread::get_id();
  ready.set_value();

  uv_run(loop_, UV_RUN_DEFAULT);  // until RunPosted finds the end and closes the handles
  SDK_CHECK(timers_.empty());
  SDK_CHECK(uv_loop_close(loop_) == 0);
}

int64_t Runtime::now_ms() const { return static_cast<int64_t>(uv_now(loop_)); }

void Runtime::Post(Task task) {
  bool was_empty;
  {
    std::lock_guard lock(mutex_);
    was_empty = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (was_empty) uv_async_send(&handles_->wake);
}

void Runtime::RunPosted() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      running_.swap(posted_);
      if (running_.empty() && stopping_) {
        for (auto* h : {reinterpret_cast<uv_handle_t*>(&handles_->wake),
                        reinterpret_cast<uv_handle_t*>(&handles_->end_of_turn),
                        reinterpret_cast<uv_handle_t*>(&handles_->timer)}) {
          if (!uv_is_closing(h)) uv_close(h, nullptr);
        }
      }
    }
    if (running_.empty()) return;
    for (Task& task : running_) task();
    running_.clear();
    // What the tasks posted waits for the next turn, so that sockets get theirs; it woke the loop
    // already.
    std::lock_guard lock(mutex_);
    if (!stopping_) return;
  }
}

void Runtime::Forget(sdk::Flushable* what) {
  std::replace(dirty_.begin(), dirty_.end(), what, static_cast<sdk::Flushable*>(nullptr));
  std::replace(flushing_.begin(), flushing_.end(), what, static_cast<sdk::Flushable*>(nullptr));
}

void Runtime::FlushDirty() {
  while (!dirty_.empty()) {
    flushing_.swap(dirty_);
    for (size_t i = 0; i < flushing_.size(); ++i) {
      if (flushing_[i] != nullptr) flushing_[i]->Flush();
    }
    flushing_.clear();
  }
}

// ---- timers ----

void sdk::Timer::Arm(int64_t delay_ms) {
  SDK_CHECK(runtime_.on_thread());
  if (armed()) runtime_.Remove(*this);
  // While timers fire, 0 means the next turn: a timer that arms itself cannot hold the loop.
  due_ms_ = runtime_.now_ms() + std::max<int64_t>(delay_ms, runtime_.firing_ ? 1 : 0);
  runtime_.Insert(*this);
}

void sdk::Timer::Disarm() {
  if (armed()) runtime_.Remove(*this);
}

void Runtime::Place(size_t slot, sdk::Timer* timer) {
  timers_[slot] = timer;
  timer->slot_ = slot;
}

void Runtime::SiftUp(size_t slot) {
  sdk::Timer* timer = timers_[slot];
  while (slot > 0) {
    const size_t parent = (slot - 1) / 2;
    if (timers_[parent]->due_ms_ <= timer->due_ms_) break;
    Place(slot, timers_[parent]);
    slot = parent;
  }
  Place(slot, timer);
}

void Runtime::SiftDown(size_t slot) {
  sdk::Timer* timer = timers_[slot];
  for (;;) {
    size_t child = 2 * slot + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && timers_[child + 1]->due_ms_ < timers_[child]->due_ms_)
      ++child;
    if (timer->due_ms_ <= timers_[child]->due_ms_) break;
    Place(slot, timers_[child]);
    slot = child;
  }
  Place(slot, timer);
}

void Runtime::Insert(sdk::Timer& timer) {
  timers_.push_back(&timer);
  timer.slot_ = timers_.size() - 1;
  SiftUp(timer.slot_);
  if (timer.slot_ == 0) AimLoopTimer();
}

void Runtime::Remove(sdk::Timer& timer) {
  SDK_CHECK(on_thread());
  const size_t slot = timer.slot_;
  timer.slot_ = sdk::Timer::kNotArmed;
  sdk::Timer* last = timers_.back();
  timers_.pop_back();
  if (last != &timer) {
    Place(slot, last);
    SiftDown(slot);
    SiftUp(last->slot_);
  }
  if (timers_.empty()) AimLoopTimer();  // else it fires early at most once, and aims again
}

void Runtime::AimLoopTimer() {
  if (firing_) return;
  if (timers_.empty()) {
    uv_timer_stop(&handles_->timer);
    return;
  }
  const int64_t delay = std::max<int64_t>(timers_[0]->due_ms_ - now_ms(), 0);
  uv_timer_start(
      &handles_->timer, [](uv_timer_t* h) { static_cast<Runtime*>(h->data)->FireDue(); },
      static_cast<uint64_t>(delay), 0);
}

void Runtime::FireDue() {
  firing_ = true;
  const int64_t now = now_ms();
  while (!timers_.empty() && timers_[0]->due_ms_ <= now) {
    sdk::Timer* timer = timers_[0];
    Remove(*timer);
    const std::function<void()> on_fire = timer->on_fire_;  // the callback may destroy its timer
    on_fire();
  }
  firing_ = false;
  AimLoopTimer();
}

}  // namespace hongyan
