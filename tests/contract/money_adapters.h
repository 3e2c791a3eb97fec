#pragma once

#include "adapters.h"
#include "storage/memory/memory_money_store.h"
#include "storage/money_store.h"
#include "storage/rocksdb/rocksdb_money_store.h"

namespace hongyan::storage {

// For stores of money.
using MemoryMoneyAdapter = MemoryAdapterOf<MoneyStore, MemoryMoneyStore, MemoryMoneyState, 2>;
using RocksdbMoneyAdapter = RocksdbAdapterOf<MoneyStore, RocksdbMoneyStore, 2>;
#define MONEY_ADAPTERS MemoryMoneyAdapter, RocksdbMoneyAdapter

constexpr model::ShardId kShard = model::kFirstMoneyShard;
constexpr model::ShardId kOtherShard = model::kFirstMoneyShard + 1;

}  // namespace hongyan::storage
