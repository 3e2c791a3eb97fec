#include "overload/admission.h"

#include <algorithm>

#include "model/reason.h"

namespace hongyan::overload {
namespace {

constexpr int64_t kHourNs = int64_t{3600} * 1'000'000'000;

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of
// the output.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

Admission::Admission(const base::Clock& clock, const AdmissionOptions& options, uint64_t seed)
    : clock_(clock), options_(options), seed_(seed) {}

base::Result<void> Admission::Admit(model::Priority priority, model::UserId user) {
  const int level = LevelOf(priority, user);
  arrived_[static_cast<size_t>(level)].fetch_add(1, std::memory_order_relaxed);
  if (level < limit_.load(std::memory_order_relaxed)) return {};
  return Busy();
}

base::Error Admission::Busy() {
  refused_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t random = Mix(seed_ ^ spread_.fetch_add(1, std::memory_order_relaxed));
  const auto range = static_cast<uint64_t>(options_.retry_max_ms - options_.retry_min_ms + 1);
  return model::Refuse(base::Code::kUnavailable, model::Reason::kBusy,
                       "the server is busy: send the same request again after the pause",
                       options_.retry_min_ms + static_cast<int64_t>(random % range));
}

void Admission::Observe(double queue_ms) {
  std::array<int64_t, kLevels> arrived;
  for (size_t level = 0; level < kLevels; ++level) {
    arrived[level] = arrived_[level].exchange(0, std::memory_order_relaxed);
  }
  int limit = limit_.load(std::memory_order_relaxed);
  int64_t admitted = 0;
  for (int level = 0; level < limit; ++level) admitted += arrived[static_cast<size_t>(level)];

  if (queue_ms > options_.queue_ms) {
    // At least a twentieth less, at most half: twice the time means twice too much, but the signal
    // lags.
    const double keep = std::clamp(options_.queue_ms / queue_ms, 0.5, 0.95);
    const auto target = static_cast<int64_t>(static_cast<double>(admitted) * keep);
    while (limit > 1 && admitted > target) admitted -= arrived[static_cast<size_t>(--limit)];
  } else {
    const int64_t target = admitted + admitted / 50 + 1;
    while (limit < kLevels && admitted < target) admitted += arrived[static_cast<size_t>(limit++)];
    // Who is refused comes back seldom, so counting arrivals alone would take minutes to open
    // again.
    if (queue_ms < options_.queue_ms / 4) limit = std::min(kLevels, limit + kIdleStep);
  }
  limit_.store(limit, std::memory_order_relaxed);
}

double Admission::open() const {
  return static_cast<double>(limit_.load(std::memory_order_relaxed)) / kLevels;
}

int Admission::LevelOf(model::Priority priority, model::UserId user) const {
  const int above = kClasses - 1 - static_cast<int>(priority);
  const auto hour = static_cast<uint64_t>(clock_.BootNs() / kHourNs);
  const uint64_t hash = Mix(static_cast<uint64_t>(user.value) ^ Mix(seed_ + hour));
  return above * kBuckets + static_cast<int>(hash % kBuckets);
}

}  // namespace hongyan::overload
