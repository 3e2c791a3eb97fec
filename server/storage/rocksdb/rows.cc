#include "storage/rocksdb/rows.h"

#include <algorithm>
#include <limits>

#include "schema/rocksdb/rows.pb.h"

namespace hongyan::storage {

namespace {

template <class Row>
bool Parse(rocksdb::Slice value, Row* row) {
  return value.size() <= std::numeric_limits<int>::max() &&
         row->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

// Bytes of a fixed size, or none for zero.
template <class Bytes>
bool AssignOrZero(const std::string& from, Bytes* to) {
  if (from.empty()) {
    *to = {};
    return true;
  }
  return to->Assign(from);
}

template <size_t N>
bool AssignArray(const std::string& from, std::array<uint8_t, N>* to) {
  if (from.size() != N) return false;
  std::copy(from.begin(), from.end(), to->begin());
  return true;
}

template <class T>
bool InRange(int64_t value) {
  return value >= 0 && value <= std::numeric_limits<T>::max();
}

}  // namespace

std::string EncodeUser(const model::User& user) {
  store::v1::UserRow row;
  row.set_name(user.name);
  row.set_password_hash(user.password_hash);
  row.set_created_ms(user.created_ms);
  row.set_disabled(user.disabled);
  return row.SerializeAsString();
}

bool DecodeUser(rocksdb::Slice value, model::User* user) {
  store::v1::UserRow row;
  if (!Parse(value, &row)) return false;
  user->name = row.name();
  user->password_hash = row.password_hash();
  user->created_ms = row.created_ms();
  user->disabled = row.disabled();
  return true;
}

std::string EncodeDevice(const model::Device& device) {
  store::v1::DeviceRow row;
  row.set_device_class(device.device_class);
  row.set_session_number(device.session_number);
  row.set_lowest_token_number(device.lowest_token_number);
  row.set_next_token_number(device.next_token_number);
  row.set_last_login_ms(device.last_login_ms);
  row.set_cursor(device.cursor.value);
  return row.SerializeAsString();
}

bool DecodeDevice(rocksdb::Slice value, model::Device* device) {
  store::v1::DeviceRow row;
  if (!Parse(value, &row)) return false;
  device->device_class = row.device_class();
  device->session_number = row.session_number();
  device->lowest_token_number = row.lowest_token_number();
  device->next_token_number = row.next_token_number();
  device->last_login_ms = row.last_login_ms();
  device->cursor = model::Seq(row.cursor());
  return true;
}

std::string EncodeGroup(const model::Group& group) {
  store::v1::GroupRow row;
  row.set_state(static_cast<int32_t>(group.state));
  row.set_owner(group.owner.value);
  row.set_name(group.name);
  row.set_created_ms(group.created_ms);
  row.set_created_by(std::string(group.created_by.view()));
  row.set_version(group.version);
  row.mutable_member_count()->Add(group.member_count.begin(), group.member_count.end());
  return row.SerializeAsString();
}

bool DecodeGroup(rocksdb::Slice value, model::Group* group) {
  store::v1::GroupRow row;
  if (!Parse(value, &row)) return false;
  if (row.state() != static_cast<int32_t>(model::GroupState::kCreating) &&
      row.state() != static_cast<int32_t>(model::GroupState::kActive)) {
    return false;
  }
  group->state = static_cast<model::GroupState>(row.state());
  group->owner = model::UserId(row.owner());
  group->name = row.name();
  group->created_ms = row.created_ms();
  group->version = row.version();
  group->member_count.assign(row.member_count().begin(), row.member_count().end());
  return AssignOrZero(row.created_by(), &group->created_by);
}

std::string EncodeMember(const model::Member& member) {
  store::v1::MemberRow row;
  row.set_role(static_cast<int32_t>(member.role));
  row.set_joined_ms(member.joined_ms);
  row.set_muted_until_ms(member.muted_until_ms);
  row.set_read_ordinal(member.read_ordinal);
  for (const model::VisibleRange& range : member.visible) {
    row.add_visible(range.from.value);
    row.add_visible(range.to.value);
  }
  return row.SerializeAsString();
}

bool DecodeMember(rocksdb::Slice value, model::Member* member) {
  store::v1::MemberRow row;
  if (!Parse(value, &row)) return false;
  if (row.role() < 0 || row.role() > static_cast<int32_t>(model::Role::kOwner)) return false;
  if (row.visible_size() % 2 != 0) return false;
  member->role = static_cast<model::Role>(row.role());
  member->joined_ms = row.joined_ms();
  member->muted_until_ms = row.muted_until_ms();
  member->read_ordinal = row.read_ordinal();
  member->visible.clear();
  for (int i = 0; i < row.visible_size(); i += 2) {
    member->visible.push_back({model::ConvSeq(row.visible(i)), model::ConvSeq(row.visible(i + 1))});
  }
  return true;
}

std::string EncodeSlice(const model::FollowerSlice& slice) {
  store::v1::SliceRow row;
  row.set_version(slice.version);
  row.set_conv_seq(slice.conv_seq.value);
  row.set_count(slice.count);
  row.set_awaiting_snapshot(slice.awaiting_snapshot);
  return row.SerializeAsString();
}

bool DecodeSlice(rocksdb::Slice value, model::FollowerSlice* slice) {
  store::v1::SliceRow row;
  if (!Parse(value, &row)) return false;
  slice->version = row.version();
  slice->conv_seq = model::ConvSeq(row.conv_seq());
  slice->count = row.count();
  slice->awaiting_snapshot = row.awaiting_snapshot();
  return true;
}

std::string EncodeFollower(const model::Follower& follower) {
  store::v1::FollowerRow row;
  row.set_since(follower.since.value);
  return row.SerializeAsString();
}

bool DecodeFollower(rocksdb::Slice value, model::Follower* follower) {
  store::v1::FollowerRow row;
  if (!Parse(value, &row)) return false;
  follower->since = model::ConvSeq(row.since());
  return true;
}

std::string EncodeHead(const ShardHead& head) {
  store::v1::HeadRow row;
  row.set_batch(head.batch);
  row.set_time_ms(head.time_ms);
  for (const auto& [target, emitted] : head.emitted) {
    auto* out = row.add_emitted();
    out->set_target(target);
    out->set_number(emitted.number);
    out->set_total_fen(emitted.total_fen);
    if (!emitted.cut) continue;
    out->mutable_cut()->set_number(emitted.cut->number);
    out->mutable_cut()->set_total_fen(emitted.cut->total_fen);
  }
  return row.SerializeAsString();
}

bool DecodeHead(rocksdb::Slice value, ShardHead* head) {
  store::v1::HeadRow row;
  if (!Parse(value, &row)) return false;
  head->batch = row.batch();
  head->time_ms = row.time_ms();
  head->emitted.clear();
  for (const auto& emitted : row.emitted()) {
    if (!InRange<model::ShardId>(emitted.target())) return false;
    ShardHead::Emitted& to = head->emitted[static_cast<model::ShardId>(emitted.target())];
    to = {emitted.number(), emitted.total_fen()};
    if (emitted.has_cut()) to.cut = {emitted.cut().number(), emitted.cut().total_fen()};
  }
  return true;
}

std::string EncodeMark(const ChannelMark& mark) {
  store::v1::MarkRow row;
  row.set_incarnation(mark.incarnation);
  row.set_applied(mark.applied);
  row.set_total_fen(mark.total_fen);
  row.set_position(mark.position);
  return row.SerializeAsString();
}

bool DecodeMark(rocksdb::Slice value, ChannelMark* mark) {
  store::v1::MarkRow row;
  if (!Parse(value, &row)) return false;
  mark->incarnation = row.incarnation();
  mark->applied = row.applied();
  mark->total_fen = row.total_fen();
  mark->position = row.position();
  return true;
}

std::string EncodeOutboxRow(const OutboxRow& row) {
  store::v1::OutboxRowValue value;
  value.set_first(row.first);
  for (const std::string& item : row.items) value.add_items(item);
  value.set_total_before_fen(row.total_before_fen);
  for (const int64_t fen : row.fen) value.add_fen(fen);
  return value.SerializeAsString();
}

bool DecodeOutboxRow(rocksdb::Slice value, int64_t last, OutboxRow* row) {
  store::v1::OutboxRowValue parsed;
  if (!Parse(value, &parsed)) return false;
  if (parsed.items_size() == 0 || parsed.first() <= 0) return false;
  if (last - parsed.first() != parsed.items_size() - 1) return false;
  if (parsed.fen_size() != 0 && parsed.fen_size() != parsed.items_size()) return false;
  row->first = parsed.first();
  row->last = last;
  row->items.reserve(static_cast<size_t>(parsed.items_size()));
  for (std::string& item : *parsed.mutable_items()) row->items.push_back(std::move(item));
  row->total_before_fen = parsed.total_before_fen();
  row->fen.assign(parsed.fen().begin(), parsed.fen().end());
  return true;
}

std::string EncodeParked(const ParkedItem& item) {
  store::v1::ParkedRow row;
  row.set_conversation_a(item.conversation.a);
  row.set_conversation_b(item.conversation.b);
  row.set_parked_ms(item.parked_ms);
  row.set_why(item.why);
  row.set_item(item.item);
  row.set_position(item.position);
  row.set_fen(item.fen);
  return row.SerializeAsString();
}

bool DecodeParked(rocksdb::Slice value, ParkedItem* item) {
  store::v1::ParkedRow row;
  if (!Parse(value, &row)) return false;
  item->conversation = {row.conversation_a(), row.conversation_b()};
  item->parked_ms = row.parked_ms();
  item->why = row.why();
  item->item = row.item();
  item->position = row.position();
  item->fen = row.fen();
  return true;
}

std::string EncodeIdentity(const StoreIdentity& identity) {
  store::v1::IdentityFile file;
  file.set_incarnation(identity.incarnation);
  file.set_generation(identity.generation);
  file.set_id_key(identity.id_key.data(), identity.id_key.size());
  file.set_token_key(identity.token_key.data(), identity.token_key.size());
  file.set_shards(identity.shards);
  file.set_first_shard(identity.first_shard);
  for (const model::ShardId shard : identity.slots) file.add_slots(shard);
  return file.SerializeAsString();
}

bool DecodeIdentity(const std::string& bytes, StoreIdentity* identity) {
  store::v1::IdentityFile file;
  if (!file.ParseFromString(bytes)) return false;
  identity->incarnation = file.incarnation();
  identity->generation = file.generation();
  identity->shards = file.shards();
  if (!AssignArray(file.id_key(), &identity->id_key)) return false;
  if (!AssignArray(file.token_key(), &identity->token_key)) return false;
  if (file.slots_size() != kSlots || file.shards() <= 0 || file.shards() > kSlots) return false;
  const int first = file.first_shard();
  if (first < 0 || first + file.shards() > UINT16_MAX) return false;
  identity->first_shard = static_cast<model::ShardId>(first);
  for (int slot = 0; slot < kSlots; ++slot) {
    if (file.slots(slot) < first || file.slots(slot) >= first + file.shards()) return false;
    identity->slots[static_cast<size_t>(slot)] = static_cast<model::ShardId>(file.slots(slot));
  }
  return file.generation() >= 0;
}

}  // namespace hongyan::storage
