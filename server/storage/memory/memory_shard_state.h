#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "storage/channel_store.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

// What the "disk" of any memory store holds: everything committed, nothing else. It is a plain
// value, so that it can be copied and put back (a source that lost its tail), and it outlives the
// store objects that open it one after another (the lives of a process). Only a store that is open
// touches it; whoever copies or changes it from outside does so on the store's thread.
struct MemoryShardState {
  // What the death of the process or the machine takes away: trims that no later commit has made
  // durable.
  void Crash();

  StoreIdentity identity;

  std::map<model::ShardId, ShardHead> heads;
  std::map<ChannelId, ChannelMark> marks;
  using ChannelPlace = std::pair<ChannelId, int64_t>;
  std::map<ChannelPlace, OutboxRow> outbox;          // by the number of the row's last item
  std::map<ChannelPlace, OutboxRow> unsynced_trims;  // removed, but a crash brings them back
  std::map<ChannelPlace, ParkedItem> parked;
};

// An identity whose random parts come from `seed`; shards are numbered from `first`.
StoreIdentity SeededIdentity(uint64_t seed, int shards, model::ShardId first);

}  // namespace hongyan::storage
