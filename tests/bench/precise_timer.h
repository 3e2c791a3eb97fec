#pragma once

#include <cstdint>
#include <functional>

#include "client-sdk/src/runtime.h"

struct uv_poll_s;

namespace hongyan::bench {

// Calls back at times given in nanoseconds of the monotonic clock: a loop's own timers count in
// milliseconds, which is as long as the latencies measured here. Load thread.
class PreciseTimer {
 public:
  PreciseTimer(Runtime& runtime, std::function<void()> on_fire);
  ~PreciseTimer();
  PreciseTimer(const PreciseTimer&) = delete;
  PreciseTimer& operator=(const PreciseTimer&) = delete;

  // Fires once, at `at_ns` or as soon as possible after it; replaces what was armed.
  void Arm(int64_t at_ns);
  void Disarm();

 private:
  std::function<void()> on_fire_;
  int fd_ = -1;
  uv_poll_s* poll_ = nullptr;  // frees itself when libuv has let go of it
};

}  // namespace hongyan::bench
