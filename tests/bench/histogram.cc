#include "histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace hongyan::bench {
namespace {

constexpr int kPartBits = 7;                            // 128 parts a power of two
constexpr uint64_t kLinear = uint64_t{2} << kPartBits;  // below it every value has its own bucket
constexpr uint64_t kLargest = (uint64_t{1} << 36) - 1;

size_t BucketOf(uint64_t us) {
  if (us < kLinear) return static_cast<size_t>(us);
  const int shift = std::bit_width(us) - (kPartBits + 1);
  return (static_cast<size_t>(shift) << kPartBits) + static_cast<size_t>(us >> shift);
}

// The largest value of a bucket.
uint64_t TopOf(size_t bucket) {
  if (bucket < kLinear) return bucket;
  const size_t shift = (bucket >> kPartBits) - 1;
  const uint64_t part = bucket - (shift << kPartBits);
  return ((part + 1) << shift) - 1;
}

}  // namespace

void Histogram::AddNs(int64_t ns) {
  const uint64_t us = std::min(static_cast<uint64_t>(std::max<int64_t>(ns, 0)) / 1000, kLargest);
  const size_t bucket = BucketOf(us);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  max_us_ = std::max(max_us_, static_cast<int64_t>(us));
}

void Histogram::Clear() {
  buckets_.clear();
  count_ = 0;
  max_us_ = 0;
}

double Histogram::PercentileMs(double percent) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(static_cast<double>(count_) * percent / 100.0);
  int64_t below = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    below += buckets_[i];
    if (static_cast<double>(below) >= wanted) {
      const auto top = static_cast<int64_t>(TopOf(i));
      return static_cast<double>(std::min(top, max_us_)) / 1000.0;
    }
  }
  return MaxMs();
}

}  // namespace hongyan::bench
