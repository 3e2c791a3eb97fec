#include "storage/memory/memory_shard_state.h"

#include <random>

#include "base/check.h"

namespace hongyan::storage {

StoreIdentity SeededIdentity(uint64_t seed, int shards, model::ShardId first) {
  CHECK(shards > 0 && shards <= kSlots);
  std::mt19937_64 random(seed);
  StoreIdentity identity;
  identity.incarnation = random();
  for (uint8_t& byte : identity.id_key) byte = static_cast<uint8_t>(random());
  for (uint8_t& byte : identity.token_key) byte = static_cast<uint8_t>(random());
  identity.shards = shards;
  identity.first_shard = first;
  for (size_t slot = 0; slot < identity.slots.size(); ++slot) {
    identity.slots[slot] = static_cast<model::ShardId>(first + slot % static_cast<size_t>(shards));
  }
  return identity;
}

void MemoryShardState::Crash() {
  outbox.merge(unsynced_trims);
  unsynced_trims.clear();
}

}  // namespace hongyan::storage
