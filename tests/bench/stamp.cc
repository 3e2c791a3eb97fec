#include "stamp.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace hongyan::bench {
namespace {

constexpr size_t kNoise = 1 << 16;

// Letters nobody can compress well, the same in every run.
const std::string& Noise() {
  static const std::string noise = [] {
    std::string text(2 * kNoise, 0);
    std::mt19937 random(20'000);
    for (char& c : text) c = static_cast<char>('a' + random() % 26);
    return text;
  }();
  return noise;
}

void AppendVarint(std::string& out, size_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}

size_t VarintBytes(size_t v) { return v < 0x80 ? 1 : 1 + VarintBytes(v >> 7); }

void AppendHex(std::string& out, uint64_t v, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out.push_back("0123456789abcdef"[v >> shift & 15]);
  }
}

bool ReadHex(std::string_view digits, uint64_t* v) {
  *v = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    *v = *v << 4 | static_cast<uint64_t>(digit);
  }
  return true;
}

// The filler repeats with a period of 64 KiB; a body is at most a few of them.
size_t NoiseStart(const Stamp& stamp) {
  return (stamp.writer * size_t{7919} + stamp.number * size_t{131}) % kNoise;
}

}  // namespace

void WriteStampedBody(const Stamp& stamp, size_t text_bytes, std::string& out) {
  out.clear();
  // Body{text = 1: Text{text = 1}}: both are field 1 of type bytes.
  out.push_back(0x0a);
  AppendVarint(out, 1 + VarintBytes(text_bytes) + text_bytes);
  out.push_back(0x0a);
  AppendVarint(out, text_bytes);
  AppendHex(out, stamp.writer, 8);
  AppendHex(out, stamp.number, 8);
  AppendHex(out, static_cast<uint64_t>(stamp.planned_ns), 16);
  size_t from = NoiseStart(stamp);
  for (size_t left = text_bytes - Stamp::kBytes; left > 0; from = 0) {
    const size_t part = std::min(left, Noise().size() - from);
    out.append(Noise(), from, part);
    left -= part;
  }
}

bool ReadStampedBody(std::string_view body, size_t text_bytes, Stamp* stamp) {
  const size_t head =
      2 + VarintBytes(text_bytes) + VarintBytes(1 + VarintBytes(text_bytes) + text_bytes);
  if (body.size() != head + text_bytes) return false;
  const std::string_view text = body.substr(head);
  uint64_t writer = 0;
  uint64_t number = 0;
  uint64_t planned = 0;
  if (!ReadHex(text.substr(0, 8), &writer) || !ReadHex(text.substr(8, 8), &number) ||
      !ReadHex(text.substr(16, 16), &planned)) {
    return false;
  }
  stamp->writer = static_cast<uint32_t>(writer);
  stamp->number = static_cast<uint32_t>(number);
  stamp->planned_ns = static_cast<int64_t>(planned);
  size_t from = NoiseStart(*stamp);
  std::string_view filler = text.substr(Stamp::kBytes);
  for (; !filler.empty(); from = 0) {
    const size_t part = std::min(filler.size(), Noise().size() - from);
    if (std::memcmp(filler.data(), Noise().data() + from, part) != 0) return false;
    filler.remove_prefix(part);
  }
  return true;
}

}  // namespace hongyan::bench
