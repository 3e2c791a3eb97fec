#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hongyan::bench {

// What a message of the load says: who wrote it, which of theirs it is and when it was planned, so
// that its reader needs no table; then filler that depends on the first two, so that a changed byte
// is noticed.
//
//   wwwwwwww nnnnnnnn tttttttttttttttt fff...     hexadecimal without the blanks, 32 bytes + filler
struct Stamp {
  uint32_t writer = 0;
  uint32_t number = 0;
  int64_t planned_ns = 0;

  static constexpr size_t kBytes = 32;
};

// A serialized hongyan.v1.Body of kind text whose text has `text_bytes` >= Stamp::kBytes bytes. Any
// thread.
void WriteStampedBody(const Stamp& stamp, size_t text_bytes, std::string& out);

// False where the body is not exactly one that WriteStampedBody makes. Any thread.
bool ReadStampedBody(std::string_view body, size_t text_bytes, Stamp* stamp);

}  // namespace hongyan::bench
