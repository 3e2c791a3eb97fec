#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/ids.h"
#include "storage/rocksdb/mark_file.h"

namespace hongyan::storage {

// The thread beside an open store: writes the high-water mark after commits, and looks how much
// disk is left. It takes one sync at most every 50 ms from the commits, and is at most 100 ms
// behind them while the disk answers. Its destructor writes the last mark and joins. Any thread.
class StoreKeeper {
 public:
  // `first_shard`: of the store, the first in the mark.
  StoreKeeper(std::string directory, MarkFile mark, model::ShardId first_shard,
              int64_t disk_reserve_bytes);
  ~StoreKeeper();

  // These batches are durable: their sync has returned.
  void Durable(std::span<const std::pair<model::ShardId, int64_t>> heads);

  // Per shard, the newest batch known durable, on disk already or not.
  std::vector<int64_t> durable() const;

  bool below_reserve() const { return below_reserve_.load(std::memory_order_relaxed); }
  int64_t disk_free_bytes() const { return disk_free_bytes_.load(std::memory_order_relaxed); }

 private:
  void Run();
  void WriteMark(std::unique_lock<std::mutex>& lock);
  void LookAtDisk();

  const std::string directory_;
  const model::ShardId first_shard_;
  const int64_t disk_reserve_bytes_;
  std::atomic<bool> below_reserve_{false};
  std::atomic<int64_t> disk_free_bytes_{0};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int64_t> durable_;
  bool dirty_ = false;  // durable_ is newer than the file
  bool stopping_ = false;

  MarkFile mark_;  // thread_ only
  bool mark_failing_ = false;
  std::thread thread_;
};

}  // namespace hongyan::storage
