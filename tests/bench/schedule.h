#pragma once

#include <cstdint>
#include <random>

namespace hongyan::bench {

// An open loop: message i is planned at start + i / rate, whatever became of those before it, so a
// stall shows in the latency of everything that was planned meanwhile. Times are of the monotonic
// clock.
class OpenLoop {
 public:
  OpenLoop() = default;
  // REQUIRES rate_per_s > 0.
  OpenLoop(int64_t start_ns, double rate_per_s)
      : start_ns_(start_ns), interval_ns_(1e9 / rate_per_s) {}

  int64_t PlannedNs(int64_t i) const {
    return start_ns_ + static_cast<int64_t>(static_cast<double>(i) * interval_ns_);
  }

 private:
  int64_t start_ns_ = 0;
  double interval_ns_ = 1e9;
};

// When the server is killed: at random intervals between half and double of the wish, from one
// seed.
class KillSchedule {
 public:
  KillSchedule(uint64_t seed, double every_s) : random_(seed), every_s_(every_s) {}

  // Seconds that the server may run this time.
  double NextS() { return std::uniform_real_distribution<>(every_s_ / 2, every_s_ * 2)(random_); }

 private:
  std::mt19937_64 random_;
  double every_s_;
};

}  // namespace hongyan::bench
