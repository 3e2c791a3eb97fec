#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "model/command.h"
#include "model/ids.h"

namespace hongyan::overload {

struct AdmissionOptions {
  // Average queuing time above which the shards count as overloaded. DAGOR has 20 ms; a shard that
  // commits a thousand records at a time needs more at its very maximum, with a thousand senders
  // waiting.
  double queue_ms = 100;
  int64_t retry_min_ms = 250;  // refusals name a pause between these two
  int64_t retry_max_ms = 1250;
};

// Refuses early what the shards could not do in time (law 7). The signal is the average time
// commands wait in the executors' queues, not CPU: a full CPU with short queues is a machine well
// used.
//
// A request has a level: its class, and inside a class a bucket of its user that changes every
// hour, so that overload always hits the same few first, but never for long. What is at or above
// `limit` is refused. Once per window the limit moves: down by the share that is too much, as
// counted by level in the last window; up by one part in fifty, and faster where queues are nearly
// empty. (The scheme is that of DAGOR, Zhou
// et al., SoCC 2018.)
//
// Admit: any thread. Observe: one thread.
class Admission {
 public:
  // `clock` outlives it. `seed` spreads users differently in each process.
  Admission(const base::Clock& clock, const AdmissionOptions& options, uint64_t seed);

  // BUSY with a hint, spread at random so that the refused do not come back together.
  base::Result<void> Admit(model::Priority priority, model::UserId user);

  // A refusal of the same form, for a queue found full.
  base::Error Busy();

  // Called about once a second with the executors' queuing time.
  void Observe(double queue_ms);

  // Parts of the levels that are admitted: 1 = everything.
  double open() const;
  int64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  static constexpr int kClasses = 6;
  static constexpr int kBuckets = 128;
  static constexpr int kLevels = kClasses * kBuckets;
  static constexpr int kIdleStep =
      kLevels / 16;  // with empty queues all is open again after 16 windows

  int LevelOf(model::Priority priority, model::UserId user) const;

  const base::Clock& clock_;
  const AdmissionOptions options_;
  const uint64_t seed_;
  std::atomic<int> limit_{kLevels};
  std::atomic<int64_t> refused_{0};
  std::atomic<uint64_t> spread_{0};
  std::array<std::atomic<uint32_t>, kLevels> arrived_{};  // in this window, refused or not
};

}  // namespace hongyan::overload
