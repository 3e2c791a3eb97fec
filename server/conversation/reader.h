#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "model/group.h"
#include "model/message.h"
#include "storage/conversation_store.h"

namespace hongyan::conversation {

// Bodies, history and members, read beside the writer. Any thread; see storage::Reach for what may
// be called on a loop. Rights are checked here: who asks is always given.
class Reader {
 public:
  explicit Reader(const storage::ConversationStore& store) : store_(store) {}

  // Bodies for inbox entries (an entry is itself the right to read its body). One answer per key;
  // none = gone.
  base::Result<std::vector<std::optional<model::Message>>> Bodies(
      std::span<const storage::ConversationStore::MessageKey> keys, storage::Reach reach) const;

  struct HistoryPage {
    std::vector<model::Message> messages;
    bool more = false;
  };
  struct HistoryQuery {
    model::ConversationId conversation;
    model::ConvSeq before;  // exclusive; 0 = no bound
    model::ConvSeq after;   // exclusive
    size_t limit = 50;
    bool forward = false;  // oldest first
  };
  // What `user` may see of a conversation: in 1:1 everything, in a group the visible ranges of a
  // present member (NOT_A_MEMBER otherwise). Bounded by limit and 256 KiB.
  base::Result<HistoryPage> History(model::UserId user, const HistoryQuery& query,
                                    storage::Reach reach) const;

  // A group as one of its members sees it; NO_SUCH_GROUP for others too, so ids cannot be probed.
  base::Result<model::Group> FindGroup(model::UserId user, model::GroupId group) const;

  // Present members by user id, from the one after `after`.
  base::Result<std::vector<model::Member>> Members(model::UserId user, model::GroupId group,
                                                   model::UserId after, size_t limit) const;

  // For the administrator: no rights asked.
  base::Result<model::Group> FindGroup(model::GroupId group) const;
  base::Result<std::vector<model::Member>> Members(model::GroupId group, model::UserId after,
                                                   size_t limit) const;
  base::Result<model::ConvSeq> LastSeq(model::ConversationId conversation) const;

 private:
  const storage::ConversationStore& store_;
};

}  // namespace hongyan::conversation
