#include "money_shard.h"

#include <algorithm>
#include <type_traits>

#include "base/check.h"
#include "money/refusals.h"

namespace hongyan {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

using Outcome = base::Result<shard::ItemOutcome>;

size_t PartOf(size_t all, const storage::StoreIdentity& identity) {
  return std::max<size_t>(1, all / static_cast<size_t>(std::max(1, identity.shards)));
}

}  // namespace

MoneyShard::MoneyShard(model::ShardId shard, storage::MoneyStore& store,
                       const money::Routes& routes, money::Board& board, money::Counters& counters,
                       money::Limits limits, Held held)
    : books_(shard, store.ledger(), store.identity().generation),
      wallets_(shard, store.ledger(), books_, routes, counters, limits,
               PartOf(held.wallets, store.identity())),
      packets_(shard, store.packets(), store.money_identity(), books_, routes, board, counters,
               limits, PartOf(held.packets, store.identity())),
      days_(shard, store) {}

void MoneyShard::Apply(shard::UnitOfWork& work, const model::Command& command) {
  const model::ReplyTo& to = command.reply_to;
  std::visit(Overloaded{
                 [&](const model::SendPacket& c) { wallets_.Send(work, to, c); },
                 [&](const model::MoveManyFunds& c) { wallets_.Move(work, to, c); },
                 [&](const model::SetFrozen& c) { wallets_.Freeze(work, to, c); },
                 [&](const model::OpenPacket& c) { packets_.Open(work, to, c); },
                 [&](const model::ReturnPacket& c) { packets_.Return(work, to, c); },
                 [&](const model::MendPacket& c) { packets_.Mend(work, to, c); },
                 [&](const model::ArchiveDay& c) { days_.Archive(work, to, c); },
                 [&](const model::RestoreDay& c) { days_.Restore(work, to, c); },
                 [&](const auto&) { CHECK(false); },  // message shards' and the executor's own
             },
             command.body);
}

Outcome MoneyShard::ApplyItem(shard::UnitOfWork& work, const shard::ItemPlace& place,
                              const model::Item& item, size_t) {
  return std::visit(
      Overloaded{
          [&](const model::FundItem& i) -> Outcome { return packets_.Apply(work, place, i); },
          [&](const model::VerdictItem& i) -> Outcome { return packets_.Apply(work, i); },
          [&](const model::CreditItem& i) -> Outcome { return wallets_.Apply(work, i); },
          [&](const model::RefundItem& i) -> Outcome { return wallets_.Apply(work, i); },
          // What is for another kind of shard came from broken data, not from our code.
          [&](const auto&) -> Outcome {
            return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                                 "an item that is not for a money shard");
          },
      },
      item);
}

base::Result<void> MoneyShard::Suspend(shard::UnitOfWork& work, int64_t fen) {
  using money::Account;
  if (fen == 0) return {};
  if (fen > 0) return books_.Post(work, Account::kTransitIn, Account::kSuspense, fen);
  return books_.Post(work, Account::kSuspense, Account::kTransitIn, -fen);
}

base::Result<void> MoneyShard::SendOn(shard::UnitOfWork& work, const model::Item& item) {
  return packets_.SendOn(work, item);
}

bool MoneyShard::Due(int64_t time_ms) const { return packets_.Due(time_ms); }

void MoneyShard::ApplyDue(shard::UnitOfWork& work, size_t max_records) {
  packets_.Sweep(work, max_records);
}

bool MoneyShard::SetApart(shard::UnitOfWork& work, const model::Command& command) {
  if (const auto* open = std::get_if<model::OpenPacket>(&command.body)) {
    return packets_.SetApart(work, open->packet);
  }
  if (const auto* back = std::get_if<model::ReturnPacket>(&command.body)) {
    return packets_.SetApart(work, back->packet);
  }
  return false;
}

void MoneyShard::SetApartDue(shard::UnitOfWork& work) { packets_.SetApartDue(work); }

void MoneyShard::Publish(std::vector<model::Effect>& effects) {
  books_.Publish();
  wallets_.Publish(effects);
  packets_.Publish();
}

void MoneyShard::Drop() {
  books_.Drop();
  wallets_.Drop();
  packets_.Drop();
}

void MoneyShard::Forget(std::vector<model::Effect>& effects) {
  books_.Forget();
  wallets_.Forget(effects);
  packets_.Forget();
}

// Nobody waits here: a send that waits for credits is the executor's.
void MoneyShard::AbandonWaiting(shard::UnitOfWork&, const base::Error&) {}

}  // namespace hongyan
