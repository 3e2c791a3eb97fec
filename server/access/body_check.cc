#include "access/body_check.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <string>

#include "model/reason.h"

namespace hongyan::access {
namespace {

using model::BodyKind;

base::Error Invalid(const char* what) {
  return model::Refuse(base::Code::kInvalidArgument, model::Reason::kBodyInvalid, what);
}

base::Result<BodyKind> CheckMedia(const v1::Media& media, BodyKind kind) {
  if (media.url().empty()) return Invalid("a media body needs the url or key of what it shows");
  if (!media.sha256().empty() && media.sha256().size() != 32) {
    return Invalid("a media body's sha256 has 32 bytes, or none");
  }
  if (media.size() < 0 || media.duration_ms() < 0 || media.width() < 0 || media.height() < 0) {
    return Invalid("a media body's size, duration, width and height are not negative");
  }
  if (media.thumbnail().size() > kMaxThumbnailBytes) {
    return Invalid(
        "a media body's thumbnail has at most 8 KiB: store a larger one beside the media");
  }
  return kind;
}

// Of several contents a parser sees the last, but stored are the bytes: what was not looked at, a
// system message say, would travel along. REQUIRES bytes that parse.
bool HasOneContent(std::string_view bytes) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  int contents = 0;
  while (const uint32_t tag = in.ReadTag()) {
    const int field = google::protobuf::internal::WireFormatLite::GetTagFieldNumber(tag);
    if (field <= v1::Body::kSystemFieldNumber) ++contents;
    if (!google::protobuf::internal::WireFormatLite::SkipField(&in, tag)) return false;
  }
  return contents == 1;
}

}  // namespace

base::Result<BodyKind> CheckBody(std::string_view bytes, size_t max_bytes, v1::Body& scratch) {
  if (bytes.size() > max_bytes) {
    return model::Refuse(base::Code::kInvalidArgument, model::Reason::kTooLarge,
                         "the body has " + std::to_string(bytes.size()) + " bytes, more than the " +
                             std::to_string(max_bytes) + " this server takes");
  }
  if (!scratch.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Invalid("the body is not a serialized hongyan.v1.Body");
  }
  if (scratch.content_case() != v1::Body::CONTENT_NOT_SET && !HasOneContent(bytes)) {
    return Invalid("a body has one content: text, image, voice, video, file or custom");
  }
  switch (scratch.content_case()) {
    case v1::Body::kText:
      if (scratch.text().quote() < 0) return Invalid("a quote names a conv_seq, which is positive");
      return BodyKind::kText;
    case v1::Body::kImage:
      return CheckMedia(scratch.image(), BodyKind::kImage);
    case v1::Body::kVoice:
      return CheckMedia(scratch.voice(), BodyKind::kVoice);
    case v1::Body::kVideo:
      return CheckMedia(scratch.video(), BodyKind::kVideo);
    case v1::Body::kFile:
      return CheckMedia(scratch.file(), BodyKind::kFile);
    case v1::Body::kCustom:
      if (scratch.custom().type().empty() || scratch.custom().type().size() > kMaxCustomTypeBytes) {
        return Invalid("a custom body's type has 1 to 64 bytes");
      }
      return BodyKind::kCustom;
    case v1::Body::kRedPacket:
    case v1::Body::kTransfer:
      return Invalid("money is sent by SEND_PACKET; the server writes its message");
    case v1::Body::kSystem:
      return Invalid("system messages are made by the server only");
    case v1::Body::CONTENT_NOT_SET:
      break;
  }
  return Invalid(
      "the body has no content this server knows: text, image, voice, video, file or custom");
}

}  // namespace hongyan::access
