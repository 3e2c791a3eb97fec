#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/clock.h"

namespace hongyan::simulation {

// What is under way in virtual time: each thing happens once, at or after its moment, those of one
// moment in the order in which they were put in. One thread.
class Events {
 public:
  explicit Events(const base::ManualClock& clock) : clock_(clock) {}

  void In(int64_t delay_ns, std::function<void()> what) {
    At(clock_.BootNs() + delay_ns, std::move(what));
  }
  void At(int64_t due_ns, std::function<void()> what) {
    queue_.emplace(std::max(due_ns, clock_.BootNs()), std::move(what));
  }

  void RunDue() {
    while (!queue_.empty() && queue_.begin()->first <= clock_.BootNs()) {
      const auto first = queue_.extract(queue_.begin());
      first.mapped()();
    }
  }

  bool empty() const { return queue_.empty(); }

 private:
  const base::ManualClock& clock_;
  std::multimap<int64_t, std::function<void()>> queue_;
};

}  // namespace hongyan::simulation
