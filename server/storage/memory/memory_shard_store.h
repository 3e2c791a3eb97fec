#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "storage/memory/memory_batch.h"
#include "storage/memory/memory_channels.h"
#include "storage/memory/memory_door.h"

namespace hongyan::storage {

// What becomes of one commit of a memory store.
enum class CommitFate {
  kApply,
  kReject,          // kRejected
  kGuard,           // kGuardFired
  kUnknownApplied,  // kUnknown, and Reopen will show that it was written
  kUnknownLost,     // kUnknown, and Reopen will show that it was not
};

// Faults on demand; each may be left empty. Called with the store locked: they must not call it
// back.
struct MemoryFaults {
  std::function<CommitFate()> commit;   // asked at each commit
  std::function<bool()> reopen_fails;   // asked at each Reopen that has something to do
  std::function<bool()> not_in_memory;  // asked at each read with Reach::kMemory
  std::function<bool()> below_disk_reserve;
};

// What both kinds of memory store share: commits that end as they are told, channels, one lock.
// Unlike the embedded store it checks unique keys as a database does: a batch that writes again
// what must be new fires the guard. `Store` is the port (MessageStore, MoneyStore), `Staged` its
// batch. Any thread.
template <class Store, class State, class Staged>
class MemoryShardStore : public Store {
 public:
  MemoryShardStore(std::shared_ptr<State> state, MemoryFaults faults)
      : door_(std::move(state)), faults_(std::move(faults)), identity_(door_.state()->identity) {
    door_.not_in_memory = faults_.not_in_memory;
  }

  ChannelStore& channels() override { return channels_; }
  const StoreIdentity& identity() const override { return identity_; }
  std::unique_ptr<Batch> NewBatch() override { return std::make_unique<Staged>(); }

  CommitOutcome Commit(std::unique_ptr<Batch> batch) override {
    auto& staged = static_cast<Staged&>(*batch);
    const std::unique_lock lock(door_.mutex());
    if (door_.closed()) return CommitOutcome::kUnknown;
    if (staged.bytes() > kMaxBatchBytes) return CommitOutcome::kRejected;

    State& state = *door_.state();
    const CommitFate fate = faults_.commit ? faults_.commit() : CommitFate::kApply;
    if (fate == CommitFate::kReject) return CommitOutcome::kRejected;
    if (fate == CommitFate::kGuard) return CommitOutcome::kGuardFired;
    if (staged.Collides(state)) {
      ++collisions_;
      return CommitOutcome::kGuardFired;
    }
    door_.closed() = fate != CommitFate::kApply;
    if (fate == CommitFate::kUnknownLost) return CommitOutcome::kUnknown;

    const auto records = static_cast<int64_t>(staged.records());
    const auto bytes = static_cast<int64_t>(staged.bytes());
    staged.ApplyTo(state);
    state.unsynced_trims.clear();  // one log: what was written before is durable with this
    if (fate == CommitFate::kUnknownApplied) return CommitOutcome::kUnknown;
    ++stats_.commits;
    ++stats_.syncs;
    stats_.records += records;
    stats_.bytes += bytes;
    return CommitOutcome::kCommitted;
  }

  base::Result<void> Reopen() override {
    const std::unique_lock lock(door_.mutex());
    if (!door_.closed()) return {};
    if (faults_.reopen_fails && faults_.reopen_fails()) {
      return base::Error(base::Code::kUnavailable, "the store cannot be opened again yet");
    }
    door_.state()->Crash();
    door_.closed() = false;
    return {};
  }

  bool BelowDiskReserve() const override {
    return faults_.below_disk_reserve && faults_.below_disk_reserve();
  }

  StoreStats stats() const override {
    const std::shared_lock lock(door_.mutex());
    return stats_;
  }

  const std::shared_ptr<State>& state() const { return door_.state(); }

  // Unique keys that fired by themselves, not by MemoryFaults: above 0 some logic gave a number
  // twice.
  int64_t collisions() const {
    const std::shared_lock lock(door_.mutex());
    return collisions_;
  }

 protected:
  MemoryDoor<State> door_;

 private:
  MemoryFaults faults_;
  const StoreIdentity identity_;
  StoreStats stats_;
  int64_t collisions_ = 0;
  MemoryChannelStore<State> channels_{door_};
};

}  // namespace hongyan::storage
