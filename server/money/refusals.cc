#include "money/refusals.h"

#include "base/check.h"

namespace hongyan::money {

using base::Code;
using model::Reason;

base::Error Refusal(Reason rule) {
  const auto say = [rule](Code code, const char* text, int64_t retry_ms = 0) {
    return model::Refuse(code, rule, text, retry_ms);
  };
  switch (rule) {
    case Reason::kBusy:
      return Busy(200);
    case Reason::kStaleId:
      return say(
          Code::kInvalidArgument,
          "the request id is no UUIDv7, or was made more than 5 minutes ahead of the server's "
          "clock: make a new one with the time learnt at login");
    case Reason::kConflict:
      return say(Code::kAlreadyExists, "this request id was used for something else: use a new id");
    case Reason::kNotAMember:
      return say(Code::kPermissionDenied, "you are not in this conversation");
    case Reason::kMuted:
      return say(Code::kPermissionDenied, "you are muted in this group: ask its owner");
    case Reason::kNoSuchUser:
      return say(Code::kNotFound, "there is no such user");
    case Reason::kAmountInvalid:
      return say(Code::kInvalidArgument,
                 "the amount must be above zero, and of an equal packet a multiple of its shares");
    case Reason::kOverLimit:
      return say(Code::kInvalidArgument,
                 "the amount, one share of it, or the number of shares is above the limit: send "
                 "less");
    case Reason::kMoreSharesThanFen:
      return say(Code::kInvalidArgument,
                 "there are more shares than fen: every share is at least one fen");
    case Reason::kSharesInvalid:
      return say(Code::kInvalidArgument,
                 "a packet has at least one share, and exactly one in a 1:1 chat or for a named "
                 "person");
    case Reason::kKindNotHere:
      return say(Code::kInvalidArgument,
                 "this kind of packet cannot be sent here: transfers go to another person in a 1:1 "
                 "chat, exclusive packets to a group, nothing to oneself");
    case Reason::kGreetingInvalid:
      return say(Code::kInvalidArgument,
                 "the greeting is too long, or holds line breaks, control characters or what is no "
                 "UTF-8: one line of text");
    case Reason::kNamedPersonInvalid:
      return say(Code::kInvalidArgument,
                 "name somebody else who is in the conversation for an exclusive packet or a "
                 "transfer, and nobody for the other kinds");
    case Reason::kNoFunds:
      return say(Code::kFailedPrecondition,
                 "the wallet holds less than that, and nothing was moved: send less, or have money "
                 "paid in first, as a new request");
    case Reason::kWalletFrozen:
      return say(Code::kPermissionDenied,
                 "the wallet is frozen: it receives, but pays nothing out; ask the administrator, "
                 "then make a new request with an id of its own");
    case Reason::kFundsPending:
      return say(Code::kUnavailable,
                 "money is still on its way to the wallet: send the same request again", 500);
    case Reason::kRequestTooOld:
      return say(Code::kInvalidArgument,
                 "the request was made more than 7 days ago: look at the history, then make a new "
                 "one");
    case Reason::kNoSuchPacket:
      return say(Code::kNotFound, "there is no such packet");
    case Reason::kPacketDone:
      return say(Code::kFailedPrecondition, "all shares are taken");
    case Reason::kPacketExpired:
      return say(Code::kFailedPrecondition, "the packet has expired; what was left went back");
    case Reason::kPacketReturned:
      return say(Code::kFailedPrecondition, "the money was given back to its sender");
    case Reason::kPacketRefused:
      return say(Code::kFailedPrecondition,
                 "the packet never reached its conversation; the money went back");
    case Reason::kNotEligible:
      return say(Code::kPermissionDenied, "only members of its conversation may open this packet");
    case Reason::kNotTheNamedPerson:
      return say(Code::kPermissionDenied, "this packet is for somebody else");
    case Reason::kOwnPacket:
      return say(Code::kPermissionDenied, "you cannot open this packet: you sent it");
    case Reason::kQuarantined:
      return say(Code::kFailedPrecondition,
                 "the books of this packet do not add up: an administrator must look, see "
                 "`hongyan-admin money quarantine`");
    case Reason::kNoSuchWallet:
      return say(Code::kNotFound, "this user has no wallet yet: it is made by its first credit");
    case Reason::kWorldLimit:
      return say(Code::kResourceExhausted,
                 "this shard has taken in or paid out all that its books can count: nothing was "
                 "moved; use a wallet of another shard");
    case Reason::kDayDrained:
      return say(Code::kFailedPrecondition,
                 "the packet's day is archived: nothing of it changes until an administrator runs "
                 "`hongyan-admin money restore-day`");
    case Reason::kDiskReserve:
      return say(Code::kResourceExhausted,
                 "the server's disk is nearly full; nothing was moved: send the same request again "
                 "once there is room",
                 10'000);
    case Reason::kChannelStopped:
      return say(
          Code::kUnavailable,
          "delivery is stopped on the server; nothing was moved: send the same request again "
          "later (administrators: `hongyan-admin channels`)",
          5000);
    case Reason::kTooLarge:
      return say(Code::kInvalidArgument, "too many at once: send them in smaller batches");
    case Reason::kNotAllowed:
      return say(Code::kPermissionDenied, "only a transfer can be given back, by who it is for");
    case Reason::kBroken:
      return say(
          Code::kDataLoss,
          "stored data does not add up: see the server's log and `hongyan-admin money audit`");
    default:
      return say(Code::kInternal, "refused");
  }
}

bool IsVerdict(const base::Error& refusal) {
  switch (static_cast<Reason>(refusal.reason)) {
    case Reason::kNotAMember:
    case Reason::kMuted:
    case Reason::kNoSuchUser:
    case Reason::kAmountInvalid:
    case Reason::kOverLimit:
    case Reason::kMoreSharesThanFen:
    case Reason::kSharesInvalid:
    case Reason::kKindNotHere:
    case Reason::kGreetingInvalid:
    case Reason::kNamedPersonInvalid:
      return true;
    default:
      return false;
  }
}

Reason ReasonOf(model::PacketState state) {
  CHECK(model::Closed(state));
  switch (state) {
    case model::PacketState::kExpired:
      return Reason::kPacketExpired;
    case model::PacketState::kReturned:
      return Reason::kPacketReturned;
    case model::PacketState::kRefused:
      return Reason::kPacketRefused;
    default:
      return Reason::kPacketDone;
  }
}

base::Error Busy(int64_t retry_ms) {
  return model::Refuse(Code::kResourceExhausted, Reason::kBusy,
                       "busy: send the same request again after a moment", retry_ms);
}

base::Result<void> MayEmit(const shard::UnitOfWork& work, model::ShardId target) {
  std::string why;
  if (work.MayEmit(target, &why)) return {};
  return Refusal(why.starts_with("stopped") ? Reason::kChannelStopped : Reason::kBusy);
}

}  // namespace hongyan::money
