#pragma once

#include <compare>
#include <cstdint>
#include <functional>

// Names of things. Values; any thread.

namespace hongyan {

// Ids are positive; 0 is nobody. In JSON and other text write them as strings: they use all 63
// bits.
struct UserId {
  int64_t value = 0;
  explicit operator bool() const { return value != 0; }
  auto operator<=>(const UserId&) const = default;
};

struct GroupId {
  int64_t value = 0;
  explicit operator bool() const { return value != 0; }
  auto operator<=>(const GroupId&) const = default;
};

// A 1:1 conversation is named by its two users, the lower id first (both the same: notes to
// oneself); a group by (0, group).
struct Conversation {
  int64_t a = 0;
  int64_t b = 0;

  static Conversation Of(GroupId group) { return {0, group.value}; }
  static Conversation Between(UserId one, UserId other) {
    return one < other ? Conversation{one.value, other.value}
                       : Conversation{other.value, one.value};
  }

  bool is_group() const { return a == 0; }
  GroupId group() const { return {is_group() ? b : 0}; }
  // The other one, as `me` sees it; nobody for a group.
  UserId peer_of(UserId me) const { return is_group() ? UserId{} : UserId{a == me.value ? b : a}; }

  auto operator<=>(const Conversation&) const = default;
};

// A red packet or transfer.
struct PacketId {
  int64_t value = 0;
  explicit operator bool() const { return value != 0; }
  auto operator<=>(const PacketId&) const = default;
};

}  // namespace hongyan

template <>
struct std::hash<hongyan::UserId> {
  size_t operator()(hongyan::UserId id) const noexcept { return std::hash<int64_t>()(id.value); }
};
template <>
struct std::hash<hongyan::Conversation> {
  size_t operator()(const hongyan::Conversation& c) const noexcept {
    return std::hash<int64_t>()(c.a) * 1000003U ^ std::hash<int64_t>()(c.b);
  }
};
