#include "storage/memory/memory_ports.h"

namespace hongyan::storage {

namespace {

size_t BytesOf(const OutboxRow& row) {
  size_t bytes = 32;
  for (const std::string& item : row.items) bytes += item.size() + 4;
  return bytes;
}

}  // namespace

base::Result<ShardHead> MemoryChannelStore::ReadHead(model::ShardId shard) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<ShardHead> {
    const auto found = state.heads.find(shard);
    return found == state.heads.end() ? ShardHead() : found->second;
  });
}

void MemoryChannelStore::PutHead(Batch& batch, model::ShardId shard, const ShardHead& head) {
  static_cast<MemoryBatch&>(batch).Write(
      1, 24 + 12 * head.emitted.size(),
      [shard, head](MemoryState& state) { state.heads[shard] = head; });
}

base::Result<ChannelMark> MemoryChannelStore::ReadMark(ChannelId channel) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<ChannelMark> {
    const auto found = state.marks.find(channel);
    return found == state.marks.end() ? ChannelMark() : found->second;
  });
}

void MemoryChannelStore::PutMark(Batch& batch, ChannelId channel, const ChannelMark& mark) {
  static_cast<MemoryBatch&>(batch).Write(
      1, 40, [channel, mark](MemoryState& state) { state.marks[channel] = mark; });
}

void MemoryChannelStore::PutOutbox(Batch& batch, ChannelId channel, const OutboxRow& row) {
  static_cast<MemoryBatch&>(batch).Write(1, BytesOf(row), [channel, row](MemoryState& state) {
    state.outbox[{channel, row.last}] = row;
  });
}

base::Result<std::vector<OutboxRow>> MemoryChannelStore::ReadOutbox(ChannelId channel,
                                                                    int64_t number,
                                                                    size_t max_items,
                                                                    size_t max_bytes) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::vector<OutboxRow>> {
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

base::Result<std::optional<int64_t>> MemoryChannelStore::OldestKept(ChannelId channel) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::optional<int64_t>> {
    const auto row = state.outbox.lower_bound({channel, 0});
    if (row == state.outbox.end() || row->first.first != channel) return std::optional<int64_t>();
    return std::optional(row->second.first);
  });
}

base::Result<void> MemoryChannelStore::TrimOutbox(ChannelId channel, int64_t through) {
  return door_.Alter([&](MemoryState& state) -> base::Result<void> {
    auto row = state.outbox.lower_bound({channel, 0});
    while (row != state.outbox.end() && row->first.first == channel &&
           row->first.second <= through) {
      state.unsynced_trims.insert(state.outbox.extract(row++));
    }
    return {};
  });
}

void MemoryChannelStore::Park(Batch& batch, const ParkedItem& item) {
  static_cast<MemoryBatch&>(batch).Write(1, 64 + item.item.size() + item.why.size(),
                                         [item](MemoryState& state) {
                                           state.parked[{item.channel, item.number}] = item;
                                         });
}

void MemoryChannelStore::Unpark(Batch& batch, ChannelId channel, int64_t number) {
  static_cast<MemoryBatch&>(batch).Write(1, 24, [channel, number](MemoryState& state) {
    state.parked.erase({channel, number});
  });
}

base::Result<std::vector<ParkedItem>> MemoryChannelStore::ListParked(model::ShardId target,
                                                                     size_t limit) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::vector<ParkedItem>> {
    std::vector<ParkedItem> items;
    for (const auto& [place, item] : state.parked) {
      if (items.size() == limit) break;
      if (place.first.target == target) items.push_back(item);
    }
    return items;
  });
}

}  // namespace hongyan::storage
