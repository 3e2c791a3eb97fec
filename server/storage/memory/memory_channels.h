#pragma once

#include <optional>
#include <vector>

#include "storage/channel_store.h"
#include "storage/memory/memory_door.h"

namespace hongyan::storage {

// Heads, channels and parked items of either kind of store.
template <class State>
class MemoryChannelStore final : public ChannelStore {
 public:
  explicit MemoryChannelStore(MemoryDoor<State>& door) : door_(door) {}

  base::Result<ShardHead> ReadHead(model::ShardId shard) const override;
  void PutHead(Batch& batch, model::ShardId shard, const ShardHead& head) override;
  base::Result<ChannelMark> ReadMark(ChannelId channel) const override;
  void PutMark(Batch& batch, ChannelId channel, const ChannelMark& mark) override;
  void PutOutbox(Batch& batch, ChannelId channel, const OutboxRow& row) override;
  base::Result<std::vector<OutboxRow>> ReadOutbox(ChannelId channel, int64_t number,
                                                  size_t max_items,
                                                  size_t max_bytes) const override;
  base::Result<std::optional<int64_t>> OldestKept(ChannelId channel) const override;
  base::Result<void> TrimOutbox(ChannelId channel, int64_t through) override;
  void Park(Batch& batch, const ParkedItem& item) override;
  void Unpark(Batch& batch, ChannelId channel, int64_t number) override;
  base::Result<std::vector<ParkedItem>> ListParked(model::ShardId target, ParkedPlace after,
                                                   size_t limit) const override;

 private:
  MemoryDoor<State>& door_;
};

}  // namespace hongyan::storage
