#include "client-sdk/chat/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace hongyan::chat {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr std::string_view kNewlineMark = "\xe2\x8f\x8e";  // U+23CE

bool SteersTerminal(utf8proc_int32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }

// The next code point and its bytes; -1 and one byte where there is none.
utf8proc_int32_t NextCodePoint(std::string_view text, size_t* bytes) {
  utf8proc_int32_t c = -1;
  const auto used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &c);
  *bytes = used > 0 ? static_cast<size_t>(used) : 1;
  return used > 0 ? c : -1;
}

}  // namespace

std::vector<Glyph> Glyphs(std::string_view text) {
  std::vector<Glyph> glyphs;
  utf8proc_int32_t state = 0;
  utf8proc_int32_t previous = -1;
  while (!text.empty()) {
    size_t used;
    const utf8proc_int32_t c = NextCodePoint(text, &used);
    std::string_view bytes = text.substr(0, used);
    int columns = c < 0 ? 1 : std::max(utf8proc_charwidth(c), 0);
    bool plain = false;
    if (c < 0) {
      bytes = kReplacement;
    } else if (c == '\n') {
      bytes = kNewlineMark;
      columns = 1;
    } else if (SteersTerminal(c)) {
      bytes = kReplacement;
      columns = 1;
    } else {
      plain = true;
    }
    const bool joins = plain && previous >= 0 && !glyphs.empty() &&
                       !utf8proc_grapheme_break_stateful(previous, c, &state);
    if (joins) {
      glyphs.back().bytes.append(bytes);
      glyphs.back().columns = std::max(glyphs.back().columns, columns);
    } else {
      glyphs.push_back({std::string(bytes), columns});
      state = 0;
    }
    previous = plain ? c : -1;
    text.remove_prefix(used);
  }
  return glyphs;
}

std::string ForTerminal(std::string_view text, std::string_view indent) {
  std::string out;
  for (;;) {
    const size_t end = text.find('\n');
    for (const Glyph& glyph : Glyphs(text.substr(0, end))) out += glyph.bytes;
    if (end == std::string_view::npos) return out;
    out += '\n';
    out += indent;
    text.remove_prefix(end + 1);
  }
}

std::string Excerpt(std::string_view text, size_t max_glyphs) {
  constexpr size_t kMaxGlyphBytes = 16;  // on average; a letter may carry a hundred accents
  std::string out;
  size_t count = 0;
  const std::string_view begin = text.substr(0, max_glyphs * kMaxGlyphBytes);
  for (const Glyph& glyph : Glyphs(begin)) {
    if (count++ == max_glyphs) return out + "...";
    out += glyph.bytes;
  }
  return begin.size() < text.size() ? out + "..." : out;
}

std::string Escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\\':
        out += "\\\\";
        break;
      default:
        // Nothing a sender writes may steer the terminal the output goes to.
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          static constexpr char kDigits[] = "0123456789abcdef";
          out += {'\\', 'x', kDigits[c >> 4], kDigits[c & 15]};
          break;
        }
        out += c;
    }
  }
  return out;
}

std::string UtcTime(int64_t unix_ms) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  char millis[8];
  std::snprintf(millis, sizeof millis, ".%03dZ", static_cast<int>(unix_ms % 1000));
  return std::string(text, length) + millis;
}

std::string ClockTime(int64_t unix_ms) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::tm today{};
  localtime_r(&seconds, &parts);
  localtime_r(&now, &today);
  const bool of_today = parts.tm_year == today.tm_year && parts.tm_yday == today.tm_yday;
  char text[16];
  return {text, std::strftime(text, sizeof text, of_today ? "%H:%M" : "%m-%d %H:%M", &parts)};
}

std::vector<std::string> Words(std::string_view line, size_t count) {
  std::vector<std::string> words;
  for (;;) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    if (words.size() == count) {
      words.emplace_back(line);
      return words;
    }
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::string Joined(const std::vector<std::string>& words, size_t from) {
  std::string text;
  for (size_t i = from; i < words.size(); ++i) text += (text.empty() ? "" : " ") + words[i];
  return text;
}

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

bool FromHex(std::string_view hex, std::string* bytes) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  bytes->clear();
  if (hex.size() % 2 != 0) return false;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    bytes->push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

}  // namespace hongyan::chat
