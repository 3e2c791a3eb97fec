#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "storage/rocksdb/data_dir.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_channels.h"
#include "storage/rocksdb/rocksdb_options.h"
#include "storage/rocksdb/store_keeper.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

// What an embedded store is, whatever lies in it: its directory, identity and high-water mark, its
// database, commits, recovery and channels. Both kinds of store are this and
// their ports. Threads as in ShardStore.
class StoreCore {
 public:
  struct Kind {
    StoreKind tables = StoreKind::kMessages;
    DataDir::Kind directory;
    model::ShardId first_shard = 0;
    int max_shards = 0;
    // Writes what this kind draws besides its identity when it is created; may be empty. Durable
    // when it returns.
    base::Result<void> (*create_more)(const DataDir& dir, const StoreIdentity& identity) = nullptr;
  };

  // Creates the store if the directory is empty or absent.
  static base::Result<std::unique_ptr<StoreCore>> Open(const Kind& kind,
                                                       const RocksdbOptions& options);
  ~StoreCore();

  // `store accept`: see AcceptStore.
  static base::Result<AcceptedStore> Accept(const Kind& kind, const RocksdbOptions& options);

  CommitOutcome Commit(RocksdbBatch& staged);
  base::Result<void> Reopen();
  StoreStats stats() const;
  base::Result<void> Compact();
  bool BelowDiskReserve() const { return keeper_->below_reserve(); }

  const DataDir& dir() const { return dir_; }
  const StoreIdentity& identity() const { return identity_; }
  Database& database() { return database_; }
  const Database& database() const { return database_; }
  RocksdbChannelStore& channels() { return channels_; }

 private:
  StoreCore(const Kind& kind, const RocksdbOptions& options, DataDir dir,
            const StoreIdentity& identity);
  base::Result<void> OpenMark(const std::vector<int64_t>& heads);

  const StoreKind kind_;
  const RocksdbOptions options_;
  DataDir dir_;
  const StoreIdentity identity_;
  // Receipts from before may go: by the newest shard time committed and by the wall clock, so that
  // neither alone can expire one early.
  std::atomic<int64_t> receipts_expire_before_ms_{0};
  Database database_;
  RocksdbChannelStore channels_;
  std::mutex reopen_mutex_;
  std::atomic<int64_t> commits_{0};
  std::atomic<int64_t> records_{0};
  std::atomic<int64_t> bytes_{0};
  std::optional<StoreKeeper> keeper_;
};

}  // namespace hongyan::storage
