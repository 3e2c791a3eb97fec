// One side restored alone, from a copy that is older than what the other has seen of it: its
// channels must stop and wait for the administrator; never go on by guessing, never lose an item.

#include <algorithm>

#include "money/audit.h"
#include "simulation/world.h"

namespace hongyan::simulation {
namespace {

using model::ChannelId;

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kStopMs = 30'000;  // by then every channel that must stop has stopped

// The rows of `now` that `ours` picks by key become those of `old`.
template <class Map, class Ours>
void PutBack(Map& now, const Map& old, Ours ours) {
  std::erase_if(now, [&ours](const auto& row) { return ours(row.first); });
  for (const auto& row : old) {
    if (ours(row.first)) now.insert(row);
  }
}

}  // namespace

void World::PutBackShard(const storage::MemoryMoneyState& old, model::ShardId shard) {
  storage::MemoryMoneyState& now = *money_state_;
  const auto first = [shard](const auto& key) { return key.first == shard; };
  const auto of_row = [shard](const auto& key) { return key.first.first == shard; };
  const auto of_user = [this, shard](const auto& key) {
    return routes_.WalletOf(key.first) == shard;
  };
  const auto from = [shard](const auto& key) { return key.first.source == shard; };
  PutBack(now.heads, old.heads, [shard](model::ShardId key) { return key == shard; });
  PutBack(now.books, old.books, [shard](model::ShardId key) { return key == shard; });
  PutBack(now.marks, old.marks, [shard](const ChannelId& key) { return key.target == shard; });
  PutBack(now.outbox, old.outbox, from);
  PutBack(now.unsynced_trims, old.unsynced_trims, from);
  PutBack(now.wallets, old.wallets, first);
  PutBack(now.statements, old.statements, of_row);
  PutBack(now.sends, old.sends, of_user);
  PutBack(now.moves, old.moves, of_user);
  PutBack(now.headers, old.headers, first);
  PutBack(now.statuses, old.statuses, first);
  PutBack(now.claims, old.claims, of_row);
  PutBack(now.ordinals, old.ordinals, of_row);
  PutBack(now.expiries, old.expiries, first);
}

storage::ChannelMark World::MarkOf(ChannelId channel) const {
  const auto& marks = model::IsMoneyShard(channel.target) ? money_state_->marks : state_->marks;
  const auto mark = marks.find(channel);
  return mark == marks.end() ? storage::ChannelMark() : mark->second;
}

// By what the disks say: the target has taken what its source does not know to have given, or the
// source no longer keeps what the target has not taken.
std::set<ChannelId> World::ChannelsThatDisagree() const {
  std::set<ChannelId> channels;
  const auto look = [&](const storage::MemoryShardState& from, model::ShardId source,
                        model::ShardId target) {
    const ChannelId channel{source, target};
    const auto head = from.heads.find(source);
    int64_t given = 0;
    if (head != from.heads.end() && head->second.emitted.contains(target))
      given = head->second.emitted.at(target).number;
    const int64_t applied = MarkOf(channel).applied;
    const auto row = from.outbox.lower_bound({channel, applied + 1});
    const bool kept =
        row != from.outbox.end() && row->first.first == channel && row->second.first <= applied + 1;
    if (applied > given || (applied < given && !kept)) channels.insert(channel);
  };
  std::vector<model::ShardId> shards;
  for (int i = 0; i < plan_.shards; ++i) shards.push_back(static_cast<model::ShardId>(i));
  for (int i = 0; i < plan_.money_shards; ++i)
    shards.push_back(static_cast<model::ShardId>(model::kFirstMoneyShard + i));
  for (const auto source : shards) {
    for (const auto target : shards) {
      const storage::MemoryShardState& from =
          model::IsMoneyShard(source) ? static_cast<storage::MemoryShardState&>(*money_state_)
                                      : static_cast<storage::MemoryShardState&>(*state_);
      look(from, source, target);
    }
  }
  return channels;
}

void World::LoseTail() {
  if (!old_money_.has_value()) return;
  money_->Retire();
  Kill("to be restored in part");
  switch (plan_.lost_tail) {
    case Plan::LostTail::kMoney:
      *money_state_ = *old_money_;
      break;
    case Plan::LostTail::kMessages:
      *state_ = *old_messages_;
      break;
    default:
      PutBackShard(*old_money_, static_cast<model::ShardId>(model::kFirstMoneyShard +
                                                            random_.Below(plan_.money_shards)));
  }
  state_->Crash();
  money_state_->Crash();
  const auto stopped = ChannelsThatDisagree();
  trace_.Note("a tail is lost, {} channels disagree", stopped.size());
  if (stopped.empty()) return;
  ++summary_.lost_tails;
  const bool in_money = std::any_of(stopped.begin(), stopped.end(), [](const ChannelId& channel) {
    return model::IsMoneyShard(channel.source) && model::IsMoneyShard(channel.target);
  });
  std::map<ChannelId, storage::ChannelMark> marks;
  for (const ChannelId& channel : stopped) marks[channel] = MarkOf(channel);
  Start();
  GoOnWithout(stopped, clock_.BootNs() + kStopMs * kNsPerMs);
  if (random_.Chance(0.5)) {
    Kill("while channels wait for the administrator");
    state_->Crash();
    money_state_->Crash();
    Start();
  }
  GoOnWithout(stopped, clock_.BootNs() + kStopMs * kNsPerMs);
  for (const auto& driver : life_->drivers) {
    for (const auto& channel : driver.executor->report().channels) {
      INVARIANT(!stopped.contains({channel.source, channel.target}) || !channel.stopped.empty(),
                "channel {}>{} goes on although its ends disagree", channel.source, channel.target);
    }
  }
  for (const auto& [channel, mark] : marks) {
    INVARIANT(MarkOf(channel) == mark, "channel {}>{} took items up to {} though its ends disagree",
              channel.source, channel.target, MarkOf(channel).applied);
  }
  const auto verdict = money::Audit(*life_->money_store).verdict;
  INVARIANT(verdict == (in_money ? money::AuditReport::Verdict::kFinding
                                 : money::AuditReport::Verdict::kProven),
            "after a restore of one side the audit's verdict is {}", static_cast<int>(verdict));
}

// People go on; what is given to a stopped channel stays in its outbox.
void World::GoOnWithout(const std::set<ChannelId>& stopped, int64_t until_ns) {
  while (clock_.BootNs() < until_ns) {
    ++trace_.step;
    PassTime();
    events_.RunDue();
    RunExecutors();
    purses_->Act(door(), random_.Chance(0.2));
  }
  for (const ChannelId& channel : stopped) {
    const storage::MemoryShardState& from =
        model::IsMoneyShard(channel.source) ? static_cast<storage::MemoryShardState&>(*money_state_)
                                            : static_cast<storage::MemoryShardState&>(*state_);
    int64_t next = 0;
    for (auto row = from.outbox.lower_bound({channel, 0});
         row != from.outbox.end() && row->first.first == channel; ++row) {
      INVARIANT(next == 0 || row->second.first == next,
                "item {} of the stopped channel {}>{} is gone", next, channel.source,
                channel.target);
      next = row->second.last + 1;
    }
    const auto head = from.heads.find(channel.source);
    const auto given = head == from.heads.end() || !head->second.emitted.contains(channel.target)
                           ? 0
                           : head->second.emitted.at(channel.target).number;
    INVARIANT(next == 0 || next == given + 1,
              "items after {} of the stopped channel {}>{} are gone", next - 1, channel.source,
              channel.target);
  }
}

}  // namespace hongyan::simulation
