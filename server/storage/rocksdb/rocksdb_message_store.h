#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "storage/message_store.h"

namespace rocksdb {
class Env;
}

namespace hongyan::storage {

struct RocksdbOptions {
  std::string path;                    // the store's own directory
  const base::Clock* clock = nullptr;  // outlives the store
  int shards = 4;                      // only for a store that is created now; 1 to 256
  int64_t disk_reserve_bytes = 512 << 20;
  size_t block_cache_bytes = 256 << 20;
  size_t write_buffer_bytes = 16 << 20;  // of each of the three busiest tables
  int max_open_files = 512;
  bool unsafe_no_sync = false;  // acknowledges what is not on disk; logged as an error
  rocksdb::Env* env = nullptr;  // for tests that inject faults; none = the system's
};

// The embedded store: one directory, RocksDB inside (SHARDS section 3). One batch is one synced
// write. Guards never fire here: the single writer, the lock on the directory and the high-water
// mark stand for them.
//
// After a commit that ended unknown, every commit is answered kUnknown and every read with an Error
// (kUnavailable, reason kStoreStopped) until Reopen. A full disk is such an ending: nothing
// acknowledged is lost, and Reopen works once there is space again.
//
// Any thread reads; see ShardStore for the rest. Readers finish before it is destroyed.
class RocksdbMessageStore final : public MessageStore {
 public:
  // Creates the store if the directory is empty or absent. An Error is a sentence for the operator:
  // in use by another process, not writable, newer than this program, damaged, or older than its
  // mark.
  static base::Result<std::unique_ptr<RocksdbMessageStore>> Open(const RocksdbOptions& options);

  ~RocksdbMessageStore() override;

  AccountStore& accounts() override;
  ConversationStore& conversations() override;
  InboxStore& inboxes() override;
  ChannelStore& channels() override;
  const StoreIdentity& identity() const override;
  std::unique_ptr<Batch> NewBatch() override;
  CommitOutcome Commit(std::unique_ptr<Batch> batch) override;
  base::Result<void> Reopen() override;
  bool BelowDiskReserve() const override;
  StoreStats stats() const override;

  // Merges everything written so far into its final files; drops what has expired. Takes its time.
  // For maintenance and tests.
  base::Result<void> Compact();

 private:
  struct Impl;
  explicit RocksdbMessageStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct AcceptedStore {
  int64_t generation = 0;  // the new one
};

// `hongyan-admin store accept`: the operator takes the store as it can be read now, after a refusal
// to open. Keeps what comes before the damage, raises the generation, so that no seq is given
// twice, and writes a fresh mark. REQUIRES that no process has the store open (answered with an
// Error).
base::Result<AcceptedStore> AcceptStore(const RocksdbOptions& options);

}  // namespace hongyan::storage
