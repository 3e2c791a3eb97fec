#include "base/clock.h"

#include <ctime>

namespace hongyan::base {
namespace {

int64_t Nanoseconds(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

int64_t SystemClock::WallMs() const { return Nanoseconds(CLOCK_REALTIME) / 1'000'000; }
int64_t SystemClock::BootNs() const { return Nanoseconds(CLOCK_BOOTTIME); }

}  // namespace hongyan::base
