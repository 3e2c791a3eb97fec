#pragma once

#include <rocksdb/listener.h>
#include <rocksdb/rate_limiter.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace hongyan::storage {

// Spreads what RocksDB does in the background. A flush or compaction takes a whole core for tenths
// of a second, and where cores are few, all who answer wait meanwhile. So after each piece it rests
// for a multiple of the CPU time that the piece took: the less, the more there is to do, and not at
// all before writes would stall. Measured on 2 cores at half load: a third of the p99 of acks.
// Any thread.
class BackgroundPace final : public rocksdb::RateLimiter {
 public:
  // -- what there is to do, by table

  // What an opening found; before MayRest.
  void FilesAtLevel0(const std::string& table, int files);
  // A memtable is full whose first row has this sequence number; it waits to be written.
  void Sealed(const std::string& table, uint64_t first);
  // All up to this sequence number are written, to a file more at level 0.
  void Flushed(const std::string& table, uint64_t last);
  void Compacted(const std::string& table, int fewer_files_at_level0);

  // False at first: an opening database is waited for. So is one that closes.
  void MayRest(bool yes) { may_rest_.store(yes, std::memory_order_relaxed); }

  // CPU times to rest for each that was worked.
  int FlushRests() const { return may_rest_ ? flush_rests_.load() : 0; }
  int CompactionRests() const { return may_rest_ ? compaction_rests_.load() : 0; }

  // Tells the above what happens in a database.
  static std::shared_ptr<rocksdb::EventListener> Listener(std::shared_ptr<BackgroundPace> pace);

  // -- for RocksDB: called by the thread that is about to write, which rests here
  using RateLimiter::Request;
  void Request(int64_t bytes, rocksdb::Env::IOPriority priority,
               rocksdb::Statistics* statistics) override;
  int64_t GetSingleBurstBytes() const override { return kPieceBytes; }
  void SetBytesPerSecond(int64_t /*bytes*/) override {}
  int64_t GetBytesPerSecond() const override { return 0; }
  int64_t GetTotalBytesThrough(rocksdb::Env::IOPriority /*priority*/) const override { return 0; }
  int64_t GetTotalRequests(rocksdb::Env::IOPriority /*priority*/) const override { return 0; }

  static constexpr int64_t kPieceBytes = 64 << 10;

 private:
  void Judge();  // REQUIRES mutex_

  std::mutex mutex_;
  std::map<std::string, std::set<uint64_t>> sealed_;  // by table: their first sequence numbers
  std::map<std::string, int> files_;                  // by table: at level 0
  std::atomic<bool> may_rest_{false};
  std::atomic<int> flush_rests_{0};
  std::atomic<int> compaction_rests_{0};
};

}  // namespace hongyan::storage
