#pragma once

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace hongyan::simulation {

// An invariant that does not hold, in words.
class Broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

#define INVARIANT(holds, ...)                                                      \
  do {                                                                             \
    if (!(holds)) throw ::hongyan::simulation::Broken(::fmt::format(__VA_ARGS__)); \
  } while (false)

// What happened in a run, as text lines: hashed always, so that two runs can be compared, printed
// on demand.
class Trace {
 public:
  explicit Trace(bool verbose) : verbose_(verbose) {}

  template <class... Args>
  void Note(fmt::format_string<Args...> format, Args&&... args) {
    line_.clear();
    fmt::format_to(std::back_inserter(line_), format, std::forward<Args>(args)...);
    for (const char c : line_) hash_ = (hash_ ^ static_cast<uint8_t>(c)) * 0x100000001b3;  // FNV-1a
    ++lines_;
    if (verbose_)
      std::printf("%6lld %.*s\n", static_cast<long long>(step), static_cast<int>(line_.size()),
                  line_.data());
  }

  uint64_t hash() const { return hash_; }
  int64_t lines() const { return lines_; }

  int64_t step = 0;

 private:
  const bool verbose_;
  uint64_t hash_ = 0xcbf29ce484222325;
  int64_t lines_ = 0;
  fmt::memory_buffer line_;
};

}  // namespace hongyan::simulation
