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
