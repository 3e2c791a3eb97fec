#include "money/calendar.h"

#include <chrono>
#include <ctime>

namespace hongyan::money {

int32_t YearOf(int64_t time_ms) {
  using std::chrono::days;
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::milliseconds> local{std::chrono::milliseconds(time_ms) +
                                                               std::chrono::hours(8)};
  return static_cast<int>(std::chrono::year_month_day(floor<days>(local)).year());
}

std::string DayText(int32_t day) {
  const std::time_t seconds = static_cast<std::time_t>(day) * 86'400;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

}  // namespace hongyan::money
