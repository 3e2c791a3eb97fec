#include "simulation/money_witness.h"

#include <limits>

#include "model/reason.h"
#include "money/wallets.h"

namespace hongyan::simulation {

using model::PacketId;
using model::PacketState;
using model::Reason;
using model::UserId;

namespace {

Reason ReasonOf(const model::Reply& reply) {
  return reply.ok() ? Reason::kNone : static_cast<Reason>(reply.error().reason);
}

}  // namespace

bool MoneyWitness::IsVerdict(Reason reason) {
  switch (reason) {
    case Reason::kNotAMember:
    case Reason::kAmountInvalid:
    case Reason::kOverLimit:
    case Reason::kMoreSharesThanFen:
    case Reason::kSharesInvalid:
    case Reason::kKindNotHere:
    case Reason::kGreetingInvalid:
    case Reason::kNamedPersonInvalid:
    case Reason::kNoFunds:
    case Reason::kWalletFrozen:
      return true;
    default:
      return false;
  }
}

// -- asked

void MoneyWitness::Asked(const model::MoveManyFunds& moves) {
  for (const auto& move : moves.moves) moves_asked_[{move.user, move.id}].insert(move.amount_fen);
}

void MoneyWitness::Asked(const model::PacketTerms& terms) {
  sends_asked_[{terms.sender, terms.request_id}].push_back(terms);
}

void MoneyWitness::Checked(PacketId packet, UserId user, const model::Eligible& eligible) {
  if (eligible.yes) eligible_[{packet, user}].insert(eligible.version);
}

// -- answered

void MoneyWitness::Answered(const model::CommandBody& command, const model::Reply& reply) {
  if (retired_) return;
  if (const auto* send = std::get_if<model::SendPacket>(&command)) {
    AnsweredSend(*send, reply);
  } else if (const auto* moves = std::get_if<model::MoveManyFunds>(&command)) {
    AnsweredMoves(*moves, reply);
  } else if (const auto* open = std::get_if<model::OpenPacket>(&command)) {
    AnsweredOpen(*open, reply);
  } else if (const auto* back = std::get_if<model::ReturnPacket>(&command)) {
    AnsweredReturn(*back, reply);
  }
}

void MoneyWitness::AnsweredSend(const model::SendPacket& send, const model::Reply& reply) {
  const SendKey key{send.terms.sender, send.terms.request_id};
  const Reason reason = ReasonOf(reply);
  const auto outcome = state_.sends.find(key);
  const bool stored = outcome != state_.sends.end();
  const bool same = stored && outcome->second.hash == money::HashOf(send.terms);
  if (reply.ok()) {
    const PacketId packet = std::get<model::PacketSending>(*reply).packet;
    INVARIANT(stored && outcome->second.packet == packet,
              "a send of user {} was acknowledged before it is durable", key.first.value);
    INVARIANT(same, "another meaning under the id of a send of user {} was accepted",
              key.first.value);
    INVARIANT(!refused_.contains(key),
              "a send of user {} was refused, and accepted when it was asked again",
              key.first.value);
    const auto before = sent_.try_emplace(key, packet).first->second;
    INVARIANT(before == packet, "a repeated send was answered with packet {} and then with {}",
              before.value, packet.value);
    return;
  }
  if (reason == Reason::kConflict) {
    INVARIANT(stored && !same, "a true repeat of a send of user {} was called a conflict",
              key.first.value);
  } else if (IsVerdict(reason)) {
    INVARIANT(stored && same && !outcome->second.packet &&
                  outcome->second.rule == static_cast<uint16_t>(reason),
              "a verdict on a send of user {} is not remembered: {}", key.first.value,
              reply.error().text);
    const auto before = refused_.try_emplace(key, static_cast<uint16_t>(reason)).first->second;
    INVARIANT(before == static_cast<uint16_t>(reason),
              "a repeated send was refused by rule {} and then by {}", before,
              static_cast<int>(reason));
  }
}

void MoneyWitness::AnsweredMoves(const model::MoveManyFunds& moves, const model::Reply& reply) {
  if (!reply.ok()) return;
  const auto& outcomes = std::get<model::FundsMoved>(*reply).outcomes;
  INVARIANT(outcomes.size() == moves.moves.size(), "{} moves were answered with {}",
            moves.moves.size(), outcomes.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const model::MoveFunds& move = moves.moves[i];
    const auto row = state_.moves.find({move.user, move.id});
    if (outcomes[i].ok()) {
      INVARIANT(row != state_.moves.end() && row->second.amount_fen == move.amount_fen &&
                    row->second.account_seq == outcomes[i]->account_seq,
                "move {} of user {} was acknowledged and is not on disk", move.id, move.user.value);
    } else if (static_cast<Reason>(outcomes[i].error().reason) == Reason::kConflict) {
      INVARIANT(row != state_.moves.end() && row->second.amount_fen != move.amount_fen,
                "a true repeat of move {} was called a conflict", move.id);
    }
  }
}

// "Gone" is said of what is gone for good, on disk, and of nothing else.
void MoneyWitness::CheckGone(PacketId packet, const base::Error& error, int64_t time_ms,
                             const char* who) const {
  const model::PacketStatus* status = Status(packet);
  const auto is = [status](PacketState state) {
    return status != nullptr && status->state == state;
  };
  switch (static_cast<Reason>(error.reason)) {
    case Reason::kNoSuchPacket:
      INVARIANT(status == nullptr, "{} said that there is no packet {}", who, packet.value);
      break;
    case Reason::kPacketDone:
      INVARIANT(is(PacketState::kDone), "{} said packet {} was done", who, packet.value);
      break;
    case Reason::kPacketReturned:
      INVARIANT(is(PacketState::kReturned), "{} said packet {} was returned", who, packet.value);
      break;
    case Reason::kPacketRefused:
      INVARIANT(is(PacketState::kRefused), "{} said packet {} was refused", who, packet.value);
      break;
    case Reason::kPacketExpired:
      INVARIANT(
          is(PacketState::kExpired) || (status != nullptr && Header(packet)->expires_ms <= time_ms),
          "{} said packet {} had expired before its time", who, packet.value);
      break;
    case Reason::kQuarantined:
    case Reason::kBroken:
      INVARIANT(false, "{} said that packet {} is broken: {}", who, packet.value, error.text);
      break;
    default:
      break;
  }
}

void MoneyWitness::AnsweredOpen(const model::OpenPacket& open, const model::Reply& reply) {
  const model::Claim* claim = Claim(open.packet, open.user);
  if (reply.ok()) {
    const auto& opened = std::get<model::Opened>(*reply);
    INVARIANT(claim != nullptr && claim->amount_fen == opened.amount_fen &&
                  claim->ordinal == opened.ordinal && claim->time_ms == opened.time_ms,
              "user {} was told of {} fen from packet {}, which are not on disk", open.user.value,
              opened.amount_fen, open.packet.value);
    return;
  }
  // Which time the batch had is not known here: that none expires early is seen on the disk.
  CheckGone(open.packet, reply.error(), std::numeric_limits<int64_t>::max(), "an open");
  INVARIANT(ReasonOf(reply) != Reason::kNotEligible || !open.eligible.yes,
            "user {} was a member when packet {} was asked for, and was refused as none",
            open.user.value, open.packet.value);
}

void MoneyWitness::AnsweredReturn(const model::ReturnPacket& back, const model::Reply& reply) {
  const model::PacketStatus* status = Status(back.packet);
  INVARIANT(!reply.ok() || (status != nullptr && status->state == PacketState::kReturned),
            "packet {} was said to be returned, and is not", back.packet.value);
  if (!reply.ok()) {
    CheckGone(back.packet, reply.error(), std::numeric_limits<int64_t>::max(), "a return");
  }
}

void MoneyWitness::Grabbed(PacketId packet, UserId user,
                           const base::Result<money::Board::Grab>& grab) const {
  using Kind = money::Board::Grab::Kind;
  if (retired_) return;
  const model::Claim* claim = Claim(packet, user);
  if (!grab.ok()) {
    INVARIANT(claim == nullptr || static_cast<Reason>(grab.error().reason) == Reason::kBusy,
              "a grab of user {} was refused ({}) although that user has opened packet {}",
              user.value, grab.error().text, packet.value);
    CheckGone(packet, grab.error(), money::kNoClock, "a board");
  } else if (grab->kind == Kind::kAlready) {
    INVARIANT(claim != nullptr && claim->amount_fen == grab->opened.amount_fen,
              "a board shows user {} {} fen of packet {} that are not on disk", user.value,
              grab->opened.amount_fen, packet.value);
  } else if (grab->kind == Kind::kWhoIsIt || grab->kind == Kind::kOpen) {
    INVARIANT(
        Header(packet) != nullptr && HeaderOf(packet).terms.conversation == grab->conversation,
        "a board shows packet {} in a conversation it is not of", packet.value);
  }
}

// -- the disk

storage::MemoryMoneyState::PacketKey MoneyWitness::KeyOf(PacketId packet) const {
  return {routes_.ShardOf(packet).value_or(0), packet};
}

const storage::MemoryMoneyState::DayFile* MoneyWitness::FileOf(PacketId packet) const {
  return state_.FileOf(KeyOf(packet).first, packet);
}

// Of an archived day only the file counts, whatever a restore has put back beside it.
const model::Packet* MoneyWitness::InFile(PacketId packet) const {
  const auto* const file = FileOf(packet);
  if (file == nullptr) return nullptr;
  const auto found = file->packets.find(packet);
  return found == file->packets.end() ? nullptr : &found->second;
}

const model::PacketHeader* MoneyWitness::Header(PacketId packet) const {
  if (FileOf(packet) != nullptr) {
    const model::Packet* const archived = InFile(packet);
    return archived == nullptr ? nullptr : &archived->header;
  }
  const auto row = state_.headers.find(KeyOf(packet));
  return row == state_.headers.end() ? nullptr : &row->second;
}

const model::PacketStatus* MoneyWitness::Status(PacketId packet) const {
  if (FileOf(packet) != nullptr) {
    const model::Packet* const archived = InFile(packet);
    return archived == nullptr ? nullptr : &archived->status;
  }
  const auto row = state_.statuses.find(KeyOf(packet));
  return row == state_.statuses.end() ? nullptr : &row->second;
}

const model::Claim* MoneyWitness::Claim(PacketId packet, UserId user) const {
  if (const auto* const file = FileOf(packet)) {
    const auto claims = file->claims.find(packet);
    if (claims == file->claims.end()) return nullptr;
    for (const model::Claim& claim : claims->second) {
      if (claim.user == user) return &claim;
    }
    return nullptr;
  }
  const auto row = state_.claims.find({KeyOf(packet), user});
  return row == state_.claims.end() ? nullptr : &row->second;
}

std::vector<model::Claim> MoneyWitness::ClaimsOf(PacketId packet) const {
  std::vector<model::Claim> claims;
  const auto key = KeyOf(packet);
  for (auto row = state_.claims.lower_bound({key, UserId()});
       row != state_.claims.end() && row->first.first == key; ++row) {
    claims.push_back(row->second);
  }
  return claims;
}

int64_t MoneyWitness::BalanceOf(UserId user) const {
  const auto wallet = wallets_.find({routes_.WalletOf(user), user});
  return wallet == wallets_.end() ? 0 : wallet->second.second;
}

}  // namespace hongyan::simulation
