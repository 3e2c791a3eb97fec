#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "money/board.h"
#include "money/books.h"
#include "money/days.h"
#include "money/limits.h"
#include "money/packets.h"
#include "money/routes.h"
#include "money/wallets.h"
#include "shard/unit_of_work.h"
#include "storage/money_store.h"

namespace hongyan {

// The rules of a money shard put together: wallets and packets over one set of books. One instance
// per shard. Shard thread.
class MoneyShard final : public shard::Logic {
 public:
  // What is kept in memory by all shards of a store together: each has an even part of it.
  struct Held {
    size_t wallets = 500'000;
    size_t packets = 2'000'000;  // by weight (see money::Board)
  };

  // All outlive it. `shard` is the one it is the logic of.
  MoneyShard(model::ShardId shard, storage::MoneyStore& store, const money::Routes& routes,
             money::Board& board, money::Counters& counters, money::Limits limits, Held held);
  MoneyShard(model::ShardId shard, storage::MoneyStore& store, const money::Routes& routes,
             money::Board& board, money::Counters& counters, money::Limits limits)
      : MoneyShard(shard, store, routes, board, counters, limits, Held()) {}

  void Apply(shard::UnitOfWork& work, const model::Command& command) override;
  base::Result<shard::ItemOutcome> ApplyItem(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                             const model::Item& item, size_t max_records) override;
  base::Result<void> Suspend(shard::UnitOfWork& work, int64_t fen) override;
  base::Result<void> SendOn(shard::UnitOfWork& work, const model::Item& item) override;
  bool Due(int64_t time_ms) const override;
  void ApplyDue(shard::UnitOfWork& work, size_t max_records) override;
  bool SetApart(shard::UnitOfWork& work, const model::Command& command) override;
  void SetApartDue(shard::UnitOfWork& work) override;
  void Publish(std::vector<model::Effect>& effects) override;
  void Drop() override;
  void Forget(std::vector<model::Effect>& effects) override;
  void AbandonWaiting(shard::UnitOfWork& work, const base::Error& error) override;

 private:
  money::BooksOfShard books_;
  money::Wallets wallets_;
  money::Packets packets_;
  money::Days days_;
};

}  // namespace hongyan
