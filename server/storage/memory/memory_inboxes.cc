#include "storage/memory/memory_message_batch.h"
#include "storage/memory/memory_ports.h"

namespace hongyan::storage {

namespace {

using Entries = std::vector<InboxStore::NumberedEntry>;

model::Seq FloorIn(const MemoryState& state, model::UserId user) {
  const auto found = state.floors.find(user);
  return found == state.floors.end() ? model::Seq() : found->second;
}

}  // namespace

base::Result<model::Seq> MemoryInboxStore::LastSeq(model::UserId user, Reach reach) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<model::Seq> {
    if (auto error = door_.Reaches(reach)) return *error;
    if (state.broken_inboxes.contains(user)) {
      return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                           "the inbox of user " + std::to_string(user.value) + " is broken");
    }
    auto row = state.entries.upper_bound({user, model::Seq(INT64_MAX)});
    if (row == state.entries.begin()) return model::Seq();
    --row;
    return row->first.first == user ? row->first.second : model::Seq();
  });
}

base::Result<model::Seq> MemoryInboxStore::Floor(model::UserId user, Reach reach) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<model::Seq> {
    if (auto error = door_.Reaches(reach)) return *error;
    return FloorIn(state, user);
  });
}

base::Result<Entries> MemoryInboxStore::ReadEntries(model::UserId user, model::Seq after,
                                                    model::Seq upto, size_t limit,
                                                    Reach reach) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<Entries> {
    if (auto error = door_.Reaches(reach)) return *error;
    Entries entries;
    model::Seq before = after;
    for (auto row = state.entries.upper_bound({user, after});
         row != state.entries.end() && row->first.first == user && row->first.second <= upto &&
         entries.size() < limit;
         ++row) {
      const model::Seq seq = row->first.second;
      if (!FollowsInInbox(before, seq) && !FollowsInInbox(FloorIn(state, user), seq) &&
          seq > FloorIn(state, user)) {
        return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                             "inbox entries of user " + std::to_string(user.value) +
                                 " are missing after seq " + std::to_string(before.value));
      }
      entries.push_back({seq, row->second});
      before = seq;
    }
    return entries;
  });
}

void MemoryInboxStore::Append(Batch& batch, std::span<const Recipient> recipients,
                              const model::Entry& entry) {
  for (const Recipient& recipient : recipients) {
    static_cast<MemoryMessageBatch&>(batch).AddEntry({recipient.user, recipient.seq}, entry);
  }
}

base::Result<std::optional<model::FollowerSlice>> MemoryInboxStore::FindSlice(
    model::ShardId shard, model::GroupId group) const {
  return door_.Look(
      [&](const MemoryState& state) -> base::Result<std::optional<model::FollowerSlice>> {
        const auto found = state.slices.find({shard, group});
        if (found == state.slices.end()) return std::optional<model::FollowerSlice>();
        return std::optional(found->second);
      });
}

void MemoryInboxStore::PutSlice(Batch& batch, model::ShardId shard, model::GroupId group,
                                const model::FollowerSlice& slice) {
  static_cast<MemoryMessageBatch&>(batch).Write(1, 40, [shard, group, slice](MemoryState& state) {
    state.slices[{shard, group}] = slice;
  });
}

base::Result<std::vector<model::Follower>> MemoryInboxStore::ListFollowers(
    model::ShardId shard, model::GroupId group) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::vector<model::Follower>> {
    std::vector<model::Follower> followers;
    const MemoryState::SliceKey slice(shard, group);
    for (auto row = state.followers.lower_bound({slice, model::UserId()});
         row != state.followers.end() && row->first.first == slice; ++row) {
      followers.push_back(row->second);
    }
    return followers;
  });
}

void MemoryInboxStore::PutFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                                   const model::Follower& follower) {
  static_cast<MemoryMessageBatch&>(batch).Write(
      2, 56, [shard, group, follower](MemoryState& state) {
        state.followers[{{shard, group}, follower.user}] = follower;
        state.followed[{follower.user, group}] = shard;
      });
}

void MemoryInboxStore::EraseFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                                     model::UserId user) {
  static_cast<MemoryMessageBatch&>(batch).Write(2, 40, [shard, group, user](MemoryState& state) {
    state.followers.erase({{shard, group}, user});
    state.followed.erase({user, group});
  });
}

base::Result<std::vector<model::GroupId>> MemoryInboxStore::ListGroups(model::UserId user,
                                                                       model::GroupId after,
                                                                       size_t limit) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::vector<model::GroupId>> {
    std::vector<model::GroupId> groups;
    for (auto row = state.followed.upper_bound({user, after});
         row != state.followed.end() && row->first.first == user && groups.size() < limit; ++row) {
      groups.push_back(row->first.second);
    }
    return groups;
  });
}

}  // namespace hongyan::storage
