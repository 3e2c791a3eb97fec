#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/memory/memory_shard_state.h"
#include "storage/money_store.h"

namespace hongyan::storage {

// What a memory store of money holds.
struct MemoryMoneyState : MemoryShardState {
  // A new, empty store whose random parts come from `seed`; its shards are numbered from
  // kFirstMoneyShard.
  static std::shared_ptr<MemoryMoneyState> Create(uint64_t seed, int shards);

  MoneyIdentity money;

  using WalletKey = std::pair<model::ShardId, model::UserId>;
  using StatementKey = std::pair<WalletKey, int64_t>;
  std::map<WalletKey, model::Wallet> wallets;
  std::map<StatementKey, model::StatementRow> statements;
  std::map<std::pair<model::UserId, model::RequestId>, model::SendOutcome> sends;
  std::map<std::pair<model::UserId, std::string>, model::MoveOutcome> moves;
  std::map<model::ShardId, model::Books> books;

  using PacketKey = std::pair<model::ShardId, model::PacketId>;
  std::map<PacketKey, model::PacketHeader> headers;
  std::map<PacketKey, model::PacketStatus> statuses;
  std::map<std::pair<PacketKey, model::UserId>, model::Claim> claims;
  std::map<std::pair<PacketKey, int32_t>, model::UserId> ordinals;  // of the claims
  // The expiry keys; the value says nothing.
  std::map<std::pair<model::ShardId, PacketStore::Expiry>, bool> expiries;

  // By tests: reading these is kDataLoss.
  std::set<model::PacketId> broken_packets;
  std::set<std::pair<model::PacketId, model::UserId>> broken_claims;

  // Archived days, and the files: those are there whether a commit has named them or not.
  struct DayFile {
    std::map<model::PacketId, model::Packet> packets;
    std::map<model::PacketId, std::vector<model::Claim>> claims;  // by ordinal
  };
  using DayKey = std::pair<model::ShardId, int32_t>;
  std::map<DayKey, model::ArchivedDay> days;
  std::map<DayKey, std::shared_ptr<const DayFile>> files;

  // The file of the packet's day; null = it is not archived, the packet's rows are here.
  const DayFile* FileOf(model::ShardId shard, model::PacketId packet) const {
    const DayKey key(shard, DayOfId(packet));
    return days.contains(key) ? files.at(key).get() : nullptr;
  }
};

}  // namespace hongyan::storage
