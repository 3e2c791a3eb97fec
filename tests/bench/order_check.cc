#include "order_check.h"

#include <algorithm>

namespace hongyan::bench {

OrderCheck::Seen OrderCheck::Add(uint32_t number) {
  if (number == next_) {
    ++next_;
    return Seen::kNext;
  }
  if (number > next_) {
    for (; next_ < number; ++next_) missing_.push_back(next_);
    ++next_;
    return Seen::kAhead;
  }
  const auto it = std::lower_bound(missing_.begin(), missing_.end(), number);
  if (it == missing_.end() || *it != number) return Seen::kAgain;
  missing_.erase(it);
  return Seen::kLate;
}

}  // namespace hongyan::bench
