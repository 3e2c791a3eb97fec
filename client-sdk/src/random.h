#pragma once

#include <cstdint>
#include <string>

namespace hongyan::sdk {

// From the system's generator; aborts if that fails. Any thread.
std::string RandomBytes(size_t count);
int64_t RandomBelow(int64_t limit);  // 0 <= x < limit; 0 for a limit below 1

// A UUIDv7 (RFC 9562) as 16 raw bytes: 48 bits of milliseconds, 74 random ones. Any thread.
std::string UuidV7(int64_t unix_ms);

// Milliseconds of the wall clock since 1970. Any thread.
int64_t WallClockMs();

// Waits that grow: drawn evenly between 0 and min * 2^failures, at most max (full jitter), never
// less than the server's hint. One thread.
class Backoff {
 public:
  Backoff(int64_t min_ms, int64_t max_ms) : min_ms_(min_ms), max_ms_(max_ms) {}

  int64_t Next(int64_t hint_ms = 0);
  void Reset() { failures_ = 0; }
  void set_max(int64_t max_ms) { max_ms_ = max_ms; }
  int failures() const { return failures_; }

 private:
  int64_t min_ms_;
  int64_t max_ms_;
  int failures_ = 0;
};

}  // namespace hongyan::sdk
