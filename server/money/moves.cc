#include <algorithm>
#include <utility>

#include "money/refusals.h"
#include "money/wallets.h"

// What the administrator does to wallets: deposits, withdrawals, freeze.

namespace hongyan::money {
namespace {

using model::Reason;

}  // namespace

void Wallets::Move(shard::UnitOfWork& work, const model::ReplyTo& to,
                   const model::MoveManyFunds& moves) {
  if (moves.moves.size() > kMaxMoves) return work.Reply(to, Refusal(Reason::kTooLarge));
  if (!work.waited() && LacksFunds(moves)) return work.AwaitArrivals();
  model::FundsMoved moved;
  moved.outcomes.reserve(moves.moves.size());
  for (const model::MoveFunds& move : moves.moves) moved.outcomes.push_back(MoveOne(work, move));
  work.Reply(to, model::ReplyBody(std::move(moved)));
}

// Some withdrawal of these would be refused for want of funds: credits on their way may help.
bool Wallets::LacksFunds(const model::MoveManyFunds& moves) {
  absl::flat_hash_map<model::UserId, int64_t> balances;
  const bool withdraws =
      std::any_of(moves.moves.begin(), moves.moves.end(),
                  [](const model::MoveFunds& move) { return move.amount_fen < 0; });
  if (!withdraws) return false;
  for (const model::MoveFunds& move : moves.moves) {
    if (!CheckMove(move)) continue;
    auto known = FindMove({move.user, move.id});
    if (!known || known->has_value()) continue;
    auto [balance, fresh] = balances.try_emplace(move.user, 0);
    if (fresh) {
      auto found = Find(move.user);
      if (found && *found != nullptr) balance->second = (*found)->balance_fen;
    }
    if (balance->second < -move.amount_fen) return true;
    balance->second += move.amount_fen;
  }
  return false;
}

base::Result<model::MoveOutcome> Wallets::MoveOne(shard::UnitOfWork& work,
                                                  const model::MoveFunds& move) {
  if (auto form = CheckMove(move); !form) return form.error();
  const MoveKey key{move.user, move.id};
  auto known = FindMove(key);
  if (!known) return std::move(known).error();
  if (known->has_value()) {
    if ((*known)->amount_fen != move.amount_fen) return Refusal(Reason::kConflict);
    (*known)->already = true;
    return **known;
  }
  if (work.BelowDiskReserve()) return Refusal(Reason::kDiskReserve);
  auto found = Find(move.user);
  if (!found) return std::move(found).error();
  const model::Wallet wallet =
      *found == nullptr ? model::Wallet{move.user, 0, 0, false, {}} : **found;
  const bool deposit = move.amount_fen > 0;
  if (!deposit) {
    if (wallet.frozen) return Refusal(Reason::kWalletFrozen);
    if (wallet.balance_fen < -move.amount_fen) {
      return Refusal(work.arrivals_missing() ? Reason::kFundsPending : Reason::kNoFunds);
    }
  }
  auto posted = deposit ? books_.Post(work, Account::kWorld, Account::kWallets, move.amount_fen)
                        : books_.Post(work, Account::kWallets, Account::kWorld, -move.amount_fen);
  if (!posted) return posted.error();
  model::StatementRow row;
  row.kind = deposit ? model::StatementKind::kDeposit : model::StatementKind::kWithdrawal;
  row.amount_fen = move.amount_fen;
  row.note = move.id + ": " + move.reason;
  const model::MoveOutcome outcome{move.amount_fen, wallet.account_seq + 1,
                                   wallet.balance_fen + move.amount_fen, work.time_ms()};
  Book(work, wallet, std::move(row));
  store_.PutMove(work.batch(), move.user, move.id, outcome);
  moves_[key] = outcome;
  ++tally_.moves;
  return outcome;
}

void Wallets::Freeze(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::SetFrozen& freeze) {
  auto found = Find(freeze.user);
  if (!found) return work.Reply(to, std::move(found).error());
  if (*found == nullptr) return work.Reply(to, Refusal(Reason::kNoSuchWallet));
  if ((*found)->frozen != freeze.frozen) {
    model::Wallet wallet = **found;
    wallet.frozen = freeze.frozen;
    PutWallet(work, std::move(wallet));
  }
  work.Reply(to, model::ReplyBody(model::Done{}));
}

base::Result<std::optional<model::MoveOutcome>> Wallets::FindMove(const MoveKey& key) const {
  if (const auto found = moves_.find(key); found != moves_.end())
    return std::optional(found->second);
  return store_.FindMove(key.first, key.second);
}

}  // namespace hongyan::money
