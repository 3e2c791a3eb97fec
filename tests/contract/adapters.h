#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "faulty_env.h"
#include "storage/memory/memory_message_store.h"
#include "storage/message_store.h"
#include "storage/rocksdb/rocksdb_message_store.h"
#include "temporary_directory.h"

namespace hongyan::storage {

// What a contract test needs of an adapter: an empty store with so many shards, its process dying
// and coming back, and commits that fail on demand. Every test runs on each of ADAPTERS.
template <class Port, class Store, class State, int kShards>
class MemoryAdapterOf {
 public:
  MemoryAdapterOf() { Open(); }

  Port& store() { return *store_; }

  // The process ends in good order and starts again on the same data.
  void Restart() {
    store_.reset();
    Open();
  }

  // Until Heal, commits end unknown and the store cannot be opened.
  void Break() { broken_ = true; }
  void Heal() { broken_ = false; }

 private:
  void Open() {
    MemoryFaults faults;
    faults.commit = [this] { return broken_ ? CommitFate::kUnknownLost : CommitFate::kApply; };
    faults.reopen_fails = [this] { return broken_; };
    store_ = std::make_unique<Store>(state_, std::move(faults));
  }

  std::shared_ptr<State> state_ = State::Create(7, kShards);
  std::unique_ptr<Store> store_;
  bool broken_ = false;
};

template <class Port, class Store, int kShards>
class RocksdbAdapterOf {
 public:
  RocksdbAdapterOf() { Open(); }

  Port& store() { return *store_; }
  Store& rocksdb_store() { return *store_; }
  const std::string& path() const { return directory_.path(); }
  FaultyFileSystem& files() { return *files_; }
  base::ManualClock& clock() { return clock_; }

  RocksdbOptions options() const {
    RocksdbOptions options;
    options.path = path();
    options.clock = &clock_;
    options.shards = kShards;
    options.disk_reserve_bytes = 0;
    options.block_cache_bytes = 8 << 20;
    options.write_buffer_bytes = 4 << 20;
    options.env = env_.get();
    return options;
  }

  void Close() { store_.reset(); }
  void Restart() {
    Close();
    Open();
  }

  void Break() { files_->disk_full = true; }
  void Heal() { files_->disk_full = false; }

 private:
  void Open() { store_ = std::move(*Store::Open(options())); }

  TemporaryDirectory directory_;
  base::ManualClock clock_{1'790'000'000'000};
  std::shared_ptr<FaultyFileSystem> files_ = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(files_);
  std::unique_ptr<Store> store_;
};

using MemoryAdapter = MemoryAdapterOf<MessageStore, MemoryMessageStore, MemoryState, 4>;
using RocksdbAdapter = RocksdbAdapterOf<MessageStore, RocksdbMessageStore, 4>;
#define ADAPTERS MemoryAdapter, RocksdbAdapter

// One commit of what `fill` stages.
inline CommitOutcome Commit(ShardStore& store, const std::function<void(Batch&)>& fill) {
  auto batch = store.NewBatch();
  fill(*batch);
  return store.Commit(std::move(batch));
}

}  // namespace hongyan::storage
