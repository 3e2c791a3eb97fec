#include "inbox/inbox.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "inbox/reader.h"

namespace hongyan::inbox {
namespace {

using shard::ItemOutcome;

constexpr size_t kMaxHeads =
    1'000'000;  // about 100 MB; above, the cache starts anew between batches
constexpr size_t kMaxSlices = 50'000;

// Records a change of members costs per follower row: by group and by user.
constexpr size_t kRecordsPerFollower = 2;

bool ByUser(const auto& a, const auto& b) { return a.user < b.user; }

// Where to go on in a list by user id, after the last user who has been reached.
size_t FirstAfter(const auto& followers, int64_t last_user) {
  const auto first = std::find_if(followers.begin(), followers.end(),
                                  [last_user](const auto& f) { return f.user.value > last_user; });
  return static_cast<size_t>(first - followers.begin());
}

}  // namespace

Inbox::Inbox(storage::InboxStore& store, OnlineHeads& online, int64_t generation)
    : store_(store), online_(online), generation_(generation), slices_(kMaxSlices) {}

base::Result<HeadSlot*> Inbox::SlotOf(model::UserId user) {
  const auto found = heads_.find(user);
  if (found != heads_.end()) return &found->second;
  auto head = StoredHead(store_, user, generation_, storage::Reach::kDisk);
  if (!head) return head.error();
  HeadSlot& slot = heads_[user];
  slot.user = user;
  slot.committed = slot.pending = *head;
  return &slot;
}

// The one place where a seq is given: next = max(head, floor, generation << 40) + 1.
model::Seq Inbox::Give(HeadSlot& slot, const model::DeviceId& from) {
  const model::Seq next(slot.pending.value + 1);
  if (slot.pending == slot.committed) {
    dirty_.push_back(&slot);
    slot.first_new = next;
    slot.all_from = from;
  } else if (slot.all_from != from) {
    slot.all_from = {};
  }
  slot.pending = next;
  return next;
}

base::Result<ItemOutcome> Inbox::Apply(shard::UnitOfWork& work, const shard::ItemPlace&,
                                       const model::DirectItem& item) {
  HeadSlot* slots[2] = {};
  const size_t count = std::min<size_t>(item.users.size(), 2);
  for (size_t i = 0; i < count; ++i) {
    auto slot = SlotOf(item.users[i]);
    // A broken one fails alone, as an item of its own; another may be had later.
    if (!slot && (count == 1 || slot.error().code != base::Code::kDataLoss)) return slot.error();
    if (slot) slots[i] = *slot;
  }
  for (size_t i = 0; i < count; ++i) {
    if (slots[i] == nullptr) {
      SetApart(work, item.users[i], item.entry, item.sender, item.sender_device);
      continue;
    }
    const bool own = item.users[i] == item.sender;
    model::Entry entry = item.entry;
    if (!own) entry.client_msg_id = {};
    const storage::InboxStore::Recipient to{
        item.users[i], Give(*slots[i], own ? item.sender_device : model::DeviceId{})};
    store_.Append(work.batch(), {&to, 1}, entry);
    ++entries_pending_;
  }
  return ItemOutcome::Applied();
}

base::Result<ItemOutcome> Inbox::Apply(shard::UnitOfWork& work, const shard::ItemPlace&,
                                       const model::PacketReturnedItem& item) {
  auto slot = SlotOf(item.user);
  if (!slot) return slot.error();
  model::Entry entry;
  entry.kind = model::EntryKind::kPacketReturned;
  entry.time_ms = item.time_ms;
  entry.conversation = item.conversation;
  entry.client_msg_id = item.request_id;
  entry.packet = item.packet;
  entry.returned_fen = item.amount_fen;
  entry.reason = static_cast<uint8_t>(item.reason);
  const storage::InboxStore::Recipient to{item.user, Give(**slot, {})};
  store_.Append(work.batch(), {&to, 1}, entry);
  ++entries_pending_;
  return ItemOutcome::Applied();
}

base::Result<Inbox::SlicePtr> Inbox::FindSlice(model::ShardId shard, model::GroupId group) {
  auto found = slices_.Find(group, [&](model::GroupId) -> base::Result<std::optional<SlicePtr>> {
    auto row = store_.FindSlice(shard, group);
    if (!row) return row.error();
    auto followers = store_.ListFollowers(shard, group);
    if (!followers) return followers.error();
    auto state = std::make_shared<SliceState>();
    if (row->has_value()) state->row = **row;
    for (const auto& follower : *followers)
      state->followers.push_back({follower.user, follower.since});
    return std::optional<SlicePtr>(std::move(state));
  });
  if (!found) return found.error();
  return SlicePtr(**found);
}

base::Result<void> Inbox::Warm(std::vector<CachedFollower>& followers, size_t from, size_t most) {
  const size_t end = from + std::min(followers.size() - from, most);
  for (size_t i = from; i < end; ++i) {
    if (followers[i].slot != nullptr) continue;
    auto slot = SlotOf(followers[i].user);
    if (slot) {
      followers[i].slot = *slot;
    } else if (slot.error().code != base::Code::kDataLoss) {
      return slot.error();
    }
  }
  return {};
}

void Inbox::SetApart(shard::UnitOfWork& work, model::UserId user, const model::Entry& entry,
                     model::UserId sender, const model::DeviceId& device) {
  work.Emit(work.shard(), model::DirectItem{entry, sender, device, {user}}, 1);
}

base::Result<size_t> Inbox::WriteEntries(shard::UnitOfWork& work,
                                         std::vector<CachedFollower>& followers, size_t from,
                                         size_t most, const model::Entry& entry,
                                         model::UserId sender, const model::DeviceId& device) {
  if (auto warm = Warm(followers, from, most); !warm) return warm.error();
  const size_t end = from + std::min(followers.size() - from, most);
  recipients_.clear();
  for (size_t i = from; i < end; ++i) {
    if (followers[i].slot == nullptr) {
      SetApart(work, followers[i].user, entry, sender, device);
      continue;
    }
    if (followers[i].user == sender) continue;
    recipients_.push_back({followers[i].user, Give(*followers[i].slot, {})});
  }
  model::Entry plain = entry;
  plain.client_msg_id = {};
  store_.Append(work.batch(), recipients_, plain);
  entries_pending_ += static_cast<int64_t>(recipients_.size());
  for (size_t i = from; i < end; ++i) {
    if (followers[i].user != sender || followers[i].slot == nullptr) continue;
    const storage::InboxStore::Recipient own{sender, Give(*followers[i].slot, device)};
    store_.Append(work.batch(), {&own, 1}, entry);
    ++entries_pending_;
  }
  return end - from;
}

// The slice is not what the items say: park this conversation's items in their order and ask for
// the truth.
ItemOutcome Inbox::Mismatch(shard::UnitOfWork& work, const shard::ItemPlace& place,
                            model::GroupId group, const SliceState& slice, model::ConvSeq at,
                            std::string why) {
  if (!slice.row.awaiting_snapshot) {
    auto waiting = std::make_shared<SliceState>(slice);
    waiting->row.awaiting_snapshot = true;
    store_.PutSlice(work.batch(), work.shard(), group, waiting->row);
    slices_.Put(group, std::move(waiting));
    work.Emit(place.source, model::SliceRequestItem{group, at}, 0);
  }
  return ItemOutcome::Park(model::ConversationId::Group(group), std::move(why));
}

base::Result<ItemOutcome> Inbox::Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                       const model::GroupItem& item, size_t max_records) {
  const model::GroupId group = item.entry.conversation.group();
  auto slice = FindSlice(work.shard(), group);
  if (!slice) return slice.error();
  SliceState& state = **slice;
  const model::ConvSeq at = item.entry.conv_seq;
  if (state.row.awaiting_snapshot) {
    return Mismatch(work, place, group, state, at, "waits for a snapshot of its group's slice");
  }
  if (at <= state.row.conv_seq) {
    return ApplyOld(work, place, group, state, item.entry, item.sender, item.sender_device, {});
  }
  if (state.row.version != item.version ||
      static_cast<int64_t>(state.followers.size()) != item.expected) {
    return Mismatch(work, place, group, state, at,
                    "slice has version " + std::to_string(state.row.version) + " with " +
                        std::to_string(state.followers.size()) +
                        " followers, the item is for version " + std::to_string(item.version) +
                        " with " + std::to_string(item.expected));
  }
  const size_t from = FirstAfter(state.followers, place.position);
  auto written = WriteEntries(work, state.followers, from, max_records, item.entry, item.sender,
                              item.sender_device);
  if (!written) return written.error();
  const size_t end = from + *written;
  return end < state.followers.size() ? ItemOutcome::Slice(state.followers[end - 1].user.value)
                                      : ItemOutcome::Applied();
}

// Followers before and after the change, by user id. Read back after a restart in the middle, the
// rows have some who join already and some who left no more: it is the same list.
std::vector<Inbox::CachedFollower> Inbox::Everyone(const std::vector<CachedFollower>& followers,
                                                   const model::MembersItem& item) {
  std::vector<CachedFollower> everyone = followers;
  for (const model::UserId user : item.added) everyone.push_back({user, item.entry.conv_seq});
  for (const model::UserId user : item.removed) everyone.push_back({user, {}});
  std::stable_sort(everyone.begin(), everyone.end(),
                   [](const auto& a, const auto& b) { return ByUser(a, b); });
  const auto twice = std::unique(everyone.begin(), everyone.end(),
                                 [](const auto& a, const auto& b) { return a.user == b.user; });
  everyone.erase(twice, everyone.end());
  return everyone;
}

// Two stretches: rows of who joins and who leaves, then entries for everyone before and after. The
// slice itself changes with the last piece, so what comes between sees the old one; and nothing
// comes between in this channel.
base::Result<ItemOutcome> Inbox::Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                       const model::MembersItem& item, size_t max_records) {
  const model::GroupId group = item.entry.conversation.group();
  auto found = FindSlice(work.shard(), group);
  if (!found) return found.error();
  SliceState& state = **found;
  const model::ConvSeq at = item.entry.conv_seq;
  if (state.row.awaiting_snapshot) {
    return Mismatch(work, place, group, state, at, "waits for a snapshot of its group's slice");
  }
  if (at <= state.row.conv_seq) {
    return ApplyOld(work, place, group, state, item.entry, item.actor, {}, item.removed);
  }
  if (place.position == 0 || partial_.number != place.number || partial_.source != place.source) {
    partial_ = {place.number, place.source, Everyone(state.followers, item)};
  }
  std::vector<CachedFollower>& everyone = partial_.everyone;
  // A shard without members of the group hears nothing of it, so its version may be any old one.
  const auto joining = static_cast<int64_t>(item.added.size());
  const bool same_version = state.row.version == item.version_before || item.expected == joining;
  if (!same_version || state.row.count + joining != item.expected ||
      static_cast<int64_t>(everyone.size()) != item.expected) {
    return Mismatch(
        work, place, group, state, at,
        "slice has version " + std::to_string(state.row.version) + " with " +
            std::to_string(state.followers.size()) + " of " + std::to_string(state.row.count) +
            " followers, the change is from version " + std::to_string(item.version_before) +
            " and makes " + std::to_string(item.expected) + " entries");
  }
  const size_t rows = item.added.size() + item.removed.size();
  size_t row = place.position > 0 ? rows : static_cast<size_t>(-place.position);
  const size_t from = FirstAfter(everyone, place.position);
  size_t left = max_records;
  // Whose entries this piece may reach, before the first row of it is written.
  if (auto warm = Warm(everyone, from, left); !warm) return warm.error();
  for (; row < rows && left > 0; ++row, left -= std::min(left, kRecordsPerFollower)) {
    if (row < item.added.size()) {
      store_.PutFollower(work.batch(), work.shard(), group, {item.added[row], at, {}});
    } else {
      store_.EraseFollower(work.batch(), work.shard(), group,
                           item.removed[row - item.added.size()]);
    }
  }
  if (row < rows || left == 0) return ItemOutcome::Slice(-static_cast<int64_t>(row));
  auto written = WriteEntries(work, everyone, from, left, item.entry, item.actor, {});
  if (!written) return written.error();
  const size_t end = from + *written;
  if (end < everyone.size()) return ItemOutcome::Slice(everyone[end - 1].user.value);

  auto next = std::make_shared<SliceState>();
  next->followers = std::move(partial_.everyone);
  partial_ = {};
  for (const model::UserId user : item.removed) {
    std::erase_if(next->followers, [user](const auto& follower) { return follower.user == user; });
  }
  next->row = {item.version, at, static_cast<int32_t>(next->followers.size()), false};
  store_.PutSlice(work.batch(), work.shard(), group, next->row);
  slices_.Put(group, std::move(next));
  return ItemOutcome::Applied();
}

base::Result<ItemOutcome> Inbox::Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                       const model::SliceSnapshotItem& item) {
  auto found = FindSlice(work.shard(), item.group);
  if (!found) return found.error();
  const auto conversation = model::ConversationId::Group(item.group);
  if (!(*found)->row.awaiting_snapshot) {
    // Not asked for, or asked for twice: what we have is newer.
    if (place.position == 0) return ItemOutcome::Applied();
    // It is in place, but not all that waits for it was let go by one batch.
    replay_group_ = item.group;
    replay_ = item.members;
    return ItemOutcome::AppliedAndRelease(conversation);
  }
  auto next = std::make_shared<SliceState>();
  for (const auto& old : (*found)->followers) {
    store_.EraseFollower(work.batch(), work.shard(), item.group, old.user);
  }
  for (const auto& follower : item.members) {
    if (follower.until) continue;
    store_.PutFollower(work.batch(), work.shard(), item.group, follower);
    next->followers.push_back({follower.user, follower.since});
  }
  std::sort(next->followers.begin(), next->followers.end(),
            [](const auto& a, const auto& b) { return ByUser(a, b); });
  next->row = {item.version, item.conv_seq, static_cast<int32_t>(next->followers.size()), false};
  LOG_WARN("slice_replaced shard={} group={} version={} followers={}", work.shard(),
           item.group.value, item.version, next->followers.size());
  store_.PutSlice(work.batch(), work.shard(), item.group, next->row);
  slices_.Put(item.group, std::move(next));
  replay_group_ = item.group;
  replay_ = item.members;
  return ItemOutcome::AppliedAndRelease(conversation);
}

// An item that waited for the snapshot, which stands for a later moment: it goes to whoever
// followed then. A change of members among them is an entry only; the snapshot holds its outcome.
base::Result<ItemOutcome> Inbox::ApplyOld(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                          model::GroupId group, const SliceState& slice,
                                          const model::Entry& entry, model::UserId sender,
                                          const model::DeviceId& device,
                                          const std::vector<model::UserId>& left) {
  std::vector<CachedFollower> then;
  const model::ConvSeq at = entry.conv_seq;
  if (group == replay_group_) {
    for (const auto& follower : replay_) {
      if (follower.since <= at && (!follower.until || at <= follower.until)) {
        then.push_back({follower.user, follower.since});
      }
    }
  } else {
    for (const auto& follower : slice.followers) {
      if (follower.since <= at) then.push_back({follower.user, follower.since});
    }
    for (const auto user : left) then.push_back({user, {}});
  }
  std::erase_if(then, [&place](const auto& f) { return f.user.value <= place.position; });
  auto written = WriteEntries(work, then, 0, then.size(), entry, sender, device);
  if (!written) return written.error();
  return ItemOutcome::Applied();
}

void Inbox::Publish(std::vector<model::Effect>& effects) {
  for (HeadSlot* slot : dirty_) {
    slot->committed = slot->pending;
    if (!online_.Raise(slot->user, slot->committed)) continue;
    effects.push_back(
        model::HeadMoved{slot->user, slot->first_new, slot->committed, slot->all_from});
  }
  dirty_.clear();
  slices_.Publish();
  replay_group_ = {};
  replay_.clear();
  entries_ += std::exchange(entries_pending_, 0);
  if (heads_.size() > kMaxHeads) {
    slices_.Forget();
    partial_ = {};
    heads_.clear();
  }
}

void Inbox::Drop() {
  for (HeadSlot* slot : dirty_) slot->pending = slot->committed;
  dirty_.clear();
  slices_.Drop();
  partial_ = {};
  replay_group_ = {};
  replay_.clear();
  entries_pending_ = 0;
}

void Inbox::Forget(std::vector<model::Effect>& effects) {
  Drop();
  slices_.Forget();
  for (const model::UserId user : online_.Users()) {
    const auto known = heads_.find(user);
    if (known == heads_.end()) continue;
    auto head = StoredHead(store_, user, generation_, storage::Reach::kDisk);
    if (!head || *head <= known->second.committed || !online_.Raise(user, *head)) continue;
    effects.push_back(
        model::HeadMoved{user, model::Seq(known->second.committed.value + 1), *head, {}});
  }
  heads_.clear();
}

}  // namespace hongyan::inbox
