#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"

namespace hongyan::shard {

// The time all rules of age and expiry use. It starts at the later of the newest
// head and the wall clock, runs at the rate of the boot clock and is slewed to the wall clock by at
// most 1 %; it never falls. So no step of the clock expires, revives, doubles or freezes anything.
// Executor's thread.
class ShardTime {
 public:
  static constexpr int64_t kRefuseBehindMs = 5 * 60 * 1000;
  static constexpr int64_t kAlarmGapMs = 2000;

  explicit ShardTime(const base::Clock& clock) : clock_(clock) {}

  // Refuses where the wall clock is more than 5 minutes behind `head_ms`, the newest time in a
  // head.
  base::Result<void> Start(int64_t head_ms);

  int64_t NowMs();

 private:
  const base::Clock& clock_;
  int64_t now_ns_ = 0;
  int64_t boot_ns_ = 0;
  bool alarmed_ = false;
};

}  // namespace hongyan::shard
