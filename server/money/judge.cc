#include "money/judge.h"

#include "money/refusals.h"

namespace hongyan::money {

using model::PacketKind;
using model::Reason;

model::Opened ToOpened(const model::Claim& claim, bool already) {
  return {claim.amount_fen, claim.ordinal, claim.time_ms, already};
}

base::Result<Judged> Judge(const model::PacketHeader& header, const model::PacketStatus& status,
                           const model::Claim* own, model::UserId user,
                           const model::Eligible* eligible, int64_t time_ms) {
  const model::PacketTerms& terms = header.terms;
  if (own != nullptr) return Judged{Judged::Kind::kAlready, ToOpened(*own, true)};
  if (status.quarantined) return Refusal(Reason::kQuarantined);
  if (status.state == model::PacketState::kCreated) return Busy(kUnannouncedRetryMs);
  if (model::Closed(status.state)) return Refusal(ReasonOf(status.state));
  if (header.expires_ms <= time_ms) return Refusal(Reason::kPacketExpired);
  if (eligible == nullptr) return Judged{Judged::Kind::kWhoIsIt, {}};
  if (!eligible->yes) return Refusal(Reason::kNotEligible);
  if (terms.named && terms.named != user) return Refusal(Reason::kNotTheNamedPerson);
  const bool shared_in_group = terms.conversation.is_group() && (terms.kind == PacketKind::kLucky ||
                                                                 terms.kind == PacketKind::kEqual);
  if (user == terms.sender && !shared_in_group) return Refusal(Reason::kOwnPacket);
  return Judged{Judged::Kind::kTake, {}};
}

}  // namespace hongyan::money
