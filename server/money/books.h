#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "model/money.h"
#include "money/packet_id.h"
#include "shard/unit_of_work.h"
#include "storage/ledger_store.h"

namespace hongyan::money {

// Sides of a posting.
enum class Account : uint8_t { kWallets, kEscrow, kSuspense, kWorld, kTransitOut, kTransitIn };

// Whether ids up to this day and counter can have been given out at all. Any thread.
bool IdsCanBe(const model::Books& books);

// The books of one shard: every movement of money is one posting here and one business row
// elsewhere, in the same commit, so that the accounts add up to zero after each batch. Also gives
// out packet ids, because their counter is kept in the same row. Shard thread.
class BooksOfShard {
 public:
  // `store` outlives it. `generation`: the store's; a new one raises the counter of ids.
  BooksOfShard(model::ShardId shard, storage::LedgerStore& store, int64_t generation);

  // `fen` > 0 leaves `from` and comes to `to`. An Error (books unreadable, or beyond int64) has
  // changed nothing: so it is asked before the rows are written.
  base::Result<void> Post(shard::UnitOfWork& work, Account from, Account to, int64_t fen);

  // The next place of this shard's packets: day and counter; cell and table are the caller's. BUSY
  // where the day has no more, kBroken where the books' own day or counter is none. Changes
  // nothing: TakeId gives it out, with the commit.
  base::Result<PacketIdParts> NextId(const shard::UnitOfWork& work);
  void TakeId(shard::UnitOfWork& work, const PacketIdParts& parts);

  // As this batch sees them.
  base::Result<const model::Books*> Read();

  void Publish();
  void Drop();
  void Forget();

 private:
  const model::ShardId shard_;
  storage::LedgerStore& store_;
  const int64_t generation_;
  std::optional<model::Books> committed_;  // none = not read yet
  model::Books now_;                       // where committed_ is
  bool changed_ = false;
};

}  // namespace hongyan::money
