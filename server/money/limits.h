#pragma once

#include <cstdint>

#include "base/result.h"
#include "model/command.h"
#include "model/money.h"

namespace hongyan::money {

// What an operator may set: the market's own limits are published nowhere first-hand and change
// with the days of the year. In force when a send is funded; what a packet was made with stays in
// its header.
struct Limits {
  int64_t max_total_fen = 10'000'000;  // of a lucky or equal packet
  int64_t max_share_fen = 20'000;      // of one share of a lucky, equal or exclusive packet
  int32_t max_shares = 500;
  int64_t max_transfer_fen = 20'000'000;  // of a transfer
  int32_t max_greeting_bytes = 120;
  int64_t life_ms = int64_t{24} * 3600 * 1000;
};

// Is this send possible at all: kind, conversation, amounts, shares, named person, greeting, in
// this order, one Reason each (kKindNotHere, kNotAMember, kAmountInvalid, kSharesInvalid,
// kOverLimit, kMoreSharesThanFen, kNamedPersonInvalid, kGreetingInvalid). terms.share_cap_fen is
// not looked at: the wallet's shard sets it. The same check at the edge and in the shard. Any
// thread.
//
//   lucky     group, or 1:1 with one share   total in shares of 1 fen to max_share_fen
//   equal     group, or 1:1 with one share   total = shares * share
//   exclusive group                          one share for `named`
//   transfer  1:1                            one share for `named`, who is the other
base::Result<void> CheckTerms(const Limits& limits, const model::PacketTerms& terms);

// The most that one share of this packet may be: what share_cap_fen is set to.
int64_t ShareCap(const Limits& limits, const model::PacketTerms& terms);

// A wallet, a move by the administrator and a shard's `world` stay within this, so that no sum of
// the books overflows.
constexpr int64_t kMaxFen = 1'000'000'000'000'000;

// Of one MoveManyFunds.
constexpr size_t kMaxMoves = 1000;

// The form of one deposit or withdrawal: an id of 1 to 64 and a reason of 1 to 256 bytes of
// printable text, an amount that is not 0 and within kMaxFen. Any thread.
base::Result<void> CheckMove(const model::MoveFunds& move);

}  // namespace hongyan::money
