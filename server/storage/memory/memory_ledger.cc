#include <algorithm>
#include <string>

#include "storage/memory/memory_money_store.h"

namespace hongyan::storage {

namespace {

MemoryMoneyBatch& Staged(Batch& batch) { return static_cast<MemoryMoneyBatch&>(batch); }

template <class Map, class Key>
std::optional<typename Map::mapped_type> Find(const Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

}  // namespace

base::Result<std::optional<model::Wallet>> MemoryLedgerStore::FindWallet(model::ShardId shard,
                                                                         model::UserId user) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::optional<model::Wallet>> {
        return Find(state.wallets, std::pair(shard, user));
      });
}

void MemoryLedgerStore::PutWallet(Batch& batch, model::ShardId shard, const model::Wallet& wallet) {
  Staged(batch).PutWallet(shard, wallet);
}

base::Result<std::vector<model::Wallet>> MemoryLedgerStore::ListWallets(model::ShardId shard,
                                                                        model::UserId after,
                                                                        size_t limit) const {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<std::vector<model::Wallet>> {
    std::vector<model::Wallet> wallets;
    for (auto row = state.wallets.upper_bound({shard, after});
         row != state.wallets.end() && row->first.first == shard && wallets.size() < limit; ++row) {
      wallets.push_back(row->second);
    }
    return wallets;
  });
}

void MemoryLedgerStore::AppendStatement(Batch& batch, model::ShardId shard, model::UserId user,
                                        const model::StatementRow& row) {
  Staged(batch).AddStatement({{shard, user}, row.account_seq}, row);
}

base::Result<std::vector<model::StatementRow>> MemoryLedgerStore::ReadStatement(
    model::ShardId shard, model::UserId user, int64_t before, size_t limit) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::vector<model::StatementRow>> {
        const MemoryMoneyState::WalletKey wallet(shard, user);
        std::vector<model::StatementRow> rows;
        auto row = state.statements.lower_bound({wallet, before == 0 ? INT64_MAX : before});
        while (row != state.statements.begin() && rows.size() < limit) {
          --row;
          if (row->first.first != wallet) break;
          rows.push_back(row->second);
        }
        return rows;
      });
}

base::Result<std::optional<model::SendOutcome>> MemoryLedgerStore::FindSend(
    model::UserId user, const model::RequestId& request) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::optional<model::SendOutcome>> {
        return Find(state.sends, std::pair(user, request));
      });
}

void MemoryLedgerStore::PutSend(Batch& batch, model::UserId user, const model::RequestId& request,
                                const model::SendOutcome& outcome) {
  Staged(batch).AddSend({user, request}, outcome);
}

base::Result<std::optional<model::MoveOutcome>> MemoryLedgerStore::FindMove(
    model::UserId user, std::string_view id) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::optional<model::MoveOutcome>> {
        return Find(state.moves, std::pair(user, std::string(id)));
      });
}

void MemoryLedgerStore::PutMove(Batch& batch, model::UserId user, std::string_view id,
                                const model::MoveOutcome& outcome) {
  Staged(batch).AddMove({user, std::string(id)}, outcome);
}

base::Result<model::Books> MemoryLedgerStore::ReadBooks(model::ShardId shard) const {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<model::Books> {
    return Find(state.books, shard).value_or(model::Books());
  });
}

void MemoryLedgerStore::PutBooks(Batch& batch, model::ShardId shard, const model::Books& books) {
  Staged(batch).PutBooks(shard, books);
}

}  // namespace hongyan::storage
