#pragma once

#include <memory>

#include "base/result.h"
#include "storage/money_store.h"
#include "storage/rocksdb/rocksdb_options.h"

namespace hongyan::storage {

// The embedded store of money: what RocksdbMessageStore is for messages, in a directory of its own,
// with shards from kFirstMoneyShard on (options.shards of them, 1 to kMaxMoneyShards, where it is
// created). The rules of MessageStore's commits, endings and threads hold.
class RocksdbMoneyStore final : public MoneyStore {
 public:
  // Creates the store if the directory is empty or absent; cells and the first secret are drawn
  // then. An Error is a sentence for the operator.
  static base::Result<std::unique_ptr<RocksdbMoneyStore>> Open(const RocksdbOptions& options);

  ~RocksdbMoneyStore() override;

  LedgerStore& ledger() override;
  PacketStore& packets() override;
  DayStore& days() override;
  ChannelStore& channels() override;
  const StoreIdentity& identity() const override;
  const MoneyIdentity& money_identity() const override;
  std::unique_ptr<Batch> NewBatch() override;
  CommitOutcome Commit(std::unique_ptr<Batch> batch) override;
  base::Result<void> Reopen() override;
  bool BelowDiskReserve() const override;
  StoreStats stats() const override;

  // After a Reopen every read of an older snapshot is an Error (kStoreStopped): take another.
  base::Result<std::unique_ptr<Snapshot>> TakeSnapshot() const override;

  // As RocksdbMessageStore::Compact.
  base::Result<void> Compact();

 private:
  struct Impl;
  explicit RocksdbMoneyStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// AcceptStore, for a store of money. The shards' counters of packet ids go up with the generation
// when they next give one out.
base::Result<AcceptedStore> AcceptMoneyStore(const RocksdbOptions& options);

}  // namespace hongyan::storage
