#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "model/account.h"
#include "model/group.h"
#include "model/message.h"
#include "storage/conversation_store.h"
#include "storage/memory/memory_shard_state.h"

namespace hongyan::storage {

// What a memory store of messages holds.
struct MemoryState : MemoryShardState {
  // A new, empty store whose random parts come from `seed`.
  static std::shared_ptr<MemoryState> Create(uint64_t seed, int shards);

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

  std::set<model::UserId> broken_inboxes;  // by tests: reading their newest entry is kDataLoss
};

}  // namespace hongyan::storage
