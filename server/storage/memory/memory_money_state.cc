#include "storage/memory/memory_money_state.h"

#include <random>

namespace hongyan::storage {

std::shared_ptr<MemoryMoneyState> MemoryMoneyState::Create(uint64_t seed, int shards) {
  auto state = std::make_shared<MemoryMoneyState>();
  state->identity = SeededIdentity(seed, shards, model::kFirstMoneyShard);
  state->money.cells = EvenCells(shards);
  std::mt19937_64 random(seed + 1);
  for (uint8_t& byte : state->money.secrets.emplace_back()) byte = static_cast<uint8_t>(random());
  return state;
}

}  // namespace hongyan::storage
