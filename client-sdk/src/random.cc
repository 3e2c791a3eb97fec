#include "client-sdk/src/random.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "client-sdk/src/check.h"

namespace hongyan::sdk {

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  for (size_t at = 0; at < count; at += 256) {  // getentropy gives at most 256 bytes at once
    SDK_CHECK(getentropy(bytes.data() + at, std::min<size_t>(count - at, 256)) == 0);
  }
  return bytes;
}

int64_t RandomBelow(int64_t limit) {
  if (limit < 1) return 0;
  uint64_t drawn;
  SDK_CHECK(getentropy(&drawn, sizeof drawn) == 0);
  return static_cast<int64_t>(drawn %
                              static_cast<uint64_t>(limit));  // waits need no better evenness
}

std::string UuidV7(int64_t unix_ms) {
  std::string id = RandomBytes(16);
  for (int i = 0; i < 6; ++i) {
    id[static_cast<size_t>(i)] = static_cast<char>(static_cast<uint64_t>(unix_ms) >> (40 - 8 * i));
  }
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x70);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

int64_t WallClockMs() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

int64_t Backoff::Next(int64_t hint_ms) {
  const int64_t ceiling = std::min(max_ms_, min_ms_ << std::min(failures_, 20));
  ++failures_;
  return std::max(RandomBelow(ceiling + 1), hint_ms);
}

}  // namespace hongyan::sdk
