#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "storage/memory/memory_money_store.h"
#include "storage/money_store.h"

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

#define MONEY_ADAPTERS MemoryMoneyAdapter

// One commit of what `fill` stages.
inline CommitOutcome CommitMoney(MoneyStore& store, const std::function<void(Batch&)>& fill) {
  auto batch = store.NewBatch();
  fill(*batch);
  return store.Commit(std::move(batch));
}

constexpr model::ShardId kShard = model::kFirstMoneyShard;
constexpr model::ShardId kOtherShard = model::kFirstMoneyShard + 1;

}  // namespace hongyan::storage
