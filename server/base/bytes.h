#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hongyan::base {

// Big-endian integers: the order of bytes is the order of numbers, so keys sort as their fields do.
// Values; any thread.

inline void AppendBe64(std::string& out, uint64_t v) {
  char b[8];
  for (int i = 0; i < 8; ++i) b[i] = static_cast<char>(v >> (56 - 8 * i));
  out.append(b, 8);
}

inline void AppendBe32(std::string& out, uint32_t v) {
  char b[4];
  for (int i = 0; i < 4; ++i) b[i] = static_cast<char>(v >> (24 - 8 * i));
  out.append(b, 4);
}

// REQUIRES at least 8 (4, 2) readable bytes at `p`.
inline uint64_t ReadBe64(const void* p) {
  const auto* b = static_cast<const uint8_t*>(p);
  uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v = v << 8 | b[i];
  return v;
}

inline uint32_t ReadBe32(const void* p) {
  const auto* b = static_cast<const uint8_t*>(p);
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
}

inline uint16_t ReadBe16(const void* p) {
  const auto* b = static_cast<const uint8_t*>(p);
  return static_cast<uint16_t>(b[0] << 8 | b[1]);
}

// Lower-case hexadecimal.
std::string ToHex(std::string_view bytes);

// The first well-formed UTF-8 problem is the answer "false". Overlong forms and surrogates are
// refused.
bool IsUtf8(std::string_view text);

// UTF-8 without control characters (U+0000 to U+001F, U+007F to U+009F): what may be shown on a
// terminal as it is. Names are of this kind.
bool IsPrintableUtf8(std::string_view text);

}  // namespace hongyan::base
