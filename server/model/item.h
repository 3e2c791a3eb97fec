#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "model/group.h"
#include "model/ids.h"
#include "model/message.h"

// What travels on channels from shard to shard. Plain data; stored in outbox rows by
// shard/item_codec.

namespace hongyan::model {

// A 1:1 message: names those of its users whose inbox is in the target shard.
struct DirectItem {
  Entry entry;  // as the sender's own devices get it, client id included
  UserId sender;
  DeviceId sender_device;
  std::vector<UserId> users;  // 1 or 2
};

// A group message: no member list, the target holds its members.
struct GroupItem {
  Entry entry;
  UserId sender;
  DeviceId sender_device;
  int64_t version = 0;   // of the membership it is for
  int32_t expected = 0;  // entries it must produce in the target
};

// A change of members: a message of its own that goes to members before and after it.
struct MembersItem {
  Entry entry;
  UserId actor;
  int64_t version_before = 0;
  int64_t version = 0;
  std::vector<UserId> added;    // those of the target shard
  std::vector<UserId> removed;  // those of the target shard
  int32_t expected = 0;         // entries: members before plus added
};

// Inbox shard to conversation shard: my slice of this group is not what your items say.
struct SliceRequestItem {
  GroupId group;
  ConvSeq from;  // the first item that waits: who left since then is asked for too
};

// The answer: the target's members at `conv_seq`, whole, and those who left at or after the asked
// number.
struct SliceSnapshotItem {
  GroupId group;
  int64_t version = 0;
  ConvSeq conv_seq;
  std::vector<Follower> members;
};

// A shard to itself: a creation too large for one batch, applied in slices.
struct CreateGroupItem {
  Group group;
  std::vector<UserId> members;
};

using Item = std::variant<DirectItem, GroupItem, MembersItem, SliceRequestItem, SliceSnapshotItem,
                          CreateGroupItem>;

}  // namespace hongyan::model
