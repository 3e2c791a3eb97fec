#include "proto/frame.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/doctest_last.h"

namespace hongyan::proto {
namespace {

struct Cut {
  FrameHeader header;
  std::string payload;
  bool operator==(const Cut& o) const {
    return header.length == o.header.length && header.command == o.header.command &&
           header.flags == o.header.flags && header.request_id == o.header.request_id &&
           payload == o.payload;
  }
};

Cut Made(uint16_t command, uint16_t flags, uint32_t request_id, std::string payload) {
  const auto length = static_cast<uint32_t>(payload.size());
  return {{length, command, flags, request_id}, std::move(payload)};
}

std::string Wire(const std::vector<Cut>& frames) {
  std::string out;
  for (const Cut& f : frames) AppendFrame(out, f.header, f.payload);
  return out;
}

// Feeds the pieces, each from a buffer of its own that is gone when Keep has returned.
std::vector<Cut> Split(FrameSplitter& splitter, const std::vector<std::string>& pieces) {
  std::vector<Cut> out;
  for (const std::string& piece : pieces) {
    auto copy = std::make_unique<std::string>(piece);
    splitter.Feed(*copy);
    while (const auto frame = splitter.Next()) {
      out.push_back({frame->header, std::string(frame->payload)});
    }
    splitter.Keep();
    copy.reset();
  }
  return out;
}

std::vector<Cut> Some() {
  return {Made(1, 0, 1, "hello"), Made(0xfffe, kFlagAnswer, 0xfffffffe, ""),
          Made(7, kFlagAnswer | kFlagError, 42, std::string(300, '\xff')),
          Made(2, 0x8000, 0, std::string("\0\0\0\x05 not a header", 17))};
}

TEST_CASE("the header lies on the wire as drawn, big endian") {
  char raw[kFrameHeaderBytes];
  WriteFrameHeader({0x01020304, 0x0506, 0x0708, 0x090a0b0c}, raw);
  CHECK(std::string(raw, sizeof raw) == "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c");
  const FrameHeader back = ReadFrameHeader(raw);
  CHECK(back.length == 0x01020304);
  CHECK(back.command == 0x0506);
  CHECK(back.flags == 0x0708);
  CHECK(back.request_id == 0x090a0b0c);
}

TEST_CASE("the length in the header is that of the payload, whatever the caller wrote there") {
  std::string out;
  AppendFrame(out, {999, 1, 0, 1}, "abc");
  CHECK(out.size() == kFrameHeaderBytes + 3);
  CHECK(ReadFrameHeader(out.data()).length == 3);
}

TEST_CASE("answer and error are bits 0 and 1, other bits are carried but mean nothing") {
  CHECK(FrameHeader{.flags = 0xfffd}.is_answer());
  CHECK_FALSE(FrameHeader{.flags = 0xfffd}.is_error());
  CHECK(FrameHeader{.flags = 0xfffe}.is_error());
  CHECK_FALSE(FrameHeader{.flags = 0xfffe}.is_answer());
}

TEST_CASE("frames cut at any two bytes come out as they went in") {
  const std::vector<Cut> frames = Some();
  const std::string wire = Wire(frames);
  for (size_t a = 0; a <= wire.size(); ++a) {
    for (size_t b = a; b <= wire.size(); ++b) {
      FrameSplitter splitter(1000);
      const auto got = Split(splitter, {wire.substr(0, a), wire.substr(a, b - a), wire.substr(b)});
      REQUIRE(got == frames);
      REQUIRE(splitter.buffered() == 0);
    }
  }
}

TEST_CASE("frames fed one byte at a time come out as they went in") {
  const std::vector<Cut> frames = Some();
  std::vector<std::string> bytes;
  for (const char c : Wire(frames)) bytes.emplace_back(1, c);
  FrameSplitter splitter(1000);
  CHECK(Split(splitter, bytes) == frames);
}

TEST_CASE("a frame that arrived whole is not copied") {
  const std::string wire = Wire(Some());
  FrameSplitter splitter(1000);
  splitter.Feed(wire);
  while (const auto frame = splitter.Next()) {
    CHECK(frame->payload.data() > wire.data());
    CHECK(frame->payload.data() <= wire.data() + wire.size());
  }
  splitter.Keep();
  CHECK(splitter.buffered() == 0);
}

TEST_CASE(
    "frames held back come out later, before what follows, wherever the cut and the hold fall") {
  std::vector<Cut> frames = Some();
  frames.push_back(Made(9, 0, 9, "last"));
  const std::string wire = Wire(frames);
  for (size_t cut = 0; cut <= wire.size(); ++cut) {
    for (size_t take = 0; take <= frames.size(); ++take) {
      FrameSplitter splitter(1000);
      std::vector<Cut> got;
      const auto next = [&] {
        const auto frame = splitter.Next();
        if (frame) got.push_back({frame->header, std::string(frame->payload)});
        return frame.has_value();
      };
      auto first = std::make_unique<std::string>(wire, 0, cut);
      splitter.Feed(*first);
      for (size_t i = 0; i < take && next(); ++i) {
      }
      splitter.Keep();
      first.reset();
      if (take % 2 == 0) next();  // one more while nothing is fed
      splitter.Feed(std::string_view(wire).substr(cut));
      while (next()) {
      }
      splitter.Keep();
      REQUIRE(got == frames);
      REQUIRE(splitter.buffered() == 0);
    }
  }
}

TEST_CASE("a payload above the limit is refused at its header, nothing follows it") {
  FrameSplitter splitter(10);
  const std::string wire = Wire({Made(1, 0, 1, std::string(10, 'x')),
                                 Made(2, 0, 2, std::string(11, 'x')), Made(3, 0, 3, "")});
  SUBCASE("read at once") { CHECK(Split(splitter, {wire}).size() == 1); }
  SUBCASE("only its header has come, in two parts") {
    CHECK(Split(splitter, {wire.substr(0, 30), wire.substr(30, 4)}).size() == 1);
  }
  REQUIRE(splitter.refused());
  CHECK(splitter.refused()->request_id == 2);
  CHECK(Split(splitter, {Wire({Made(4, 0, 4, "")})}).empty());
}

TEST_CASE("the largest possible length is refused, not added up over the edge") {
  FrameSplitter splitter(1 << 20);
  CHECK(Split(splitter, {std::string(64, '\xff')}).empty());
  CHECK(splitter.refused());
}

TEST_CASE("a limit raised between two frames holds for the second") {
  FrameSplitter splitter(4);
  const std::string wire = Wire({Made(1, 0, 1, "1234"), Made(2, 0, 2, "12345678")});
  splitter.Feed(wire);
  REQUIRE(splitter.Next());
  splitter.set_max_payload(8);
  const auto second = splitter.Next();
  REQUIRE(second);
  CHECK(second->payload == "12345678");
}

TEST_CASE(
    "garbage in any pieces never yields more bytes than were fed, and never a frame too large") {
  std::mt19937 random(20);
  for (int round = 0; round < 2'000; ++round) {
    FrameSplitter splitter(random() % 5'000);
    size_t fed = 0, taken = 0;
    for (int i = 0; i < 20; ++i) {
      std::string piece(random() % 600, '\0');
      // Mostly small lengths, else every other stream ends at its first header.
      for (char& c : piece) c = random() % 3 == 0 ? static_cast<char>(random()) : '\0';
      fed += piece.size();
      for (const Cut& frame : Split(splitter, {piece})) {
        taken += kFrameHeaderBytes + frame.payload.size();
      }
      if (splitter.refused()) break;
      REQUIRE(taken + splitter.buffered() == fed);
    }
    REQUIRE(taken <= fed);
  }
}

}  // namespace
}  // namespace hongyan::proto
