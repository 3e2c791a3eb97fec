#pragma once

#include <cstdint>
#include <string>

namespace hongyan::money {

// The calendar year of a time as the users of red packets count it: UTC+8, whatever the server's
// zone. Any thread.
int32_t YearOf(int64_t time_ms);

// A day of packets, days since 1970-01-01 UTC, as "2026-11-21". Any thread.
std::string DayText(int32_t day);

}  // namespace hongyan::money
