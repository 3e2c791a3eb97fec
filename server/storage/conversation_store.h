#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/group.h"
#include "model/message.h"
#include "storage/batch.h"

namespace hongyan::storage {

// Bodies and their order, what dedup remembers, groups and members. Reads: any thread, as in
// AccountStore. Put* and Append stage into a batch of the same store: shard thread of the
// conversation's shard.
class ConversationStore {
 public:
  virtual ~ConversationStore() = default;

  // The newest message without its body, or none: it carries the conversation's conv_seq, time and
  // ordinal, so no head row is written per message.
  virtual base::Result<std::optional<model::Message>> LastMessage(
      model::ConversationId conversation) const = 0;

  struct MessageKey {
    model::ConversationId conversation;
    model::ConvSeq seq;
  };
  // One answer per key, in the order of the keys; none = there is no such message.
  virtual base::Result<std::vector<std::optional<model::Message>>> ReadMessages(
      std::span<const MessageKey> keys, Reach reach) const = 0;

  enum class Order { kOldestFirst, kNewestFirst };
  struct Stretch {
    std::vector<model::Message> messages;  // in the order asked for
    bool more = false;                     // the range has others beyond them
  };
  // Messages with first <= seq <= last from either end, as many as stay within `limit` messages
  // and `max_bytes` of bodies (at least one message always fits). Numbers may be missing between:
  // a store that was accepted goes on far above its last one. Reads one message more than it
  // returns, at most.
  virtual base::Result<Stretch> ReadRange(model::ConversationId conversation, model::ConvSeq first,
                                          model::ConvSeq last, Order order, size_t limit,
                                          size_t max_bytes, Reach reach) const = 0;

  // Stages the message and, unless its client_msg_id is zero, what dedup has to remember of it: two
  // records.
  virtual void AppendMessage(Batch& batch, model::ConversationId conversation,
                             const model::Message& message, uint64_t body_hash) = 0;

  virtual base::Result<std::optional<model::SendReceipt>> FindReceipt(
      model::ConversationId conversation, model::UserId sender,
      const model::RequestId& client_msg_id) const = 0;

  virtual base::Result<std::optional<model::Group>> FindGroup(model::GroupId group,
                                                              Reach reach) const = 0;
  virtual void PutGroup(Batch& batch, const model::Group& group) = 0;

  virtual base::Result<std::optional<model::Member>> FindMember(model::GroupId group,
                                                                model::UserId user,
                                                                Reach reach) const = 0;
  // Members (present or past) in order of user id, from the one after `after`.
  virtual base::Result<std::vector<model::Member>> ListMembers(model::GroupId group,
                                                               model::UserId after,
                                                               size_t limit) const = 0;
  virtual void PutMember(Batch& batch, model::GroupId group, const model::Member& member) = 0;
};

}  // namespace hongyan::storage
