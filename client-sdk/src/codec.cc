#include "client-sdk/src/codec.h"

#include <utility>

namespace hongyan::sdk {
namespace {

void Fill(v1::Media* to, const Media& media) {
  to->set_url(media.url);
  to->set_sha256(media.sha256);
  to->set_size(media.size);
  to->set_mime_type(media.mime_type);
  to->set_thumbnail(media.thumbnail);
  to->set_name(media.name);
  to->set_duration_ms(media.duration_ms);
  to->set_width(media.width);
  to->set_height(media.height);
}

Media Read(Media::Kind kind, const v1::Media& from) {
  return {.kind = kind,
          .url = from.url(),
          .sha256 = from.sha256(),
          .size = from.size(),
          .mime_type = from.mime_type(),
          .thumbnail = from.thumbnail(),
          .name = from.name(),
          .duration_ms = from.duration_ms(),
          .width = from.width(),
          .height = from.height()};
}

std::vector<UserId> Users(const google::protobuf::RepeatedField<int64_t>& ids) {
  std::vector<UserId> users;
  users.reserve(static_cast<size_t>(ids.size()));
  for (const int64_t id : ids) users.push_back({id});
  return users;
}

struct Encoder {
  v1::Body& out;

  void operator()(const Text& text) const {
    out.mutable_text()->set_text(text.text);
    for (const UserId user : text.mentions) out.mutable_text()->add_mentions(user.value);
    out.mutable_text()->set_quote(text.quote);
  }
  void operator()(const Media& media) const {
    switch (media.kind) {
      case Media::Kind::kImage:
        Fill(out.mutable_image(), media);
        break;
      case Media::Kind::kVoice:
        Fill(out.mutable_voice(), media);
        break;
      case Media::Kind::kVideo:
        Fill(out.mutable_video(), media);
        break;
      case Media::Kind::kFile:
        Fill(out.mutable_file(), media);
        break;
    }
  }
  void operator()(const Custom& custom) const {
    out.mutable_custom()->set_type(custom.type);
    out.mutable_custom()->set_data(custom.data);
  }
  // The server's own; a client that sends one is told so by the server.
  void operator()(const GroupCreated&) const { out.mutable_system()->mutable_group_created(); }
  void operator()(const MembersChanged&) const { out.mutable_system()->mutable_members_changed(); }
  void operator()(const RedPacket& p) const {
    out.mutable_red_packet()->set_packet_id(p.packet.value);
  }
  void operator()(const Transfer& t) const {
    out.mutable_transfer()->set_packet_id(t.packet.value);
  }
  void operator()(const PacketNotice&) const { out.mutable_system()->mutable_packet_notice(); }
  void operator()(const UnknownBody& unknown) const { out.ParseFromString(unknown.bytes); }
};

Body DecodeSystem(const v1::System& system, const std::string& bytes) {
  switch (system.what_case()) {
    case v1::System::kGroupCreated: {
      const auto& created = system.group_created();
      return GroupCreated{{created.creator()}, created.name(), created.members()};
    }
    case v1::System::kMembersChanged: {
      const auto& changed = system.members_changed();
      return MembersChanged{{changed.actor()},
                            Users(changed.added()),
                            Users(changed.removed()),
                            changed.added_count(),
                            changed.removed_count()};
    }
    case v1::System::kPacketNotice: {
      const auto& notice = system.packet_notice();
      return PacketNotice{static_cast<PacketNotice::What>(notice.what()),
                          {notice.packet_id()},
                          static_cast<PacketKind>(notice.kind()),
                          {notice.sender()},
                          {notice.user()},
                          notice.amount_fen(),
                          notice.took_ms()};
    }
    case v1::System::WHAT_NOT_SET:
      break;
  }
  return UnknownBody{bytes};
}

}  // namespace

std::string EncodeBody(const Body& body) {
  v1::Body out;
  std::visit(Encoder{out}, body);
  return out.SerializeAsString();
}

Body DecodeBody(const std::string& bytes) {
  v1::Body body;
  if (!body.ParseFromString(bytes)) return UnknownBody{bytes};
  switch (body.content_case()) {
    case v1::Body::kText:
      return Text{body.text().text(), Users(body.text().mentions()), body.text().quote()};
    case v1::Body::kImage:
      return Read(Media::Kind::kImage, body.image());
    case v1::Body::kVoice:
      return Read(Media::Kind::kVoice, body.voice());
    case v1::Body::kVideo:
      return Read(Media::Kind::kVideo, body.video());
    case v1::Body::kFile:
      return Read(Media::Kind::kFile, body.file());
    case v1::Body::kCustom:
      return Custom{body.custom().type(), body.custom().data()};
    case v1::Body::kRedPacket: {
      const auto& packet = body.red_packet();
      return RedPacket{{packet.packet_id()}, static_cast<PacketKind>(packet.kind()),
                       packet.greeting(),    packet.shares(),
                       {packet.named()},     packet.expires_ms()};
    }
    case v1::Body::kTransfer: {
      const auto& transfer = body.transfer();
      return Transfer{{transfer.packet_id()},
                      {transfer.to()},
                      transfer.amount_fen(),
                      transfer.note(),
                      transfer.expires_ms()};
    }
    case v1::Body::kSystem:
      return DecodeSystem(body.system(), bytes);
    case v1::Body::CONTENT_NOT_SET:
      break;
  }
  return UnknownBody{bytes};
}

v1::ConversationId ToWire(const Conversation& conversation) {
  v1::ConversationId id;
  id.set_a(conversation.a);
  id.set_b(conversation.b);
  return id;
}

Conversation FromWire(const v1::ConversationId& conversation) {
  return {conversation.a(), conversation.b()};
}

Message FromWire(const Conversation& conversation, const v1::Message& message, UserId me) {
  Message out;
  out.conversation = conversation;
  out.conv_seq = message.conv_seq();
  out.sender = {message.sender()};
  out.time_ms = message.time_ms();
  out.ordinal = message.ordinal();
  out.recalled = message.recalled();
  out.own = out.sender == me;
  out.body = DecodeBody(message.body());
  return out;
}

Group FromWire(const v1::GroupInfo& group) {
  return {{group.group_id()}, group.name(), {group.owner()}, group.created_ms(), group.members()};
}

Member FromWire(const v1::MemberInfo& member) {
  const Role role =
      v1::Role_IsValid(member.role()) ? static_cast<Role>(member.role()) : Role::kNone;
  return {{member.user_id()}, member.name(), role, member.joined_ms()};
}

}  // namespace hongyan::sdk
