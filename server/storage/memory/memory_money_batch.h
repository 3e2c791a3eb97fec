#pragma once

#include <map>
#include <utility>

#include "storage/memory/memory_batch.h"
#include "storage/memory/memory_money_state.h"

namespace hongyan::storage {

// A batch of a store of money. Rows that are rewritten (wallets, statuses, books) are kept by key,
// so the last of a batch wins and costs one record. What must be new: statement rows, outcomes,
// packets, claims and their ordinals; an outcome
// of a send may only gain that it came back.
class MemoryMoneyBatch final : public MemoryBatch<MemoryMoneyState> {
 public:
  size_t records() const override {
    return MemoryBatch::records() + rows_.wallets.size() + rows_.statements.size() +
           rows_.sends.size() + rows_.moves.size() + rows_.books.size() + rows_.headers.size() +
           rows_.statuses.size() + rows_.claims.size() + rows_.expiries.size() + erased_.size();
  }
  size_t bytes() const override { return MemoryBatch::bytes() + kRowBytes * records(); }

  void PutWallet(model::ShardId shard, const model::Wallet& wallet) {
    rows_.wallets[{shard, wallet.user}] = wallet;
  }
  void PutBooks(model::ShardId shard, const model::Books& books) { rows_.books[shard] = books; }
  void AddStatement(const MemoryMoneyState::StatementKey& key, const model::StatementRow& row) {
    duplicate_ |= !rows_.statements.emplace(key, row).second;
  }
  void AddSend(const std::pair<model::UserId, model::RequestId>& key,
               const model::SendOutcome& outcome) {
    const auto [row, added] = rows_.sends.try_emplace(key, outcome);
    duplicate_ |= !added && !SameSend(row->second, outcome);
    row->second = outcome;
  }
  void AddMove(const std::pair<model::UserId, std::string>& key,
               const model::MoveOutcome& outcome) {
    duplicate_ |= !rows_.moves.emplace(key, outcome).second;
  }
  void AddPacket(model::ShardId shard, const model::Packet& packet) {
    const PacketStore::Expiry expiry{packet.header.expires_ms, packet.header.id};
    duplicate_ |= !rows_.headers.emplace(std::pair(shard, packet.header.id), packet.header).second;
    if (!Closed(packet.status.state)) rows_.expiries[{shard, expiry}] = true;
    rows_.statuses[{shard, packet.header.id}] = packet.status;
  }
  void PutStatus(model::ShardId shard, const model::PacketHeader& header,
                 const model::PacketStatus& status) {
    rows_.statuses[{shard, header.id}] = status;
    if (!Closed(status.state)) return;
    const std::pair key(shard, PacketStore::Expiry{header.expires_ms, header.id});
    rows_.expiries.erase(key);
    erased_[key] = true;
  }
  void AddClaim(const MemoryMoneyState::PacketKey& packet, const model::Claim& claim) {
    duplicate_ |= !rows_.claims.emplace(std::pair(packet, claim.user), claim).second;
    duplicate_ |= !rows_.ordinals.emplace(std::pair(packet, claim.ordinal), claim.user).second;
  }

  bool Collides(const MemoryMoneyState& state) const override {
    return duplicate_ || Overlap(rows_.statements, state.statements) || OtherSend(state) ||
           Overlap(rows_.moves, state.moves) || Overlap(rows_.headers, state.headers) ||
           Overlap(rows_.claims, state.claims) || Overlap(rows_.ordinals, state.ordinals);
  }

  void ApplyTo(MemoryMoneyState& state) override {
    for (auto& [key, wallet] : rows_.wallets) state.wallets[key] = std::move(wallet);
    for (const auto& [key, books] : rows_.books) state.books[key] = books;
    for (const auto& [key, status] : rows_.statuses) state.statuses[key] = status;
    for (const auto& [key, outcome] : rows_.sends) state.sends[key] = outcome;
    state.statements.merge(rows_.statements);
    state.moves.merge(rows_.moves);
    state.headers.merge(rows_.headers);
    state.claims.merge(rows_.claims);
    state.ordinals.merge(rows_.ordinals);
    state.expiries.merge(rows_.expiries);
    for (const auto& [key, gone] : erased_) state.expiries.erase(key);
    MemoryBatch::ApplyTo(state);
  }

 private:
  static bool SameSend(const model::SendOutcome& a, const model::SendOutcome& b) {
    return a.hash == b.hash && a.packet == b.packet && a.rule == b.rule && a.time_ms == b.time_ms;
  }
  // Another outcome for a request that has one.
  bool OtherSend(const MemoryMoneyState& state) const {
    for (const auto& [key, outcome] : rows_.sends) {
      const auto found = state.sends.find(key);
      if (found != state.sends.end() && !SameSend(found->second, outcome)) return true;
    }
    return false;
  }

  static constexpr size_t kRowBytes = 100;  // about what a row is in a log

  MemoryMoneyState rows_;
  std::map<std::pair<model::ShardId, PacketStore::Expiry>, bool> erased_;
  bool duplicate_ = false;
};

}  // namespace hongyan::storage
