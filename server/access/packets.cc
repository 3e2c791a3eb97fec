#include "access/packets.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "access/from_pool.h"
#include "access/money_wire.h"
#include "account/refusals.h"
#include "model/reason.h"
#include "money/judge.h"
#include "money/refusals.h"

namespace hongyan::access {
namespace {

using base::Code;
using model::PacketId;
using model::PacketKind;
using model::Reason;
using model::UserId;
using Grab = money::Board::Grab;

constexpr size_t kClaims = 100;

base::Error Invalid(const char* text) { return {Code::kInvalidArgument, text}; }

// A read that would have to go to the disk.
bool NotInMemory(const base::Error& error) {
  return error.code == Code::kUnavailable && error.reason == 0;
}

struct Asked {
  uint16_t command = 0;
  uint32_t request_id = 0;
};
Asked Of(const proto::Frame& frame) { return {frame.header.command, frame.header.request_id}; }

// -- sending

base::Result<model::PacketTerms> ReadTerms(Session& session, v1::SendPacket& wire) {
  model::PacketTerms terms;
  if (!terms.request_id.Assign(wire.request_id())) {
    return Invalid("request_id is 16 bytes, a UUIDv7");
  }
  terms.conversation = {wire.conversation().a(), wire.conversation().b()};
  if (!terms.conversation.valid()) {
    return Invalid("a conversation is (lower user, higher user), or (0, group)");
  }
  if (wire.kind() < v1::PACKET_LUCKY || wire.kind() > v1::PACKET_TRANSFER) {
    return model::Refuse(Code::kInvalidArgument, Reason::kKindNotHere,
                         "this server does not know the kind of packet");
  }
  terms.kind = static_cast<PacketKind>(wire.kind());
  terms.sender = session.user();
  terms.named = UserId(wire.named());
  terms.shares = wire.shares();
  terms.total_fen = wire.amount_fen();
  terms.greeting = std::move(*wire.mutable_greeting());
  switch (terms.kind) {
    case PacketKind::kEqual:
      // By its share; CheckTerms sees to the rest, a number of shares that is none among it.
      if (wire.shares() > 0 &&
          __builtin_mul_overflow(wire.amount_fen(), int64_t{wire.shares()}, &terms.total_fen)) {
        return money::Refusal(Reason::kAmountInvalid);
      }
      break;
    case PacketKind::kExclusive:
      if (terms.shares == 0) terms.shares = 1;
      break;
    case PacketKind::kTransfer:
      // In a 1:1 chat it is clear for whom.
      if (!terms.named && !terms.conversation.is_group()) {
        terms.named = terms.conversation.peer_of(terms.sender);
      }
      if (terms.shares == 0) terms.shares = 1;
      break;
    default:
      break;
  }
  return terms;
}

void SubmitSend(Session& session, const Asked& asked, model::PacketTerms terms) {
  const model::ShardId shard = session.desk().services().money.routes.WalletOf(terms.sender);
  session.Submit(asked.command, asked.request_id, shard, model::SendPacket{std::move(terms)});
}

// The edge says no. Where the same request was taken before, its shard answers: what it said then
// is the answer, whatever has happened to the sender since. It may stand in the queue yet, so only
// the shard can know.
void RefuseUnlessKnown(Session& session, const Asked& asked, model::PacketTerms terms,
                       base::Error no) {
  const model::ShardId shard = session.desk().services().money.routes.WalletOf(terms.sender);
  session.Submit(asked.command, asked.request_id, shard,
                 model::SendPacket{std::move(terms), std::move(no)});
}

// Does the other one of a 1:1 conversation exist, and may the sender speak here.
base::Result<void> MaySend(const Services& services, const model::PacketTerms& terms,
                           bool peer_known, storage::Reach reach) {
  if (!peer_known) {
    const UserId peer = terms.conversation.peer_of(terms.sender);
    auto exists = services.directory.Exists(peer);
    if (!exists) return exists.error();
    if (!*exists) return account::NoSuchUser(peer);
  }
  auto may =
      services.money.eligibility.MaySend(terms.conversation, terms.sender, terms.named, reach);
  if (!may) return std::move(may).error();
  return {};
}

void SendOnceRead(Session& session, const Asked& asked, model::PacketTerms terms, bool peer_known) {
  const Services& services = session.desk().services();
  session.OnPool(
      services.readers, asked.command, asked.request_id,
      [&services, terms, peer_known] {
        return MaySend(services, terms, peer_known, storage::Reach::kDisk);
      },
      [asked, terms](Session& it, base::Result<void> may) {
        if (!may) return RefuseUnlessKnown(it, asked, terms, std::move(may).error());
        if (!terms.conversation.is_group()) {
          it.desk().known_users().Add(terms.conversation.peer_of(terms.sender));
        }
        SubmitSend(it, asked, terms);
      });
}

// -- taking

// The packet's shard, or the refusal of an id that names none.
base::Result<model::ShardId> ShardOf(Session& session, PacketId packet) {
  const auto shard = session.desk().services().money.routes.ShardOf(packet);
  if (!shard) return money::Refusal(Reason::kNoSuchPacket);
  return *shard;
}

base::Result<Grab> Look(Session& session, PacketId packet, const model::Eligible* eligible) {
  const Desk& desk = session.desk();
  auto shard = ShardOf(session, packet);
  if (!shard) return std::move(shard).error();
  return desk.services().money.board.Look(packet, session.user(), eligible, desk.money_time_ms(),
                                          desk.opens_in_flight(*shard, packet));
}

// A packet as the store has it, for who asks: the way of whatever the board does not show.
struct Seen {
  model::Eligible eligible;
  money::Reader::Detail detail;
};
base::Result<Seen> ReadPacket(const Services& services, PacketId packet, UserId user,
                              int32_t after = 0, size_t limit = 0) {
  auto found = services.money.reader.Find(packet);
  if (!found) return std::move(found).error();
  auto eligible = services.money.eligibility.MayOpen(found->header.terms.conversation, user,
                                                     storage::Reach::kDisk);
  if (!eligible) return std::move(eligible).error();
  auto detail = services.money.reader.Show(packet, user, true, after, limit);
  if (!detail) return std::move(detail).error();
  return Seen{*eligible, std::move(detail).value()};
}

void AnswerGrab(Session& session, const Asked& asked, const model::Opened* before) {
  v1::GrabPacketReply reply;
  if (before != nullptr) reply.set_amount_fen(before->amount_fen);
  session.Answer(asked.command, asked.request_id, reply);
}

void AnswerOpened(Session& session, const Asked& asked, const model::Opened& opened) {
  v1::OpenPacketReply reply;
  reply.set_amount_fen(opened.amount_fen);
  reply.set_ordinal(opened.ordinal);
  reply.set_time_ms(opened.time_ms);
  reply.set_already(opened.already);
  session.Answer(asked.command, asked.request_id, reply);
}

// An open is refused here only for what is final. What membership says may be true of this try and
// not of an earlier one, which stands in the queue or its batch: then that one's share is the
// answer, and only the shard can know.
bool ShardMustSay(const base::Error& error) {
  return static_cast<Reason>(error.reason) == Reason::kNotEligible;
}

// Tells of a packet the board has judged: for a grab the end, for an open there may be more to do.
enum class Wish { kGrab, kOpen };

void Open(Session& session, const Asked& asked, PacketId packet, const model::Eligible& eligible) {
  auto shard = ShardOf(session, packet);
  if (!shard) return session.Refuse(asked.command, asked.request_id, shard.error());
  session.Submit(asked.command, asked.request_id, *shard,
                 model::OpenPacket{packet, session.user(), eligible});
}

void TakeFromStore(Session& session, const Asked& asked, PacketId packet, Wish wish) {
  const Services& services = session.desk().services();
  session.OnPool(
      services.readers, asked.command, asked.request_id,
      [&services, packet, user = session.user()] { return ReadPacket(services, packet, user); },
      [asked, packet, wish](Session& it, base::Result<Seen> seen) {
        if (!seen) return it.Refuse(asked.command, asked.request_id, seen.error());
        // The shard judges an open by what it knows, which may be newer.
        if (wish == Wish::kOpen) return Open(it, asked, packet, seen->eligible);
        const model::Claim* const own = seen->detail.own ? &*seen->detail.own : nullptr;
        const auto judged = money::Judge(seen->detail.packet.header, seen->detail.packet.status,
                                         own, it.user(), &seen->eligible, money::kNoClock);
        if (!judged) return it.Refuse(asked.command, asked.request_id, judged.error());
        AnswerGrab(it, asked, own == nullptr ? nullptr : &judged->opened);
      });
}

void TakeEligible(Session& session, const Asked& asked, PacketId packet, Wish wish,
                  const model::Eligible& eligible) {
  auto look = Look(session, packet, &eligible);
  if (!look && wish == Wish::kOpen && ShardMustSay(look.error())) {
    return Open(session, asked, packet, eligible);
  }
  if (!look) return session.Refuse(asked.command, asked.request_id, look.error());
  if (look->kind == Grab::Kind::kAlready) {
    if (wish == Wish::kOpen) return AnswerOpened(session, asked, look->opened);
    return AnswerGrab(session, asked, &look->opened);
  }
  if (wish == Wish::kOpen) return Open(session, asked, packet, eligible);
  if (look->kind == Grab::Kind::kUnknown) return TakeFromStore(session, asked, packet, wish);
  AnswerGrab(session, asked, nullptr);
}

void Take(Session& session, const Asked& asked, PacketId packet, Wish wish) {
  auto look = Look(session, packet, nullptr);
  if (!look) return session.Refuse(asked.command, asked.request_id, look.error());
  switch (look->kind) {
    case Grab::Kind::kAlready:
      if (wish == Wish::kOpen) return AnswerOpened(session, asked, look->opened);
      return AnswerGrab(session, asked, &look->opened);
    case Grab::Kind::kUnknown:
      return TakeFromStore(session, asked, packet, wish);
    case Grab::Kind::kOpen:
    case Grab::Kind::kWhoIsIt:
      break;
  }
  const Services& services = session.desk().services();
  const model::ConversationId conversation = look->conversation;
  auto eligible =
      services.money.eligibility.MayOpen(conversation, session.user(), storage::Reach::kMemory);
  if (eligible) return TakeEligible(session, asked, packet, wish, *eligible);
  if (!NotInMemory(eligible.error())) {
    return session.Refuse(asked.command, asked.request_id, eligible.error());
  }
  session.OnPool(
      services.readers, asked.command, asked.request_id,
      [&services, conversation, user = session.user()] {
        return services.money.eligibility.MayOpen(conversation, user, storage::Reach::kDisk);
      },
      [asked, packet, wish](Session& it, base::Result<model::Eligible> read) {
        if (!read) return it.Refuse(asked.command, asked.request_id, read.error());
        TakeEligible(it, asked, packet, wish, *read);
      });
}

}  // namespace

void SendPacket(Session& session, const proto::Frame& frame) {
  v1::SendPacket wire;
  if (!session.Parse(frame, wire)) return;
  const Asked asked = Of(frame);
  auto terms = ReadTerms(session, wire);
  if (!terms) return session.Refuse(asked.command, asked.request_id, terms.error());
  const Services& services = session.desk().services();
  if (auto good = money::CheckTerms(services.money.limits, *terms); !good) {
    return RefuseUnlessKnown(session, asked, *terms, std::move(good).error());
  }
  // Its message could not be stored: better that no money leaves than that it comes back unopened.
  if (session.desk().stopped(services.router.ShardOf(terms->conversation))) {
    return RefuseUnlessKnown(
        session, asked, std::move(terms).value(),
        model::Refuse(Code::kUnavailable, Reason::kStoreStopped,
                      "chat is stopped after a failed write; nothing was moved: send the same "
                      "request again",
                      500));
  }
  const UserId peer =
      terms->conversation.is_group() ? UserId() : terms->conversation.peer_of(session.user());
  const bool peer_known =
      !peer || peer == session.user() || session.desk().known_users().Knows(peer);
  if (!peer_known) return SendOnceRead(session, asked, std::move(terms).value(), false);
  auto may = MaySend(services, *terms, true, storage::Reach::kMemory);
  if (may) return SubmitSend(session, asked, std::move(terms).value());
  if (NotInMemory(may.error())) {
    return SendOnceRead(session, asked, std::move(terms).value(), true);
  }
  RefuseUnlessKnown(session, asked, std::move(terms).value(), std::move(may).error());
}

void PacketSent(Session& session, uint16_t command, uint32_t request_id, model::Reply reply) {
  if (!reply) return session.Refuse(command, request_id, reply.error());
  v1::SendPacketReply wire;
  wire.set_packet_id(std::get<model::PacketSending>(reply.value()).packet.value);
  session.Answer(command, request_id, wire);
}

void GetSend(Session& session, const proto::Frame& frame) {
  v1::GetSend wire;
  if (!session.Parse(frame, wire)) return;
  model::RequestId id;
  if (!id.Assign(wire.request_id())) {
    return session.Refuse(frame.header.command, frame.header.request_id,
                          Invalid("request_id is 16 bytes, that of the send"));
  }
  const Services& services = session.desk().services();
  AnswerFromPool(session, frame,
                 [&services, user = session.user(), id]() -> base::Result<v1::GetSendReply> {
                   auto send = services.money.reader.FindSend(user, id);
                   if (!send) return std::move(send).error();
                   v1::GetSendReply reply;
                   reply.set_state(static_cast<v1::SendState>(send->state));
                   reply.set_packet_id(send->packet.value);
                   return reply;
                 });
}

void GrabPacket(Session& session, const proto::Frame& frame) {
  v1::GrabPacket wire;
  if (!session.Parse(frame, wire)) return;
  Take(session, Of(frame), PacketId(wire.packet_id()), Wish::kGrab);
}

void OpenPacket(Session& session, const proto::Frame& frame) {
  v1::OpenPacket wire;
  if (!session.Parse(frame, wire)) return;
  Take(session, Of(frame), PacketId(wire.packet_id()), Wish::kOpen);
}

void PacketOpened(Session& session, uint16_t command, uint32_t request_id, model::Reply reply) {
  if (!reply) return session.Refuse(command, request_id, reply.error());
  AnswerOpened(session, {command, request_id}, std::get<model::Opened>(reply.value()));
}

void ReturnTransfer(Session& session, const proto::Frame& frame) {
  v1::ReturnTransfer wire;
  if (!session.Parse(frame, wire)) return;
  const Asked asked = Of(frame);
  const Services& services = session.desk().services();
  const PacketId packet(wire.packet_id());
  // Its money may be on its way, of which its shard knows nothing: the reader does.
  session.OnPool(
      services.readers, asked.command, asked.request_id,
      [&services, packet] { return services.money.reader.Find(packet); },
      [asked, packet](Session& it, base::Result<model::Packet> found) {
        if (!found) return it.Refuse(asked.command, asked.request_id, found.error());
        auto shard = ShardOf(it, packet);
        if (!shard) return it.Refuse(asked.command, asked.request_id, shard.error());
        it.Submit(asked.command, asked.request_id, *shard, model::ReturnPacket{packet, it.user()});
      });
}

void TransferReturned(Session& session, uint16_t command, uint32_t request_id, model::Reply reply) {
  if (!reply) return session.Refuse(command, request_id, reply.error());
  session.Answer(command, request_id, v1::ReturnTransferReply());
}

void PacketDetail(Session& session, const proto::Frame& frame) {
  v1::PacketDetail wire;
  if (!session.Parse(frame, wire)) return;
  if (wire.after() < 0) {
    return session.Refuse(frame.header.command, frame.header.request_id,
                          Invalid("`after` is the ordinal of a claim, or 0"));
  }
  const size_t limit =
      wire.limit() == 0 ? kClaims : std::min<size_t>(wire.limit(), money::Reader::kMaxPage);
  const Services& services = session.desk().services();
  AnswerFromPool(session, frame,
                 [&services, packet = PacketId(wire.packet_id()), user = session.user(),
                  after = wire.after(), limit]() -> base::Result<v1::PacketDetailReply> {
                   const money::Reader& reader = services.money.reader;
                   auto found = reader.Find(packet);
                   if (!found) return std::move(found).error();
                   auto member = services.money.eligibility.MayOpen(
                       found->header.terms.conversation, user, storage::Reach::kDisk);
                   if (!member) return std::move(member).error();
                   auto detail = reader.Show(packet, user, member->yes, after, limit);
                   if (!detail) return std::move(detail).error();
                   v1::PacketDetailReply reply;
                   const bool sender = detail->packet.header.terms.sender == user;
                   Fill(*detail, sender ? Show::kAll : Show::kPublic, &reply);
                   return reply;
                 });
}

}  // namespace hongyan::access
