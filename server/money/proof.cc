#include "money/proof.h"

#include "money/split.h"
#include "money/wide.h"

namespace hongyan::money {
namespace {

using model::PacketKind;
using model::PacketState;

std::optional<Flaw> Wrong(const char* what, std::string text, int32_t ordinal = 0) {
  return Flaw{what, ordinal, std::move(text)};
}

bool KnownKind(PacketKind kind) {
  return kind >= PacketKind::kLucky && kind <= PacketKind::kTransfer;
}

std::optional<Flaw> FlawOfHeader(const model::PacketHeader& header,
                                 const storage::MoneyIdentity& identity) {
  const model::PacketTerms& terms = header.terms;
  const bool total = terms.shares >= 1 && terms.total_fen >= terms.shares &&
                     Wide{terms.total_fen} <= Wide{terms.shares} * terms.share_cap_fen;
  if (!KnownKind(terms.kind) || !terms.conversation.valid() || terms.sender.value <= 0) {
    return Wrong("packet_header", "its kind, conversation or sender is none");
  }
  if (!total) return Wrong("packet_header", "its total does not fit its shares and their cap");
  if (terms.kind == PacketKind::kEqual && terms.total_fen % terms.shares != 0) {
    return Wrong("packet_header", "its total is no multiple of its equal shares");
  }
  if (header.expires_ms <= header.created_ms) {
    return Wrong("packet_header", "it expires before it was made");
  }
  if (header.split_version != 1 || header.secret_number >= identity.secrets.size()) {
    return Wrong("packet_header", "its split version or secret is not known here");
  }
  return std::nullopt;
}

// Shares that are not drawn leave nothing to chance.
bool RestIsOfKind(const model::PacketTerms& terms, const model::PacketStatus& status) {
  switch (terms.kind) {
    case PacketKind::kLucky:
      return true;
    case PacketKind::kEqual:
      return status.left_fen == terms.total_fen / terms.shares * status.left;
    default:
      return terms.shares == 1 && status.left_fen == terms.total_fen;
  }
}

// What the state says of the rest.
std::optional<Flaw> FlawOfState(const model::PacketHeader& header,
                                const model::PacketStatus& status) {
  const model::PacketTerms& terms = header.terms;
  const int64_t rest = status.left_fen;
  if (status.left < 0 || status.left > terms.shares) {
    return Wrong("packet_state", "more shares are left than it has, or less than none");
  }
  switch (status.state) {
    case PacketState::kCreated:
    case PacketState::kOpen: {
      const bool fits = status.left >= 1 && rest >= status.left && rest <= terms.total_fen &&
                        Wide{rest} <= Wide{status.left} * terms.share_cap_fen;
      if (!fits) return Wrong("packet_state", "what is left does not fit the shares left");
      if (!RestIsOfKind(terms, status)) {
        return Wrong("packet_state", "what is left is not that of equal shares, or of one share");
      }
      if (status.refund_fen != 0 || status.closed_ms != 0) {
        return Wrong("packet_state", "it has a refund and is not closed");
      }
      if (status.state == PacketState::kCreated && status.left != terms.shares) {
        return Wrong("packet_state", "a share is taken, and it is not announced");
      }
      return std::nullopt;
    }
    case PacketState::kDone:
      if (status.left != 0 || rest != 0 || status.refund_fen != 0) {
        return Wrong("packet_state", "it is done, and something is left or went back");
      }
      return std::nullopt;
    case PacketState::kExpired:
    case PacketState::kReturned:
    case PacketState::kRefused:
      if (rest != 0 || status.left < 1 || status.refund_fen < status.left ||
          status.refund_fen > terms.total_fen) {
        return Wrong("packet_state", "it is closed, and its refund is not what was left");
      }
      return std::nullopt;
    case PacketState::kNone:
      break;
  }
  return Wrong("packet_state", "its state is none");
}

std::optional<Flaw> FlawOfBest(const model::PacketHeader& header, const model::PacketStatus& status,
                               const std::vector<model::Claim>& claims) {
  if (header.terms.kind != PacketKind::kLucky) return std::nullopt;
  int32_t ordinal = 0;
  int64_t best = 0;
  for (const model::Claim& claim : claims) {
    if (claim.amount_fen <= best) continue;
    best = claim.amount_fen;
    ordinal = claim.ordinal;
  }
  if (status.best_ordinal == ordinal && status.best_fen == best) return std::nullopt;
  return Wrong("best_luck", "the best luck is not the earliest of the largest");
}

}  // namespace

int64_t ShareOf(const model::PacketHeader& header, int64_t left_fen, int32_t left,
                const storage::MoneyIdentity& identity) {
  const model::PacketTerms& terms = header.terms;
  switch (terms.kind) {
    case PacketKind::kLucky:
      return DrawShare(left_fen, left, terms.share_cap_fen, header.id, terms.shares - left + 1,
                       identity.secrets[header.secret_number]);
    case PacketKind::kEqual:
      return terms.total_fen / terms.shares;
    default:
      return left_fen;
  }
}

std::optional<Flaw> FlawOf(const model::PacketHeader& header, const model::PacketStatus& status,
                           const storage::MoneyIdentity& identity) {
  if (auto flaw = FlawOfHeader(header, identity)) return flaw;
  return FlawOfState(header, status);
}

std::optional<Flaw> FlawOf(const model::PacketHeader& header, const model::PacketStatus& status,
                           const std::vector<model::Claim>& claims,
                           const storage::MoneyIdentity& identity) {
  if (auto flaw = FlawOf(header, status, identity)) return flaw;
  const model::PacketTerms& terms = header.terms;
  int64_t left_fen = terms.total_fen;
  int32_t left = terms.shares;
  for (const model::Claim& claim : claims) {
    const int32_t ordinal = terms.shares - left + 1;
    if (left < 1) return Wrong("claim_ordinal", "there are more claims than shares", claim.ordinal);
    if (claim.ordinal != ordinal || claim.user.value <= 0) {
      return Wrong("claim_ordinal", "the claims are not numbered 1 to the shares taken", ordinal);
    }
    const int64_t share = ShareOf(header, left_fen, left, identity);
    if (claim.amount_fen != share) {
      return Wrong("claim_amount",
                   "it is " + std::to_string(claim.amount_fen) + " fen and should be " +
                       std::to_string(share),
                   ordinal);
    }
    left_fen -= share;
    --left;
  }
  if (left != status.left) {
    return Wrong("claim_missing",
                 "there are " + std::to_string(terms.shares - left) + " claims and " +
                     std::to_string(terms.shares - status.left) + " shares taken",
                 terms.shares - left + 1);
  }
  if (left_fen != status.left_fen + status.refund_fen) {
    return Wrong("packet_sum", "its total is not the sum of claims, what is left and the refund");
  }
  return FlawOfBest(header, status, claims);
}

}  // namespace hongyan::money
