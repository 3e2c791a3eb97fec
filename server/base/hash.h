#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace hongyan::base {

using SipKey = std::array<uint8_t, 16>;

// SipHash-2-4 as a big-endian number. Any thread.
uint64_t SipHash(std::string_view data, const SipKey& key);

}  // namespace hongyan::base
