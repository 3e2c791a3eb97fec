#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "storage/batch.h"
#include "storage/channel_store.h"

namespace hongyan::storage {

constexpr int kSlots = 1024;

// Drawn once, when a store is created, and never changed but where said.
struct StoreIdentity {
  uint64_t incarnation = 0;             // random; names this store's channels
  int64_t generation = 0;               // raised by restore and by `store accept`
  std::array<uint8_t, 16> id_key{};     // keys the hash from names to ids
  std::array<uint8_t, 32> token_key{};  // signs device tokens
  int shards = 0;
  model::ShardId first_shard = 0;  // its shards are numbered from here
  std::array<model::ShardId, kSlots> slots{};  // slot -> shard
};

// What an operator wants to know of a store.
struct StoreStats {
  int64_t commits = 0;
  int64_t records = 0;
  int64_t bytes = 0;
  int64_t syncs = 0;
  int64_t disk_bytes = 0;
  int64_t disk_free_bytes = 0;
};

// What an executor needs of a store, whatever lives in it: atomic durable commits, heads and
// channels.
class ShardStore {
 public:
  virtual ~ShardStore() = default;

  virtual ChannelStore& channels() = 0;

  virtual const StoreIdentity& identity() const = 0;

  // An empty batch. Shard thread.
  virtual std::unique_ptr<Batch> NewBatch() = 0;

  // All of the batch or nothing, durable when it returns kCommitted. Shard thread; several threads
  // may commit different batches. After kUnknown every further commit and read fails until Reopen.
  virtual CommitOutcome Commit(std::unique_ptr<Batch> batch) = 0;

  // Closes and opens the store again, so that recovery decides what an unknown commit became: what
  // can be read afterwards is durable. Waits for readers. Does nothing where no commit has failed
  // since the last one. An Error says why the store stays closed; it may be tried again. Shard
  // thread.
  virtual base::Result<void> Reopen() = 0;

  // Free disk is below the reserve: what only adds (chat) is refused, what frees or settles goes
  // on. Any thread; refreshed about once a second.
  virtual bool BelowDiskReserve() const = 0;

  virtual StoreStats stats() const = 0;
};

}  // namespace hongyan::storage
