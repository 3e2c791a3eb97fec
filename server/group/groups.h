#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conversation/conversations.h"
#include "model/command.h"
#include "model/item.h"
#include "shard/unit_of_work.h"

namespace hongyan::group {

struct GroupLimits {
  int64_t max_members = 10'000;
  size_t max_name_bytes = 128;
  size_t max_changes = 200;     // users added or removed by one command
  size_t create_at_once = 200;  // members; a larger creation is applied in slices
};

// Management of groups: creation, joining, removing, leaving; roles and limits. Bodies, members'
// rows and fan-out are the conversation's. Shard thread of the group's shard.
class Groups {
 public:
  // `conversations` outlives it.
  Groups(conversation::Conversations& conversations, GroupLimits limits)
      : conversations_(conversations), limits_(limits) {}

  void Create(shard::UnitOfWork& work, const model::ReplyTo& to, const model::CreateGroup& create);
  void Change(shard::UnitOfWork& work, const model::ReplyTo& to,
              const model::ChangeMembers& change);

  // A large creation, slice by slice; its reply leaves with the last.
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::CreateGroupItem& item, size_t max_records);

  void Publish();
  void Drop();
  void AbandonWaiting(shard::UnitOfWork& work, const base::Error& error);

 private:
  struct Delta {
    std::vector<model::UserId> add;
    std::vector<model::UserId> remove;
  };

  base::Result<void> CheckCreate(shard::UnitOfWork& work, const model::CreateGroup& create) const;
  model::Group NewGroup(shard::UnitOfWork& work, const model::CreateGroup& create) const;
  void PutFirstMember(shard::UnitOfWork& work, const model::Group& group, model::UserId user);
  // The creation's last step: the group shows, its first message is there, everyone's inbox is
  // told.
  base::Result<model::GroupChanged> Show(shard::UnitOfWork& work, model::Group group,
                                         const std::vector<model::UserId>& everyone);

  void AnswerWaiting(shard::UnitOfWork& work, model::GroupId group, const model::Reply& reply);

  model::Reply ChangeNow(shard::UnitOfWork& work, const model::ChangeMembers& change);
  base::Result<void> MayChange(const model::Group& group, const model::ChangeMembers& change);
  base::Result<Delta> Effective(const model::Group& group, const model::ChangeMembers& change);
  base::Result<model::UserId> NextOwner(model::GroupId group, const Delta& delta);
  void Announce(shard::UnitOfWork& work, const model::Group& group,
                const std::vector<int32_t>& count_before, int64_t version_before,
                const model::Entry& entry, model::UserId actor, const Delta& delta);

  conversation::Conversations& conversations_;
  const GroupLimits limits_;
  // Who waits for the last slice of a creation. Memory only: after a restart the client asks again.
  struct Waiter {
    model::GroupId group;
    model::ReplyTo to;
  };
  std::vector<Waiter> waiting_;
  std::vector<model::GroupId> answered_;  // by the batch under way
  std::vector<Waiter> began_waiting_;     // in the batch under way
};

}  // namespace hongyan::group
