#include "money/packets.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "money/judge.h"
#include "money/proof.h"
#include "money/refusals.h"

namespace hongyan::money {
namespace {

using model::PacketKind;
using model::PacketState;
using model::Reason;
using Outcome = base::Result<shard::ItemOutcome>;

// The same send: whoever sent it, under the same name, meaning the same.
bool SameSend(const model::PacketTerms& a, const model::PacketTerms& b) {
  return a.kind == b.kind && a.conversation == b.conversation && a.sender == b.sender &&
         a.request_id == b.request_id && a.named == b.named && a.total_fen == b.total_fen &&
         a.shares == b.shares && a.share_cap_fen == b.share_cap_fen && a.greeting == b.greeting;
}

base::Error BrokenItem() {
  return model::Refuse(
      base::Code::kDataLoss, Reason::kBroken,
      "an item of money that names no sender, no amount or another shard's packet");
}

}  // namespace

Packets::Packets(model::ShardId shard, storage::PacketStore& store,
                 const storage::MoneyIdentity& identity, BooksOfShard& books, const Routes& routes,
                 Board& board, Counters& counters, Limits limits, size_t held)
    : shard_(shard),
      store_(store),
      identity_(identity),
      books_(books),
      routes_(routes),
      board_(board),
      counters_(counters),
      limits_(limits),
      live_(shard, store, held) {}

// -- create

// What was debited at the sender's wallet either becomes a packet here or goes back: there is no
// third.
Outcome Packets::Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                       const model::FundItem& item) {
  const model::PacketTerms& terms = item.terms;
  const auto id = ReadPacketId(item.packet);
  if (terms.total_fen <= 0 || terms.sender.value <= 0) return BrokenItem();
  if (!id || routes_.CellOf(id->cell) != shard_)
    return Reverse(work, item, model::ReturnReason::kRule);

  auto found = live_.Find(item.packet);
  if (!found) return std::move(found).error();
  if (*found != nullptr) {
    // An insert, never an upsert. The channel lets nothing in twice, so either is a loss of state.
    LOG_ERROR("packet_id_again packet={} source={} item={}", item.packet.value, place.source,
              place.number);
    if (SameSend((*found)->header->terms, terms)) {
      return shard::ItemOutcome::Park({}, "this send has made its packet already");
    }
    return Reverse(work, item, model::ReturnReason::kRule);
  }
  const int32_t today = DayOf(work.time_ms());
  if (id->day < today - 1 || id->day > today + 1) {
    return Reverse(work, item, model::ReturnReason::kTooLate);
  }
  model::Packet packet;
  packet.header.id = item.packet;
  packet.header.terms = terms;
  packet.header.created_ms = work.time_ms();
  packet.header.expires_ms = work.time_ms() + limits_.life_ms;
  packet.header.secret_number = static_cast<uint16_t>(identity_.secrets.size() - 1);
  packet.status.state = PacketState::kCreated;
  packet.status.left = terms.shares;
  packet.status.left_fen = terms.total_fen;
  if (const auto flaw = FlawOf(packet.header, packet.status, identity_)) {
    LOG_WARN("packet_refused packet={} why=\"{}\"", item.packet.value, flaw->text);
    return Reverse(work, item, model::ReturnReason::kRule);
  }
  if (auto posted = books_.Post(work, Account::kTransitIn, Account::kEscrow, terms.total_fen);
      !posted) {
    return posted.error();
  }
  const LivePacket& made = live_.Insert(work, std::move(packet));
  sweep_.next_ms = std::min(sweep_.next_ms, made.header->expires_ms);
  tally_.first_expiry_ms = std::min(tally_.first_expiry_ms, made.header->expires_ms);
  ++tally_.packets;
  Announce(work, *made.header);
  return shard::ItemOutcome::Applied();
}

void Packets::Announce(shard::UnitOfWork& work, const model::PacketHeader& header) {
  work.Emit(routes_.ConversationOf(header.terms.conversation), model::AnnounceItem{header}, 1);
}

Outcome Packets::Reverse(shard::UnitOfWork& work, const model::FundItem& item,
                         model::ReturnReason reason) {
  const model::PacketTerms& terms = item.terms;
  if (auto posted = books_.Post(work, Account::kTransitIn, Account::kTransitOut, terms.total_fen);
      !posted) {
    return posted.error();
  }
  work.Emit(routes_.WalletOf(terms.sender),
            model::RefundItem{item.packet, terms.sender, terms.request_id, terms.conversation,
                              terms.kind, terms.total_fen, reason, false},
            2);
  return shard::ItemOutcome::Applied();
}

Outcome Packets::Apply(shard::UnitOfWork& work, const model::VerdictItem& item) {
  auto found = live_.Find(item.packet);
  if (!found) return std::move(found).error();
  if (*found == nullptr || (*found)->status.state != PacketState::kCreated) {
    return shard::ItemOutcome::Applied();  // closed meanwhile, or told twice
  }
  LivePacket& packet = **found;
  if (item.announced) {
    model::PacketStatus status = packet.status;
    status.state = PacketState::kOpen;
    status.announced = true;
    live_.PutStatus(work, packet, status);
    return shard::ItemOutcome::Applied();
  }
  if (packet.status.quarantined) return shard::ItemOutcome::Applied();
  if (const auto flaw = FlawIn(packet)) {
    Quarantine(work, packet, flaw->text);
    return shard::ItemOutcome::Applied();
  }
  LOG_INFO("packet_not_announced packet={} reason={}", item.packet.value, item.reason);
  auto closed = Close(work, packet, PacketState::kRefused, model::ReturnReason::kRefused, {});
  if (!closed) return closed.error();
  return shard::ItemOutcome::Applied();
}

std::optional<Flaw> Packets::FlawIn(const LivePacket& packet) const {
  if (!packet.claims_lost.empty()) return Flaw{"claims_lost", 0, packet.claims_lost};
  if (auto flaw = FlawOf(*packet.header, packet.status, identity_)) return flaw;
  const int64_t taken = int64_t{packet.header->terms.shares} - packet.status.left;
  if (static_cast<int64_t>(packet.claims.size()) == taken) return std::nullopt;
  return Flaw{"claim_missing", 0,
              "there are " + std::to_string(packet.claims.size()) + " claims and " +
                  std::to_string(taken) + " shares taken"};
}

// -- open

void Packets::Open(shard::UnitOfWork& work, const model::ReplyTo& to,
                   const model::OpenPacket& open) {
  model::Reply reply = Take(work, open);
  if (!reply) ++tally_.opens_refused;
  work.Reply(to, std::move(reply));
}

model::Reply Packets::Take(shard::UnitOfWork& work, const model::OpenPacket& open) {
  auto found = live_.Find(open.packet);
  if (!found) return std::move(found).error();
  if (*found == nullptr) return Refusal(Reason::kNoSuchPacket);
  LivePacket& packet = **found;
  auto own = live_.FindClaim(packet, open.user);
  if (!own) return std::move(own).error();
  auto judged = Judge(*packet.header, packet.status, own->has_value() ? &**own : nullptr, open.user,
                      &open.eligible, work.time_ms());
  if (!judged) return std::move(judged).error();
  if (judged->kind == Judged::Kind::kAlready) return model::ReplyBody(judged->opened);
  if (const auto flaw = FlawIn(packet)) {
    Quarantine(work, packet, flaw->text);
    return Refusal(Reason::kQuarantined);
  }
  if (auto may = MayEmit(work, routes_.WalletOf(open.user)); !may) return may.error();
  auto opened = Draw(work, packet, open);
  if (!opened) return std::move(opened).error();
  return model::ReplyBody(*opened);
}

// The claim row is the posting escrow -> transit_out.
base::Result<model::Opened> Packets::Draw(shard::UnitOfWork& work, LivePacket& packet,
                                          const model::OpenPacket& open) {
  const model::PacketHeader& header = *packet.header;
  model::PacketStatus status = packet.status;
  model::Claim claim;
  claim.user = open.user;
  claim.ordinal = header.terms.shares - status.left + 1;
  claim.amount_fen = ShareOf(header, status.left_fen, status.left, identity_);
  claim.time_ms = work.time_ms();
  claim.member_version = open.eligible.version;
  if (auto posted = books_.Post(work, Account::kEscrow, Account::kTransitOut, claim.amount_fen);
      !posted) {
    return posted.error();
  }
  --status.left;
  status.left_fen -= claim.amount_fen;
  if (header.terms.kind == PacketKind::kLucky && claim.amount_fen > status.best_fen) {
    status.best_fen = claim.amount_fen;
    status.best_ordinal = claim.ordinal;
  }
  const bool last = status.left == 0;
  if (last) {
    status.state = PacketState::kDone;
    status.closed_ms = work.time_ms();
  }
  live_.AddClaim(work, packet, claim);
  live_.PutStatus(work, packet, status);
  ++tally_.opens;
  work.Emit(routes_.WalletOf(open.user),
            model::CreditItem{header.id, open.user, claim.amount_fen, header.terms.kind,
                              header.terms.sender, claim.time_ms},
            2);
  if (last) Finish(work, packet, claim);
  return ToOpened(claim, false);
}

void Packets::Finish(shard::UnitOfWork& work, LivePacket& packet, const model::Claim& last) {
  using What = model::PacketNoticeItem::What;
  const model::PacketHeader& header = *packet.header;
  const int64_t took_ms = last.time_ms - header.created_ms;
  ++tally_.finished;
  if (header.terms.kind == PacketKind::kTransfer) {
    Notice(work, header, What::kAccepted, last.user, last.amount_fen, took_ms);
    return;
  }
  model::UserId best;
  if (header.terms.kind == PacketKind::kLucky) {
    for (const auto& [user, claim] : packet.claims) {
      if (claim.ordinal == packet.status.best_ordinal) best = user;
    }
  }
  Notice(work, header, What::kFinished, best, 0, took_ms);
}

void Packets::Notice(shard::UnitOfWork& work, const model::PacketHeader& header,
                     model::PacketNoticeItem::What what, model::UserId user, int64_t amount_fen,
                     int64_t took_ms) {
  const model::PacketTerms& terms = header.terms;
  work.Emit(routes_.ConversationOf(terms.conversation),
            model::PacketNoticeItem{what, header.id, terms.kind, terms.conversation, terms.sender,
                                    user, amount_fen, took_ms},
            1);
}

// -- the batch

void Packets::Publish() {
  live_.Publish(board_);
  committed_sweep_ = sweep_;
  const auto add = [](std::atomic<int64_t>& counter, int64_t more) {
    if (more != 0) counter.fetch_add(more, std::memory_order_relaxed);
  };
  add(counters_.packets, tally_.packets);
  add(counters_.opens, tally_.opens);
  add(counters_.opens_refused, tally_.opens_refused);
  add(counters_.finished, tally_.finished);
  add(counters_.refunds, tally_.refunds);
  add(counters_.quarantined, tally_.quarantined);
  tally_ = {};
}

void Packets::Drop() {
  live_.Drop();
  sweep_ = committed_sweep_;
  tally_ = {};
}

void Packets::Forget() {
  live_.Forget();
  board_.Forget();
  sweep_ = committed_sweep_ = {};
  tally_ = {};
}

}  // namespace hongyan::money
