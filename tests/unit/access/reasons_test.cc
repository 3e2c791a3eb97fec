#include <utility>

#include "hongyan/v1/error.pb.h"
#include "hongyan/v1/message.pb.h"
#include "hongyan/v1/money.pb.h"
#include "model/message.h"
#include "model/money.h"
#include "model/reason.h"
#include "tests/doctest_last.h"

// Numbers that the model and the wire share: they are cast from one to the other.

namespace hongyan::access {
namespace {

using model::Reason;

constexpr std::pair<Reason, v1::Reason> kReasons[] = {
    {Reason::kNone, v1::REASON_NONE},
    {Reason::kBusy, v1::BUSY},
    {Reason::kStaleId, v1::STALE_ID},
    {Reason::kConflict, v1::CONFLICT},
    {Reason::kAfterNotAccepted, v1::AFTER_NOT_ACCEPTED},
    {Reason::kNotAMember, v1::NOT_A_MEMBER},
    {Reason::kMuted, v1::MUTED},
    {Reason::kBodyInvalid, v1::BODY_INVALID},
    {Reason::kTooLarge, v1::TOO_LARGE},
    {Reason::kNoSuchUser, v1::NO_SUCH_USER},
    {Reason::kNoSuchGroup, v1::NO_SUCH_GROUP},
    {Reason::kNotAllowed, v1::NOT_ALLOWED},
    {Reason::kLimitReached, v1::LIMIT_REACHED},
    {Reason::kCursorAhead, v1::CURSOR_AHEAD},
    {Reason::kBadCredentials, v1::BAD_CREDENTIALS},
    {Reason::kTokenRevoked, v1::TOKEN_REVOKED},
    {Reason::kTokenExpired, v1::TOKEN_EXPIRED},
    {Reason::kUserDisabled, v1::USER_DISABLED},
    {Reason::kReplaced, v1::REPLACED},
    {Reason::kIdCollision, v1::ID_COLLISION},
    {Reason::kDiskReserve, v1::DISK_RESERVE},
    {Reason::kStoreStopped, v1::STORE_STOPPED},
    {Reason::kChannelStopped, v1::CHANNEL_STOPPED},
    {Reason::kBroken, v1::BROKEN},
    {Reason::kNotLoggedIn, v1::NOT_LOGGED_IN},
    {Reason::kVersionUnsupported, v1::VERSION_UNSUPPORTED},
    {Reason::kDraining, v1::DRAINING},
    {Reason::kAmountInvalid, v1::AMOUNT_INVALID},
    {Reason::kOverLimit, v1::OVER_LIMIT},
    {Reason::kMoreSharesThanFen, v1::MORE_SHARES_THAN_FEN},
    {Reason::kSharesInvalid, v1::SHARES_INVALID},
    {Reason::kKindNotHere, v1::KIND_NOT_HERE},
    {Reason::kGreetingInvalid, v1::GREETING_INVALID},
    {Reason::kNamedPersonInvalid, v1::NAMED_PERSON_INVALID},
    {Reason::kNoFunds, v1::NO_FUNDS},
    {Reason::kWalletFrozen, v1::WALLET_FROZEN},
    {Reason::kFundsPending, v1::FUNDS_PENDING},
    {Reason::kRequestTooOld, v1::REQUEST_TOO_OLD},
    {Reason::kNoSuchPacket, v1::NO_SUCH_PACKET},
    {Reason::kPacketDone, v1::PACKET_DONE},
    {Reason::kPacketExpired, v1::PACKET_EXPIRED},
    {Reason::kPacketReturned, v1::PACKET_RETURNED},
    {Reason::kPacketRefused, v1::PACKET_REFUSED},
    {Reason::kNotEligible, v1::NOT_ELIGIBLE},
    {Reason::kNotTheNamedPerson, v1::NOT_THE_NAMED_PERSON},
    {Reason::kOwnPacket, v1::OWN_PACKET},
    {Reason::kQuarantined, v1::QUARANTINED},
    {Reason::kNoSuchWallet, v1::NO_SUCH_WALLET},
    {Reason::kWorldLimit, v1::WORLD_LIMIT},
    {Reason::kDayDrained, v1::DAY_DRAINED},
};

template <class Model, class Wire>
void Same(Model model, Wire wire) {
  CHECK(static_cast<int>(model) == static_cast<int>(wire));
}

}  // namespace

TEST_CASE("each reason has one number, in the model and on the wire") {
  for (const auto& [reason, wire] : kReasons) {
    CHECK_MESSAGE(static_cast<int>(reason) == static_cast<int>(wire), v1::Reason_Name(wire));
  }
  CHECK(std::size(kReasons) == static_cast<size_t>(v1::Reason_descriptor()->value_count()));
}

TEST_CASE("what is stored of packets has the numbers of the wire") {
  using model::PacketKind;
  Same(PacketKind::kLucky, v1::PACKET_LUCKY);
  Same(PacketKind::kEqual, v1::PACKET_EQUAL);
  Same(PacketKind::kExclusive, v1::PACKET_EXCLUSIVE);
  Same(PacketKind::kTransfer, v1::PACKET_TRANSFER);
  using model::PacketState;
  Same(PacketState::kCreated, v1::PACKET_STATE_CREATED);
  Same(PacketState::kOpen, v1::PACKET_STATE_OPEN);
  Same(PacketState::kDone, v1::PACKET_STATE_DONE);
  Same(PacketState::kExpired, v1::PACKET_STATE_EXPIRED);
  Same(PacketState::kReturned, v1::PACKET_STATE_RETURNED);
  Same(PacketState::kRefused, v1::PACKET_STATE_REFUSED);
  using model::ReturnReason;
  Same(ReturnReason::kExpired, v1::RETURN_EXPIRED);
  Same(ReturnReason::kRefused, v1::RETURN_REFUSED);
  Same(ReturnReason::kReturned, v1::RETURN_BY_RECEIVER);
  Same(ReturnReason::kTooLate, v1::RETURN_TOO_LATE);
  Same(ReturnReason::kRule, v1::RETURN_RULE);
  Same(ReturnReason::kByAdmin, v1::RETURN_BY_ADMIN);
  using model::StatementKind;
  Same(StatementKind::kDeposit, v1::STATEMENT_DEPOSIT);
  Same(StatementKind::kWithdrawal, v1::STATEMENT_WITHDRAWAL);
  Same(StatementKind::kSent, v1::STATEMENT_SENT);
  Same(StatementKind::kReceived, v1::STATEMENT_RECEIVED);
  Same(StatementKind::kRefund, v1::STATEMENT_REFUND);
  using model::BodyKind;
  Same(BodyKind::kRedPacket, v1::BODY_RED_PACKET);
  Same(BodyKind::kTransfer, v1::BODY_TRANSFER);
  Same(BodyKind::kSystem, v1::BODY_SYSTEM);
  Same(model::EntryKind::kPacketReturned, v1::ENTRY_PACKET_RETURNED);
}

}  // namespace hongyan::access
