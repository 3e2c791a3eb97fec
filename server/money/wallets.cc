#include "money/wallets.h"

#include <utility>

#include "base/bytes.h"
#include "base/hash.h"
#include "money/calendar.h"
#include "money/refusals.h"

namespace hongyan::money {
namespace {

using model::Reason;
using Outcome = base::Result<shard::ItemOutcome>;

base::Result<void> CheckAge(const model::RequestId& id, int64_t now_ms) {
  const int64_t age_ms = now_ms - id.created_ms();
  if (id.bytes[6] >> 4 != 7 || age_ms < -model::kMaxRequestAheadMs)
    return Refusal(Reason::kStaleId);
  if (age_ms > model::kMaxRequestAgeMs) return Refusal(Reason::kRequestTooOld);
  return {};
}

base::Error BrokenItem() {
  return model::Refuse(base::Code::kDataLoss, Reason::kBroken,
                       "an item of money that names no user of this shard, or no possible amount");
}

}  // namespace

// A fixed encoding of what was meant: protobuf may write the same thing in two ways.
uint64_t HashOf(const model::PacketTerms& terms) {
  std::string meaning("hongyan/send/1");
  base::AppendBe64(meaning, static_cast<uint64_t>(terms.kind));
  base::AppendBe64(meaning, static_cast<uint64_t>(terms.conversation.a));
  base::AppendBe64(meaning, static_cast<uint64_t>(terms.conversation.b));
  base::AppendBe64(meaning, static_cast<uint64_t>(terms.total_fen));
  base::AppendBe64(meaning, static_cast<uint64_t>(terms.shares));
  base::AppendBe64(meaning, static_cast<uint64_t>(terms.named.value));
  meaning.append(terms.greeting);
  return base::SipHash(meaning, base::SipKey{});
}

Wallets::Wallets(model::ShardId shard, storage::LedgerStore& store, BooksOfShard& books,
                 const Routes& routes, Counters& counters, Limits limits, size_t held)
    : shard_(shard),
      store_(store),
      books_(books),
      routes_(routes),
      counters_(counters),
      limits_(limits),
      wallets_(held) {}

// -- send

void Wallets::Send(shard::UnitOfWork& work, const model::ReplyTo& to,
                   const model::SendPacket& send) {
  if (auto reply = Fund(work, send)) work.Reply(to, *std::move(reply));
}

// None: put aside, to be asked again.
std::optional<model::Reply> Wallets::Fund(shard::UnitOfWork& work, const model::SendPacket& send) {
  model::PacketTerms terms = send.terms;
  if (auto fresh = CheckAge(terms.request_id, work.time_ms()); !fresh) return fresh.error();
  const SendKey key{terms.sender, terms.request_id};
  const uint64_t hash = HashOf(terms);
  auto outcome = FindOutcome(key);
  if (!outcome) return model::Reply(std::move(outcome).error());
  if (outcome->has_value()) {
    if ((*outcome)->hash != hash) return Refusal(Reason::kConflict);
    if ((*outcome)->packet) return model::ReplyBody(model::PacketSending{(*outcome)->packet});
    return Refusal(static_cast<Reason>((*outcome)->rule));
  }
  if (send.no && (work.BelowDiskReserve() || !IsVerdict(*send.no))) return *send.no;
  if (send.no) return Remember(work, key, hash, *send.no);
  if (work.BelowDiskReserve()) return Refusal(Reason::kDiskReserve);
  if (auto form = CheckTerms(limits_, terms); !form) return Remember(work, key, hash, form.error());
  auto found = Find(terms.sender);
  if (!found) return model::Reply(std::move(found).error());
  const model::Wallet wallet =
      *found == nullptr ? model::Wallet{terms.sender, 0, 0, false, {}} : **found;
  if (wallet.frozen) return Remember(work, key, hash, Refusal(Reason::kWalletFrozen));
  if (wallet.balance_fen < terms.total_fen) {
    if (!work.waited()) {
      work.AwaitArrivals();
      return std::nullopt;
    }
    if (work.arrivals_missing()) return Refusal(Reason::kFundsPending);
    return Remember(work, key, hash, Refusal(Reason::kNoFunds));
  }
  // The packet's shard announces it, but a chat that this one cannot reach, that one hardly can:
  // better that no money leaves than that it comes back unopened.
  if (auto may = MayEmit(work, routes_.ConversationOf(terms.conversation)); !may) {
    return model::Reply(std::move(may).error());
  }
  auto place = PlaceFor(work);
  if (!place) return model::Reply(std::move(place).error());
  if (auto posted = books_.Post(work, Account::kWallets, Account::kTransitOut, terms.total_fen);
      !posted) {
    return posted.error();
  }
  books_.TakeId(work, *place);
  const model::PacketId packet = MakePacketId(*place);
  Debit(work, wallet, packet, terms);
  PutOutcome(work, key, {hash, packet, 0, work.time_ms(), model::ReturnReason::kNone});
  ++tally_.sends;
  terms.share_cap_fen = ShareCap(limits_, terms);
  work.Emit(routes_.CellOf(place->cell), model::FundItem{packet, std::move(terms)}, 2);
  return model::ReplyBody(model::PacketSending{packet});
}

void Wallets::Debit(shard::UnitOfWork& work, model::Wallet wallet, model::PacketId packet,
                    const model::PacketTerms& terms) {
  model::YearTotal& year = wallet.years[YearOf(work.time_ms())];
  ++year.sent_count;
  year.sent_fen += terms.total_fen;
  model::StatementRow row;
  row.kind = model::StatementKind::kSent;
  row.amount_fen = -terms.total_fen;
  row.packet = packet;
  row.packet_kind = terms.kind;
  row.peer = terms.named;
  Book(work, std::move(wallet), std::move(row));
}

// Where the next packet goes: the counter walks over the cells, and a cell whose shard cannot take
// it now is passed by.
base::Result<PacketIdParts> Wallets::PlaceFor(shard::UnitOfWork& work) {
  auto id = books_.NextId(work);
  if (!id) return id;
  id->table = static_cast<int32_t>(id->counter / storage::kCells % 10);
  std::optional<base::Error> why;
  for (int64_t step = 0; step < storage::kCells; ++step) {
    id->cell = static_cast<int32_t>((id->counter + step) % storage::kCells);
    auto may = MayEmit(work, routes_.CellOf(id->cell));
    if (may) return id;
    if (!why) why = may.error();
  }
  return *why;
}

// A verdict on the request itself: the same request gets it again, whatever the wallet holds by
// then.
model::Reply Wallets::Remember(shard::UnitOfWork& work, const SendKey& key, uint64_t hash,
                               base::Error refusal) {
  PutOutcome(work, key, {hash, {}, refusal.reason, work.time_ms(), model::ReturnReason::kNone});
  ++tally_.refused;
  return refusal;
}

// -- what comes home

Outcome Wallets::Apply(shard::UnitOfWork& work, const model::CreditItem& item) {
  if (item.amount_fen <= 0 || item.amount_fen > kMaxFen || item.user.value <= 0 ||
      routes_.WalletOf(item.user) != shard_) {
    return BrokenItem();
  }
  auto found = Find(item.user);
  if (!found) return std::move(found).error();
  model::Wallet wallet = *found == nullptr ? model::Wallet{item.user, 0, 0, false, {}} : **found;
  if (auto posted = books_.Post(work, Account::kTransitIn, Account::kWallets, item.amount_fen);
      !posted) {
    return posted.error();
  }
  model::YearTotal& year = wallet.years[YearOf(work.time_ms())];
  ++year.received_count;
  year.received_fen += item.amount_fen;
  model::StatementRow row;
  row.kind = model::StatementKind::kReceived;
  row.amount_fen = item.amount_fen;
  row.packet = item.packet;
  row.packet_kind = item.kind;
  row.peer = item.sender;
  Book(work, std::move(wallet), std::move(row));
  ++tally_.credits;
  return shard::ItemOutcome::Applied();
}

Outcome Wallets::Apply(shard::UnitOfWork& work, const model::RefundItem& item) {
  if (item.amount_fen <= 0 || item.amount_fen > kMaxFen || item.sender.value <= 0 ||
      routes_.WalletOf(item.sender) != shard_) {
    return BrokenItem();
  }
  const SendKey key{item.sender, item.request_id};
  std::optional<model::SendOutcome> outcome;
  if (!item.created) {
    auto remembered = FindOutcome(key);
    if (!remembered) return std::move(remembered).error();
    outcome = *remembered;
  }
  auto found = Find(item.sender);
  if (!found) return std::move(found).error();
  model::Wallet wallet = *found == nullptr ? model::Wallet{item.sender, 0, 0, false, {}} : **found;
  if (auto posted = books_.Post(work, Account::kTransitIn, Account::kWallets, item.amount_fen);
      !posted) {
    return posted.error();
  }
  wallet.years[YearOf(work.time_ms())].returned_fen += item.amount_fen;
  model::StatementRow row;
  row.kind = model::StatementKind::kRefund;
  row.amount_fen = item.amount_fen;
  row.packet = item.packet;
  row.packet_kind = item.kind;
  row.reason = item.reason;
  Book(work, std::move(wallet), std::move(row));
  if (!item.created) ++tally_.reversed;
  if (outcome.has_value() && outcome->packet == item.packet) {
    outcome->returned = item.reason;
    PutOutcome(work, key, *outcome);
  }
  if (!item.conversation.valid()) return shard::ItemOutcome::Applied();  // no entry without one
  work.Emit(routes_.InboxOf(item.sender),
            model::PacketReturnedItem{item.sender, item.request_id, item.packet, item.conversation,
                                      item.amount_fen, item.reason, work.time_ms()},
            1);
  return shard::ItemOutcome::Applied();
}

// -- rows

// The statement row is the posting; the wallet is its sum.
void Wallets::Book(shard::UnitOfWork& work, model::Wallet wallet, model::StatementRow row) {
  wallet.balance_fen += row.amount_fen;
  row.account_seq = ++wallet.account_seq;
  row.balance_fen = wallet.balance_fen;
  row.time_ms = work.time_ms();
  store_.AppendStatement(work.batch(), shard_, wallet.user, row);
  PutWallet(work, std::move(wallet));
}

void Wallets::PutWallet(shard::UnitOfWork& work, model::Wallet wallet) {
  store_.PutWallet(work.batch(), shard_, wallet);
  const model::UserId user = wallet.user;
  wallets_.Put(user, std::move(wallet));
}

base::Result<const model::Wallet*> Wallets::Find(model::UserId user) {
  return wallets_.Find(user, [this](model::UserId id) { return store_.FindWallet(shard_, id); });
}

base::Result<std::optional<model::SendOutcome>> Wallets::FindOutcome(const SendKey& key) const {
  if (const auto found = outcomes_.find(key); found != outcomes_.end()) {
    return std::optional(found->second);
  }
  return store_.FindSend(key.user, key.request);
}

void Wallets::PutOutcome(shard::UnitOfWork& work, const SendKey& key,
                         const model::SendOutcome& outcome) {
  store_.PutSend(work.batch(), key.user, key.request, outcome);
  outcomes_[key] = outcome;
}

// -- the batch

void Wallets::Publish(std::vector<model::Effect>& effects) {
  wallets_.ForEachChanged([&](model::UserId user, const model::Wallet*) {
    effects.push_back(model::WalletChanged{user});
  });
  wallets_.Publish();
  dropped_.clear();
  outcomes_.clear();
  moves_.clear();
  const auto add = [](std::atomic<int64_t>& counter, int64_t more) {
    if (more != 0) counter.fetch_add(more, std::memory_order_relaxed);
  };
  add(counters_.sends, tally_.sends);
  add(counters_.sends_refused, tally_.refused);
  add(counters_.credits, tally_.credits);
  add(counters_.reversed, tally_.reversed);
  add(counters_.moves, tally_.moves);
  tally_ = {};
}

void Wallets::Drop() {
  if (wallets_.changed() > 0) dropped_.clear();
  wallets_.ForEachChanged(
      [&](model::UserId user, const model::Wallet*) { dropped_.push_back(user); });
  wallets_.Drop();
  outcomes_.clear();
  moves_.clear();
  tally_ = {};
}

void Wallets::Forget(std::vector<model::Effect>& effects) {
  for (const model::UserId user : dropped_) effects.push_back(model::WalletChanged{user});
  dropped_.clear();
  wallets_.Forget();
  outcomes_.clear();
  moves_.clear();
  tally_ = {};
}

}  // namespace hongyan::money
