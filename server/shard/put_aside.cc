#include "shard/put_aside.h"

#include <algorithm>
#include <iterator>

namespace hongyan::shard {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;

}  // namespace

int64_t PutAside::HeadOf(storage::ChannelId channel, const Arrivals& arrivals) const {
  const auto source = driven_.shards.find(channel.source);
  if (source == driven_.shards.end()) return arrivals.seen_head();
  const auto& emitted = source->second.next_head.emitted;
  const auto found = emitted.find(channel.target);
  return found == emitted.end() ? 0 : found->second.number;
}

bool PutAside::Note(const std::vector<model::Command>& taken, int64_t now_ns) {
  if (waiting_.size() + noted_.size() >= limits_.await_commands) return false;
  const model::ShardId shard = taken.back().shard;
  Waiting& waiting = noted_.emplace_back();
  waiting.place = taken.size() - 1;
  waiting.until_ns = now_ns + limits_.await_ms * kNsPerMs;
  for (const auto& [channel, arrivals] : driven_.arrivals) {
    if (channel.target != shard) continue;
    if (model::IsMoneyShard(channel.source) != model::IsMoneyShard(shard)) continue;
    const int64_t head = HeadOf(channel, arrivals);
    if (arrivals.mark().applied < head) waiting.needs.emplace_back(channel, head);
  }
  return true;
}

void PutAside::Keep(std::vector<model::Command>* taken) {
  for (auto it = noted_.rbegin(); it != noted_.rend(); ++it) {
    it->command = std::move((*taken)[it->place]);
    taken->erase(taken->begin() + static_cast<ptrdiff_t>(it->place));
  }
  std::move(noted_.begin(), noted_.end(), std::back_inserter(waiting_));
  noted_.clear();
}

bool PutAside::Complete(const Waiting& waiting) const {
  return std::all_of(waiting.needs.begin(), waiting.needs.end(), [this](const auto& need) {
    return driven_.arrivals.at(need.first).mark().applied >= need.second;
  });
}

bool PutAside::HasReady(int64_t now_ns, bool all) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiting& waiting) {
    return all || now_ns >= waiting.until_ns || Complete(waiting);
  });
}

std::optional<PutAside::Ready> PutAside::TakeReady(int64_t now_ns, bool all) {
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    const bool complete = Complete(*it);
    if (!complete && !all && now_ns < it->until_ns) continue;
    Ready ready{std::move(it->command), complete};
    waiting_.erase(it);
    return ready;
  }
  return std::nullopt;
}

std::vector<model::Command> PutAside::TakeAll() {
  std::vector<model::Command> commands;
  for (Waiting& waiting : waiting_) commands.push_back(std::move(waiting.command));
  waiting_.clear();
  return commands;
}

}  // namespace hongyan::shard
