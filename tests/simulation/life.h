#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "inbox/online_heads.h"
#include "message_shard.h"
#include "money_shard.h"
#include "shard/executor.h"
#include "simulation/front_door.h"
#include "storage/memory/memory_message_store.h"
#include "storage/memory/memory_money_store.h"

namespace hongyan::simulation {

// One life of the process: what is in its memory. One thread.
struct Life {
  Life(std::unique_ptr<storage::MemoryMessageStore> m,
       std::unique_ptr<storage::MemoryMoneyStore> money)
      : store(std::move(m)),
        money_store(std::move(money)),
        router(store->identity()),
        wallets(money_store->identity()),
        routes(wallets, money_store->money_identity(), router) {}

  std::unique_ptr<storage::MemoryMessageStore> store;
  std::unique_ptr<storage::MemoryMoneyStore> money_store;
  shard::Router router;
  shard::Router wallets;
  money::Routes routes;
  inbox::OnlineHeads online;
  money::Board board;
  MessageCounters counters;
  money::Counters money_counters;
  std::unique_ptr<FrontDoor> door;
  struct Driver {
    std::unique_ptr<shard::Executor> executor;
    bool money = false;
    int64_t ticked_ns = 0;
  };
  std::vector<Driver> drivers;
  std::map<model::ShardId, size_t> driver_of;
  // One of several executors has opened their store again: trims of the others that no commit had
  // made durable are undone, and made again after the next start.
  bool trims_are_back = false;
};

}  // namespace hongyan::simulation
