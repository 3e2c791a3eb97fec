#pragma once

#include <cstdint>

namespace hongyan::money {

// The calendar year of a time as the users of red packets count it: UTC+8, whatever the server's
// zone. Any thread.
int32_t YearOf(int64_t time_ms);

}  // namespace hongyan::money
