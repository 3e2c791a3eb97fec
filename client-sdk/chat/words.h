#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Text as people see it on a terminal.

namespace hongyan::chat {

// One visible character: a base with what combines with it, and its width in columns.
struct Glyph {
  std::string bytes;
  int columns = 0;
};

// Cuts UTF-8 into glyphs. What is not UTF-8 becomes U+FFFD; control characters, which could steer
// the terminal, become visible marks; a newline becomes the mark for one.
std::vector<Glyph> Glyphs(std::string_view text);

// The text made harmless for a terminal, newlines kept and followed by `indent`.
std::string ForTerminal(std::string_view text, std::string_view indent);

// The beginning of a text as one harmless line, for a sentence about it; "..." where it was cut.
std::string Excerpt(std::string_view text, size_t max_glyphs = 60);

// "\t", "\n", "\r" and "\\" written out, so that a field stays in its line.
std::string Escaped(std::string_view text);

// "2026-01-31T10:11:12.123Z"; local "10:11", of another day
// than today "01-31 10:11".
std::string UtcTime(int64_t unix_ms);
std::string ClockTime(int64_t unix_ms);

// Split at spaces; what remains of the line after `count` words is the last.
std::vector<std::string> Words(std::string_view line, size_t count = SIZE_MAX);

// From the word `from` on, put together with spaces: a name or a text of several words.
std::string Joined(const std::vector<std::string>& words, size_t from);

std::string ToHex(std::string_view bytes);
bool FromHex(std::string_view hex, std::string* bytes);

}  // namespace hongyan::chat
