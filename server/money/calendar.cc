#include "money/calendar.h"

#include <chrono>

namespace hongyan::money {

int32_t YearOf(int64_t time_ms) {
  using std::chrono::days;
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::milliseconds> local{std::chrono::milliseconds(time_ms) +
                                                               std::chrono::hours(8)};
  return static_cast<int>(std::chrono::year_month_day(floor<days>(local)).year());
}

}  // namespace hongyan::money
