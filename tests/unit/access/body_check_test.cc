#include "access/body_check.h"

#include <functional>
#include <string>

#include "model/reason.h"
#include "tests/doctest_last.h"

namespace hongyan::access {
namespace {

constexpr size_t kMaxBytes = 64 << 10;

base::Result<model::BodyKind> Check(const std::function<void(v1::Body&)>& fill) {
  v1::Body body;
  fill(body);
  v1::Body scratch;
  return CheckBody(body.SerializeAsString(), kMaxBytes, scratch);
}

bool Invalid(const base::Result<model::BodyKind>& result) {
  return !result.ok() &&
         result.error().reason == static_cast<uint16_t>(model::Reason::kBodyInvalid);
}

TEST_CASE("text, media and custom bodies are of their kind") {
  using model::BodyKind;
  CHECK(Check([](auto& b) { b.mutable_text()->set_text("hi"); }).value() == BodyKind::kText);
  CHECK(Check([](auto& b) { b.mutable_text(); }).value() == BodyKind::kText);
  CHECK(Check([](auto& b) { b.mutable_image()->set_url("k"); }).value() == BodyKind::kImage);
  CHECK(Check([](auto& b) { b.mutable_voice()->set_url("k"); }).value() == BodyKind::kVoice);
  CHECK(Check([](auto& b) { b.mutable_video()->set_url("k"); }).value() == BodyKind::kVideo);
  CHECK(Check([](auto& b) { b.mutable_file()->set_url("k"); }).value() == BodyKind::kFile);
  CHECK(Check([](auto& b) { b.mutable_custom()->set_type("game"); }).value() == BodyKind::kCustom);
}

TEST_CASE("text is carried whatever its bytes are") {
  CHECK(Check([](auto& b) { b.mutable_text()->set_text("\xff\xfe\x00latin\xe9"); }).ok());
}

TEST_CASE("what only the server says, and what nobody knows, is invalid") {
  CHECK(Invalid(Check([](auto& b) { b.mutable_system()->mutable_group_created(); })));
  CHECK(Invalid(Check([](auto& b) { b.mutable_red_packet()->set_packet_id(1); })));
  CHECK(Invalid(Check([](auto& b) { b.mutable_transfer()->set_packet_id(1); })));
  CHECK(Invalid(Check([](auto&) {})));
  v1::Body scratch;
  CHECK(Invalid(CheckBody(std::string("\x52\x02hi", 4), kMaxBytes, scratch)));  // field 10
  CHECK(Invalid(CheckBody("\xff\xff\xff", kMaxBytes, scratch)));
}

TEST_CASE("the limits of media and custom bodies hold to the byte") {
  const auto thumbnail = [](size_t bytes) {
    return Check([bytes](auto& b) {
      b.mutable_image()->set_url("k");
      b.mutable_image()->set_thumbnail(std::string(bytes, 'x'));
    });
  };
  CHECK(thumbnail(8192).ok());
  CHECK(Invalid(thumbnail(8193)));
  const auto type = [](size_t bytes) {
    return Check([bytes](auto& b) { b.mutable_custom()->set_type(std::string(bytes, 'x')); });
  };
  CHECK(Invalid(type(0)));
  CHECK(type(64).ok());
  CHECK(Invalid(type(65)));
  const auto sha = [](size_t bytes) {
    return Check([bytes](auto& b) {
      b.mutable_file()->set_url("k");
      b.mutable_file()->set_sha256(std::string(bytes, 'x'));
    });
  };
  CHECK(sha(32).ok());
  CHECK(Invalid(sha(31)));
  CHECK(Invalid(Check([](auto& b) { b.mutable_image()->set_size(1); })));  // no url
  CHECK(Invalid(Check([](auto& b) {
    b.mutable_image()->set_url("k");
    b.mutable_image()->set_size(-1);
  })));
}

TEST_CASE("a body holds one content, so that nothing unseen is stored beside what was checked") {
  v1::Body text;
  text.mutable_text()->set_text("hello");
  v1::Body system;
  system.mutable_system()->mutable_group_created()->set_name("forged");
  v1::Body scratch;
  CHECK(CheckBody(text.SerializeAsString(), 1000, scratch).ok());
  CHECK(Invalid(CheckBody(system.SerializeAsString() + text.SerializeAsString(), 1000, scratch)));
  CHECK(Invalid(CheckBody(text.SerializeAsString() + text.SerializeAsString(), 1000, scratch)));
  // What a later version may add is not ours to judge.
  const std::string unknown("\xa2\x06\x02hi", 5);  // field 100
  CHECK(CheckBody(unknown + text.SerializeAsString(), 1000, scratch).ok());
}

TEST_CASE("a body above the limit is too large, whatever it says") {
  v1::Body scratch;
  const auto result = CheckBody(std::string(101, 'x'), 100, scratch);
  REQUIRE(!result.ok());
  CHECK(result.error().reason == static_cast<uint16_t>(model::Reason::kTooLarge));
}

}  // namespace
}  // namespace hongyan::access
