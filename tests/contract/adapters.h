#pragma once

#include <functional>
#include <memory>

#include "storage/memory/memory_message_store.h"
#include "storage/message_store.h"

namespace hongyan::storage {

// What a contract test needs of an adapter: an empty store, its process dying and coming back, and commits
// that fail on demand. Every test runs on each of ADAPTERS.
class MemoryAdapter {
 public:
  MemoryAdapter() { Open(); }

  MessageStore& store() { return *store_; }

  // The process ends in good order and starts again on the same data.
  void Restart() {
    store_.reset();
    Open();
  }

  // The next commit ends unknown; afterwards the store cannot be opened `failures` times.
  void FailNextCommit(int reopen_failures = 0) {
    fate_ = CommitFate::kUnknownLost;
    reopen_failures_ = reopen_failures;
  }

 private:
  void Open() {
    MemoryFaults faults;
    faults.commit = [this] { return std::exchange(fate_, CommitFate::kApply); };
    faults.reopen_fails = [this] { return reopen_failures_-- > 0; };
    store_ = std::make_unique<MemoryMessageStore>(state_, std::move(faults));
  }

  std::shared_ptr<MemoryState> state_ = MemoryState::Create(7, 4);
  std::unique_ptr<MemoryMessageStore> store_;
  CommitFate fate_ = CommitFate::kApply;
  int reopen_failures_ = 0;
};

#define ADAPTERS MemoryAdapter

// One commit of what `fill` stages.
inline CommitOutcome Commit(MessageStore& store, const std::function<void(Batch&)>& fill) {
  auto batch = store.NewBatch();
  fill(*batch);
  return store.Commit(std::move(batch));
}

}  // namespace hongyan::storage
