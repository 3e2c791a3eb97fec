#include "conversation/packet_messages.h"

#include <string>
#include <utility>

#include "base/bytes.h"
#include "hongyan/v1/message.pb.h"
#include "model/reason.h"

namespace hongyan::conversation {
namespace {

using shard::ItemOutcome;

// A packet is announced once: what a repeat is known by.
uint64_t HashOf(model::PacketId packet) {
  std::string key = "packet";
  base::AppendBe64(key, static_cast<uint64_t>(packet.value));
  return BodyHash(key);
}

std::string BodyOf(const model::PacketHeader& packet) {
  const model::PacketTerms& terms = packet.terms;
  v1::Body body;
  if (terms.kind == model::PacketKind::kTransfer) {
    v1::Transfer& transfer = *body.mutable_transfer();
    transfer.set_packet_id(packet.id.value);
    transfer.set_to(terms.named.value);
    transfer.set_amount_fen(terms.total_fen);
    transfer.set_note(terms.greeting);
    transfer.set_expires_ms(packet.expires_ms);
  } else {
    v1::RedPacket& red = *body.mutable_red_packet();
    red.set_packet_id(packet.id.value);
    red.set_kind(static_cast<v1::PacketKind>(terms.kind));
    red.set_greeting(terms.greeting);
    red.set_shares(terms.shares);
    red.set_named(terms.named.value);
    red.set_expires_ms(packet.expires_ms);
  }
  return body.SerializeAsString();
}

std::string BodyOf(const model::PacketNoticeItem& item) {
  v1::Body body;
  v1::PacketNotice& notice = *body.mutable_system()->mutable_packet_notice();
  notice.set_what(static_cast<v1::PacketNotice::What>(item.what));
  notice.set_packet_id(item.packet.value);
  notice.set_kind(static_cast<v1::PacketKind>(item.kind));
  notice.set_sender(item.sender.value);
  notice.set_user(item.user.value);
  notice.set_amount_fen(item.amount_fen);
  notice.set_took_ms(item.took_ms);
  return body.SerializeAsString();
}

// An error that says no, not one that says that it could not be read.
bool IsRule(const base::Error& error) {
  return error.code != base::Code::kUnavailable && error.code != base::Code::kDataLoss &&
         error.code != base::Code::kInternal && error.reason != 0;
}

model::VerdictItem Refused(model::PacketId packet, const base::Error& error) {
  return {packet, false, {}, error.reason};
}

}  // namespace

base::Result<ItemOutcome> PacketMessages::Apply(shard::UnitOfWork& work,
                                                const shard::ItemPlace& place,
                                                const model::AnnounceItem& item) {
  auto verdict = Announce(work, item.packet);
  if (!verdict) return verdict.error();
  work.Emit(place.source, *verdict, 2);
  return ItemOutcome::Applied();
}

base::Result<model::VerdictItem> PacketMessages::Announce(shard::UnitOfWork& work,
                                                          const model::PacketHeader& packet) {
  const model::PacketTerms& terms = packet.terms;
  const uint64_t hash = HashOf(packet.id);
  auto before =
      conversations_.FindAccepted(terms.conversation, terms.sender, terms.request_id, hash);
  if (!before && !IsRule(before.error())) return before.error();
  // The sender has used the id for another message.
  if (!before) return Refused(packet.id, before.error());
  if (before->has_value()) return model::VerdictItem{packet.id, true, (*before)->seq, 0};

  auto may = conversations_.MaySpeak(work, terms.conversation, terms.sender);
  if (!may && !IsRule(may.error())) return may.error();
  if (!may) return Refused(packet.id, may.error());
  const model::Group* group = nullptr;
  if (terms.conversation.is_group()) {
    if (terms.named) {
      auto named = conversations_.FindMember(terms.conversation.group(), terms.named);
      if (!named) return named.error();
      if (*named == nullptr || !(*named)->present()) {
        return model::VerdictItem{
            packet.id, false, {}, static_cast<uint16_t>(model::Reason::kNamedPersonInvalid)};
      }
    }
    auto found = conversations_.FindGroup(terms.conversation.group());
    if (!found) return found.error();
    group = *found;
  }
  const bool transfer = terms.kind == model::PacketKind::kTransfer;
  auto message = conversations_.Append(
      work, terms.conversation,
      {terms.sender, terms.request_id,
       transfer ? model::BodyKind::kTransfer : model::BodyKind::kRedPacket, BodyOf(packet), hash});
  if (!message) return message.error();
  conversations_.FanOut(work, terms.conversation, *message, {}, group);
  return model::VerdictItem{packet.id, true, message->seq, 0};
}

base::Result<ItemOutcome> PacketMessages::Apply(shard::UnitOfWork& work, const shard::ItemPlace&,
                                                const model::PacketNoticeItem& item) {
  const model::Group* group = nullptr;
  if (item.conversation.is_group()) {
    auto found = conversations_.FindGroup(item.conversation.group());
    if (!found) return found.error();
    group = *found;
    if (group == nullptr || group->state != model::GroupState::kActive || group->members() == 0) {
      return ItemOutcome::Applied();
    }
  }
  auto message = conversations_.Append(work, item.conversation,
                                       {{}, {}, model::BodyKind::kSystem, BodyOf(item), 0});
  if (!message) return message.error();
  conversations_.FanOut(work, item.conversation, *message, {}, group);
  return ItemOutcome::Applied();
}

}  // namespace hongyan::conversation
