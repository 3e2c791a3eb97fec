#pragma once

#include <rocksdb/slice.h>

#include <cstring>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "model/ids.h"
#include "storage/channel_store.h"
#include "storage/day_store.h"

namespace hongyan::storage {

// The column families of both kinds of store; drawn with their keys in schema/rocksdb/README.md.
enum class Table {
  kRest,
  kOutbox,
  // messages
  kEntries,
  kBodies,
  kReceipts,
  // money; outcomes of sends lie in kReceipts
  kWallets,
  kStatements,
  kPackets,
  kStatuses,
  kClaims,
  kExpiries,
};
constexpr int kTables = 11;

enum class StoreKind { kMessages, kMoney };

// What an operator runs to take a store of this kind as it is.
inline const char* AcceptCommand(StoreKind kind) {
  return kind == StoreKind::kMoney ? "`hongyan-admin store accept --store money`"
                                   : "`hongyan-admin store accept`";
}

// Those of one kind of store, in the order in which they were created in it.
std::span<const Table> TablesOf(StoreKind kind);

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

  Key& Text(std::string_view text) {
    CHECK(size_ + text.size() <= sizeof data_);
    std::memcpy(data_ + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }

  rocksdb::Slice slice() const { return {data_, size_}; }

 private:
  char data_[80];
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
constexpr char kGroupTag = 'g';
inline Key GroupKey(model::GroupId group) { return Key(kGroupTag).Add(group); }
constexpr char kMemberTag = 'm';
inline Key MemberKey(model::GroupId group, model::UserId user) {
  return Key(kMemberTag).Add(group).Add(user);
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

inline Key WalletKey(model::ShardId shard, model::UserId user) {
  return Key().Be16(shard).Add(user);
}
inline Key StatementKey(model::ShardId shard, model::UserId user, int64_t account_seq) {
  return WalletKey(shard, user).Be64(static_cast<uint64_t>(account_seq));
}
inline Key SendKey(const model::RequestId& request, model::UserId user) {
  return Key().Add(request).Add(user);
}
constexpr size_t kMaxMoveId = 64;
inline Key MoveKey(model::UserId user, std::string_view id) { return Key('v').Add(user).Text(id); }
inline Key BooksKey(model::ShardId shard) { return Key('b').Be16(shard); }

inline Key DayKey(model::ShardId shard, int32_t day) {
  return Key('a').Be16(shard).Be64(static_cast<uint64_t>(day));
}

// A packet's id begins with its day; the day's slot, one of 32, stands before it in the keys.
constexpr int kDaySlots = 32;
inline int DaySlotOf(model::PacketId packet) { return DayOfId(packet) % kDaySlots; }
inline Key PacketKey(model::ShardId shard, int slot, model::PacketId packet) {
  return Key().Be16(shard).Byte(static_cast<char>(slot)).Add(packet);
}
inline Key PacketKey(model::ShardId shard, model::PacketId packet) {
  return PacketKey(shard, DaySlotOf(packet), packet);
}
inline Key ClaimKey(model::ShardId shard, model::PacketId packet, model::UserId user) {
  return PacketKey(shard, packet).Add(user);
}
inline Key ExpiryKey(model::ShardId shard, int64_t expires_ms, model::PacketId packet) {
  return Key().Be16(shard).Be64(static_cast<uint64_t>(expires_ms)).Add(packet);
}

// The id that ends a key. REQUIRES key.size() >= 8.
inline int64_t LastId(const rocksdb::Slice& key) {
  return static_cast<int64_t>(base::ReadBe64(key.data() + key.size() - 8));
}

}  // namespace hongyan::storage
