#pragma once

#include <memory>
#include <utility>

#include "storage/memory/memory_message_batch.h"
#include "storage/memory/memory_ports.h"
#include "storage/memory/memory_shard_store.h"
#include "storage/memory/memory_state.h"
#include "storage/message_store.h"

namespace hongyan::storage {

// The proof adapter: the ports on std::map, every fault on demand. For unit tests and the
// simulator; not for users, nothing of it reaches a disk. A store object is one life of a process:
// drop it, perhaps call state->Crash(), and open another on the same state. What must be new:
// bodies, receipts, entries. Any thread; one lock.
class MemoryMessageStore final
    : public MemoryShardStore<MessageStore, MemoryState, MemoryMessageBatch> {
 public:
  explicit MemoryMessageStore(std::shared_ptr<MemoryState> state, MemoryFaults faults = {})
      : MemoryShardStore(std::move(state), std::move(faults)) {}

  AccountStore& accounts() override { return accounts_; }
  ConversationStore& conversations() override { return conversations_; }
  InboxStore& inboxes() override { return inboxes_; }

 private:
  MemoryAccountStore accounts_{door_};
  MemoryConversationStore conversations_{door_};
  MemoryInboxStore inboxes_{door_};
};

}  // namespace hongyan::storage
