#include "money/limits.h"

#include <algorithm>
#include <string>

#include "base/bytes.h"
#include "model/reason.h"
#include "money/refusals.h"
#include "money/wide.h"
#include "proto/amount.h"

namespace hongyan::money {
namespace {

using model::PacketKind;
using model::Reason;

// Where may this kind go, and is the sender there at all.
base::Result<void> CheckPlace(const model::PacketTerms& terms) {
  const model::ConversationId& place = terms.conversation;
  const bool group = place.is_group();
  switch (terms.kind) {
    case PacketKind::kLucky:
    case PacketKind::kEqual:
      break;
    case PacketKind::kExclusive:
      if (!group) return Refusal(Reason::kKindNotHere);
      break;
    case PacketKind::kTransfer:
      if (group) return Refusal(Reason::kKindNotHere);
      break;
    default:
      return Refusal(Reason::kKindNotHere);
  }
  if (!place.valid() || terms.sender.value <= 0) return Refusal(Reason::kNotAMember);
  if (!group && !place.has(terms.sender)) return Refusal(Reason::kNotAMember);
  if (!group && place.a == place.b) return Refusal(Reason::kKindNotHere);
  return {};
}

// A limit is an operator's choice, so only here is it known what to ask for instead.
base::Error OverLimit(const std::string& text) {
  base::Error error = Refusal(Reason::kOverLimit);
  error.text = text;
  return error;
}

std::string Yuan(int64_t fen) { return proto::YuanText(fen) + " yuan"; }

base::Result<void> CheckAmounts(const Limits& limits, const model::PacketTerms& terms) {
  const int64_t total = terms.total_fen;
  if (total <= 0) return Refusal(Reason::kAmountInvalid);
  const bool single = terms.kind == PacketKind::kExclusive || terms.kind == PacketKind::kTransfer ||
                      !terms.conversation.is_group();
  if (terms.shares <= 0 || (single && terms.shares != 1)) return Refusal(Reason::kSharesInvalid);
  if (terms.shares > limits.max_shares) {
    return OverLimit("a packet has at most " + std::to_string(limits.max_shares) + " shares");
  }
  if (total > kMaxFen) return Refusal(Reason::kOverLimit);
  if (terms.kind == PacketKind::kTransfer) {
    if (total <= limits.max_transfer_fen) return {};
    return OverLimit("a transfer is at most " + Yuan(limits.max_transfer_fen));
  }
  if (total > limits.max_total_fen) {
    return OverLimit("a packet is at most " + Yuan(limits.max_total_fen));
  }
  if (total < terms.shares) return Refusal(Reason::kMoreSharesThanFen);
  if (Wide{total} > Wide{terms.shares} * limits.max_share_fen) {
    return OverLimit("a share is at most " + Yuan(limits.max_share_fen) +
                     (single ? "" : ": make the packet smaller, or of more shares"));
  }
  if (terms.kind == PacketKind::kEqual && total % terms.shares != 0) {
    return Refusal(Reason::kAmountInvalid);
  }
  return {};
}

base::Result<void> CheckNamed(const model::PacketTerms& terms) {
  switch (terms.kind) {
    case PacketKind::kExclusive:
      if (terms.named.value <= 0 || terms.named == terms.sender) break;
      return {};
    case PacketKind::kTransfer:
      if (terms.named != terms.conversation.peer_of(terms.sender)) break;
      return {};
    default:
      if (terms.named) break;
      return {};
  }
  return Refusal(Reason::kNamedPersonInvalid);
}

}  // namespace

base::Result<void> CheckTerms(const Limits& limits, const model::PacketTerms& terms) {
  if (auto place = CheckPlace(terms); !place) return place;
  if (auto amounts = CheckAmounts(limits, terms); !amounts) return amounts;
  if (auto named = CheckNamed(terms); !named) return named;
  if (terms.greeting.size() > static_cast<size_t>(limits.max_greeting_bytes)) {
    base::Error error = Refusal(Reason::kGreetingInvalid);
    error.text = "the greeting is " + std::to_string(terms.greeting.size()) +
                 " bytes long, and may be " + std::to_string(limits.max_greeting_bytes);
    return error;
  }
  if (!base::IsPrintableUtf8(terms.greeting)) return Refusal(Reason::kGreetingInvalid);
  return {};
}

int64_t ShareCap(const Limits& limits, const model::PacketTerms& terms) {
  if (terms.kind == PacketKind::kTransfer) return terms.total_fen;
  return std::min(terms.total_fen, limits.max_share_fen);
}

base::Result<void> CheckMove(const model::MoveFunds& move) {
  if (move.user.value <= 0 || move.id.empty() || move.id.size() > 64 ||
      !base::IsPrintableUtf8(move.id)) {
    return base::Error(
        base::Code::kInvalidArgument,
        "a deposit or withdrawal needs a user and an id of 1 to 64 bytes of printable "
        "text, the same whenever it is tried again");
  }
  if (move.reason.empty() || move.reason.size() > 256 || !base::IsPrintableUtf8(move.reason)) {
    return base::Error(
        base::Code::kInvalidArgument,
        "a deposit or withdrawal needs a reason of 1 to 256 bytes of printable text");
  }
  if (move.amount_fen == 0) return Refusal(Reason::kAmountInvalid);
  if (move.amount_fen > kMaxFen || move.amount_fen < -kMaxFen) return Refusal(Reason::kOverLimit);
  return {};
}

}  // namespace hongyan::money
