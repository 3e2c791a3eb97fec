#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/day_store.h"
#include "storage/ledger_store.h"
#include "storage/packet_store.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/day_files.h"

namespace hongyan::storage {

// The ports of money on RocksDB, now or at one instant; keys and values are drawn in
// schema/rocksdb/README.md.

class RocksdbLedgerStore final : public LedgerStore {
 public:
  explicit RocksdbLedgerStore(View view) : view_(std::move(view)) {}

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
  const View view_;
};

// A day that is archived while a packet of it is read is read again, in its file.
class RocksdbPacketStore final : public PacketStore {
 public:
  // `files` outlives it.
  RocksdbPacketStore(View view, const DayFiles& files) : view_(std::move(view)), files_(files) {}

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
  // Runs `in_file` on the day's file where the day is archived, else `in_rows`.
  template <class InFile, class InRows>
  auto WhereItIs(model::ShardId shard, int32_t day, InFile in_file, InRows in_rows) const
      -> decltype(in_rows());
  base::Result<std::optional<model::Packet>> FindRows(model::ShardId shard,
                                                      model::PacketId packet) const;
  base::Result<std::vector<model::Claim>> ListClaimRows(model::ShardId shard,
                                                        model::PacketId packet) const;
  base::Result<std::vector<model::Packet>> ListRows(model::ShardId shard, model::PacketId first,
                                                    size_t limit) const;
  base::Result<model::PacketStatus> ReadStatus(model::ShardId shard, model::PacketId packet) const;
  // The first packet above `after`, over all day slots and archived days; none = there is none.
  base::Result<std::optional<model::PacketId>> NextPacket(model::ShardId shard,
                                                          model::PacketId after) const;

  const View view_;
  const DayFiles& files_;
};

class RocksdbDayStore final : public DayStore {
 public:
  // Both outlive it.
  RocksdbDayStore(Database& database, DayFiles& files) : database_(database), files_(files) {}

  base::Result<std::vector<model::ArchivedDay>> ListDays(model::ShardId shard) const override;
  base::Result<std::optional<model::ArchivedDay>> FindDay(model::ShardId shard,
                                                          int32_t day) const override;
  base::Result<std::unique_ptr<File>> NewFile(model::ShardId shard, int32_t day) override;
  base::Result<void> Verify(model::ShardId shard, const model::ArchivedDay& day) const override;
  void Archive(Batch& batch, model::ShardId shard, const model::ArchivedDay& day) override;
  base::Result<Restored> Restore(Batch& batch, model::ShardId shard, int32_t day,
                                 model::PacketId after, size_t max_records) override;
  base::Result<void> Reclaim(model::ShardId shard, int32_t day) override;
  void StopReclaiming() override { database_.StopCompacting(); }

 private:
  Database& database_;
  DayFiles& files_;
};

}  // namespace hongyan::storage
