#include "shard/shard_time.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/log.h"

namespace hongyan::shard {

base::Result<void> ShardTime::Start(int64_t head_ms) {
  const int64_t wall_ms = clock_.WallMs();
  if (wall_ms < head_ms - kRefuseBehindMs) {
    return base::Error(
        base::Code::kFailedPrecondition,
        "the clock of this machine is " + std::to_string((head_ms - wall_ms) / 1000) +
            " s behind the last stored batch: set the clock right, then start again");
  }
  now_ns_ = std::max(head_ms, wall_ms) * 1'000'000;
  boot_ns_ = clock_.BootNs();
  return {};
}

int64_t ShardTime::NowMs() {
  const int64_t boot_ns = clock_.BootNs();
  const int64_t elapsed = std::max<int64_t>(0, boot_ns - boot_ns_);
  boot_ns_ = boot_ns;
  const int64_t gap_ns = clock_.WallMs() * 1'000'000 - (now_ns_ + elapsed);
  const int64_t slew = elapsed / 100;
  now_ns_ += elapsed + std::clamp(gap_ns, -slew, slew);
  const int64_t gap_ms = gap_ns / 1'000'000;  // positive = the wall clock is ahead
  const bool alarm = std::abs(gap_ms) > kAlarmGapMs;
  if (alarm && !alarmed_) LOG_WARN("clock_gap gap_ms={} slewing=1%", gap_ms);
  alarmed_ = alarm;
  return now_ns_ / 1'000'000;
}

}  // namespace hongyan::shard
