#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace hongyan {

// Canonical codes, those of gRPC.
enum class Code : uint8_t {
  kOk = 0,
  kCancelled = 1,  // the client was stopped or logged out first
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,  // no answer in time: the outcome is unknown
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,  // not connected, or the server cannot serve now
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// Which rule of the server refused; hongyan.v1.Reason on the wire. A newer server may know more of
// them.
enum class Reason : uint16_t {
  kNone = 0,
  kBusy = 1,      // overloaded: again after retry_after_ms
  kStaleId = 2,   // the message waited longer than 7 days, or the clock is wrong
  kConflict = 3,  // same request id, other content
  kAfterNotAccepted = 4,
  kNotAMember = 5,
  kMuted = 6,
  kBodyInvalid = 7,
  kTooLarge = 8,
  kNoSuchUser = 9,
  kNoSuchGroup = 10,
  kNotAllowed = 11,
  kLimitReached = 12,
  kCursorAhead = 13,
  kBadCredentials = 14,
  kTokenRevoked = 15,
  kTokenExpired = 16,
  kUserDisabled = 17,
  kReplaced = 18,
  kIdCollision = 20,
  kDiskReserve = 21,
  kStoreStopped = 22,
  kChannelStopped = 23,
  kBroken = 24,
  kNotLoggedIn = 25,
  kVersionUnsupported = 26,
  kDraining = 27,

  // Money: one per rule. What is refused has moved nothing.
  kAmountInvalid = 64,  // zero, negative or too large
  kOverLimit = 65,      // total, share or number of shares above what the server allows
  kMoreSharesThanFen = 66,
  kSharesInvalid = 67,
  kKindNotHere = 68,  // no such kind of packet in this kind of conversation
  kGreetingInvalid = 69,
  kNamedPersonInvalid = 70,
  kNoFunds = 71,
  kWalletFrozen = 72,
  kFundsPending = 73,  // credits are on their way: again after retry_after_ms
  kRequestTooOld = 74,
  kNoSuchPacket = 75,
  kPacketDone = 76,  // every share is taken
  kPacketExpired = 77,
  kPacketReturned = 78,
  kPacketRefused = 79,
  kNotEligible = 80,
  kNotTheNamedPerson = 81,
  kOwnPacket = 82,
  kQuarantined = 83,
  kNoSuchWallet = 84,
  kWorldLimit = 85,
  kDayDrained = 86,
};

// "NOT_FOUND" and the like. Any thread.
const char* CodeName(Code code);

// Why something was not done. `text` is for people and says what to do; programs read `code` and
// `reason`.
struct Error {
  Code code = Code::kInternal;
  Reason reason = Reason::kNone;
  std::string text = {};
  int64_t retry_after_ms = 0;  // 0 = no hint
  // Of Client::SendPacket only: the order's. Where the outcome is not known (see there) ask GetSend
  // by it, or give the same order with it again: it is the same packet. Empty: nothing ever left.
  std::string request_id = {};
};

// A value, or the error why there is none. Value type.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by intent
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by intent

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES ok(); aborts otherwise.
  T& value() & {
    Need(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    Need(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    Need(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // REQUIRES !ok(); aborts otherwise.
  const Error& error() const& {
    Need(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    Need(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  static void Need(bool condition) {
    if (!condition) std::abort();
  }
  std::variant<T, Error> state_;
};

// The value of a Result that is only about success.
struct Done {};

}  // namespace hongyan
