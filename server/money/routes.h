#pragma once

#include <array>
#include <optional>

#include "model/ids.h"
#include "money/packet_id.h"
#include "shard/router.h"
#include "storage/money_store.h"

namespace hongyan::money {

// Where money goes: pure functions of ids. Immutable; any thread. The routers and the identity
// outlive it.
class Routes {
 public:
  // `wallets`: of the money store's identity, by user. `messages`: of the message store's.
  Routes(const shard::Router& wallets, const storage::MoneyIdentity& identity,
         const shard::Router& messages)
      : wallets_(wallets), cells_(identity.cells), messages_(messages) {}

  model::ShardId WalletOf(model::UserId user) const { return wallets_.ShardOf(user); }

  // None: no id that this server can have given.
  std::optional<model::ShardId> ShardOf(model::PacketId packet) const {
    const auto parts = ReadPacketId(packet);
    if (!parts) return std::nullopt;
    return CellOf(parts->cell);
  }
  model::ShardId CellOf(int32_t cell) const { return cells_[static_cast<size_t>(cell)]; }

  model::ShardId ConversationOf(const model::ConversationId& conversation) const {
    return messages_.ShardOf(conversation);
  }
  model::ShardId InboxOf(model::UserId user) const { return messages_.ShardOf(user); }

 private:
  const shard::Router& wallets_;
  const std::array<model::ShardId, storage::kCells>& cells_;
  const shard::Router& messages_;
};

}  // namespace hongyan::money
