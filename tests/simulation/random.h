#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hongyan::simulation {

// The one source of chance in a run: everything a seed decides is drawn from here, in the order in
// which it is asked. SplitMix64 (Steele, Lea, Flood 2014), so that a seed means the same on every
// machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // 0 .. n-1; REQUIRES n > 0.
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next() % static_cast<uint64_t>(n)); }

  // Both ends included.
  int64_t Between(int64_t low, int64_t high) { return low + Below(high - low + 1); }

  bool Chance(double p) { return static_cast<double>(Next() >> 11) * 0x1p-53 < p; }

  template <class T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(Below(static_cast<int64_t>(from.size())))];
  }

  template <class Bytes>
  void Fill(Bytes& bytes) {
    for (auto& byte : bytes) byte = static_cast<uint8_t>(Next());
  }

 private:
  uint64_t state_;
};

}  // namespace hongyan::simulation
