#pragma once

#include <cstdint>
#include <iterator>
#include <variant>
#include <vector>

#include "model/group.h"
#include "model/ids.h"
#include "model/message.h"
#include "model/money.h"

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

// -- money. Transfer ids are derived: a send is (sender, request id), a
// credit (packet, user), a refund (packet); the channel applies each item once.

// Sender's wallet shard to packet's shard: the debited amount and what to make of it.
struct FundItem {
  PacketId packet;
  PacketTerms terms;
};

// Packet's shard to conversation's shard: store its message.
struct AnnounceItem {
  PacketHeader packet;
};

// Conversation's shard to packet's shard: the message is stored, or will never be.
struct VerdictItem {
  PacketId packet;
  bool announced = false;
  ConvSeq conv_seq;     // of the message
  uint16_t reason = 0;  // refused: model::Reason, why the conversation did not take it
};

// Packet's shard to opener's wallet shard.
struct CreditItem {
  PacketId packet;
  UserId user;
  int64_t amount_fen = 0;
  PacketKind kind = PacketKind::kNone;
  UserId sender;
  int64_t claimed_ms = 0;
};

// Packet's shard to sender's wallet shard: what a close gave back, or all of a send that never
// became a packet (`created` false: the reverse of its funding).
struct RefundItem {
  PacketId packet;
  UserId sender;
  RequestId request_id;
  ConversationId conversation;
  PacketKind kind = PacketKind::kNone;
  int64_t amount_fen = 0;
  ReturnReason reason = ReturnReason::kNone;
  bool created = true;
};

// Packet's shard to conversation's shard: a system message after the packet's own. A conversation
// that no longer takes it swallows it.
struct PacketNoticeItem {
  enum class What : uint8_t { kFinished = 1, kRefunded = 2, kAccepted = 3, kReturned = 4 };
  What what = What::kFinished;
  PacketId packet;
  PacketKind kind = PacketKind::kNone;
  ConversationId conversation;
  UserId sender;
  UserId user;             // kAccepted, kReturned: who; kFinished of a lucky packet: the best luck
  int64_t amount_fen = 0;  // kRefunded: what went back; kAccepted, kReturned: all; else 0
  int64_t took_ms = 0;     // kFinished: from the packet's making to the last open
};

// Sender's wallet shard to the sender's inbox shard: in the commit that booked the return.
struct PacketReturnedItem {
  UserId user;
  RequestId request_id;
  PacketId packet;
  ConversationId conversation;
  int64_t amount_fen = 0;
  ReturnReason reason = ReturnReason::kNone;
  int64_t time_ms = 0;
};

using Item = std::variant<DirectItem, GroupItem, MembersItem, SliceRequestItem, SliceSnapshotItem,
                          CreateGroupItem, FundItem, AnnounceItem, VerdictItem, CreditItem,
                          RefundItem, PacketNoticeItem, PacketReturnedItem>;

// What an item is, for people.
inline const char* NameOf(const Item& item) {
  static constexpr const char* kNames[] = {"direct message",
                                           "group message",
                                           "change of members",
                                           "request for members",
                                           "list of members",
                                           "new group",
                                           "funds of a packet",
                                           "packet's message",
                                           "word of a packet",
                                           "share",
                                           "refund",
                                           "notice of a packet",
                                           "notice of a refund"};
  static_assert(std::size(kNames) == std::variant_size_v<Item>);
  return kNames[item.index()];
}

// The money an item carries: what its channel's running totals add up. Never negative.
inline int64_t FenOf(const Item& item) {
  if (const auto* fund = std::get_if<FundItem>(&item)) return fund->terms.total_fen;
  if (const auto* credit = std::get_if<CreditItem>(&item)) return credit->amount_fen;
  if (const auto* refund = std::get_if<RefundItem>(&item)) return refund->amount_fen;
  return 0;
}

}  // namespace hongyan::model
