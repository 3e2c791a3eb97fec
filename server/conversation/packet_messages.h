#pragma once

#include "base/result.h"
#include "conversation/conversations.h"
#include "model/item.h"
#include "shard/unit_of_work.h"

namespace hongyan::conversation {

// What red packets and transfers say in their conversation: the message that
// announces one, made here and not by a client, and the notices of what became of it. Money's items
// pass no admission: overload must not turn into refunds. Shard thread of the conversation.
class PacketMessages {
 public:
  // `conversations` outlives it.
  explicit PacketMessages(Conversations& conversations) : conversations_(conversations) {}

  // Stores the packet's message as one of its sender, whose own entry carries the send's request
  // id, and answers the packet's shard in the same commit: announced, or refused with the rule by
  // which the sender may not speak here any more. Once per packet: an announcement that comes again
  // is answered with the message that is there.
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::AnnounceItem& item);

  // A system message. A conversation that no longer takes it swallows it.
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::PacketNoticeItem& item);

 private:
  base::Result<model::VerdictItem> Announce(shard::UnitOfWork& work,
                                            const model::PacketHeader& packet);

  Conversations& conversations_;
};

}  // namespace hongyan::conversation
