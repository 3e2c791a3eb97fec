#include "admin/cli/text.h"

#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <utility>

#include "base/bytes.h"

namespace hongyan::admin_cli {
namespace {

constexpr size_t kShortBytes = 400;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // some editors begin files with it
constexpr size_t kMaxLineBytes = 4096;  // names end at 64 bytes, passwords at 256

bool IsNumber(const std::string& word, int64_t least, int64_t most) {
  int64_t value = 0;
  const char* const end = word.data() + word.size();
  const auto [at, error] = std::from_chars(word.data(), end, value);
  return error == std::errc() && at == end && value >= least && value <= most;
}

}  // namespace

std::string Shown(std::string_view text) {
  const bool utf8 = base::IsUtf8(text);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are two bytes, the first of them C2.
    const bool begins_c1 = utf8 && c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (begins_c1) ++i;
    if (c < 0x20 || c == 0x7f || begins_c1 || (!utf8 && c >= 0x80)) {
      out += "\\x" + base::ToHex(text.substr(i, 1));
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

std::string ShownShort(std::string_view text) {
  if (text.size() <= kShortBytes) return Shown(text);
  // The cuts fall between characters.
  size_t head = kShortBytes / 2;
  size_t tail = text.size() - kShortBytes / 2;
  const auto inside = [text](size_t i) { return (text[i] & 0xc0) == 0x80; };
  while (head > 0 && inside(head)) --head;
  while (tail < text.size() && inside(tail)) ++tail;
  return Shown(text.substr(0, head)) + " ... " + Shown(text.substr(tail));
}

base::Result<std::vector<Line>> ReadLines(const std::string& path) {
  using base::Code;
  using base::Error;
  const std::string name = path == "-" ? "standard input" : path;
  std::error_code ignored;
  if (path != "-" && std::filesystem::is_directory(path, ignored)) {
    return Error(Code::kInvalidArgument, name + " is a directory: give a file in it");
  }
  std::ifstream file;
  if (path != "-") file.open(path);
  std::istream& in = path == "-" ? std::cin : file;
  if (!in) {
    return Error(Code::kNotFound, "cannot read " + name +
                                      ": give a file that exists and may be read, or - for "
                                      "standard input");
  }
  std::vector<Line> lines;
  size_t number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    if (number == 1 && text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    if (!text.empty() && text.back() == '\r') text.pop_back();
    if (text.size() > kMaxLineBytes) {
      return Error(Code::kInvalidArgument, "line " + std::to_string(number) + " of " + name +
                                               " has " + std::to_string(text.size()) +
                                               " bytes: is this the right file?");
    }
    if (!base::IsUtf8(text)) {
      return Error(Code::kInvalidArgument, "line " + std::to_string(number) + " of " + name +
                                               " is not UTF-8: convert the file first");
    }
    if (!text.empty()) lines.push_back({number, std::move(text)});
  }
  if (in.bad()) {
    return Error(Code::kUnavailable, "reading " + name + " failed after line " +
                                         std::to_string(number) + "; nothing of it was used");
  }
  return lines;
}

std::optional<std::string> ParseHex16(const std::string& hex) {
  if (hex.size() != 32 || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
    return std::nullopt;
  }
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string TimeText(int64_t ms) {
  if (ms == 0) return "-";
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &utc);
  return text;
}

std::string CheckId(const std::string& word) {
  if (IsNumber(word, 1, INT64_MAX)) return {};
  return "'" + ShownShort(word) +
         "' is no id: ids are positive numbers, as hongyan-admin prints them";
}

std::string CheckCount(const std::string& word) {
  if (IsNumber(word, 0, UINT32_MAX)) return {};
  return "'" + ShownShort(word) + "' is not a whole number from 0 to 4294967295";
}

}  // namespace hongyan::admin_cli
