#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The frame: what both sides of a connection speak. Big endian.
//
//    0        4        6        8        12            12 + length
//   +--------+--------+--------+--------+-------------+
//   | length | command| flags  | request| payload     |
//   |  u32   |  u16   |  u16   | id u32 | protobuf    |
//   +--------+--------+--------+--------+-------------+
//
// flags: bit 0 = answer, bit 1 = error (payload is hongyan.v1.Error); the others are 0 and ignored.
// A request has a request id other than 0, its answer repeats it; pushes have 0.

namespace hongyan::proto {

constexpr size_t kFrameHeaderBytes = 12;
constexpr uint16_t kFlagAnswer = 1;
constexpr uint16_t kFlagError = 2;

struct FrameHeader {
  uint32_t length = 0;  // of the payload
  uint16_t command = 0;
  uint16_t flags = 0;
  uint32_t request_id = 0;

  bool is_answer() const { return (flags & kFlagAnswer) != 0; }
  bool is_error() const { return (flags & kFlagError) != 0; }
};

// REQUIRES kFrameHeaderBytes readable at `p` (writable at `out`). Any thread.
FrameHeader ReadFrameHeader(const void* p);
void WriteFrameHeader(const FrameHeader& header, void* out);

// Appends header and payload to `out`; header.length is set from the payload.
void AppendFrame(std::string& out, FrameHeader header, std::string_view payload);

struct Frame {
  FrameHeader header;
  std::string_view payload;  // into the buffer it was read from
};

enum class FrameError { kTooLarge };

// Cuts a stream of bytes into frames. Bytes are handed over as they were read; frames point into the
// splitter's own buffer and are valid until the next call. One thread.
class FrameSplitter {
 public:
  explicit FrameSplitter(size_t max_payload) : max_payload_(max_payload) {}

  // Payloads above it are an error; takes effect with the next header. Raised after login.
  void set_max_payload(size_t bytes) { max_payload_ = bytes; }

  // Room for a read of at least `at_least` bytes; Commit says how many were filled.
  char* Reserve(size_t at_least, size_t* room);
  void Commit(size_t bytes);

  // The next whole frame, or none yet. After too_large() nothing more comes.
  std::optional<Frame> Next();
  bool too_large() const { return too_large_; }

  // Bytes held, whole frames or not.
  size_t buffered() const { return end_ - begin_; }

  // Gives the buffer back when it is empty: an idle connection holds no memory for it.
  void ReleaseIfEmpty();

 private:
  std::string buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t max_payload_;
  bool too_large_ = false;
};

}  // namespace hongyan::proto
