#include "proto/frame.h"

#include <cstring>

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

char* FrameSplitter::Reserve(size_t at_least, size_t* room) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < at_least) {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() - end_ < at_least) buffer_.resize(end_ + at_least);
  }
  *room = buffer_.size() - end_;
  return buffer_.data() + end_;
}

void FrameSplitter::Commit(size_t bytes) { end_ += bytes; }

std::optional<Frame> FrameSplitter::Next() {
  if (too_large_ || end_ - begin_ < kFrameHeaderBytes) return std::nullopt;
  const FrameHeader header = ReadFrameHeader(buffer_.data() + begin_);
  if (header.length > max_payload_) {
    too_large_ = true;
    return std::nullopt;
  }
  const size_t whole = kFrameHeaderBytes + header.length;
  if (end_ - begin_ < whole) return std::nullopt;
  Frame frame{header, {buffer_.data() + begin_ + kFrameHeaderBytes, header.length}};
  begin_ += whole;
  return frame;
}

void FrameSplitter::ReleaseIfEmpty() {
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  std::string().swap(buffer_);
}

}  // namespace hongyan::proto
