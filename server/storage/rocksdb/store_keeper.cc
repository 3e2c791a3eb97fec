#include "storage/rocksdb/store_keeper.h"

#include <pthread.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace hongyan::storage {

namespace {

using namespace std::chrono_literals;
constexpr auto kMarkInterval = 50ms;
constexpr auto kDiskInterval = 1s;

}  // namespace

StoreKeeper::StoreKeeper(std::string directory, MarkFile mark, model::ShardId first_shard,
                         int64_t disk_reserve_bytes)
    : directory_(std::move(directory)),
      first_shard_(first_shard),
      disk_reserve_bytes_(disk_reserve_bytes),
      durable_(mark.batches()),
      mark_(std::move(mark)) {
  LookAtDisk();
  thread_ = std::thread([this] { Run(); });
  const char* const name = model::IsMoneyShard(first_shard_) ? "mark-money" : "mark-messages";
  pthread_setname_np(thread_.native_handle(), name);
}

StoreKeeper::~StoreKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void StoreKeeper::Durable(std::span<const std::pair<model::ShardId, int64_t>> heads) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, batch] : heads) {
      const auto shard = static_cast<size_t>(id - first_shard_);
      if (shard >= durable_.size() || durable_[shard] >= batch) continue;
      durable_[shard] = batch;
      wake |= !dirty_;
      dirty_ = true;
    }
  }
  if (wake) changed_.notify_one();
}

std::vector<int64_t> StoreKeeper::durable() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}

void StoreKeeper::Run() {
  auto next_look = std::chrono::steady_clock::now() + kDiskInterval;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait_until(lock, next_look, [this] { return stopping_ || dirty_; });
    // Gathers what else becomes durable meanwhile; ends early only to stop.
    if (dirty_) changed_.wait_for(lock, kMarkInterval, [this] { return stopping_; });
    if (dirty_) WriteMark(lock);
    if (std::chrono::steady_clock::now() >= next_look) {
      lock.unlock();
      LookAtDisk();
      lock.lock();
      next_look = std::chrono::steady_clock::now() + kDiskInterval;
    }
  }
  if (dirty_) WriteMark(lock);
}

void StoreKeeper::WriteMark(std::unique_lock<std::mutex>& lock) {
  const std::vector<int64_t> batches = durable_;
  dirty_ = false;
  lock.unlock();
  const auto written = mark_.Write(batches);
  lock.lock();
  // An old mark is still true, it only proves less; so commits go on.
  if (!written) {
    dirty_ = true;
    if (!mark_failing_) {
      LOG_ERROR("store_mark_not_written path={} error=\"{}\"", directory_, written.error().text);
    }
    if (!stopping_) changed_.wait_for(lock, kDiskInterval, [this] { return stopping_; });
  } else if (mark_failing_) {
    LOG_INFO("store_mark_written_again path={}", directory_);
  }
  mark_failing_ = !written.ok();
}

void StoreKeeper::LookAtDisk() {
  struct statvfs disk {};
  if (::statvfs(directory_.c_str(), &disk) != 0) return;  // keeps what it knew
  const auto free_bytes = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  disk_free_bytes_.store(free_bytes, std::memory_order_relaxed);
  const bool below = free_bytes < disk_reserve_bytes_;
  if (below_reserve_.exchange(below, std::memory_order_relaxed) == below) return;
  if (below) {
    LOG_ERROR("store_disk_below_reserve path={} free_bytes={} reserve_bytes={}: chat is refused",
              directory_, free_bytes, disk_reserve_bytes_);
  } else {
    LOG_INFO("store_disk_above_reserve path={} free_bytes={}", directory_, free_bytes);
  }
}

}  // namespace hongyan::storage
