#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace hongyan::chat {

// Cuts what comes by a pipe into lines, without their newlines. Of a line longer than kMaxBytes
// only the first kMaxBytes + 1 are kept: enough for whoever takes it to see that it is too long.
// Main thread.
class LineCutter {
 public:
  static constexpr size_t kMaxBytes = 1 << 20;  // more than the SDK takes for a message
  using OnLine = std::function<void(std::string)>;

  void Feed(std::string_view bytes, const OnLine& on_line);
  void End(const OnLine& on_line);  // the last line may have no newline

 private:
  void Keep(std::string_view bytes);

  std::string line_;
};

}  // namespace hongyan::chat
