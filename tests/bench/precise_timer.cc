#include "precise_timer.h"

#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace hongyan::bench {

PreciseTimer::PreciseTimer(Runtime& runtime, std::function<void()> on_fire)
    : on_fire_(std::move(on_fire)),
      fd_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      poll_(new uv_poll_t) {
  CHECK(fd_ >= 0);
  CHECK(uv_poll_init(runtime.loop(), poll_, fd_) == 0);
  poll_->data = this;
  uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    auto* timer = static_cast<PreciseTimer*>(poll->data);
    uint64_t times = 0;
    if (read(timer->fd_, &times, sizeof times) == sizeof times) timer->on_fire_();
  });
}

PreciseTimer::~PreciseTimer() {
  uv_poll_stop(poll_);
  uv_close(reinterpret_cast<uv_handle_t*>(poll_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
  close(fd_);
}

void PreciseTimer::Arm(int64_t at_ns) {
  at_ns = std::max<int64_t>(at_ns, 1);  // 0 would disarm it
  itimerspec when{};
  when.it_value.tv_sec = at_ns / 1'000'000'000;
  when.it_value.tv_nsec = at_ns % 1'000'000'000;
  CHECK(timerfd_settime(fd_, TFD_TIMER_ABSTIME, &when, nullptr) == 0);
}

void PreciseTimer::Disarm() {
  const itimerspec never{};
  CHECK(timerfd_settime(fd_, 0, &never, nullptr) == 0);
}

}  // namespace hongyan::bench
