#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "base/result.h"
#include "model/command.h"
#include "model/item.h"
#include "money/books.h"
#include "money/counters.h"
#include "money/limits.h"
#include "money/routes.h"
#include "shard/unit_of_work.h"
#include "shard/working_set.h"
#include "storage/ledger_store.h"

namespace hongyan::money {

// The wallets of one shard: sends are funded here, credits and refunds come home, the
// administrator's deposits and withdrawals. A wallet is never negative and never deleted; freeze
// stops debits, never credits: a credit can not be refused. Shard thread; everything staged goes
// with the unit of work's commit.
class Wallets {
 public:
  // All outlive it. `held`: wallets known without the store.
  Wallets(model::ShardId shard, storage::LedgerStore& store, BooksOfShard& books,
          const Routes& routes, Counters& counters, Limits limits, size_t held);

  // Commit 1 of a send: outcome, form, freeze, balance; then debit, packet id,
  // `fund`. Replies PacketSending, or puts the command aside once where funds are lacking.
  void Send(shard::UnitOfWork& work, const model::ReplyTo& to, const model::SendPacket& send);

  // Each move on its own; one id, one move, for ever.
  void Move(shard::UnitOfWork& work, const model::ReplyTo& to, const model::MoveManyFunds& moves);

  void Freeze(shard::UnitOfWork& work, const model::ReplyTo& to, const model::SetFrozen& freeze);

  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const model::CreditItem& item);
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const model::RefundItem& item);

  void Publish(std::vector<model::Effect>& effects);
  void Drop();
  // The batch dropped last may have become durable after all: whose wallets it changed are told.
  void Forget(std::vector<model::Effect>& effects);

 private:
  struct SendKey {
    model::UserId user;
    model::RequestId request;
    bool operator==(const SendKey&) const = default;
    template <class H>
    friend H AbslHashValue(H h, const SendKey& k) {
      return H::combine(std::move(h), k.user, k.request);
    }
  };
  using MoveKey = std::pair<model::UserId, std::string>;

  std::optional<model::Reply> Fund(shard::UnitOfWork& work, const model::SendPacket& send);
  void Debit(shard::UnitOfWork& work, model::Wallet wallet, model::PacketId packet,
             const model::PacketTerms& terms);
  base::Result<PacketIdParts> PlaceFor(shard::UnitOfWork& work);
  model::Reply Remember(shard::UnitOfWork& work, const SendKey& key, uint64_t hash,
                        base::Error refusal);
  base::Result<model::MoveOutcome> MoveOne(shard::UnitOfWork& work, const model::MoveFunds& move);
  bool LacksFunds(const model::MoveManyFunds& moves);

  base::Result<const model::Wallet*> Find(model::UserId user);
  base::Result<std::optional<model::SendOutcome>> FindOutcome(const SendKey& key) const;
  base::Result<std::optional<model::MoveOutcome>> FindMove(const MoveKey& key) const;
  // The wallet after one posting of row.amount_fen; fills the row's number, balance and time.
  void Book(shard::UnitOfWork& work, model::Wallet wallet, model::StatementRow row);
  void PutWallet(shard::UnitOfWork& work, model::Wallet wallet);
  void PutOutcome(shard::UnitOfWork& work, const SendKey& key, const model::SendOutcome& outcome);

  const model::ShardId shard_;
  storage::LedgerStore& store_;
  BooksOfShard& books_;
  const Routes& routes_;
  Counters& counters_;
  const Limits limits_;
  shard::WorkingSet<model::UserId, model::Wallet> wallets_;
  absl::flat_hash_map<SendKey, model::SendOutcome> outcomes_;  // of the batch under way
  absl::flat_hash_map<MoveKey, model::MoveOutcome> moves_;     // of the batch under way
  struct Tally {
    int64_t sends = 0;
    int64_t refused = 0;
    int64_t credits = 0;
    int64_t reversed = 0;
    int64_t moves = 0;
  };
  Tally tally_;                         // of the batch under way
  std::vector<model::UserId> dropped_;  // changed by the last batch, which was dropped
};

// What a send means, as one number: kind, conversation, amounts, shares, named person, greeting, in
// a fixed encoding (the request id, which carries the client's time, is the key). Any thread.
uint64_t HashOf(const model::PacketTerms& terms);

}  // namespace hongyan::money
