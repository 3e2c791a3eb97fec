#include "storage/memory/memory_message_store.h"

namespace hongyan::storage {

MemoryMessageStore::MemoryMessageStore(std::shared_ptr<MemoryState> state, MemoryFaults faults)
    : door_(std::move(state)), faults_(std::move(faults)), identity_(door_.state()->identity) {
  door_.not_in_memory = faults_.not_in_memory;
}

CommitOutcome MemoryMessageStore::Commit(std::unique_ptr<Batch> batch) {
  auto& staged = static_cast<MemoryBatch&>(*batch);
  const std::unique_lock lock(door_.mutex());
  if (door_.closed()) return CommitOutcome::kUnknown;
  if (staged.bytes() > kMaxBatchBytes) return CommitOutcome::kRejected;

  MemoryState& state = *door_.state();
  const CommitFate fate = faults_.commit ? faults_.commit() : CommitFate::kApply;
  if (fate == CommitFate::kReject) return CommitOutcome::kRejected;
  if (fate == CommitFate::kGuard) return CommitOutcome::kGuardFired;
  if (staged.Collides(state)) {
    ++collisions_;
    return CommitOutcome::kGuardFired;
  }
  door_.closed() = fate != CommitFate::kApply;
  if (fate == CommitFate::kUnknownLost) return CommitOutcome::kUnknown;

  staged.ApplyTo(state);
  state.unsynced_trims.clear();  // one log: what was written before is durable with this
  if (fate == CommitFate::kUnknownApplied) return CommitOutcome::kUnknown;
  ++stats_.commits;
  ++stats_.syncs;
  stats_.records += static_cast<int64_t>(staged.records());
  stats_.bytes += static_cast<int64_t>(staged.bytes());
  return CommitOutcome::kCommitted;
}

base::Result<void> MemoryMessageStore::Reopen() {
  const std::unique_lock lock(door_.mutex());
  if (!door_.closed()) return {};
  if (faults_.reopen_fails && faults_.reopen_fails()) {
    return base::Error(base::Code::kUnavailable, "the store cannot be opened again yet");
  }
  door_.state()->Crash();
  door_.closed() = false;
  return {};
}

bool MemoryMessageStore::BelowDiskReserve() const {
  return faults_.below_disk_reserve && faults_.below_disk_reserve();
}

StoreStats MemoryMessageStore::stats() const {
  const std::shared_lock lock(door_.mutex());
  return stats_;
}

int64_t MemoryMessageStore::collisions() const {
  const std::shared_lock lock(door_.mutex());
  return collisions_;
}

}  // namespace hongyan::storage
