#pragma once

#include <rocksdb/slice.h>

#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "model/ids.h"
#include "storage/channel_store.h"

namespace hongyan::storage {

// The column families; drawn with their keys in schema/rocksdb/README.md.
enum class Table { kRest, kEntries, kBodies, kReceipts, kOutbox };
constexpr int kTables = 5;

// A key under construction, on the stack. Value; any thread.
class Key {
 public:
  Key() = default;
  explicit Key(char tag) { Byte(tag); }

  Key& Byte(char c) {
    CHECK(size_ < sizeof data_);
    data_[size_++] = c;
    return *this;
  }
  Key& Be64(uint64_t v) {
    for (int shift = 56; shift >= 0; shift -= 8) Byte(static_cast<char>(v >> shift));
    return *this;
  }
  Key& Be16(uint16_t v) { return Byte(static_cast<char>(v >> 8)).Byte(static_cast<char>(v)); }
  template <class Tag>
  Key& Add(model::Id<Tag> id) {
    return Be64(static_cast<uint64_t>(id.value));
  }
  Key& Add(model::ConversationId c) {
    return Be64(static_cast<uint64_t>(c.a)).Be64(static_cast<uint64_t>(c.b));
  }
  template <class Tag>
  Key& Add(const model::Bytes16<Tag>& bytes) {
    CHECK(size_ + bytes.bytes.size() <= sizeof data_);
    std::memcpy(data_ + size_, bytes.bytes.data(), bytes.bytes.size());
    size_ += bytes.bytes.size();
    return *this;
  }

  rocksdb::Slice slice() const { return {data_, size_}; }

 private:
  char data_[48];
  size_t size_ = 0;
};

inline Key EntryKey(model::UserId user, model::Seq last) { return Key().Add(user).Add(last); }

inline Key BodyKey(model::ConversationId conversation, model::ConvSeq seq) {
  return Key().Add(conversation).Add(seq);
}

inline Key ReceiptKey(const model::RequestId& client_msg_id, model::ConversationId conversation,
                      model::UserId sender) {
  return Key().Add(client_msg_id).Add(conversation).Add(sender);
}

inline Key ChannelKey(ChannelId channel) { return Key().Be16(channel.source).Be16(channel.target); }

inline Key OutboxKey(ChannelId channel, int64_t last) {
  return ChannelKey(channel).Be64(static_cast<uint64_t>(last));
}

inline Key UserKey(model::UserId user) { return Key('u').Add(user); }
inline Key DeviceKey(model::UserId user, const model::DeviceId& device) {
  return Key('d').Add(user).Add(device);
}
inline Key GroupKey(model::GroupId group) { return Key('g').Add(group); }
inline Key MemberKey(model::GroupId group, model::UserId user) {
  return Key('m').Add(group).Add(user);
}
inline Key SliceKey(model::ShardId shard, model::GroupId group) {
  return Key('s').Be16(shard).Add(group);
}
inline Key FollowerKey(model::ShardId shard, model::GroupId group, model::UserId user) {
  return Key('f').Be16(shard).Add(group).Add(user);
}
inline Key FollowedKey(model::UserId user, model::GroupId group) {
  return Key('i').Add(user).Add(group);
}
inline Key FloorKey(model::UserId user) { return Key('o').Add(user); }
inline Key HeadKey(model::ShardId shard) { return Key('h').Be16(shard); }
inline Key MarkKey(ChannelId channel) { return Key('k').Be16(channel.source).Be16(channel.target); }
inline Key ParkedKey(ChannelId channel, int64_t number) {
  return Key('p').Be16(channel.target).Be16(channel.source).Be64(static_cast<uint64_t>(number));
}

// The id that ends a key. REQUIRES key.size() >= 8.
inline int64_t LastId(const rocksdb::Slice& key) {
  return static_cast<int64_t>(base::ReadBe64(key.data() + key.size() - 8));
}

}  // namespace hongyan::storage
