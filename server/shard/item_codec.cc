#include "shard/item_codec.h"

#include "model/reason.h"
#include "schema/items.pb.h"

namespace hongyan::shard {
namespace {

namespace pb = ::hongyan::store::v1;

void ToStored(const model::Entry& entry, pb::StoredEntry* out) {
  out->set_kind(static_cast<int32_t>(entry.kind));
  out->set_time_ms(entry.time_ms);
  out->set_conversation_a(entry.conversation.a);
  out->set_conversation_b(entry.conversation.b);
  out->set_conv_seq(entry.conv_seq.value);
  if (!entry.client_msg_id.is_zero())
    out->set_client_msg_id(std::string(entry.client_msg_id.view()));
}

bool FromStored(const pb::StoredEntry& in, model::Entry* out) {
  out->kind = static_cast<model::EntryKind>(in.kind());
  out->time_ms = in.time_ms();
  out->conversation = {in.conversation_a(), in.conversation_b()};
  out->conv_seq = model::ConvSeq(in.conv_seq());
  if (!in.client_msg_id().empty() && !out->client_msg_id.Assign(in.client_msg_id())) return false;
  return in.kind() >= 1 && in.kind() <= 4 && out->conversation.valid() && in.conv_seq() > 0;
}

// Ids of conversations lie in two fields of the same names wherever they are stored.
template <class Stored>
void PutConversation(const model::ConversationId& conversation, Stored* out) {
  out->set_conversation_a(conversation.a);
  out->set_conversation_b(conversation.b);
}
template <class Stored>
model::ConversationId ConversationOf(const Stored& in) {
  return {in.conversation_a(), in.conversation_b()};
}

bool IsKind(int32_t kind) {
  return kind >= static_cast<int32_t>(model::PacketKind::kLucky) &&
         kind <= static_cast<int32_t>(model::PacketKind::kTransfer);
}
bool IsReturnReason(int32_t reason) {
  return reason >= static_cast<int32_t>(model::ReturnReason::kExpired) &&
         reason <= static_cast<int32_t>(model::ReturnReason::kByAdmin);
}
bool Fits16(int32_t value) { return value >= 0 && value <= UINT16_MAX; }

void ToStored(const model::PacketTerms& terms, pb::StoredTerms* out) {
  out->set_kind(static_cast<int32_t>(terms.kind));
  PutConversation(terms.conversation, out);
  out->set_sender(terms.sender.value);
  out->set_request_id(std::string(terms.request_id.view()));
  out->set_named(terms.named.value);
  out->set_total_fen(terms.total_fen);
  out->set_shares(terms.shares);
  out->set_share_cap_fen(terms.share_cap_fen);
  out->set_greeting(terms.greeting);
}

bool FromStored(const pb::StoredTerms& in, model::PacketTerms* out) {
  out->kind = static_cast<model::PacketKind>(in.kind());
  out->conversation = ConversationOf(in);
  out->sender = model::UserId(in.sender());
  out->named = model::UserId(in.named());
  out->total_fen = in.total_fen();
  out->shares = in.shares();
  out->share_cap_fen = in.share_cap_fen();
  out->greeting = in.greeting();
  return IsKind(in.kind()) && out->conversation.valid() && in.sender() > 0 && in.named() >= 0 &&
         in.total_fen() > 0 && in.shares() > 0 && in.share_cap_fen() > 0 &&
         out->request_id.Assign(in.request_id());
}

struct Encoder {
  pb::StoredItem out;

  void operator()(const model::DirectItem& item) {
    auto* d = out.mutable_direct();
    ToStored(item.entry, d->mutable_entry());
    d->set_sender(item.sender.value);
    d->set_sender_device(std::string(item.sender_device.view()));
    for (const auto user : item.users) d->add_users(user.value);
  }
  void operator()(const model::GroupItem& item) {
    auto* g = out.mutable_group_message();
    ToStored(item.entry, g->mutable_entry());
    g->set_sender(item.sender.value);
    g->set_sender_device(std::string(item.sender_device.view()));
    g->set_version(item.version);
    g->set_expected(item.expected);
  }
  void operator()(const model::MembersItem& item) {
    auto* m = out.mutable_members();
    ToStored(item.entry, m->mutable_entry());
    m->set_actor(item.actor.value);
    m->set_version_before(item.version_before);
    m->set_version(item.version);
    for (const auto user : item.added) m->add_added(user.value);
    for (const auto user : item.removed) m->add_removed(user.value);
    m->set_expected(item.expected);
  }
  void operator()(const model::SliceRequestItem& item) {
    out.mutable_slice_request()->set_group(item.group.value);
    out.mutable_slice_request()->set_from(item.from.value);
  }
  void operator()(const model::SliceSnapshotItem& item) {
    auto* s = out.mutable_slice_snapshot();
    s->set_group(item.group.value);
    s->set_version(item.version);
    s->set_conv_seq(item.conv_seq.value);
    for (const auto& follower : item.members) {
      s->add_users(follower.user.value);
      s->add_since(follower.since.value);
      s->add_until(follower.until.value);
    }
  }
  void operator()(const model::CreateGroupItem& item) {
    auto* g = out.mutable_create_group()->mutable_group();
    g->set_id(item.group.id.value);
    g->set_state(static_cast<int32_t>(item.group.state));
    g->set_owner(item.group.owner.value);
    g->set_name(item.group.name);
    g->set_created_ms(item.group.created_ms);
    g->set_created_by(std::string(item.group.created_by.view()));
    g->set_version(item.group.version);
    for (const int32_t n : item.group.member_count) g->add_member_count(n);
    for (const auto user : item.members) out.mutable_create_group()->add_members(user.value);
  }
  void operator()(const model::FundItem& item) {
    out.mutable_fund()->set_packet(item.packet.value);
    ToStored(item.terms, out.mutable_fund()->mutable_terms());
  }
  void operator()(const model::AnnounceItem& item) {
    auto* a = out.mutable_announce();
    a->set_packet(item.packet.id.value);
    ToStored(item.packet.terms, a->mutable_terms());
    a->set_created_ms(item.packet.created_ms);
    a->set_expires_ms(item.packet.expires_ms);
    a->set_split_version(item.packet.split_version);
    a->set_secret_number(item.packet.secret_number);
  }
  void operator()(const model::VerdictItem& item) {
    auto* v = out.mutable_verdict();
    v->set_packet(item.packet.value);
    v->set_announced(item.announced);
    v->set_conv_seq(item.conv_seq.value);
    v->set_reason(item.reason);
  }
  void operator()(const model::CreditItem& item) {
    auto* c = out.mutable_credit();
    c->set_packet(item.packet.value);
    c->set_user(item.user.value);
    c->set_amount_fen(item.amount_fen);
    c->set_kind(static_cast<int32_t>(item.kind));
    c->set_sender(item.sender.value);
    c->set_claimed_ms(item.claimed_ms);
  }
  void operator()(const model::RefundItem& item) {
    auto* r = out.mutable_refund();
    r->set_packet(item.packet.value);
    r->set_sender(item.sender.value);
    r->set_request_id(std::string(item.request_id.view()));
    PutConversation(item.conversation, r);
    r->set_kind(static_cast<int32_t>(item.kind));
    r->set_amount_fen(item.amount_fen);
    r->set_reason(static_cast<int32_t>(item.reason));
    r->set_created(item.created);
  }
  void operator()(const model::PacketNoticeItem& item) {
    auto* n = out.mutable_packet_notice();
    n->set_what(static_cast<int32_t>(item.what));
    n->set_packet(item.packet.value);
    n->set_kind(static_cast<int32_t>(item.kind));
    PutConversation(item.conversation, n);
    n->set_sender(item.sender.value);
    n->set_user(item.user.value);
    n->set_amount_fen(item.amount_fen);
    n->set_took_ms(item.took_ms);
  }
  void operator()(const model::PacketReturnedItem& item) {
    auto* r = out.mutable_packet_returned();
    r->set_user(item.user.value);
    r->set_request_id(std::string(item.request_id.view()));
    r->set_packet(item.packet.value);
    PutConversation(item.conversation, r);
    r->set_amount_fen(item.amount_fen);
    r->set_reason(static_cast<int32_t>(item.reason));
    r->set_time_ms(item.time_ms);
  }
};

std::vector<model::UserId> Users(const google::protobuf::RepeatedField<int64_t>& ids) {
  std::vector<model::UserId> users;
  users.reserve(static_cast<size_t>(ids.size()));
  for (const int64_t id : ids) users.emplace_back(id);
  return users;
}

bool Decode(const pb::StoredItem::Direct& in, model::DirectItem* out) {
  out->sender = model::UserId(in.sender());
  out->users = Users(in.users());
  return FromStored(in.entry(), &out->entry) && out->sender_device.Assign(in.sender_device());
}

bool Decode(const pb::StoredItem::GroupMessage& in, model::GroupItem* out) {
  out->sender = model::UserId(in.sender());
  out->version = in.version();
  out->expected = in.expected();
  return FromStored(in.entry(), &out->entry) && out->sender_device.Assign(in.sender_device());
}

bool Decode(const pb::StoredItem::Members& in, model::MembersItem* out) {
  out->actor = model::UserId(in.actor());
  out->version_before = in.version_before();
  out->version = in.version();
  out->added = Users(in.added());
  out->removed = Users(in.removed());
  out->expected = in.expected();
  return FromStored(in.entry(), &out->entry);
}

bool Decode(const pb::StoredItem::SliceSnapshot& in, model::SliceSnapshotItem* out) {
  out->group = model::GroupId(in.group());
  out->version = in.version();
  out->conv_seq = model::ConvSeq(in.conv_seq());
  if (in.users_size() != in.since_size() || in.users_size() != in.until_size()) return false;
  for (int i = 0; i < in.users_size(); ++i) {
    out->members.push_back(
        {model::UserId(in.users(i)), model::ConvSeq(in.since(i)), model::ConvSeq(in.until(i))});
  }
  return in.group() > 0;
}

bool Decode(const pb::StoredItem::CreateGroup& in, model::CreateGroupItem* out) {
  const auto& g = in.group();
  out->group.id = model::GroupId(g.id());
  out->group.state = static_cast<model::GroupState>(g.state());
  out->group.owner = model::UserId(g.owner());
  out->group.name = g.name();
  out->group.created_ms = g.created_ms();
  out->group.version = g.version();
  out->group.member_count.assign(g.member_count().begin(), g.member_count().end());
  out->members = Users(in.members());
  return g.id() > 0 && out->group.created_by.Assign(g.created_by());
}

bool Decode(const pb::StoredItem::Fund& in, model::FundItem* out) {
  out->packet = model::PacketId(in.packet());
  return in.packet() > 0 && FromStored(in.terms(), &out->terms);
}

bool Decode(const pb::StoredItem::Announce& in, model::AnnounceItem* out) {
  model::PacketHeader& packet = out->packet;
  packet.id = model::PacketId(in.packet());
  packet.created_ms = in.created_ms();
  packet.expires_ms = in.expires_ms();
  packet.split_version = static_cast<uint16_t>(in.split_version());
  packet.secret_number = static_cast<uint16_t>(in.secret_number());
  return in.packet() > 0 && Fits16(in.split_version()) && Fits16(in.secret_number()) &&
         FromStored(in.terms(), &packet.terms);
}

bool Decode(const pb::StoredItem::Verdict& in, model::VerdictItem* out) {
  *out = {model::PacketId(in.packet()), in.announced(), model::ConvSeq(in.conv_seq()),
          static_cast<uint16_t>(in.reason())};
  return in.packet() > 0 && Fits16(in.reason());
}

bool Decode(const pb::StoredItem::Credit& in, model::CreditItem* out) {
  *out = {model::PacketId(in.packet()),
          model::UserId(in.user()),
          in.amount_fen(),
          static_cast<model::PacketKind>(in.kind()),
          model::UserId(in.sender()),
          in.claimed_ms()};
  return in.packet() > 0 && in.user() > 0 && in.amount_fen() > 0 && IsKind(in.kind()) &&
         in.sender() > 0;
}

bool Decode(const pb::StoredItem::Refund& in, model::RefundItem* out) {
  out->packet = model::PacketId(in.packet());
  out->sender = model::UserId(in.sender());
  out->conversation = ConversationOf(in);
  out->kind = static_cast<model::PacketKind>(in.kind());
  out->amount_fen = in.amount_fen();
  out->reason = static_cast<model::ReturnReason>(in.reason());
  out->created = in.created();
  // Of funds that the administrator returned nobody knows the conversation any more.
  const bool lost = !in.created() && out->conversation == model::ConversationId();
  return in.packet() > 0 && in.sender() > 0 && (lost || out->conversation.valid()) &&
         IsKind(in.kind()) && in.amount_fen() > 0 && IsReturnReason(in.reason()) &&
         out->request_id.Assign(in.request_id());
}

bool Decode(const pb::StoredItem::PacketNotice& in, model::PacketNoticeItem* out) {
  using What = model::PacketNoticeItem::What;
  *out = {static_cast<What>(in.what()),
          model::PacketId(in.packet()),
          static_cast<model::PacketKind>(in.kind()),
          ConversationOf(in),
          model::UserId(in.sender()),
          model::UserId(in.user()),
          in.amount_fen(),
          in.took_ms()};
  return in.what() >= static_cast<int32_t>(What::kFinished) &&
         in.what() <= static_cast<int32_t>(What::kReturned) && in.packet() > 0 &&
         IsKind(in.kind()) && out->conversation.valid() && in.sender() > 0 && in.user() >= 0 &&
         in.amount_fen() >= 0;
}

bool Decode(const pb::StoredItem::PacketReturned& in, model::PacketReturnedItem* out) {
  out->user = model::UserId(in.user());
  out->packet = model::PacketId(in.packet());
  out->conversation = ConversationOf(in);
  out->amount_fen = in.amount_fen();
  out->reason = static_cast<model::ReturnReason>(in.reason());
  out->time_ms = in.time_ms();
  return in.user() > 0 && in.packet() > 0 && out->conversation.valid() && in.amount_fen() > 0 &&
         IsReturnReason(in.reason()) && out->request_id.Assign(in.request_id());
}

}  // namespace

std::string EncodeItem(const model::Item& item) {
  Encoder encoder;
  std::visit(encoder, item);
  return encoder.out.SerializeAsString();
}

base::Result<model::Item> DecodeItem(std::string_view bytes) {
  pb::StoredItem in;
  bool good = in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  model::Item item;
  if (good) {
    switch (in.what_case()) {
      case pb::StoredItem::kDirect:
        good = Decode(in.direct(), &item.emplace<model::DirectItem>());
        break;
      case pb::StoredItem::kGroupMessage:
        good = Decode(in.group_message(), &item.emplace<model::GroupItem>());
        break;
      case pb::StoredItem::kMembers:
        good = Decode(in.members(), &item.emplace<model::MembersItem>());
        break;
      case pb::StoredItem::kSliceRequest:
        item = model::SliceRequestItem{model::GroupId(in.slice_request().group()),
                                       model::ConvSeq(in.slice_request().from())};
        break;
      case pb::StoredItem::kSliceSnapshot:
        good = Decode(in.slice_snapshot(), &item.emplace<model::SliceSnapshotItem>());
        break;
      case pb::StoredItem::kCreateGroup:
        good = Decode(in.create_group(), &item.emplace<model::CreateGroupItem>());
        break;
      case pb::StoredItem::kFund:
        good = Decode(in.fund(), &item.emplace<model::FundItem>());
        break;
      case pb::StoredItem::kAnnounce:
        good = Decode(in.announce(), &item.emplace<model::AnnounceItem>());
        break;
      case pb::StoredItem::kVerdict:
        good = Decode(in.verdict(), &item.emplace<model::VerdictItem>());
        break;
      case pb::StoredItem::kCredit:
        good = Decode(in.credit(), &item.emplace<model::CreditItem>());
        break;
      case pb::StoredItem::kRefund:
        good = Decode(in.refund(), &item.emplace<model::RefundItem>());
        break;
      case pb::StoredItem::kPacketNotice:
        good = Decode(in.packet_notice(), &item.emplace<model::PacketNoticeItem>());
        break;
      case pb::StoredItem::kPacketReturned:
        good = Decode(in.packet_returned(), &item.emplace<model::PacketReturnedItem>());
        break;
      case pb::StoredItem::WHAT_NOT_SET:
        good = false;
        break;
    }
  }
  if (!good) {
    return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                         "a channel item cannot be decoded; see `hongyan-admin channel parked`");
  }
  return item;
}

}  // namespace hongyan::shard
