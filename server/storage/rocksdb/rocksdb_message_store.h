#pragma once

#include <memory>

#include "base/result.h"
#include "storage/message_store.h"
#include "storage/rocksdb/rocksdb_options.h"

namespace hongyan::storage {

// The embedded store: one directory, RocksDB inside. One batch is one synced
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

// `hongyan-admin store accept`: the operator takes the store as it can be read now, after a refusal
// to open. Keeps what comes before the damage, raises the generation, so that no seq is given
// twice, and writes a fresh mark. REQUIRES that no process has the store open (answered with an
// Error).
base::Result<AcceptedStore> AcceptStore(const RocksdbOptions& options);

}  // namespace hongyan::storage
