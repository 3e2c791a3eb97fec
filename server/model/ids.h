#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace hongyan::model {

// A positive int64 with a meaning; 0 is nobody. Distinct types, so that a user id cannot be passed
// as a group id. Values; any thread.
template <class Tag>
struct Id {
  int64_t value = 0;

  constexpr Id() = default;
  constexpr explicit Id(int64_t v) : value(v) {}
  constexpr explicit operator bool() const { return value != 0; }
  constexpr auto operator<=>(const Id&) const = default;

  template <class H>
  friend H AbslHashValue(H h, const Id& id) {
    return H::combine(std::move(h), id.value);
  }
};

using UserId = Id<struct UserTag>;
using GroupId = Id<struct GroupTag>;
using Seq = Id<struct SeqTag>;          // a place in one user's inbox; 0 = before the first
using ConvSeq = Id<struct ConvSeqTag>;  // a place in one conversation; 0 = before the first

// Both are generation << 40 | number. A store that was restored or accepted has a higher
// generation, and goes on above all it has ever given.
constexpr int kGenerationShift = 40;

// A 1:1 conversation is (lower user, higher user), with oneself (u, u); a group is (0, group).
// Never a hash, so two conversations can never be taken for one another.
struct ConversationId {
  int64_t a = 0;
  int64_t b = 0;

  static constexpr ConversationId Direct(UserId x, UserId y) {
    return {std::min(x.value, y.value), std::max(x.value, y.value)};
  }
  static constexpr ConversationId Group(GroupId g) { return {0, g.value}; }

  constexpr bool is_group() const { return a == 0; }
  constexpr GroupId group() const { return GroupId(b); }  // REQUIRES is_group()
  constexpr bool has(UserId u) const { return !is_group() && (a == u.value || b == u.value); }
  constexpr UserId peer_of(UserId u) const { return UserId(u.value == a ? b : a); }
  constexpr bool valid() const { return b > 0 && a >= 0 && a <= b; }
  constexpr auto operator<=>(const ConversationId&) const = default;

  template <class H>
  friend H AbslHashValue(H h, const ConversationId& c) {
    return H::combine(std::move(h), c.a, c.b);
  }
};

// Says by itself where a packet lies: money/packet_id.h.
using PacketId = Id<struct PacketTag>;

// Sixteen bytes with a meaning.
template <class Tag>
struct Bytes16 {
  std::array<uint8_t, 16> bytes{};

  // False, and nothing changed, unless `s` has 16 bytes.
  bool Assign(std::string_view s) {
    if (s.size() != bytes.size()) return false;
    std::memcpy(bytes.data(), s.data(), bytes.size());
    return true;
  }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  bool is_zero() const { return bytes == std::array<uint8_t, 16>{}; }
  auto operator<=>(const Bytes16&) const = default;

  template <class H>
  friend H AbslHashValue(H h, const Bytes16& b) {
    return H::combine(std::move(h), b.bytes);
  }
};

// One installation of the app: drawn by the SDK at its first start.
using DeviceId = Bytes16<struct DeviceTag>;

// What a client calls one of its requests: a UUIDv7, whose first six bytes are the time it was
// made, by the server's clock. Client message ids are of this form too.
struct RequestId : Bytes16<struct RequestTag> {
  int64_t created_ms() const {
    int64_t ms = 0;
    for (int i = 0; i < 6; ++i) ms = ms << 8 | bytes[static_cast<size_t>(i)];
    return ms;
  }
};

// A request older than this, or further ahead, is refused. What is remembered of requests is kept a
// day longer than the former, so that no duplicate comes in after a row that has gone.
constexpr int64_t kMaxRequestAgeMs = int64_t{7} * 24 * 3600 * 1000;
constexpr int64_t kMaxRequestAheadMs = 5 * 60 * 1000;
constexpr int64_t kRequestKeptMs = kMaxRequestAgeMs + int64_t{24} * 3600 * 1000;

// One single writer with its slice of the store. Message shards are numbered from 0, money shards
// from kFirstMoneyShard, so a channel's two ends name it wherever they live.
using ShardId = uint16_t;

constexpr ShardId kFirstMoneyShard = 1024;
constexpr int kMaxMoneyShards = 1000;  // three digits of a packet id
constexpr bool IsMoneyShard(ShardId shard) { return shard >= kFirstMoneyShard; }

// A channel runs from one shard to another, or to itself.
struct ChannelId {
  ShardId source = 0;
  ShardId target = 0;
  auto operator<=>(const ChannelId&) const = default;
};

}  // namespace hongyan::model
