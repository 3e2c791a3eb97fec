#include <algorithm>
#include <string>
#include <tuple>

#include "storage/rocksdb/hot_rows.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_ports.h"
#include "storage/rocksdb/rows.h"

namespace hongyan::storage {

namespace {

using MaybeMessages = std::vector<std::optional<model::Message>>;

Key AfterAllBodies() { return Key('\xff'); }  // ids are positive, so no key begins like this

model::ConvSeq SeqOf(const rocksdb::Slice& body_key) { return model::ConvSeq(LastId(body_key)); }

}  // namespace

base::Result<std::optional<model::Message>> RocksdbConversationStore::LastMessage(
    model::ConversationId conversation) const {
  auto scan = Scan::From(database_, Table::kBodies, BodyKey(conversation, model::ConvSeq(0)),
                         BodyKey(conversation, model::ConvSeq(INT64_MAX)));
  if (!scan) return scan.error();
  scan->ToLast();
  if (!scan->at_row()) {
    if (auto ended = scan->status(); !ended) return ended.error();
    return std::optional<model::Message>();
  }
  model::Message message;
  if (!DecodeMessage(scan->value(), SeqOf(scan->key()), Body::kWithout, &message)) {
    return BrokenRow("message", scan->key());
  }
  return std::optional(std::move(message));
}

// One walk over the rows for all keys, in their order: it steps where the next key is the next row,
// and seeks otherwise. (MultiGet goes to disk for data blocks even where it was told to stay in
// memory.)
base::Result<MaybeMessages> RocksdbConversationStore::ReadMessages(std::span<const MessageKey> keys,
                                                                   Reach reach) const {
  MaybeMessages messages(keys.size());
  std::vector<size_t> order;  // of those that were not written lately
  std::string value;
  for (size_t i = 0; i < keys.size(); ++i) {
    const Key key = BodyKey(keys[i].conversation, keys[i].seq);
    if (!database_.GetRecent(Table::kBodies, key, &value)) {
      order.push_back(i);
    } else if (!DecodeMessage(value, keys[i].seq, Body::kWith, &messages[i].emplace())) {
      return BrokenRow("message", key.slice());
    }
  }
  if (order.empty() && !database_.failed()) return messages;
  const auto place = [&keys](size_t i) { return std::tie(keys[i].conversation, keys[i].seq); };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return place(a) < place(b); });

  auto scan = Scan::From(database_, Table::kBodies, Key(), AfterAllBodies(), reach);
  if (!scan) return scan.error();
  for (const size_t i : order) {
    const Key key = BodyKey(keys[i].conversation, keys[i].seq);
    scan->Advance(key);
    if (!scan->at_row()) {
      if (auto ended = scan->status(); !ended) return ended.error();
      continue;
    }
    if (scan->key() != key.slice()) continue;
    if (!DecodeMessage(scan->value(), keys[i].seq, Body::kWith, &messages[i].emplace())) {
      return BrokenRow("message", key.slice());
    }
  }
  return messages;
}

base::Result<ConversationStore::Stretch> RocksdbConversationStore::ReadRange(
    model::ConversationId conversation, model::ConvSeq first, model::ConvSeq last, Order order,
    size_t limit, size_t max_bytes, Reach reach) const {
  if (first > last || last.value <= 0) return Stretch();
  const model::ConvSeq from(std::max<int64_t>(first.value, 1));
  const model::ConvSeq end(last.value == INT64_MAX ? last.value : last.value + 1);
  auto scan = Scan::From(database_, Table::kBodies, BodyKey(conversation, from),
                         BodyKey(conversation, end), reach);
  if (!scan) return scan.error();
  Stretch stretch;
  size_t bytes = 0;
  const bool forward = order == Order::kOldestFirst;
  for (forward ? scan->ToFirst() : scan->ToLast(); scan->at_row();
       forward ? scan->Next() : scan->Back()) {
    stretch.more = stretch.messages.size() >= limit;
    if (stretch.more) return stretch;
    model::Message message;
    if (!DecodeMessage(scan->value(), SeqOf(scan->key()), Body::kWith, &message)) {
      return BrokenRow("message", scan->key());
    }
    bytes += message.body.size();
    stretch.more = !stretch.messages.empty() && bytes > max_bytes;
    if (stretch.more) return stretch;
    stretch.messages.push_back(std::move(message));
  }
  if (auto ended = scan->status(); !ended) return ended.error();
  return stretch;
}

void RocksdbConversationStore::AppendMessage(Batch& batch, model::ConversationId conversation,
                                             const model::Message& message, uint64_t body_hash) {
  auto& staged = static_cast<RocksdbBatch&>(batch);
  staged.Put(Table::kBodies, BodyKey(conversation, message.seq), EncodeMessageHead(message),
             message.body);
  if (message.client_msg_id.is_zero()) return;
  staged.Put(Table::kReceipts, ReceiptKey(message.client_msg_id, conversation, message.sender),
             EncodeReceipt({message.seq, message.time_ms, body_hash}));
}

base::Result<std::optional<model::SendReceipt>> RocksdbConversationStore::FindReceipt(
    model::ConversationId conversation, model::UserId sender,
    const model::RequestId& client_msg_id) const {
  rocksdb::PinnableSlice value;
  const Key key = ReceiptKey(client_msg_id, conversation, sender);
  const auto found = database_.Get(Table::kReceipts, key, Reach::kDisk, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::SendReceipt>();
  model::SendReceipt receipt;
  if (!DecodeReceipt(value, &receipt)) return BrokenRow("receipt", key.slice());
  return std::optional(receipt);
}

base::Result<std::optional<model::Group>> RocksdbConversationStore::FindGroup(model::GroupId group,
                                                                              Reach reach) const {
  rocksdb::PinnableSlice value;
  const Key key = GroupKey(group);
  const auto found = database_.Get(Table::kRest, key, reach, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::Group>();
  model::Group row;
  row.id = group;
  if (!DecodeGroup(value, &row)) return BrokenRow("group", key.slice());
  return std::optional(std::move(row));
}

void RocksdbConversationStore::PutGroup(Batch& batch, const model::Group& group) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kRest, GroupKey(group.id), EncodeGroup(group));
}

base::Result<std::optional<model::Member>> RocksdbConversationStore::FindMember(
    model::GroupId group, model::UserId user, Reach reach) const {
  rocksdb::PinnableSlice value;
  const Key key = MemberKey(group, user);
  const auto found = database_.Get(Table::kRest, key, reach, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::Member>();
  model::Member row;
  row.user = user;
  if (!DecodeMember(value, &row)) return BrokenRow("member", key.slice());
  return std::optional(std::move(row));
}

base::Result<std::vector<model::Member>> RocksdbConversationStore::ListMembers(model::GroupId group,
                                                                               model::UserId after,
                                                                               size_t limit) const {
  if (after.value == INT64_MAX) return std::vector<model::Member>();
  auto scan = Scan::From(database_, Table::kRest, MemberKey(group, model::UserId(after.value + 1)),
                         Key(kMemberTag).Be64(static_cast<uint64_t>(group.value) + 1));
  if (!scan) return scan.error();
  std::vector<model::Member> members;
  for (scan->ToFirst(); scan->at_row() && members.size() < limit; scan->Next()) {
    model::Member& member = members.emplace_back();
    member.user = model::UserId(LastId(scan->key()));
    if (!DecodeMember(scan->value(), &member)) return BrokenRow("member", scan->key());
  }
  if (scan->at_row()) return members;
  if (auto ended = scan->status(); !ended) return ended.error();
  return members;
}

void RocksdbConversationStore::PutMember(Batch& batch, model::GroupId group,
                                         const model::Member& member) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kRest, MemberKey(group, member.user),
                                        EncodeMember(member));
}

}  // namespace hongyan::storage
