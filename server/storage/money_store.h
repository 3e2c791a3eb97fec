#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "storage/day_store.h"
#include "storage/ledger_store.h"
#include "storage/packet_store.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

constexpr int kCells = 100;

// What a money store draws when it is created, beside its StoreIdentity, and keeps for ever.
struct MoneyIdentity {
  std::array<model::ShardId, kCells> cells{};  // xx of a packet id -> money shard
  // By number: the secret that draws the shares of packets which name it. The newest is for new
  // packets. Never logged, never shown.
  std::vector<std::array<uint8_t, 32>> secrets;
};

// Cells spread evenly over so many money shards.
inline std::array<model::ShardId, kCells> EvenCells(int shards) {
  std::array<model::ShardId, kCells> cells{};
  for (size_t cell = 0; cell < cells.size(); ++cell) {
    cells[cell] =
        static_cast<model::ShardId>(model::kFirstMoneyShard + cell % static_cast<size_t>(shards));
  }
  return cells;
}

// One store of money: the ports of the money room, committed together, and a view of one instant of
// all of it for the audit.
class MoneyStore : public ShardStore {
 public:
  virtual LedgerStore& ledger() = 0;
  virtual PacketStore& packets() = 0;
  virtual DayStore& days() = 0;
  virtual const MoneyIdentity& money_identity() const = 0;

  // All ports as they were after one commit, whatever is committed meanwhile.
  class Snapshot {
   public:
    virtual ~Snapshot() = default;
    virtual const LedgerStore& ledger() const = 0;
    virtual const PacketStore& packets() const = 0;
    virtual const ChannelStore& channels() const = 0;
  };
  virtual base::Result<std::unique_ptr<Snapshot>> TakeSnapshot() const = 0;
};

}  // namespace hongyan::storage
