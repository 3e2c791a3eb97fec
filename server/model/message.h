#pragma once

#include <cstdint>
#include <string>

#include "model/ids.h"

namespace hongyan::model {

// What a body is. Numbers are stored and equal hongyan.v1.BodyKind.
enum class BodyKind : uint8_t {
  kNone = 0,
  kText = 1,
  kImage = 2,
  kVoice = 3,
  kVideo = 4,
  kFile = 5,
  kCustom = 6,
  kRedPacket = 7,
  kTransfer = 8,
  kSystem = 9,
};

// Unread counts are differences of ordinals, so what nobody counts gets no ordinal of its own.
constexpr bool Countable(BodyKind kind) { return kind != BodyKind::kSystem; }

// A body in a conversation. Immutable, except that recall replaces it by a tombstone.
struct Message {
  ConvSeq seq;
  UserId sender;
  BodyKind kind = BodyKind::kNone;
  int64_t time_ms = 0;  // max(shard time of the batch, the previous message's time)
  int64_t ordinal = 0;  // number of countable messages up to and including this one
  RequestId client_msg_id;
  bool recalled = false;
  std::string body;  // the bytes of hongyan.v1.Body as they were received
};

// What the dedup row of a send remembers.
struct SendReceipt {
  ConvSeq seq;
  int64_t time_ms = 0;
  uint64_t body_hash = 0;
};

// Why an inbox entry is there. Numbers are stored and equal hongyan.v1.EntryKind.
enum class EntryKind : uint8_t {
  kNone = 0,
  kMessage = 1,
  kRecall = 2,
  kChanged = 3,
  kPacketReturned = 4,
};

// One line of a user's inbox: a pointer at a body, never the body.
struct Entry {
  EntryKind kind = EntryKind::kNone;
  int64_t time_ms = 0;
  ConversationId conversation;
  ConvSeq conv_seq;
  RequestId client_msg_id;  // only in the sender's own entry; zero otherwise
  // kPacketReturned only (client_msg_id is the send's request id, conv_seq 0): what came back, why.
  PacketId packet{};
  int64_t returned_fen = 0;
  uint8_t reason = 0;  // model::ReturnReason
};

}  // namespace hongyan::model
