#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hongyan/ids.h"

// The nouns of wallets, red packets and transfers. Amounts are fen (1/100 yuan). Values; any
// thread.

namespace hongyan {

enum class PacketKind {
  kNone = 0,
  kLucky = 1,      // random shares
  kEqual = 2,      // all shares alike
  kExclusive = 3,  // one share, for one named person
  kTransfer = 4,   // 1:1, to be accepted or returned by the other
};

enum class PacketState {
  kNone = 0,
  kCreated = 1,  // nobody can open it yet
  kOpen = 2,
  kDone = 3,      // all shares taken
  kExpired = 4,   // the rest went back
  kReturned = 5,  // given back by the named person or by the administrator
  kRefused = 6,   // it never got into the conversation: all went back
};

enum class ReturnReason {
  kNone = 0,
  kExpired = 1,
  kRefused = 2,   // its conversation did not take it: the sender may not speak there, or the person
                  // it is for has left
  kReturned = 3,  // by the named person
  kTooLate = 4,
  kRule = 5,
  kByAdmin = 6,
};

// -- bodies of messages; the server writes them, Send refuses them

struct RedPacket {
  PacketId packet = {};
  PacketKind kind = PacketKind::kNone;
  std::string greeting = {};
  int32_t shares = 0;
  UserId named = {};  // exclusive: who alone may open it
  int64_t expires_ms = 0;
};

struct Transfer {
  PacketId packet = {};
  UserId to = {};
  int64_t amount_fen = 0;
  std::string note = {};
  int64_t expires_ms = 0;
};

// What became of a packet of the conversation.
struct PacketNotice {
  enum class What { kNone = 0, kFinished = 1, kRefunded = 2, kAccepted = 3, kReturned = 4 };
  What what = What::kNone;
  PacketId packet = {};
  PacketKind kind = PacketKind::kNone;
  UserId sender = {};
  UserId user = {};        // accepted, returned: who; finished and lucky: who had the best luck
  int64_t amount_fen = 0;  // refunded: what went back; accepted, returned: all
  int64_t took_ms = 0;     // finished: how long it lasted
};

// Money of a packet of mine is in my wallet again: all of it, or what nobody took.
struct PacketReturned {
  PacketId packet = {};
  Conversation conversation = {};
  int64_t amount_fen = 0;
  ReturnReason reason = ReturnReason::kNone;
  int64_t time_ms = 0;
  int64_t seq = 0;              // place in my inbox
  std::string request_id = {};  // 16 bytes: that of the send
};

// -- sending

struct PacketOrder {
  PacketKind kind = PacketKind::kLucky;
  Conversation conversation = {};
  int64_t amount_fen = 0;     // lucky: all of it; equal: each share; exclusive, transfer: the share
  int32_t shares = 1;         // lucky, equal
  UserId named = {};          // exclusive: who alone may open it; else nobody
  std::string greeting = {};  // or a transfer's note
  // 16 bytes, a UUIDv7: the same again is the same packet. Empty: drawn. An app that must know
  // after a crash what became of a send keeps one of its own (NewRequestId) and asks GetSend.
  std::string request_id = {};
};

// The money has left the wallet; the packet's message comes, or PacketReturned.
struct PacketSent {
  PacketId packet = {};
  std::string request_id = {};
};

struct SendState {
  enum class What { kNone = 0, kSending = 1, kSent = 2, kReturned = 3 };
  What what = What::kNone;
  PacketId packet = {};
};

// -- taking

struct Grabbed {
  int64_t amount_fen = 0;  // what I have of it already; 0 = there may be a share: open it
};

struct Opened {
  int64_t amount_fen = 0;
  int32_t ordinal = 0;  // from 1
  int64_t time_ms = 0;
  bool already = false;  // this is what I took before
};

struct PacketClaim {
  UserId user = {};
  int32_t ordinal = 0;
  int64_t amount_fen = 0;
  int64_t time_ms = 0;
  bool best_luck = false;
};

struct Packet {
  PacketId id = {};
  PacketKind kind = PacketKind::kNone;
  PacketState state = PacketState::kNone;
  Conversation conversation = {};
  UserId sender = {};
  UserId named = {};
  std::string greeting = {};
  int32_t shares = 0;
  int32_t taken = 0;
  int64_t created_ms = 0;
  int64_t expires_ms = 0;
  int64_t closed_ms = 0;  // 0 = not closed
  // Known to the sender, and to all once it is closed; else 0.
  int64_t total_fen = 0;
  int64_t taken_fen = 0;
  int64_t refund_fen = 0;
  int64_t mine_fen = 0;                  // 0 = I took none
  std::vector<PacketClaim> claims = {};  // by ordinal
  bool more = false;                     // claims beyond these: ask on from the last ordinal
};

// -- the wallet

struct Wallet {
  int64_t balance_fen = 0;
  bool frozen = false;  // it can be paid into, not out of
  int64_t account_seq = 0;
};

enum class StatementKind {
  kNone = 0,
  kDeposit = 1,
  kWithdrawal = 2,
  kSent = 3,
  kReceived = 4,
  kRefund = 5,
};

struct StatementRow {
  int64_t account_seq = 0;
  StatementKind kind = StatementKind::kNone;
  int64_t amount_fen = 0;  // signed
  int64_t balance_fen = 0;
  int64_t time_ms = 0;
  PacketId packet = {};
  PacketKind packet_kind = PacketKind::kNone;
  UserId peer = {};  // received: the sender; sent: the named person, if any
  ReturnReason reason = ReturnReason::kNone;
  std::string note = {};
};

enum class Which { kSent = 1, kReceived = 2 };

struct PacketHistory {
  int32_t year = 0;
  int64_t sent_count = 0;
  int64_t sent_fen = 0;
  int64_t returned_fen = 0;
  int64_t received_count = 0;
  int64_t received_fen = 0;
  std::vector<StatementRow> rows = {};  // newest first
  bool more = false;
  int64_t before = 0;  // go on from here
};

}  // namespace hongyan
