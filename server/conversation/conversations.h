#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "base/result.h"
#include "model/command.h"
#include "model/item.h"
#include "shard/router.h"
#include "shard/unit_of_work.h"
#include "shard/working_set.h"
#include "storage/conversation_store.h"

namespace hongyan::conversation {

// STALE_ID, also where the id is no UUIDv7. Asked after what was accepted under the id was looked
// for: a repeat gets its first answer at any age while its row is there. Any thread.
base::Result<void> CheckRequestId(const model::RequestId& id, int64_t now_ms);

// The hash dedup compares bodies by.
uint64_t BodyHash(std::string_view body);

// The senders' side of one shard: dedup, order, bodies, groups' rows and their members, and what
// goes out to the inbox shards. Shard thread. Everything staged goes with the unit of work's
// commit.
class Conversations {
 public:
  // `store` and `router` outlive it.
  // `generation`: the store's.
  Conversations(storage::ConversationStore& store, const shard::Router& router, int64_t generation);

  // The command SendMessage, whole: replies through `work`.
  void Send(shard::UnitOfWork& work, const model::ReplyTo& to, const model::SendMessage& send);

  // -- for the room of groups, which stands on this one

  struct Draft {
    model::UserId sender;
    model::RequestId client_msg_id;
    model::BodyKind kind = model::BodyKind::kNone;
    std::string body;
    uint64_t hash = 0;  // what a repeat is compared by
  };
  // Gives the next conv_seq and stages body and dedup row.
  base::Result<model::Message> Append(shard::UnitOfWork& work, model::ConversationId conversation,
                                      Draft draft);

  // What was accepted under this id; a repeat of it is answered from here. CONFLICT for another
  // hash.
  base::Result<std::optional<model::SendReceipt>> FindAccepted(model::ConversationId conversation,
                                                               model::UserId sender,
                                                               const model::RequestId& id,
                                                               uint64_t hash);

  // A group's pointer is valid until the next FindGroup or PutGroup, a member's likewise; nullptr =
  // there is none.
  base::Result<const model::Group*> FindGroup(model::GroupId group);
  base::Result<const model::Member*> FindMember(model::GroupId group, model::UserId user);
  void PutGroup(shard::UnitOfWork& work, model::Group group);
  void PutMember(shard::UnitOfWork& work, model::GroupId group, model::Member member);

  // BROKEN where stored counts of members are not those of this store's shards. What FindGroup
  // gives was checked.
  base::Result<void> CheckCounts(const model::Group& group) const;
  // May `user` write into the conversation (membership.h), as this batch sees it. What clients'
  // sends are checked by, and packets before their message.
  base::Result<void> MaySpeak(shard::UnitOfWork& work, model::ConversationId conversation,
                              model::UserId user);

  // Emits the message to the inboxes of everybody in the conversation: one item per inbox shard.
  // `group` is the conversation's, null in 1:1. `device` is the one that needs no notify, or zero.
  void FanOut(shard::UnitOfWork& work, model::ConversationId conversation,
              const model::Message& message, const model::DeviceId& device,
              const model::Group* group);

  // Every member row, present or past, as this batch sees it, by user id.
  base::Result<std::vector<model::Member>> AllMembers(model::GroupId group);

  // BUSY or UNAVAILABLE where a channel this group's messages need lags or is stopped,
  // RESOURCE_EXHAUSTED below the disk reserve. Asked before anything is written.
  base::Result<void> MayAppend(shard::UnitOfWork& work, const model::Group& group) const;

  // A shard's members have a slice that does not fit: emits the snapshot it asked for.
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::SliceRequestItem& item);

  // The entry that points at a message, as its sender's own devices get it.
  static model::Entry EntryFor(model::ConversationId conversation, const model::Message& message);

  const shard::Router& router() const { return router_; }

  void Publish();
  void Drop();
  void Forget();

  int64_t messages() const { return messages_; }  // appended since the start, committed; for stats

 private:
  // What the next message needs to know of the last one.
  struct Tail {
    model::ConvSeq seq;
    int64_t time_ms = 0;
    int64_t ordinal = 0;
  };
  struct ReceiptKey {
    model::ConversationId conversation;
    model::UserId sender;
    model::RequestId id;
    bool operator==(const ReceiptKey&) const = default;
    template <class H>
    friend H AbslHashValue(H h, const ReceiptKey& k) {
      return H::combine(std::move(h), k.conversation, k.sender, k.id);
    }
  };
  using MemberKey = std::pair<model::GroupId, model::UserId>;

  base::Result<const Tail*> FindTail(model::ConversationId conversation);
  base::Result<std::optional<model::SendReceipt>> FindReceipt(const ReceiptKey& key) const;
  model::Reply Accept(shard::UnitOfWork& work, const model::SendMessage& send);
  base::Result<void> MayEmit(shard::UnitOfWork& work, model::ShardId target) const;
  static base::Error DiskReserve();

  storage::ConversationStore& store_;
  const shard::Router& router_;
  const int64_t generation_;
  shard::WorkingSet<model::ConversationId, Tail> tails_;
  shard::WorkingSet<model::GroupId, model::Group> groups_;
  shard::WorkingSet<MemberKey, model::Member> members_;
  absl::flat_hash_map<ReceiptKey, model::SendReceipt> accepted_;  // of the batch under way
  int64_t messages_ = 0;
  int64_t messages_pending_ = 0;
};

}  // namespace hongyan::conversation
