#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "model/ids.h"

// The nouns of red packets. Amounts are fen (1/100 yuan), int64, named *_fen; times UTC ms by shard
// time.

namespace hongyan::model {

// Numbers are stored and equal hongyan.v1.PacketKind.
enum class PacketKind : uint8_t {
  kNone = 0,
  kLucky = 1,      // random shares (money/split.h)
  kEqual = 2,      // all shares alike
  kExclusive = 3,  // one share, for one named person
  kTransfer = 4,   // 1:1, to be accepted or returned by the other
};

// Numbers are stored and equal hongyan.v1.PacketState. The last four are closed for ever.
enum class PacketState : uint8_t {
  kNone = 0,
  kCreated = 1,   // holds its money; its message is not known to be stored: nobody opens it yet
  kOpen = 2,      // announced
  kDone = 3,      // all shares taken
  kExpired = 4,   // its life was over; the rest went back
  kReturned = 5,  // given back by the named person, or by the administrator
  kRefused = 6,   // the conversation did not take its message; all went back
};
constexpr bool Closed(PacketState state) { return state >= PacketState::kDone; }

// Why money went back to its sender. Numbers are stored and equal hongyan.v1.ReturnReason.
enum class ReturnReason : uint8_t {
  kNone = 0,
  kExpired = 1,
  kRefused = 2,   // its conversation did not take it: membership changed, or the id was used
  kReturned = 3,  // by the named person
  kTooLate = 4,   // the funds came more than a day after the send
  kRule = 5,      // a rule of the packet's shard refused it
  kByAdmin = 6,
};

// What a sender asks for, and what all of a packet that never changes.
struct PacketTerms {
  PacketKind kind = PacketKind::kNone;
  ConversationId conversation;
  UserId sender;
  RequestId request_id;
  UserId named;  // exclusive, transfer: who alone may open; else 0
  int64_t total_fen = 0;
  int32_t shares = 0;
  int64_t share_cap_fen = 0;  // most that one share may be; total_fen where there is no cap
  std::string greeting;
};

// Immutable: written once, with the money.
struct PacketHeader {
  PacketId id;
  PacketTerms terms;
  int64_t created_ms = 0;
  int64_t expires_ms = 0;  // created_ms + life, set here once
  uint16_t split_version = 1;
  uint16_t secret_number = 0;  // which of the store's secrets draws its shares
};

// The row that every open rewrites. Invariants of data: left_fen >= left, and left == 0 where
// left_fen == 0; ordinals 1..shares-left have a claim each.
struct PacketStatus {
  PacketState state = PacketState::kNone;
  int32_t left = 0;        // shares not taken (also after a close: how many were left)
  int64_t left_fen = 0;    // escrow: 0 once closed
  int64_t refund_fen = 0;  // what the close gave back
  int64_t closed_ms = 0;
  int32_t best_ordinal = 0;  // lucky, so far: the earliest of the largest; shown only when done
  int64_t best_fen = 0;
  bool quarantined = false;  // its rows do not add up: only the administrator touches it
  int64_t held_fen = 0;      // quarantined: what of escrow is booked to suspense meanwhile
  bool announced = false;    // its message is stored: what a close leaves of CREATED or OPEN
};

struct Packet {
  PacketHeader header;
  PacketStatus status;
};

// One share taken: its row is the posting escrow -> transit_out. Key (packet, user).
struct Claim {
  UserId user;
  int32_t ordinal = 0;  // from 1
  int64_t amount_fen = 0;
  int64_t time_ms = 0;
  int64_t member_version = 0;  // of the membership that made the user eligible
};

// What the packets of one day and shard add up to.
struct DayTotals {
  int64_t packets = 0;
  int64_t claims = 0;
  int64_t created_fen = 0;
  int64_t claimed_fen = 0;
  int64_t refunded_fen = 0;
  bool operator==(const DayTotals&) const = default;
};

// A day's packets and claims that lie in a file of their own: its certificate, and what the store
// keeps of it. The day is that of the packets' ids.
struct ArchivedDay {
  int32_t day = 0;
  int64_t archived_ms = 0;
  DayTotals totals;
  // By target shard: the items about these packets have numbers up to this one, and all of them
  // have been acknowledged.
  std::map<ShardId, int64_t> acknowledged;
  std::string file;                // its name among the store's files of days
  std::array<uint8_t, 32> hash{};  // of all rows in the file
};

// What a user sent and got in one calendar year (UTC+8, as its users count years).
struct YearTotal {
  int64_t sent_count = 0;
  int64_t sent_fen = 0;  // gross: what came back is in returned_fen
  int64_t returned_fen = 0;
  int64_t received_count = 0;
  int64_t received_fen = 0;
};

// A user's balance. Made by its first posting and never deleted; never negative.
struct Wallet {
  UserId user;
  int64_t balance_fen = 0;
  int64_t account_seq = 0;  // of the newest statement row
  bool frozen = false;      // stops debits, never credits
  std::map<int32_t, YearTotal> years;
};

// Numbers are stored and equal hongyan.v1.StatementKind.
enum class StatementKind : uint8_t {
  kNone = 0,
  kDeposit = 1,
  kWithdrawal = 2,
  kSent = 3,
  kReceived = 4,
  kRefund = 5,
};

// One posting on a wallet; immutable. Key (user, account_seq).
struct StatementRow {
  int64_t account_seq = 0;
  StatementKind kind = StatementKind::kNone;
  int64_t amount_fen = 0;   // signed: what the balance changed by
  int64_t balance_fen = 0;  // after it
  int64_t time_ms = 0;
  PacketId packet;  // kSent, kReceived, kRefund
  PacketKind packet_kind = PacketKind::kNone;
  UserId peer;  // kReceived: the sender; kSent: the named person, if any
  ReturnReason reason = ReturnReason::kNone;  // kRefund
  std::string note;                           // deposit and withdrawal: "id: reason"
};

// What is remembered of a send under (user, request id), for 8 days: success and verdicts on the
// request itself, never BUSY or UNAVAILABLE.
struct SendOutcome {
  uint64_t hash = 0;  // of the request's meaning
  PacketId packet;    // 0: refused
  uint16_t rule = 0;  // refused: model::Reason
  int64_t time_ms = 0;
  // All of it came back before there was a packet; else the packet's own state says what became of
  // it.
  ReturnReason returned = ReturnReason::kNone;
};

// A deposit or withdrawal under its own id, kept for ever. Key (user, id).
struct MoveOutcome {
  int64_t amount_fen = 0;  // signed
  int64_t account_seq = 0;
  int64_t balance_fen = 0;
  int64_t time_ms = 0;
  bool already = false;  // it was moved before under the same id; never stored
};

// The accounts of one money shard, one row, rewritten by each batch that moves money. What a
// channel carries is in heads and marks (running totals); here is the sum of each side, so that
//   wallets + escrow + suspense + world + transit_out - transit_in == 0
// after every batch.
struct Books {
  int64_t wallets_fen = 0;
  int64_t escrow_fen = 0;
  int64_t suspense_fen = 0;     // parked items and quarantine
  int64_t world_fen = 0;        // negative: what came in from outside
  int64_t transit_out_fen = 0;  // all ever given to channels
  int64_t transit_in_fen = 0;   // all ever taken from channels
  // The packet ids given out: the day they are of and how many.
  int32_t id_day = 0;
  int64_t id_counter = 0;
  int64_t generation = 0;  // of the store when the counter was last raised

  int64_t sum() const {
    return wallets_fen + escrow_fen + suspense_fen + world_fen + transit_out_fen - transit_in_fen;
  }
};

}  // namespace hongyan::model
