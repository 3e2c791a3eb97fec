#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "faulty_env.h"
#include "storage/memory/memory_money_store.h"
#include "storage/money_store.h"
#include "storage/rocksdb/rocksdb_money_store.h"
#include "temporary_directory.h"

namespace hongyan::storage {

// As adapters.h, for stores of money: empty, with two shards.
class MemoryMoneyAdapter {
 public:
  MemoryMoneyAdapter() { Open(); }

  MoneyStore& store() { return *store_; }
  void Restart() {
    store_.reset();
    Open();
  }
  void Break() { broken_ = true; }
  void Heal() { broken_ = false; }

 private:
  void Open() {
    MemoryFaults faults;
    faults.commit = [this] { return broken_ ? CommitFate::kUnknownLost : CommitFate::kApply; };
    faults.reopen_fails = [this] { return broken_; };
    store_ = std::make_unique<MemoryMoneyStore>(state_, std::move(faults));
  }

  std::shared_ptr<MemoryMoneyState> state_ = MemoryMoneyState::Create(7, 2);
  std::unique_ptr<MemoryMoneyStore> store_;
  bool broken_ = false;
};

class RocksdbMoneyAdapter {
 public:
  RocksdbMoneyAdapter() { Open(); }

  MoneyStore& store() { return *store_; }
  RocksdbMoneyStore& rocksdb_store() { return *store_; }
  FaultyFileSystem& files() { return *files_; }
  base::ManualClock& clock() { return clock_; }
  const std::string& path() const { return directory_.path(); }

  RocksdbOptions options() const {
    RocksdbOptions options;
    options.path = path();
    options.clock = &clock_;
    options.shards = 2;
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
  void Open() { store_ = std::move(*RocksdbMoneyStore::Open(options())); }

  TemporaryDirectory directory_;
  base::ManualClock clock_{1'790'000'000'000};
  std::shared_ptr<FaultyFileSystem> files_ = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(files_);
  std::unique_ptr<RocksdbMoneyStore> store_;
};

#define MONEY_ADAPTERS MemoryMoneyAdapter, RocksdbMoneyAdapter

// One commit of what `fill` stages.
inline CommitOutcome CommitMoney(MoneyStore& store, const std::function<void(Batch&)>& fill) {
  auto batch = store.NewBatch();
  fill(*batch);
  return store.Commit(std::move(batch));
}

constexpr model::ShardId kShard = model::kFirstMoneyShard;
constexpr model::ShardId kOtherShard = model::kFirstMoneyShard + 1;

}  // namespace hongyan::storage
