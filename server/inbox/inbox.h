#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/container/node_hash_map.h>

#include "base/result.h"
#include "inbox/online_heads.h"
#include "model/item.h"
#include "shard/unit_of_work.h"
#include "shard/working_set.h"
#include "storage/inbox_store.h"

namespace hongyan::inbox {

// A user's newest seq as the shard knows it, and what the batch under way adds.
struct HeadSlot {
  model::UserId user;
  model::Seq committed;
  model::Seq pending;
  model::Seq first_new;      // of the batch
  model::DeviceId all_from;  // the one device all of the batch's entries come from, or zero
};

// The receivers' side of one shard: turns channel items into entries, keeps the follower slice of
// every group in step with the items that change it, and publishes heads. Shard thread.
class Inbox {
 public:
  // `store` and `online` outlive it.
  Inbox(storage::InboxStore& store, OnlineHeads& online, int64_t generation);

  // Each as shard::Logic::ApplyItem says. The position in an item to a group's members is the last
  // user, by id, who has its entry: good whatever becomes of the slice. Before there is one it
  // counts, below 0, the rows of followers that a change of members has written.
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::DirectItem& item);
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::GroupItem& item, size_t max_records);
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::MembersItem& item, size_t max_records);
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::SliceSnapshotItem& item);
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::PacketReturnedItem& item);

  void Publish(std::vector<model::Effect>& effects);
  void Drop();
  void Forget(std::vector<model::Effect>& effects);

  // Entries written since the start, committed; for stats.
  int64_t entries() const { return entries_; }

 private:
  // One follower as the cache has it; the slot is found at its first entry, so a cold group of
  // 10,000 is warmed slice by slice.
  struct CachedFollower {
    model::UserId user;
    model::ConvSeq since;
    HeadSlot* slot = nullptr;
  };
  // A group in this shard: its slice row and who follows, by user id. The batch's overlay replaces
  // it whole; only slots are filled in beside.
  struct SliceState {
    model::FollowerSlice row;
    std::vector<CachedFollower> followers;
  };
  using SlicePtr = std::shared_ptr<SliceState>;

  base::Result<SlicePtr> FindSlice(model::ShardId shard, model::GroupId group);
  base::Result<HeadSlot*> SlotOf(model::UserId user);
  model::Seq Give(HeadSlot& slot, const model::DeviceId& from);

  static std::vector<CachedFollower> Everyone(const std::vector<CachedFollower>& followers,
                                              const model::MembersItem& item);

  // Finds the slots of followers[from..from + most): what reads must be read before anything is
  // written. One whose head is broken keeps none.
  base::Result<void> Warm(std::vector<CachedFollower>& followers, size_t from, size_t most);

  // What one user gets of a message, as an item of its own by the shard's channel to itself: it
  // fails and is parked there alone.
  static void SetApart(shard::UnitOfWork& work, model::UserId user, const model::Entry& entry,
                       model::UserId sender, const model::DeviceId& device);

  // One entry for each of followers[from..), at most `most`; returns how many were looked at.
  base::Result<size_t> WriteEntries(shard::UnitOfWork& work, std::vector<CachedFollower>& followers,
                                    size_t from, size_t most, const model::Entry& entry,
                                    model::UserId sender, const model::DeviceId& device);

  shard::ItemOutcome Mismatch(shard::UnitOfWork& work, const shard::ItemPlace& place,
                              model::GroupId group, const SliceState& slice, model::ConvSeq at,
                              std::string why);
  // Who had an entry before the item was parked is told by `place`; `left` are those whom it
  // removed.
  base::Result<shard::ItemOutcome> ApplyOld(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                            model::GroupId group, const SliceState& slice,
                                            const model::Entry& entry, model::UserId sender,
                                            const model::DeviceId& device,
                                            const std::vector<model::UserId>& left);

  storage::InboxStore& store_;
  OnlineHeads& online_;
  const int64_t generation_;
  absl::node_hash_map<model::UserId, HeadSlot> heads_;  // stable addresses: slices point into it
  std::vector<HeadSlot*> dirty_;
  shard::WorkingSet<model::GroupId, SlicePtr> slices_;
  std::vector<storage::InboxStore::Recipient> recipients_;  // reused

  // The change of members being applied in slices: everyone it goes to, by user id.
  struct Partial {
    int64_t number = 0;
    model::ShardId source = 0;
    std::vector<CachedFollower> everyone;
  };
  Partial partial_;

  // Who followed when, for the parked items a snapshot has just let go; of the batch under way
  // only.
  model::GroupId replay_group_;
  std::vector<model::Follower> replay_;

  int64_t entries_ = 0;
  int64_t entries_pending_ = 0;
};

}  // namespace hongyan::inbox
