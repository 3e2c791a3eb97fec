#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hongyan::bench {

// A recorded chat, one line an event, in order:
//
//   [03:41] <nick> text of the message         a message
//   [03:41]  * nick waves                      an action
//   === nick [n=user@host] has joined #ubuntu  a system line
//
// A line of no such form belongs to `log`.
struct ChatLog {
  std::string name;                // of the file, without its folder
  std::vector<std::string> lines;  // raw bytes without the newline; nothing is trimmed or decoded
  std::vector<uint32_t> sender;    // of each line, index into nicks
  std::vector<std::string> nicks;  // each once, by first appearance; any bytes
};

// The nick a line belongs to.
std::string_view SenderOf(std::string_view line);

ChatLog ParseChatLog(std::string name, std::string_view bytes);

// Fails where the file cannot be read.
base::Result<ChatLog> ReadChatLog(const std::string& path);

}  // namespace hongyan::bench
