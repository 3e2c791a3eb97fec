#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "conversation/reader.h"
#include "hongyan/v1/message.pb.h"
#include "inbox/reader.h"
#include "model/command.h"
#include "proto/frame.h"

namespace hongyan::access {

class Session;

// Handlers: sending and pulling.
void Heartbeat(Session& session, const proto::Frame& frame);
void SendMessage(Session& session, const proto::Frame& frame);
void MessageSent(Session& session, uint16_t command, uint32_t request_id, model::Reply reply);
void Sync(Session& session, const proto::Frame& frame);
void History(Session& session, const proto::Frame& frame);

// Joins what inbox and conversation know into one answer to Sync: entries above the cursor with
// their bodies. At most `limit` entries and about 256 KiB, but at least one entry if there is one.
// `reply` is cleared first. Any thread, as its readers.
base::Result<void> ReadSync(const inbox::Reader& inboxes, const conversation::Reader& conversations,
                            model::UserId user, model::Seq cursor, size_t limit,
                            storage::Reach reach, v1::SyncReply& reply);

}  // namespace hongyan::access
