#pragma once

#include <cstdint>

namespace hongyan::base {

// The two clocks the server knows. Injected everywhere; nothing else reads the time. Real in the
// server, by hand in tests and the simulator. Any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // UTC, milliseconds since 1970. May step in either direction.
  virtual int64_t WallMs() const = 0;

  // Nanoseconds since the machine booted, sleep included. Never falls; rate of the hardware.
  virtual int64_t BootNs() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t WallMs() const override;
  int64_t BootNs() const override;
};

// Moves only when told to. One thread.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t wall_ms) : wall_ms_(wall_ms) {}

  int64_t WallMs() const override { return wall_ms_; }
  int64_t BootNs() const override { return boot_ns_; }

  // Both clocks go on by `ms` >= 0.
  void Advance(int64_t ms) {
    wall_ms_ += ms;
    boot_ns_ += ms * 1'000'000;
  }

  // Only the wall clock jumps, as when an operator sets it; `ms` may be negative.
  void StepWall(int64_t ms) { wall_ms_ += ms; }

 private:
  int64_t wall_ms_;
  int64_t boot_ns_ = 1'000'000'000;
};

}  // namespace hongyan::base
