#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/ids.h"

namespace hongyan::model {

enum class GroupState : uint8_t {
  kCreating = 1,  // a large creation whose last slice is not applied: nobody sees it
  kActive = 2,
};

// The conversation's own row of a group.
struct Group {
  GroupId id;
  GroupState state = GroupState::kActive;
  UserId owner;
  std::string name;
  int64_t created_ms = 0;
  RequestId created_by;               // request id of the creation
  int64_t version = 0;                // rises with each change of members
  std::vector<int32_t> member_count;  // by inbox shard; what an item must produce there

  int64_t members() const {
    int64_t sum = 0;
    for (const int32_t n : member_count) sum += n;
    return sum;
  }
};

enum class Role : uint8_t { kNone = 0, kMember = 1, kAdmin = 2, kOwner = 3 };

// What part of a conversation a member may read in its history; `to` 0 = still open.
struct VisibleRange {
  ConvSeq from;
  ConvSeq to;
};

// One for each time a member was there. Who has joined more often loses the oldest from its
// history: joining them would show what was said while it was away.
constexpr size_t kMaxVisibleRanges = 100;

// A member's row, owned by the conversation's shard; it stays when the member leaves (role kNone).
struct Member {
  UserId user;
  Role role = Role::kNone;
  int64_t joined_ms = 0;
  int64_t muted_until_ms = 0;
  int64_t read_ordinal = 0;
  std::vector<VisibleRange> visible;  // oldest first, at most kMaxVisibleRanges

  bool present() const { return role != Role::kNone; }
};

// Row of one user in the follower slice of an inbox shard.
struct Follower {
  UserId user;
  ConvSeq since;  // the change of members that brought it
  ConvSeq
      until;  // the one that took it away; 0 = follows. Only in snapshots: rows are of who follows
};

// What an inbox shard knows of a group as a whole: the membership at `conv_seq`.
struct FollowerSlice {
  int64_t version = 0;
  ConvSeq conv_seq;
  int32_t count = 0;
  bool awaiting_snapshot = false;  // its items are parked until one comes
};

}  // namespace hongyan::model
