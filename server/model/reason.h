#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace hongyan::model {

// Domain codes, one per rule that can refuse. Numbers are those of hongyan.v1.Reason (a test
// compares them).
enum class Reason : uint16_t {
  kNone = 0,
  kBusy = 1,              // overloaded or a window is full: try again after the hint
  kStaleId = 2,           // request id older than 7 days or more than 5 minutes ahead
  kConflict = 3,          // same request id, other content
  kAfterNotAccepted = 4,  // the send named in `after` is not accepted
  kNotAMember = 5,
  kMuted = 6,  // a rule already; no command sets it yet
  kBodyInvalid = 7,
  kTooLarge = 8,
  kNoSuchUser = 9,
  kNoSuchGroup = 10,
  kNotAllowed = 11,  // the role does not permit it
  kLimitReached = 12,
  kCursorAhead = 13,  // a cursor above the head of its own generation
  kBadCredentials = 14,
  kTokenRevoked = 15,
  kTokenExpired = 16,
  kUserDisabled = 17,
  kReplaced = 18,      // the same device logged in again elsewhere
  kIdCollision = 20,   // two names, one id: choose another name
  kDiskReserve = 21,   // free disk is below the reserve
  kStoreStopped = 22,  // the store is being reopened; outcome unknown until then
  kChannelStopped = 23,
  kBroken = 24,  // stored data that cannot be read
  kNotLoggedIn = 25,
  kVersionUnsupported = 26,
  kDraining = 27,  // the server is shutting down

  // -- money: one value per rule; what is refused has moved nothing
  kAmountInvalid = 64,  // zero, negative or beyond int64
  kOverLimit = 65,      // total, share or number of shares above what is configured
  kMoreSharesThanFen = 66,
  kSharesInvalid = 67,  // no shares, or not one where the kind has one
  kKindNotHere = 68,    // this kind of packet does not exist in this kind of conversation
  kGreetingInvalid = 69,
  kNamedPersonInvalid = 70,  // none where the kind needs one, oneself, or not in the conversation
  kNoFunds = 71,
  kWalletFrozen = 72,
  kFundsPending = 73,   // credits are on their way: try again after the hint
  kRequestTooOld = 74,  // made more than 7 days ago
  kNoSuchPacket = 75,
  kPacketDone = 76,  // every share is taken
  kPacketExpired = 77,
  kPacketReturned = 78,
  kPacketRefused = 79,  // the conversation never took its message
  kNotEligible = 80,    // not (or no longer) in the packet's conversation
  kNotTheNamedPerson = 81,
  kOwnPacket = 82,    // this kind cannot be opened by its sender
  kQuarantined = 83,  // its books do not add up; an administrator must look
  kNoSuchWallet = 84,
  kWorldLimit = 85,  // deposits of a shard are bounded
  kDayDrained = 86,  // archived: what it asks for can no longer change
};

inline base::Error Refuse(base::Code code, Reason reason, std::string text, int64_t retry_ms = 0) {
  return {code, static_cast<uint16_t>(reason), std::move(text), retry_ms};
}

}  // namespace hongyan::model
