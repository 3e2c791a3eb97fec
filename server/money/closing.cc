#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "money/packets.h"
#include "money/proof.h"
#include "money/refusals.h"

// The ways money leaves a packet unopened: expiry, refusal, return; and quarantine.

namespace hongyan::money {
namespace {

using model::PacketKind;
using model::PacketState;
using model::Reason;
using model::ReturnReason;

constexpr size_t kRecordsPerClose = 3;
constexpr size_t kMostAtOnce = 64;
constexpr int64_t kUnreadableRetryMs = 1000;
constexpr int64_t kBrokenRetryMs = 60'000;

// The claims are right about what was taken: the state row says the same from now on.
void CountLeft(model::PacketStatus& status, const model::PacketHeader& header,
               const std::vector<model::Claim>& claims) {
  status.left = header.terms.shares - static_cast<int32_t>(claims.size());
  status.best_ordinal = 0;
  status.best_fen = 0;
  if (header.terms.kind != PacketKind::kLucky) return;
  for (const model::Claim& claim : claims) {
    if (claim.amount_fen <= status.best_fen) continue;
    status.best_fen = claim.amount_fen;
    status.best_ordinal = claim.ordinal;
  }
}

}  // namespace

// -- close: the only way out of CREATED and OPEN but the last open (quarantine aside: ReturnRest)

base::Result<void> Packets::Close(shard::UnitOfWork& work, LivePacket& packet, PacketState state,
                                  ReturnReason reason, model::UserId by) {
  using What = model::PacketNoticeItem::What;
  const model::PacketHeader& header = *packet.header;
  model::PacketStatus status = packet.status;
  const int64_t refund = status.left_fen;
  const bool announced = status.state == PacketState::kOpen;
  if (auto posted = books_.Post(work, Account::kEscrow, Account::kTransitOut, refund); !posted) {
    return posted;
  }
  status.state = state;
  status.refund_fen = refund;
  status.left_fen = 0;
  status.closed_ms = work.time_ms();
  live_.PutStatus(work, packet, status);
  ++tally_.refunds;
  Refund(work, header, refund, reason);
  // Nobody is told of a packet whose message may not be there; its sender learns with the money.
  if (!announced) return {};
  const bool returned = reason == ReturnReason::kReturned;
  Notice(work, header, returned ? What::kReturned : What::kRefunded, by, refund, 0);
  return {};
}

void Packets::Refund(shard::UnitOfWork& work, const model::PacketHeader& header, int64_t fen,
                     ReturnReason reason) {
  const model::PacketTerms& terms = header.terms;
  work.Emit(routes_.WalletOf(terms.sender),
            model::RefundItem{header.id, terms.sender, terms.request_id, terms.conversation,
                              terms.kind, fen, reason, true},
            2);
}

// -- return: a transfer by who it is for, any packet by the administrator

void Packets::Return(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::ReturnPacket& command) {
  work.Reply(to, GiveBack(work, command));
}

model::Reply Packets::GiveBack(shard::UnitOfWork& work, const model::ReturnPacket& command) {
  const bool admin = !command.user;
  auto found = live_.Find(command.packet);
  if (!found) return std::move(found).error();
  if (*found == nullptr) return Refusal(Reason::kNoSuchPacket);
  LivePacket& packet = **found;
  const model::PacketTerms& terms = packet.header->terms;
  if (!admin && terms.named != command.user) return Refusal(Reason::kNotTheNamedPerson);
  if (!admin && terms.kind != PacketKind::kTransfer) return Refusal(Reason::kNotAllowed);
  if (packet.status.quarantined) return Refusal(Reason::kQuarantined);
  // The first that came decides; its repeat gets the same answer.
  if (packet.status.state == PacketState::kReturned) return model::ReplyBody(model::Done{});
  if (model::Closed(packet.status.state)) return Refusal(ReasonOf(packet.status.state));
  if (packet.status.state == PacketState::kCreated && !admin) return Busy(kUnannouncedRetryMs);
  if (packet.header->expires_ms <= work.time_ms() && !admin) return Refusal(Reason::kPacketExpired);
  if (const auto flaw = FlawIn(packet)) {
    Quarantine(work, packet, flaw->text);
    return Refusal(Reason::kQuarantined);
  }
  if (auto may = MayEmit(work, routes_.WalletOf(terms.sender)); !may) return may.error();
  auto closed = Close(work, packet, PacketState::kReturned,
                      admin ? ReturnReason::kByAdmin : ReturnReason::kReturned, command.user);
  if (!closed) return closed.error();
  return model::ReplyBody(model::Done{});
}

// -- what was parked

base::Result<void> Packets::SendOn(shard::UnitOfWork& work, const model::Item& item) {
  std::optional<model::Item> onward;
  model::UserId owner;
  if (const auto* fund = std::get_if<model::FundItem>(&item)) {
    const model::PacketTerms& terms = fund->terms;
    owner = terms.sender;
    onward =
        model::RefundItem{fund->packet, owner,           terms.request_id,    terms.conversation,
                          terms.kind,   terms.total_fen, ReturnReason::kRule, false};
  } else if (const auto* credit = std::get_if<model::CreditItem>(&item)) {
    owner = credit->user;
    onward = *credit;
  } else if (const auto* refund = std::get_if<model::RefundItem>(&item)) {
    owner = refund->sender;
    onward = *refund;
  }
  const int64_t fen = onward ? model::FenOf(*onward) : 0;
  if (fen <= 0 || owner.value <= 0) {
    return base::Error(
        base::Code::kFailedPrecondition,
        "the item does not say whose money it carries: name the packet and the user");
  }
  if (auto may = MayEmit(work, routes_.WalletOf(owner)); !may) return may;
  if (auto posted = books_.Post(work, Account::kSuspense, Account::kTransitOut, fen); !posted) {
    return posted;
  }
  work.Emit(routes_.WalletOf(owner), *std::move(onward), 2);
  return {};
}

// -- expiry

// In the order of expiry, from where the last sweep ended. What cannot be closed does not hold up
// what follows it: broken rows are quarantined, and passed by from then on; what cannot be read
// even for that is passed by too (Quarantined lists it), and tried again each minute.
void Packets::Sweep(shard::UnitOfWork& work, size_t max_records) {
  const int64_t now_ms = work.time_ms();
  if (sweep_.again_ms <= now_ms) sweep_ = {};
  size_t closes = std::max<size_t>(1, max_records / kRecordsPerClose);
  while (closes > 0) {
    const size_t asked = std::min(closes, kMostAtOnce);
    auto due = store_.Due(shard_, sweep_.after, now_ms, asked);
    if (!due) {
      LOG_WARN("sweep_unreadable shard={} error=\"{}\"", shard_, due.error().text);
      sweep_.next_ms = now_ms + kUnreadableRetryMs;
      return;
    }
    for (const auto& expiry : *due) {
      if (!Expire(work, expiry)) {
        sweep_.next_ms = now_ms + kUnreadableRetryMs;
        return;
      }
      sweep_.after = expiry;
    }
    closes -= std::min(closes, std::max<size_t>(1, due->size()));
    if (due->size() == asked) continue;
    auto next = store_.Due(shard_, sweep_.after, std::numeric_limits<int64_t>::max(), 1);
    if (!next) {
      sweep_.next_ms = now_ms + kUnreadableRetryMs;
    } else {
      sweep_.next_ms =
          next->empty() ? std::numeric_limits<int64_t>::max() : next->front().expires_ms;
    }
    // Those of this batch are not in the store yet.
    sweep_.next_ms = std::min({sweep_.next_ms, sweep_.again_ms, tally_.first_expiry_ms});
    return;
  }
  sweep_.next_ms = now_ms;  // there may be more
}

// False: it must be tried again, and nothing after it meanwhile.
bool Packets::Expire(shard::UnitOfWork& work, const storage::PacketStore::Expiry& expiry) {
  auto found = live_.Find(expiry.packet);
  if (!found) {
    LOG_ERROR("expired_packet_unreadable shard={} packet={} error=\"{}\"", shard_,
              expiry.packet.value, found.error().text);
    if (found.error().code == base::Code::kUnavailable) return false;
    sweep_.again_ms = std::min(sweep_.again_ms, work.time_ms() + kBrokenRetryMs);
    return true;
  }
  if (*found == nullptr) {
    LOG_ERROR("expiry_without_packet shard={} packet={}", shard_, expiry.packet.value);
    return true;
  }
  LivePacket& packet = **found;
  if (packet.status.quarantined || model::Closed(packet.status.state)) return true;
  if (packet.header->expires_ms != expiry.expires_ms) {
    Quarantine(work, packet, "its expiry key is not its time of expiry");
    return true;
  }
  if (const auto flaw = FlawIn(packet)) {
    Quarantine(work, packet, flaw->text);
    return true;
  }
  if (auto closed = Close(work, packet, PacketState::kExpired, ReturnReason::kExpired, {});
      !closed) {
    LOG_ERROR("expired_packet_stays shard={} packet={} error=\"{}\"", shard_, expiry.packet.value,
              closed.error().text);
    return false;
  }
  return true;
}

// -- quarantine

// What its rows say is left waits in suspense; as long as they do not add up nobody can know
// better.
void Packets::Quarantine(shard::UnitOfWork& work, LivePacket& packet, const std::string& why) {
  LOG_ERROR("packet_quarantined shard={} packet={} why=\"{}\"", shard_, packet.header->id.value,
            why);
  model::PacketStatus status = packet.status;
  status.quarantined = true;
  status.held_fen = 0;
  const int64_t held = std::clamp<int64_t>(
      status.left_fen, 0, std::clamp<int64_t>(packet.header->terms.total_fen, 0, kMaxFen));
  if (held > 0 && books_.Post(work, Account::kEscrow, Account::kSuspense, held)) {
    status.held_fen = held;
  }
  live_.PutStatus(work, packet, status);
  ++tally_.quarantined;
}

bool Packets::SetApart(shard::UnitOfWork& work, model::PacketId packet) {
  auto found = live_.Find(packet);
  if (!found || *found == nullptr) return false;
  const model::PacketStatus& status = (*found)->status;
  if (status.quarantined || model::Closed(status.state)) return false;
  Quarantine(work, **found, "the store refuses what is written of it: a row is there already");
  return true;
}

void Packets::SetApartDue(shard::UnitOfWork& work) {
  if (sweep_.again_ms <= work.time_ms()) sweep_ = {};
  auto due = store_.Due(shard_, sweep_.after, work.time_ms(), 1);
  if (!due || due->empty()) return;
  if (SetApart(work, due->front().packet)) sweep_.after = due->front();
}

void Packets::Mend(shard::UnitOfWork& work, const model::ReplyTo& to,
                   const model::MendPacket& mend) {
  work.Reply(to, MendOne(work, mend));
}

model::Reply Packets::MendOne(shard::UnitOfWork& work, const model::MendPacket& mend) {
  live_.Reload(mend.packet);
  auto found = live_.Find(mend.packet);
  if (!found) return std::move(found).error();
  if (*found == nullptr) return Refusal(Reason::kNoSuchPacket);
  LivePacket& packet = **found;
  if (!packet.status.quarantined) {
    // The sweep passed it by when it could not be read.
    const bool overdue = mend.how == model::MendPacket::How::kRetry &&
                         !model::Closed(packet.status.state) &&
                         packet.header->expires_ms <= work.time_ms();
    if (!overdue) {
      return base::Error(base::Code::kFailedPrecondition, "this packet is not in quarantine");
    }
    if (!Expire(work, {packet.header->expires_ms, mend.packet})) return Refusal(Reason::kBroken);
    if (packet.status.quarantined) return Refusal(Reason::kQuarantined);
    return model::ReplyBody(model::Done{});
  }
  auto mended =
      mend.how == model::MendPacket::How::kReturn ? ReturnRest(work, packet) : LetGo(work, packet);
  if (!mended) return mended.error();
  LOG_WARN("packet_mended shard={} packet={} how={}", shard_, mend.packet.value,
           mend.how == model::MendPacket::How::kReturn ? "returned" : "added up");
  return model::ReplyBody(model::Done{});
}

// Its rows add up now.
base::Result<void> Packets::LetGo(shard::UnitOfWork& work, LivePacket& packet) {
  auto claims = live_.StoredClaims(packet);
  if (!claims) return std::move(claims).error();
  model::PacketStatus status = packet.status;
  status.quarantined = false;
  status.held_fen = 0;
  if (const auto flaw = FlawOf(*packet.header, status, *claims, identity_)) {
    base::Error still = Refusal(Reason::kQuarantined);
    still.text = "it still does not add up: " + flaw->text;
    return still;
  }
  const int64_t held = packet.status.held_fen;
  if (held > 0) {
    if (auto posted = books_.Post(work, Account::kSuspense, Account::kEscrow, held); !posted) {
      return posted;
    }
  }
  live_.PutStatus(work, packet, status);
  if (!model::Closed(status.state) && packet.header->expires_ms <= work.time_ms()) {
    return Close(work, packet, PacketState::kExpired, ReturnReason::kExpired, {});
  }
  // A refusal may have come meanwhile, and was not heard: the conversation is asked once more.
  if (status.state == PacketState::kCreated) Announce(work, *packet.header);
  return {};
}

// Gives back what both views agree is left: the state row's, and the total less the claims. While
// they do not agree the packet stays in quarantine, and what is not explained where it is.
base::Result<void> Packets::ReturnRest(shard::UnitOfWork& work, LivePacket& packet) {
  auto claims = live_.StoredClaims(packet);
  if (!claims) return std::move(claims).error();
  model::PacketStatus status = packet.status;
  int64_t derived = packet.header->terms.total_fen;
  if (__builtin_sub_overflow(derived, status.refund_fen, &derived)) derived = 0;
  for (const model::Claim& claim : *claims) {
    if (__builtin_sub_overflow(derived, claim.amount_fen, &derived)) derived = 0;
  }
  // The books may have refused to take it to suspense: then it is still in escrow.
  const bool held = status.held_fen > 0;
  int64_t rest = std::min(status.left_fen, derived);
  if (held) rest = std::min(rest, status.held_fen);
  if (rest <= 0 || model::Closed(status.state)) {
    return base::Error(base::Code::kFailedPrecondition,
                       "there is nothing in this packet that surely belongs to its sender");
  }
  const Account from = held ? Account::kSuspense : Account::kEscrow;
  if (auto posted = books_.Post(work, from, Account::kTransitOut, rest); !posted) return posted;
  const bool announced = status.state == PacketState::kOpen;
  status.state = PacketState::kReturned;
  status.refund_fen += rest;
  status.left_fen = 0;
  status.closed_ms = work.time_ms();
  if (held) status.held_fen -= rest;
  status.quarantined = status.held_fen > 0 || rest != derived;
  if (!status.quarantined) CountLeft(status, *packet.header, *claims);
  live_.PutStatus(work, packet, status);
  ++tally_.refunds;
  Refund(work, *packet.header, rest, ReturnReason::kByAdmin);
  if (!announced) return {};
  Notice(work, *packet.header, model::PacketNoticeItem::What::kRefunded, {}, rest, 0);
  return {};
}

}  // namespace hongyan::money
