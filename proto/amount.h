#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hongyan::proto {

// Amounts are int64 fen on the wire and in the stores; people read and write yuan. Values; any
// thread.

// "12", "12.3" and "12.34" yuan as fen; none: not an amount above 0 in this form.
std::optional<int64_t> ParseYuan(std::string_view text);

// 1234 fen as "12.34".
std::string YuanText(int64_t fen);

}  // namespace hongyan::proto
