#include "money/books.h"

#include <algorithm>

#include "money/limits.h"
#include "money/refusals.h"

namespace hongyan::money {
namespace {

// A store that lost its tail may have given out more ids than it knows: it goes on well above them.
constexpr int64_t kGenerationStep = 1'000'000;

int64_t* AccountOf(model::Books& books, Account account) {
  switch (account) {
    case Account::kWallets:
      return &books.wallets_fen;
    case Account::kEscrow:
      return &books.escrow_fen;
    case Account::kSuspense:
      return &books.suspense_fen;
    case Account::kWorld:
      return &books.world_fen;
    case Account::kTransitOut:
      return &books.transit_out_fen;
    case Account::kTransitIn:
      break;
  }
  return &books.transit_in_fen;
}

// transit_in counts what was taken: money that leaves it for an account of ours makes it grow.
bool Add(model::Books& books, Account account, int64_t fen) {
  int64_t* sum = AccountOf(books, account);
  const int64_t change = account == Account::kTransitIn ? -fen : fen;
  return !__builtin_add_overflow(*sum, change, sum);
}

base::Error BrokenIds() {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       "the books of this shard say that ids were given out which cannot be: see "
                       "`hongyan-admin money audit`");
}

}  // namespace

bool IdsCanBe(const model::Books& books) {
  return books.id_day >= 0 && books.id_day <= kLastDay && books.id_counter >= 0 &&
         books.id_counter <= kMaxPacketsPerDay;
}

BooksOfShard::BooksOfShard(model::ShardId shard, storage::LedgerStore& store, int64_t generation)
    : shard_(shard), store_(store), generation_(generation) {}

base::Result<const model::Books*> BooksOfShard::Read() {
  if (!committed_.has_value()) {
    auto read = store_.ReadBooks(shard_);
    if (!read) return std::move(read).error();
    committed_ = now_ = *read;
  }
  return &now_;
}

base::Result<void> BooksOfShard::Post(shard::UnitOfWork& work, Account from, Account to,
                                      int64_t fen) {
  auto read = Read();
  if (!read) return read.error();
  model::Books next = now_;
  if (fen <= 0 || !Add(next, from, -fen) || !Add(next, to, fen)) {
    return Refusal(model::Reason::kBroken);
  }
  if (next.world_fen < -kMaxFen || next.world_fen > kMaxFen) {
    return Refusal(model::Reason::kWorldLimit);
  }
  now_ = next;
  changed_ = true;
  store_.PutBooks(work.batch(), shard_, now_);
  return {};
}

base::Result<PacketIdParts> BooksOfShard::NextId(const shard::UnitOfWork& work) {
  auto read = Read();
  if (!read) return read.error();
  PacketIdParts parts;
  if (!IdsCanBe(now_)) return BrokenIds();
  parts.allocator = shard_ - model::kFirstMoneyShard;
  parts.day = std::max(now_.id_day, DayOf(work.time_ms()));
  if (parts.day < kFirstDay || parts.day > kLastDay) return BrokenIds();
  parts.counter = parts.day > now_.id_day ? 0 : now_.id_counter;
  if (generation_ > now_.generation) {
    parts.counter = (parts.counter / kGenerationStep + 1) * kGenerationStep;
  }
  if (parts.counter >= kMaxPacketsPerDay) return Busy(60'000);
  return parts;
}

void BooksOfShard::TakeId(shard::UnitOfWork& work, const PacketIdParts& parts) {
  now_.id_day = parts.day;
  now_.id_counter = parts.counter + 1;
  now_.generation = std::max(now_.generation, generation_);
  changed_ = true;
  store_.PutBooks(work.batch(), shard_, now_);
}

void BooksOfShard::Publish() {
  if (changed_) committed_ = now_;
  changed_ = false;
}

void BooksOfShard::Drop() {
  if (changed_) now_ = *committed_;
  changed_ = false;
}

void BooksOfShard::Forget() {
  committed_.reset();
  changed_ = false;
}

}  // namespace hongyan::money
