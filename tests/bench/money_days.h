#pragma once

#include <cstdint>
#include <string>

namespace hongyan::bench {

struct DaysOptions {
  int64_t packets = 1'000'000;
  int32_t days = 40;
  std::string data;
};

// So many packets over so many days of a manual clock: sent, announced, opened, some left to
// expire; each day is archived once it is drained, while a few packets of the first day stay open
// for 35 days and share their slot with a later day. At the end a day comes back and goes again,
// and an opener of each day asks once more. Prints a line per day: what an open took, what a packet
// holds on disk, what the process holds in memory. The exit code is not 0 where anything was
// refused that should not be, or the books do not add up.
int FortyDays(const DaysOptions& options);

}  // namespace hongyan::bench
