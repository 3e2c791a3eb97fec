// What must be true of the whole disk when nothing is under way any more.

#include <algorithm>

#include "shard/router.h"
#include "simulation/witness.h"

namespace hongyan::simulation {

using model::ConversationId;
using model::UserId;

void Witness::LookAtTheEnd() {
  Look();
  for (const auto& [place, due] : due_) {
    INVARIANT(due.empty(), "user {} never got message {} of {}/{}", place.first.value,
              due.front().value, place.second.a, place.second.b);
  }
  for (const auto& [key, send] : sends_) {
    if (!send.sent.has_value()) continue;
    CheckStored(key, send.sent->conv_seq, send.sent->time_ms);
  }
  // Every message was seen, every entry was seen, and nothing else is there.
  INVARIANT(static_cast<int64_t>(state_.messages.size()) == messages_,
            "{} messages are on disk, {} of conversations anybody asked for",
            state_.messages.size(), messages_);
  INVARIANT(static_cast<int64_t>(state_.entries.size()) == entries_,
            "{} entries are on disk, {} of users that exist", state_.entries.size(), entries_);
  INVARIANT(state_.receipts.size() + notices_.size() == state_.messages.size(),
            "{} receipts and {} notices for {} messages", state_.receipts.size(), notices_.size(),
            state_.messages.size());
  INVARIANT(state_.parked.empty(), "item {} is still parked: {}",
            state_.parked.begin()->first.second, state_.parked.begin()->second.why);
  INVARIANT(state_.outbox.empty(), "items up to {} of a channel are still in the outbox",
            state_.outbox.begin()->first.second);
  for (const auto& [channel, mark] : state_.marks) {
    INVARIANT(mark.position == 0, "an item stays applied in part up to {}", mark.position);
    if (model::IsMoneyShard(channel.source)) continue;  // see MoneyWitness
    const auto& emitted = state_.heads.at(channel.source).emitted;
    INVARIANT(emitted.at(channel.target).number == mark.applied,
              "channel {}>{}: {} given, {} applied", channel.source, channel.target,
              emitted.at(channel.target).number, mark.applied);
  }
  for (const auto& [id, conversation] : conversations_) {
    if (id.is_group()) CheckGroupAtTheEnd(id.group(), conversation);
  }
  CheckSlicesAtTheEnd();
}

void Witness::CheckGroupAtTheEnd(model::GroupId id, const Conversation& conversation) const {
  const auto row = state_.groups.find(id);
  if (!conversation.last) {
    INVARIANT(row == state_.groups.end(), "group {} was begun and never shown", id.value);
    return;
  }
  const model::Group& group = row->second;
  const shard::Router router(state_.identity);
  INVARIANT(group.state == model::GroupState::kActive && group.version == conversation.version &&
                group.owner == conversation.owner,
            "group {}: version {} owner {} on disk, {} and {} by its messages", id.value,
            group.version, group.owner.value, conversation.version, conversation.owner.value);
  std::vector<int32_t> count(static_cast<size_t>(router.shards()), 0);
  for (const auto& [user, joined] : conversation.members) ++count[router.ShardOf(user)];
  INVARIANT(group.member_count == count, "group {} miscounts its members by shard", id.value);
  size_t rows = 0;
  for (auto member = state_.members.lower_bound({id, UserId()});
       member != state_.members.end() && member->first.first == id; ++member, ++rows) {
    const UserId user = member->first.second;
    INVARIANT(member->second.present() == conversation.members.contains(user),
              "group {}: the row of user {} says {}", id.value, user.value,
              member->second.present() ? "member" : "no member");
    const auto& visible = conversation.visible.at(user);
    const bool same = std::equal(visible.begin(), visible.end(), member->second.visible.begin(),
                                 member->second.visible.end(), [](const auto& a, const auto& b) {
                                   return a.from == b.from && a.to == b.to;
                                 });
    INVARIANT(same, "group {}: the visible ranges of user {} are not those of the joins and leaves",
              id.value, user.value);
  }
  INVARIANT(rows == conversation.visible.size(), "group {} has {} member rows for {} users",
            id.value, rows, conversation.visible.size());
}

// The slices of all inbox shards together are the membership. One that rotted was mended by the
// last message of its group, unless nobody follows it there.
void Witness::CheckSlicesAtTheEnd() const {
  const shard::Router router(state_.identity);
  for (const auto& [id, conversation] : conversations_) {
    if (!id.is_group()) continue;
    std::map<model::ShardId, std::vector<UserId>> by_shard;
    for (const auto& [user, joined] : conversation.members) {
      const model::ShardId shard = router.ShardOf(user);
      by_shard[shard].push_back(user);
      const auto follower = state_.followers.find({{shard, id.group()}, user});
      INVARIANT(follower != state_.followers.end() && follower->second.since == joined.since,
                "user {} does not follow group {} in shard {} since {}", user.value, id.b, shard,
                joined.since.value);
      INVARIANT(state_.followed.contains({user, id.group()}), "group {} is not in the list of {}",
                id.b, user.value);
    }
    for (model::ShardId shard = 0; shard < router.shards(); ++shard) {
      const auto& members = by_shard[shard];
      if (members.empty() && damaged_) continue;
      const storage::MemoryState::SliceKey key(shard, id.group());
      const auto first = state_.followers.lower_bound({key, UserId()});
      const auto last = state_.followers.upper_bound({key, UserId(INT64_MAX)});
      INVARIANT(static_cast<size_t>(std::distance(first, last)) == members.size(),
                "{} follow group {} in shard {}, it has {} members there",
                std::distance(first, last), id.b, shard, members.size());
      const auto slice = state_.slices.find(key);
      if (members.empty() && slice == state_.slices.end()) continue;
      INVARIANT(slice != state_.slices.end() &&
                    slice->second.count == static_cast<int32_t>(members.size()) &&
                    !slice->second.awaiting_snapshot,
                "the slice of group {} in shard {} says {} followers, there are {}", id.b, shard,
                slice == state_.slices.end() ? -1 : slice->second.count, members.size());
    }
  }
}

}  // namespace hongyan::simulation
