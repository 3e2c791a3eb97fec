#include "proto/frame.h"

#include <algorithm>
#include <cassert>

namespace hongyan::proto {

FrameHeader ReadFrameHeader(const void* p) {
  const auto* b = static_cast<const uint8_t*>(p);
  const auto u16 = [b](int i) { return static_cast<uint16_t>(b[i] << 8 | b[i + 1]); };
  const auto u32 = [b](int i) {
    return uint32_t{b[i]} << 24 | uint32_t{b[i + 1]} << 16 | uint32_t{b[i + 2]} << 8 | b[i + 3];
  };
  return {.length = u32(0), .command = u16(4), .flags = u16(6), .request_id = u32(8)};
}

void WriteFrameHeader(const FrameHeader& header, void* out) {
  auto* b = static_cast<uint8_t*>(out);
  const auto u16 = [b](int i, uint16_t v) {
    b[i] = static_cast<uint8_t>(v >> 8);
    b[i + 1] = static_cast<uint8_t>(v);
  };
  const auto u32 = [b](int i, uint32_t v) {
    for (int k = 0; k < 4; ++k) b[i + k] = static_cast<uint8_t>(v >> (24 - 8 * k));
  };
  u32(0, header.length);
  u16(4, header.command);
  u16(6, header.flags);
  u32(8, header.request_id);
}

void AppendFrame(std::string& out, FrameHeader header, std::string_view payload) {
  header.length = static_cast<uint32_t>(payload.size());
  char raw[kFrameHeaderBytes];
  WriteFrameHeader(header, raw);
  out.append(raw, sizeof raw);
  out.append(payload);
}

void FrameSplitter::Feed(std::string_view bytes) {
  assert(fed_.empty());
  fed_ = bytes;
}

// Moves fed bytes to the kept ones until `want` are together; false if there are not that many.
bool FrameSplitter::TopUp(size_t want) {
  const size_t have = kept_.size() - begin_;
  if (have >= want) return true;
  if (begin_ > 0) {
    kept_.erase(0, begin_);
    begin_ = 0;
  }
  const size_t take = std::min(want - have, fed_.size());
  kept_.append(fed_.substr(0, take));
  fed_.remove_prefix(take);
  return have + take == want;
}

bool FrameSplitter::Accepts(const FrameHeader& header) {
  if (header.length > max_payload_) refused_ = header;
  return !refused_;
}

std::optional<Frame> FrameSplitter::Next() {
  if (refused_) return std::nullopt;
  if (begin_ == kept_.size()) {
    kept_.clear();
    begin_ = 0;
    if (fed_.size() < kFrameHeaderBytes) return std::nullopt;
    const FrameHeader header = ReadFrameHeader(fed_.data());
    const size_t whole = kFrameHeaderBytes + header.length;
    if (!Accepts(header) || fed_.size() < whole) return std::nullopt;
    const Frame frame{header, fed_.substr(kFrameHeaderBytes, header.length)};
    fed_.remove_prefix(whole);
    return frame;
  }
  if (!TopUp(kFrameHeaderBytes)) return std::nullopt;
  const FrameHeader header = ReadFrameHeader(kept_.data() + begin_);
  const size_t whole = kFrameHeaderBytes + header.length;
  if (!Accepts(header) || !TopUp(whole)) return std::nullopt;
  const Frame frame{header, {kept_.data() + begin_ + kFrameHeaderBytes, header.length}};
  begin_ += whole;
  return frame;
}

void FrameSplitter::Keep() {
  if (begin_ == kept_.size()) {
    // A fresh string rather than clear(): clear keeps the memory.
    std::string(fed_).swap(kept_);
  } else if (begin_ > 0) {
    std::string rest;
    rest.reserve(buffered());
    rest.append(kept_, begin_).append(fed_);
    rest.swap(kept_);
  } else {
    kept_.append(fed_);
  }
  begin_ = 0;
  fed_ = {};
}

}  // namespace hongyan::proto
