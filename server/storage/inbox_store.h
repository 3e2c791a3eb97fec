#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/group.h"
#include "model/message.h"
#include "storage/batch.h"

namespace hongyan::storage {

// True where `next` may be the entry right after position `before` (0 = the very beginning): one
// more, or the first number of a later generation.
constexpr bool FollowsInInbox(model::Seq before, model::Seq next) {
  constexpr int64_t kFirst = 1;
  const int64_t generation = next.value >> model::kGenerationShift;
  const int64_t generation_before = before.value >> model::kGenerationShift;
  if (generation == generation_before) return next.value == before.value + 1;
  return generation > generation_before &&
         next.value == (generation << model::kGenerationShift) + kFirst;
}

// Inbox entries and follower slices. Reads: any thread, as in AccountStore. The others stage into a
// batch of the same store: shard thread of the inbox shard.
class InboxStore {
 public:
  virtual ~InboxStore() = default;

  // The seq of a user's newest entry; 0 = none.
  virtual base::Result<model::Seq> LastSeq(model::UserId user, Reach reach) const = 0;

  // The durable mark trim has reached; 0 = nothing was ever trimmed.
  virtual base::Result<model::Seq> Floor(model::UserId user, Reach reach) const = 0;

  struct NumberedEntry {
    model::Seq seq;
    model::Entry entry;
  };
  // Entries with after < seq <= upto, in order, at most `limit`. Entries between are never left
  // out: where one above the floor is missing before another the answer is an Error kDataLoss, not
  // a shorter list.
  virtual base::Result<std::vector<NumberedEntry>> ReadEntries(model::UserId user, model::Seq after,
                                                               model::Seq upto, size_t limit,
                                                               Reach reach) const = 0;

  struct Recipient {
    model::UserId user;
    model::Seq seq;
  };
  // Stages the same entry for each recipient: at most one record each, as an adapter may put the
  // entries that one user gets in one batch into one record.
  virtual void Append(Batch& batch, std::span<const Recipient> recipients,
                      const model::Entry& entry) = 0;

  virtual base::Result<std::optional<model::FollowerSlice>> FindSlice(
      model::ShardId shard, model::GroupId group) const = 0;
  virtual void PutSlice(Batch& batch, model::ShardId shard, model::GroupId group,
                        const model::FollowerSlice& slice) = 0;

  // All followers of the group in this shard, by user id.
  virtual base::Result<std::vector<model::Follower>> ListFollowers(model::ShardId shard,
                                                                   model::GroupId group) const = 0;
  virtual void PutFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                           const model::Follower& follower) = 0;
  virtual void EraseFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                             model::UserId user) = 0;

  // The groups a user follows, by id, from the one after `after`: the user's group list.
  virtual base::Result<std::vector<model::GroupId>> ListGroups(model::UserId user,
                                                               model::GroupId after,
                                                               size_t limit) const = 0;
};

}  // namespace hongyan::storage
