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

// Cuts a stream of bytes into frames, without copying those that arrive whole:
//
//   splitter.Feed(read_bytes);
//   while (auto frame = splitter.Next()) ...
//   splitter.Keep();  // the read buffer may be used again
//
// Only the beginning of an unfinished frame (and frames held back by leaving the loop early) is
// copied, by Keep. One thread.
class FrameSplitter {
 public:
  explicit FrameSplitter(size_t max_payload) : max_payload_(max_payload) {}

  // Payloads above it are an error; takes effect with the next header. Raised after login.
  void set_max_payload(size_t bytes) { max_payload_ = bytes; }

  // Goes on with `bytes`, which stay where they are until Keep. REQUIRES that what was fed before
  // has been kept, or used up.
  void Feed(std::string_view bytes);

  // The next whole frame, or none yet. Its payload is valid until the next call of anything. After
  // refused() nothing more comes.
  std::optional<Frame> Next();

  // The header that announced more than the limit, if one did.
  const std::optional<FrameHeader>& refused() const { return refused_; }

  // Copies what has not been taken out; holds no memory when that is nothing.
  void Keep();

  // Bytes not taken out yet, whole frames or not.
  size_t buffered() const { return kept_.size() - begin_ + fed_.size(); }

 private:
  bool TopUp(size_t want);
  bool Accepts(const FrameHeader& header);

  std::string kept_;  // from earlier reads; what counts begins at begin_
  size_t begin_ = 0;
  std::string_view fed_;  // follows what is kept
  size_t max_payload_;
  std::optional<FrameHeader> refused_;
};

}  // namespace hongyan::proto
