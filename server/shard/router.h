#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "model/ids.h"
#include "storage/shard_store.h"

namespace hongyan::shard {

// Which slot a key belongs to: SipHash-2-4 with a key of zeros over the big-endian id (or both ids
// of a 1:1 conversation), modulo 1024. Never changes: stores depend on it. Any thread.
int SlotOf(model::UserId user);
int SlotOf(model::GroupId group);
int SlotOf(const model::ConversationId& conversation);

// Ids and shards as a store's identity fixes them. Immutable; any thread.
class Router {
 public:
  explicit Router(const storage::StoreIdentity& identity)
      : slots_(identity.slots), id_key_(identity.id_key), shards_(identity.shards) {}

  template <class Key>
  model::ShardId ShardOf(const Key& key) const {
    return slots_[static_cast<size_t>(SlotOf(key))];
  }
  int shards() const { return shards_; }

  // The id of an account is a keyed hash of its name, so name and id lead to one shard and creation
  // is an insert there. Positive, never 0.
  model::UserId UserIdOf(std::string_view name) const;

  // Drawn from (creator, request id), so that a repeated creation finds itself.
  model::GroupId GroupIdOf(model::UserId creator, const model::RequestId& request) const;

 private:
  std::array<model::ShardId, storage::kSlots> slots_;
  std::array<uint8_t, 16> id_key_;
  int shards_;
};

}  // namespace hongyan::shard
