#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// What hongyan-admin reads from people and shows to them. Values; one thread.

namespace hongyan::admin_cli {

// Harmless on a terminal: control characters and what is no UTF-8 written out as \x1b. Every text
// that is not our own goes through here before it is printed.
std::string Shown(std::string_view text);

// For errors: as Shown, and the middle of a long text left out; its end often says the reason.
std::string ShownShort(std::string_view text);

struct Line {
  size_t number = 0;  // in the file, from 1
  std::string text;
};

// The lines of a file ("-": standard input) without the empty ones, trailing carriage returns and a
// byte order mark.
// A file that cannot be read to its end, is no UTF-8 or has a line of more than 4 KiB is an error
// and nothing of it is used.
base::Result<std::vector<Line>> ReadLines(const std::string& path);

// Sixteen bytes of 32 hexadecimal digits; none: not of this form.
std::optional<std::string> ParseHex16(const std::string& hex);

// 2026-01-31 10:11:12Z; "-" for 0.
std::string TimeText(int64_t ms);

// Checks for CLI11: the empty string, or what is wrong. An id is 1 to 2^63 - 1, a count is 0 to
// 2^32 - 1: CLI11 itself takes what does not fit for the largest that does.
std::string CheckId(const std::string& word);
std::string CheckCount(const std::string& word);

}  // namespace hongyan::admin_cli
