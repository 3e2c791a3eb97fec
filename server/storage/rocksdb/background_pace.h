#pragma once

#include <rocksdb/listener.h>
#include <rocksdb/rate_limiter.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace hongyan::storage {

// Spreads what RocksDB does in the background. A flush or compaction takes a whole core for tenths
// of a second, and where cores are few, all who answer wait meanwhile. So after each piece it rests
// for a multiple of the CPU time that the piece took: the less, the more there is to do, and not at
// all before writes would stall. A compaction that has rested once runs at the lowest priority from
// then on; a flush does not: starved, it would stop writes.
// Measured on 2 cores at half load: p99 of acks 12 and 6 ms instead of 18 and 12. Any thread.
class BackgroundPace final : public rocksdb::RateLimiter {
 public:
  // -- what there is to do, by table

  // What an opening found.
  void FilesAtLevel0(const std::string& table, int files);
  // A memtable is full whose first row has this sequence number; it waits to be written.
  void Sealed(const std::string& table, uint64_t first);
  // All up to this sequence number are written, to a file more at level 0.
  void Flushed(const std::string& table, uint64_t last);
  void Compacted(const std::string& table, int fewer_files_at_level0);

  // Nothing rests before the first: an opening database is waited for, and what one finds that is
  // killed again and again must be merged in its short lives.
  void RestAfter(std::chrono::nanoseconds pause);
  // A closing one is waited for, too.
  void RestNoMore() { rests_from_ns_ = kNever; }

  // CPU times to rest for each that was worked, by who works: RocksDB gives IO_HIGH to a flush,
  // IO_LOW to a compaction, IO_USER to both while writes wait for them.
  int Rests(rocksdb::Env::IOPriority priority) const;

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
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  void Judge();  // REQUIRES mutex_
  bool rests() const;

  std::mutex mutex_;
  std::map<std::string, std::set<uint64_t>> sealed_;  // by table: their first sequence numbers
  std::map<std::string, int> files_;                  // by table: at level 0
  std::atomic<int64_t> rests_from_ns_{kNever};        // of the steady clock
  std::atomic<int> flush_rests_{0};
  std::atomic<int> compaction_rests_{0};
};

}  // namespace hongyan::storage
