#pragma once

#include <cstdint>
#include <vector>

namespace hongyan::bench {

// What one reader sees of one writer who numbers its messages 0, 1, 2, ... Small, because there is
// one per (reader, writer). One thread.
class OrderCheck {
 public:
  enum class Seen : uint8_t {
    kNext,   // as it should be
    kAgain,  // was here before: a duplicate
    kAhead,  // numbers before it have not come: they are missing until they do
    kLate,   // one of the missing: not lost, but out of order
  };
  Seen Add(uint32_t number);

  // How many different numbers were seen.
  int64_t seen() const {
    return static_cast<int64_t>(next_) - static_cast<int64_t>(missing_.size());
  }

 private:
  uint32_t next_ = 0;              // the highest number seen, plus 1
  std::vector<uint32_t> missing_;  // below next_, rising
};

}  // namespace hongyan::bench
