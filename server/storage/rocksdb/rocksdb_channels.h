#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "storage/channel_store.h"
#include "storage/rocksdb/database.h"

namespace hongyan::storage {

// Heads, channels and parked items of either kind of store.
class RocksdbChannelStore final : public ChannelStore {
 public:
  RocksdbChannelStore(View view, const base::Clock& clock)
      : view_(std::move(view)), clock_(clock) {}

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

  // Trims are remembered here and ride along with commits, at most once a second and channel, so
  // they cost no write of their own and few tombstones. Any thread.
  void StageTrims(rocksdb::WriteBatch* writes);
  // The store was opened again: what was trimmed may be back.
  void ForgetTrims();

 private:
  struct Trim {
    int64_t wanted = 0;  // rows up to here are hidden from reads
    int64_t staged = 0;  // rows up to here were deleted by a commit
    int64_t staged_ns = 0;
  };
  // The number of the last item trimmed.
  int64_t TrimmedThrough(ChannelId channel) const;

  const View view_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::map<ChannelId, Trim> trims_;
};

}  // namespace hongyan::storage
