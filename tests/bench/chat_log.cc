#include "chat_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unordered_map>

namespace hongyan::bench {
namespace {

constexpr std::string_view kNobody = "log";

// Past `[03:41] `, if the line begins with a time.
std::string_view WithoutTime(std::string_view line) {
  if (line.empty() || line.front() != '[') return line;
  const size_t end = line.find(']');
  if (end == std::string_view::npos || end == 1) return line;
  const std::string_view time = line.substr(1, end - 1);
  if (time.find_first_not_of("0123456789:.") != std::string_view::npos) return line;
  line.remove_prefix(end + 1);
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  return line;
}

std::string_view FirstWord(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find(' '));
}

}  // namespace

std::string_view SenderOf(std::string_view line) {
  const std::string_view rest = WithoutTime(line);
  if (rest.starts_with('<')) {
    const size_t end = rest.find('>');
    if (end != std::string_view::npos && end > 1) return rest.substr(1, end - 1);
    return kNobody;
  }
  for (const std::string_view mark : {std::string_view("* "), std::string_view("=== ")}) {
    if (!rest.starts_with(mark)) continue;
    const std::string_view word = FirstWord(rest.substr(mark.size()));
    return word.empty() ? kNobody : word;
  }
  return kNobody;
}

ChatLog ParseChatLog(std::string name, std::string_view bytes) {
  ChatLog log;
  log.name = std::move(name);
  std::unordered_map<std::string, uint32_t> index;
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    const auto [it, is_new] =
        index.try_emplace(std::string(SenderOf(line)), static_cast<uint32_t>(log.nicks.size()));
    if (is_new) log.nicks.push_back(it->first);
    log.lines.emplace_back(line);
    log.sender.push_back(it->second);
  }
  return log;
}

base::Result<ChatLog> ReadChatLog(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored)) {
    return base::Error(base::Code::kNotFound,
                       "cannot read the log " + path + ": " +
                           (file ? "it is a folder; name its files" : std::strerror(errno)));
  }
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return ParseChatLog(std::filesystem::path(path).filename().string(), bytes);
}

}  // namespace hongyan::bench
