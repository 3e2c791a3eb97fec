#include "storage/memory/memory_batch.h"

#include <algorithm>

namespace hongyan::storage {

namespace {

template <class Map>
bool Overlap(const Map& added, const Map& present) {
  return std::any_of(added.begin(), added.end(),
                     [&present](const auto& row) { return present.contains(row.first); });
}

}  // namespace

bool MemoryBatch::Collides(const MemoryState& state) const {
  return duplicate_ || Overlap(messages_, state.messages) || Overlap(receipts_, state.receipts) ||
         Overlap(entries_, state.entries);
}

void MemoryBatch::ApplyTo(MemoryState& state) {
  state.messages.merge(messages_);
  state.receipts.merge(receipts_);
  state.entries.merge(entries_);
  for (const auto& write : writes_) write(state);
  writes_.clear();
}

}  // namespace hongyan::storage
