#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "model/account.h"
#include "model/group.h"
#include "model/message.h"
#include "storage/channel_store.h"
#include "storage/conversation_store.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

// What the "disk" of a memory store holds: everything committed, nothing else. It is a plain value,
// so that it can be copied and put back (a source that lost its tail), and it outlives the store
// objects that open it one after another (the lives of a process). Only a store that is open
// touches it; whoever copies or changes it from outside does so on the store's thread.
struct MemoryState {
  // A new, empty store whose random parts come from `seed`.
  static std::shared_ptr<MemoryState> Create(uint64_t seed, int shards);

  // What the death of the process or the machine takes away: trims that no later commit has made
  // durable.
  void Crash();

  StoreIdentity identity;

  std::map<model::UserId, model::User> users;
  std::map<std::pair<model::UserId, model::DeviceId>, model::Device> devices;

  using MessagePlace = std::pair<model::ConversationId, model::ConvSeq>;
  struct ReceiptKey {
    model::ConversationId conversation;
    model::UserId sender;
    model::RequestId client_msg_id;
    auto operator<=>(const ReceiptKey&) const = default;
  };
  std::map<MessagePlace, model::Message> messages;
  std::map<ReceiptKey, model::SendReceipt> receipts;
  std::map<model::GroupId, model::Group> groups;
  std::map<std::pair<model::GroupId, model::UserId>, model::Member> members;

  using InboxPlace = std::pair<model::UserId, model::Seq>;
  using SliceKey = std::pair<model::ShardId, model::GroupId>;
  std::map<InboxPlace, model::Entry> entries;
  std::map<model::UserId, model::Seq> floors;
  std::map<SliceKey, model::FollowerSlice> slices;
  std::map<std::pair<SliceKey, model::UserId>, model::Follower> followers;
  std::map<std::pair<model::UserId, model::GroupId>, model::ShardId> followed;

  std::map<model::ShardId, ShardHead> heads;
  std::map<ChannelId, ChannelMark> marks;
  using ChannelPlace = std::pair<ChannelId, int64_t>;
  std::map<ChannelPlace, OutboxRow> outbox;          // by the number of the row's last item
  std::map<ChannelPlace, OutboxRow> unsynced_trims;  // removed, but a crash brings them back
  std::map<ChannelPlace, ParkedItem> parked;
  std::set<model::UserId> broken_inboxes;  // by tests: reading their newest entry is kDataLoss
};

}  // namespace hongyan::storage
