#pragma once

#include <cstdint>
#include <functional>

#include "money/eligibility.h"
#include "storage/conversation_store.h"

namespace hongyan::conversation {

// May `user` write into the conversation: one of its two, or a present member of an active group
// who is not muted. The one rule: Conversations asks it of the writer's rows, Membership of
// committed ones. Of a group the two rows, null where there is none. Any thread.
base::Result<void> MaySpeak(const model::ConversationId& conversation, model::UserId user,
                            const model::Group* group, const model::Member* member, int64_t now_ms);

// Who belongs to a conversation, for money: from committed rows, read beside the writer. Any
// thread.
class Membership final : public money::Eligibility {
 public:
  // `store` outlives it. `now_ms` gives shard time, by which who is muted is still muted; any
  // thread.
  Membership(const storage::ConversationStore& store, std::function<int64_t()> now_ms)
      : store_(store), now_ms_(std::move(now_ms)) {}

  base::Result<model::Eligible> MaySend(const model::ConversationId& conversation,
                                        model::UserId user, model::UserId named,
                                        storage::Reach reach) const override;
  base::Result<model::Eligible> MayOpen(const model::ConversationId& conversation,
                                        model::UserId user, storage::Reach reach) const override;

 private:
  const storage::ConversationStore& store_;
  const std::function<int64_t()> now_ms_;
};

}  // namespace hongyan::conversation
