#pragma once

#include "storage/account_store.h"
#include "storage/conversation_store.h"
#include "storage/inbox_store.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

// One store of messages: the ports of the rooms above, committed together. Adapters: rocksdb
// (embedded default), memory (proof), mysql (scale-out, later).
class MessageStore : public ShardStore {
 public:
  virtual AccountStore& accounts() = 0;
  virtual ConversationStore& conversations() = 0;
  virtual InboxStore& inboxes() = 0;
};

}  // namespace hongyan::storage
