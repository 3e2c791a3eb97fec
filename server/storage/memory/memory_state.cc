#include "storage/memory/memory_state.h"

namespace hongyan::storage {

std::shared_ptr<MemoryState> MemoryState::Create(uint64_t seed, int shards) {
  auto state = std::make_shared<MemoryState>();
  state->identity = SeededIdentity(seed, shards, 0);
  return state;
}

}  // namespace hongyan::storage
