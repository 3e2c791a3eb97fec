#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/memory/memory_door.h"
#include "storage/memory/memory_money_batch.h"
#include "storage/memory/memory_money_state.h"
#include "storage/memory/memory_shard_store.h"
#include "storage/money_store.h"

namespace hongyan::storage {

using MoneyDoor = MemoryDoor<MemoryMoneyState>;

class MemoryLedgerStore final : public LedgerStore {
 public:
  explicit MemoryLedgerStore(const MoneyDoor& door) : door_(door) {}

  base::Result<std::optional<model::Wallet>> FindWallet(model::ShardId shard,
                                                        model::UserId user) const override;
  void PutWallet(Batch& batch, model::ShardId shard, const model::Wallet& wallet) override;
  base::Result<std::vector<model::Wallet>> ListWallets(model::ShardId shard, model::UserId after,
                                                       size_t limit) const override;
  void AppendStatement(Batch& batch, model::ShardId shard, model::UserId user,
                       const model::StatementRow& row) override;
  base::Result<std::vector<model::StatementRow>> ReadStatement(model::ShardId shard,
                                                               model::UserId user, int64_t before,
                                                               size_t limit) const override;
  base::Result<std::optional<model::SendOutcome>> FindSend(
      model::UserId user, const model::RequestId& request) const override;
  void PutSend(Batch& batch, model::UserId user, const model::RequestId& request,
               const model::SendOutcome& outcome) override;
  base::Result<std::optional<model::MoveOutcome>> FindMove(model::UserId user,
                                                           std::string_view id) const override;
  void PutMove(Batch& batch, model::UserId user, std::string_view id,
               const model::MoveOutcome& outcome) override;
  base::Result<model::Books> ReadBooks(model::ShardId shard) const override;
  void PutBooks(Batch& batch, model::ShardId shard, const model::Books& books) override;

 private:
  const MoneyDoor& door_;
};

class MemoryPacketStore : public PacketStore {
 public:
  explicit MemoryPacketStore(const MoneyDoor& door) : door_(door) {}

  base::Result<std::optional<model::Packet>> FindPacket(model::ShardId shard,
                                                        model::PacketId packet) const override;
  void InsertPacket(Batch& batch, model::ShardId shard, const model::Packet& packet) override;
  void PutStatus(Batch& batch, model::ShardId shard, const model::PacketHeader& header,
                 const model::PacketStatus& status) override;
  void InsertClaim(Batch& batch, model::ShardId shard, model::PacketId packet,
                   const model::Claim& claim) override;
  base::Result<std::optional<model::Claim>> FindClaim(model::ShardId shard, model::PacketId packet,
                                                      model::UserId user) const override;
  base::Result<std::vector<model::Claim>> ListClaims(model::ShardId shard,
                                                     model::PacketId packet) const override;
  base::Result<std::vector<Expiry>> Due(model::ShardId shard, Expiry after, int64_t until_ms,
                                        size_t limit) const override;
  base::Result<std::vector<model::Packet>> ListPackets(model::ShardId shard, model::PacketId after,
                                                       size_t limit) const override;
  base::Result<std::vector<model::PacketId>> ListQuarantined(model::ShardId shard,
                                                             size_t limit) const override;

 private:
  const MoneyDoor& door_;
};

class MemoryDayStore final : public DayStore {
 public:
  explicit MemoryDayStore(MoneyDoor& door) : door_(door) {}

  base::Result<std::vector<model::ArchivedDay>> ListDays(model::ShardId shard) const override;
  base::Result<std::optional<model::ArchivedDay>> FindDay(model::ShardId shard,
                                                          int32_t day) const override;
  base::Result<std::unique_ptr<File>> NewFile(model::ShardId shard, int32_t day) override;
  base::Result<void> Verify(model::ShardId shard, const model::ArchivedDay& day) const override;
  void Archive(Batch& batch, model::ShardId shard, const model::ArchivedDay& day) override;
  base::Result<Restored> Restore(Batch& batch, model::ShardId shard, int32_t day,
                                 model::PacketId after, size_t max_records) override;
  base::Result<void> Reclaim(model::ShardId shard, int32_t day) override;
  void StopReclaiming() override {}

 private:
  MoneyDoor& door_;
};

// The proof adapter of money, as MemoryMessageStore is of messages: its faults, its lives. What
// must be new: statement rows, outcomes, packets, claims, ordinals. Any thread; one lock.
class MemoryMoneyStore : public MemoryShardStore<MoneyStore, MemoryMoneyState, MemoryMoneyBatch> {
 public:
  explicit MemoryMoneyStore(std::shared_ptr<MemoryMoneyState> state, MemoryFaults faults = {})
      : MemoryShardStore(std::move(state), std::move(faults)) {}

  LedgerStore& ledger() override { return ledger_; }
  PacketStore& packets() override { return packets_; }
  DayStore& days() override { return days_; }
  const MoneyIdentity& money_identity() const override { return door_.state()->money; }
  base::Result<std::unique_ptr<Snapshot>> TakeSnapshot() const override;

 private:
  MemoryLedgerStore ledger_{door_};
  MemoryPacketStore packets_{door_};
  MemoryDayStore days_{door_};
};

}  // namespace hongyan::storage
