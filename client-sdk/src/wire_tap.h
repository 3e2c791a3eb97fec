#pragma once

#include <cstdint>
#include <functional>

#include "hongyan/v1/message.pb.h"

namespace hongyan::sdk {

// Shows a tool what came over the wire before the SDK's own filter: duplicates and gaps are counted
// there. Called on the client's runtime thread.
struct WireTap {
  std::function<void(int64_t request_cursor, const v1::SyncReply& reply)> on_sync_reply = {};
};

}  // namespace hongyan::sdk
