#pragma once

#include <cstdint>
#include <vector>

namespace hongyan::bench {

// Latencies in buckets that are log-linear, as HdrHistogram has them: each power of two is cut into
// 128 equal parts, so a percentile is off by less than 0.8 % and an hour of samples costs 20 KB.
// One thread.
class Histogram {
 public:
  // Negative counts as 0; above about 19 hours as that.
  void AddNs(int64_t ns);
  void Clear();

  int64_t count() const { return count_; }

  // The smallest value that `percent` of all samples do not exceed; 0 without samples.
  double PercentileMs(double percent) const;
  double MaxMs() const { return static_cast<double>(max_us_) / 1000.0; }

 private:
  std::vector<uint32_t> buckets_;  // grows to the largest value seen
  int64_t count_ = 0;
  int64_t max_us_ = 0;
};

}  // namespace hongyan::bench
