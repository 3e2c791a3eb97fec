#!/bin/bash
# Proof that the simulator bites: breaks the server on purpose, one rule at a time, and expects the simulator
# to find it. Works on a copy under build/mutations; takes some minutes, so it is no part of scripts/test.
#
#   tests/simulation/mutations.sh            all
#   tests/simulation/mutations.sh NAME...    only these
#
# Exit code 1: a mutation survived 500 seeds, or no longer fits the source.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/mutate.sh mutations "$@"
by simulation "$bin/simulation" --seeds 1..500

# -- commits
mutate reply-before-commit server/shard/executor.cc \
  'const CommitOutcome outcome = store.Commit(run.Seal());
  ++counts.batches;' \
  'outlet.Replies(run.replies); run.replies.clear();
  const CommitOutcome outcome = store.Commit(run.Seal());
  ++counts.batches;'
mutate head-before-commit server/inbox/inbox.cc \
  '  slot.pending = next;' '  slot.pending = next; online_.Raise(slot.user, next);'
mutate unknown-is-committed server/shard/recover.cc \
  'if (!durable) {' 'if (false && !durable) {'
mutate unknown-keeps-caches server/inbox/inbox.cc \
  '  heads_.clear();
}

}  // namespace' '}

}  // namespace'
mutate unknown-ends-nobody server/account/accounts.cc \
  'doubtful_ = std::exchange(ended_, {});' 'ended_.clear();'
mutate rejected-is-committed server/shard/executor.cc \
  '    case CommitOutcome::kRejected:
      run.Dropped();' '    case CommitOutcome::kRejected:
      run.Committed(); Answer(run); return;
      run.Dropped();'
mutate drop-keeps-heads server/inbox/inbox.cc \
  'for (HeadSlot* slot : dirty_) slot->pending = slot->committed;' ''
mutate drop-keeps-tails server/conversation/conversations.cc \
  'messages_pending_ = 0;
  tails_.Drop();' 'messages_pending_ = 0;'
mutate drop-keeps-numbers server/shard/batch_run.cc \
  '    shard.next_head = shard.head;
    shard.touched = false;
  }
  for (auto& [channel, arrivals] : driven_.arrivals) arrivals.Drop();' \
  '    shard.touched = false;
  }
  for (auto& [channel, arrivals] : driven_.arrivals) arrivals.Drop();'

# -- channels
mutate mark-not-stored server/shard/batch_run.cc \
  'channels.PutMark(*batch_, channel, arrivals.mark());' ''
mutate position-not-stored server/shard/arrivals.cc \
  'pending_.position = position;' 'pending_.position = 0;'
mutate shortcut-out-of-turn server/shard/batch_run.cc \
  'arrivals->second.mark().applied + locals_waiting_[channel] == number - 1' 'true' \
  'const bool in_turn = arrivals.mark().applied == local.item.number - 1;' 'const bool in_turn = true;'
mutate duplicates-applied server/shard/arrivals.cc \
  'if (item.number < expected) continue;' '' \
  'if (message.items.back().number <= committed_.applied) return Progress();' ''
mutate gap-ignored server/shard/arrivals.cc \
  'if (item.number > expected) {' 'if (false) {'
mutate no-resend-in-time server/shard/courier.cc \
  'if (sent_ > applied_ && now_ns - last_progress_ns_ >= limits_.resend_ms * kNsPerMs) {' 'if (false) {'
mutate repeats-not-answered server/shard/arrivals.cc \
  'if (message.items.back().number <= committed_.applied) return Progress();' ''
mutate trim-undelivered server/shard/courier.cc \
  'store.TrimOutbox(channel_, applied_)' 'store.TrimOutbox(channel_, head_)'
mutate never-trim server/shard/courier.cc \
  'if (!met_ || applied_ <= trimmed_) return;' 'return;'
mutate parked-position-lost server/shard/parked.cc \
  'const ItemPlace place{row.channel.source, row.number, row.position};' \
  'const ItemPlace place{row.channel.source, row.number, 0};'
mutate parked-not-released server/shard/parked.cc \
  'if (Retry(row, &released)) ++items_applied;' ''
mutate waiters-answered-twice server/shard/recover.cc \
  'for (const auto& abandoned : Abandoned()) unanswered.push_back(abandoned.to);' ''

mutate wall-time-told server/shard/executor.cc \
  'return impl_->clock.BootNs() / kNsPerMs + impl_->time_ahead_ms.load();' \
  'return impl_->clock.WallMs();'

# -- conversations
mutate no-dedup server/conversation/conversations.cc \
  'if (!receipt || !receipt->has_value()) return receipt;' 'return std::optional<model::SendReceipt>();'
mutate no-conflict server/conversation/conversations.cc \
  'if ((*receipt)->body_hash != hash) {' 'if (false) {'
mutate batch-forgets-receipts server/conversation/conversations.cc \
  'found != accepted_.end()) return std::optional(found->second);' 'false) return std::optional(found->second);'
mutate after-not-asked server/conversation/conversations.cc \
  'if (!previous->has_value()) {' 'if (false) {'
mutate strangers-send server/conversation/membership.cc \
  '!Shows(group) || member == nullptr || !member->present()' '!Shows(group)'
mutate stale-ids-pass server/conversation/conversations.cc \
  'if (age_ms > model::kMaxRequestAgeMs || age_ms < -model::kMaxRequestAheadMs) {' 'if (false) {'
mutate system-counts server/conversation/conversations.cc \
  'model::Countable(draft.kind) ? 1 : 0' '1'

# -- groups
mutate anyone-removes server/group/groups.cc \
  'if (!leads) {' 'if (false) {'
mutate owner-stays server/group/groups.cc \
  'if (!group.owner || Contains(delta->remove, group.owner)) {' 'if (false) {'
mutate shard-miscounted server/group/groups.cc \
  'group.member_count[router.ShardOf(user)] += adding ? 1 : -1;' \
  'group.member_count[router.ShardOf(user)] += adding ? 1 : 0;'
mutate removed-not-told server/group/groups.cc \
  'item.expected = count_before[shard] + static_cast<int32_t>(item.added.size());
    if (item.expected == 0) continue;' \
  'item.expected = count_before[shard] + static_cast<int32_t>(item.added.size());
    if (group.member_count[shard] == 0) continue;'

# -- inboxes
mutate leaver-keeps-following server/inbox/inbox.cc \
  'std::erase_if(next->followers, [user](const auto& follower) { return follower.user == user; });' '(void)user;' \
  'static_cast<int64_t>(state.followers.size()) != item.expected' 'false' \
  'state.row.count + joining != item.expected' 'false' \
  'static_cast<int64_t>(everyone.size()) != item.expected' 'false'
mutate wrong-row-erased server/inbox/inbox.cc \
  'item.removed[row - item.added.size()]' 'item.removed[0]'
mutate damage-not-seen server/inbox/inbox.cc \
  'state.row.version != item.version || static_cast<int64_t>(state.followers.size()) != item.expected' 'false'
mutate snapshot-without-leavers server/conversation/conversations.cc \
  'if (range.to && range.to < item.from) continue;' 'if (range.to) continue;'
mutate snapshot-to-all server/inbox/inbox.cc \
  'if (follower.since <= at && (!follower.until || at <= follower.until)) {' '{'
mutate id-in-every-entry server/inbox/inbox.cc \
  'plain.client_msg_id = {};' ''
mutate own-entry-first-only server/inbox/inbox.cc \
  'if (!own) entry.client_msg_id = {};' 'entry.client_msg_id = {};'

# -- telling devices
mutate notify-not-sent server/access/told.h \
  'if (own && told_.value >= moved.first_new.value - 1) Say(moved.head);' 'Say(moved.head);'
mutate own-hides-others server/inbox/inbox.cc \
  '} else if (slot.all_from != from) {' '} else if (false) {'

verdict
