#include "client-sdk/chat/line_cutter.h"

#include <algorithm>
#include <utility>

namespace hongyan::chat {

void LineCutter::Keep(std::string_view bytes) {
  line_.append(bytes.substr(0, kMaxBytes + 1 - line_.size()));
}

void LineCutter::Feed(std::string_view bytes, const OnLine& on_line) {
  for (size_t end; (end = bytes.find('\n')) != std::string_view::npos;) {
    Keep(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
    const bool whole = line_.size() <= kMaxBytes;
    if (whole && !line_.empty() && line_.back() == '\r') line_.pop_back();
    on_line(std::exchange(line_, {}));
  }
  Keep(bytes);
}

void LineCutter::End(const OnLine& on_line) {
  if (!line_.empty()) on_line(std::exchange(line_, {}));
}

}  // namespace hongyan::chat
