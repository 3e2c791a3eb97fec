#include "storage/memory/memory_channels.h"

#include "storage/memory/memory_batch.h"
#include "storage/memory/memory_money_state.h"
#include "storage/memory/memory_state.h"

namespace hongyan::storage {

namespace {

size_t BytesOf(const OutboxRow& row) {
  size_t bytes = 32;
  for (const std::string& item : row.items) bytes += item.size() + 4;
  return bytes;
}

}  // namespace

template <class State>
base::Result<ShardHead> MemoryChannelStore<State>::ReadHead(model::ShardId shard) const {
  return door_.Look([&](const State& state) -> base::Result<ShardHead> {
    const auto found = state.heads.find(shard);
    return found == state.heads.end() ? ShardHead() : found->second;
  });
}

template <class State>
void MemoryChannelStore<State>::PutHead(Batch& batch, model::ShardId shard, const ShardHead& head) {
  static_cast<MemoryBatch<State>&>(batch).Write(
      1, 24 + 12 * head.emitted.size(), [shard, head](State& state) { state.heads[shard] = head; });
}

template <class State>
base::Result<ChannelMark> MemoryChannelStore<State>::ReadMark(ChannelId channel) const {
  return door_.Look([&](const State& state) -> base::Result<ChannelMark> {
    const auto found = state.marks.find(channel);
    return found == state.marks.end() ? ChannelMark() : found->second;
  });
}

template <class State>
void MemoryChannelStore<State>::PutMark(Batch& batch, ChannelId channel, const ChannelMark& mark) {
  static_cast<MemoryBatch<State>&>(batch).Write(
      1, 40, [channel, mark](State& state) { state.marks[channel] = mark; });
}

template <class State>
void MemoryChannelStore<State>::PutOutbox(Batch& batch, ChannelId channel, const OutboxRow& row) {
  static_cast<MemoryBatch<State>&>(batch).Write(1, BytesOf(row), [channel, row](State& state) {
    state.outbox[{channel, row.last}] = row;
  });
}

template <class State>
base::Result<std::vector<OutboxRow>> MemoryChannelStore<State>::ReadOutbox(ChannelId channel,
                                                                           int64_t number,
                                                                           size_t max_items,
                                                                           size_t max_bytes) const {
  return door_.Look([&](const State& state) -> base::Result<std::vector<OutboxRow>> {
    std::vector<OutboxRow> rows;
    size_t items = 0;
    size_t bytes = 0;
    for (auto row = state.outbox.lower_bound({channel, number});
         row != state.outbox.end() && row->first.first == channel; ++row) {
      items += row->second.items.size();
      bytes += BytesOf(row->second);
      if (!rows.empty() && (items > max_items || bytes > max_bytes)) break;
      rows.push_back(row->second);
    }
    return rows;
  });
}

template <class State>
base::Result<std::optional<int64_t>> MemoryChannelStore<State>::OldestKept(
    ChannelId channel) const {
  return door_.Look([&](const State& state) -> base::Result<std::optional<int64_t>> {
    const auto row = state.outbox.lower_bound({channel, 0});
    if (row == state.outbox.end() || row->first.first != channel) return std::optional<int64_t>();
    return std::optional(row->second.first);
  });
}

template <class State>
base::Result<void> MemoryChannelStore<State>::TrimOutbox(ChannelId channel, int64_t through) {
  return door_.Alter([&](State& state) -> base::Result<void> {
    auto row = state.outbox.lower_bound({channel, 0});
    while (row != state.outbox.end() && row->first.first == channel &&
           row->first.second <= through) {
      state.unsynced_trims.insert(state.outbox.extract(row++));
    }
    return {};
  });
}

template <class State>
void MemoryChannelStore<State>::Park(Batch& batch, const ParkedItem& item) {
  static_cast<MemoryBatch<State>&>(batch).Write(1, 64 + item.item.size() + item.why.size(),
                                                [item](State& state) {
                                                  state.parked[{item.channel, item.number}] = item;
                                                });
}

template <class State>
void MemoryChannelStore<State>::Unpark(Batch& batch, ChannelId channel, int64_t number) {
  static_cast<MemoryBatch<State>&>(batch).Write(1, 24, [channel, number](State& state) {
    state.parked.erase({channel, number});
  });
}

template <class State>
base::Result<std::vector<ParkedItem>> MemoryChannelStore<State>::ListParked(model::ShardId target,
                                                                            ParkedPlace after,
                                                                            size_t limit) const {
  return door_.Look([&](const State& state) -> base::Result<std::vector<ParkedItem>> {
    std::vector<ParkedItem> items;
    for (const auto& [place, item] : state.parked) {
      if (items.size() == limit) break;
      if (place.first.target != target) continue;
      if (after < ParkedPlace{place.first.source, place.second}) items.push_back(item);
    }
    return items;
  });
}

template class MemoryChannelStore<MemoryState>;
template class MemoryChannelStore<MemoryMoneyState>;

}  // namespace hongyan::storage
