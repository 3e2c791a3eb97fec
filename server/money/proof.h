#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/money.h"
#include "storage/money_store.h"

namespace hongyan::money {

// Whether a packet's rows add up. What is wrong, for people and for the audit; none = nothing. Any
// thread.
struct Flaw {
  std::string what;     // "packet_state", "claim_ordinal", ...: which check
  int32_t ordinal = 0;  // of the claim that is wrong; 0 = the packet's own rows
  std::string text;
};

// By header and state alone: what an open and a close ask before they touch money.
std::optional<Flaw> FlawOf(const model::PacketHeader& header, const model::PacketStatus& status,
                           const storage::MoneyIdentity& identity);

// With every claim, by ordinal: total = claims + left + refund; ordinals 1..k; each lucky amount
// derived again; the best luck. A quarantined packet is not judged by its sums.
std::optional<Flaw> FlawOf(const model::PacketHeader& header, const model::PacketStatus& status,
                           const std::vector<model::Claim>& claims,
                           const storage::MoneyIdentity& identity);

// The share that this ordinal gets with so much left. REQUIRES FlawOf(header, ...) none and left
// >= 1.
int64_t ShareOf(const model::PacketHeader& header, int64_t left_fen, int32_t left,
                const storage::MoneyIdentity& identity);

}  // namespace hongyan::money
