#pragma once

#include <functional>
#include <memory>

#include "storage/memory/memory_ports.h"
#include "storage/memory/memory_state.h"
#include "storage/message_store.h"

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

// The proof adapter: the ports on std::map, every fault on demand. For unit tests and the
// simulator; not for users, nothing of it reaches a disk. A store object is one life of a process:
// drop it, perhaps call state->Crash(), and open another on the same state. Unlike the embedded
// store it checks unique keys as a database does: a batch that writes a body, receipt or entry
// which is there already fires the guard. Any thread; one lock.
class MemoryMessageStore final : public MessageStore {
 public:
  explicit MemoryMessageStore(std::shared_ptr<MemoryState> state, MemoryFaults faults = {});

  AccountStore& accounts() override { return accounts_; }
  ConversationStore& conversations() override { return conversations_; }
  InboxStore& inboxes() override { return inboxes_; }
  ChannelStore& channels() override { return channels_; }
  const StoreIdentity& identity() const override { return identity_; }
  std::unique_ptr<Batch> NewBatch() override { return std::make_unique<MemoryBatch>(); }
  CommitOutcome Commit(std::unique_ptr<Batch> batch) override;
  base::Result<void> Reopen() override;
  bool BelowDiskReserve() const override;
  StoreStats stats() const override;

  const std::shared_ptr<MemoryState>& state() const { return door_.state(); }

  // Unique keys that fired by themselves, not by MemoryFaults: above 0 some logic gave a number
  // twice.
  int64_t collisions() const;

 private:
  MemoryDoor door_;
  MemoryFaults faults_;
  const StoreIdentity identity_;
  StoreStats stats_;
  int64_t collisions_ = 0;
  MemoryAccountStore accounts_{door_};
  MemoryConversationStore conversations_{door_};
  MemoryInboxStore inboxes_{door_};
  MemoryChannelStore channels_{door_};
};

}  // namespace hongyan::storage
