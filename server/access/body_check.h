#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "hongyan/v1/message.pb.h"
#include "model/message.h"

namespace hongyan::access {

constexpr size_t kMaxThumbnailBytes = 8 << 10;
constexpr size_t kMaxCustomTypeBytes = 64;

// What a client may say: `bytes` must be a serialized Body of a kind that clients make (text,
// media, custom), and of one alone. The answer is the kind; the bytes themselves are stored as they
// came. BODY_INVALID with what is wrong, or TOO_LARGE above `max_bytes`. `scratch` is parsed into,
// to be used again for the next.
base::Result<model::BodyKind> CheckBody(std::string_view bytes, size_t max_bytes,
                                        v1::Body& scratch);

}  // namespace hongyan::access
