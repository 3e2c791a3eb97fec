#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "account/accounts.h"
#include "conversation/conversations.h"
#include "conversation/packet_messages.h"
#include "group/groups.h"
#include "inbox/inbox.h"
#include "shard/router.h"
#include "shard/unit_of_work.h"
#include "storage/message_store.h"

namespace hongyan {

// Counted by all message shards of a process. Any thread.
struct MessageCounters {
  std::atomic<int64_t> messages{0};  // stored
  std::atomic<int64_t> entries{
      0};  // inbox entries written: durable, for they count after the commit
};

// The rules of a message shard put together: which room a command or an item belongs to.
// Conversation and inbox meet only here and only through items. Shard thread.
class MessageShard final : public shard::Logic {
 public:
  // All outlive it.
  MessageShard(storage::MessageStore& store, const shard::Router& router,
               inbox::OnlineHeads& online, MessageCounters& counters, group::GroupLimits limits);

  void Apply(shard::UnitOfWork& work, const model::Command& command) override;
  base::Result<shard::ItemOutcome> ApplyItem(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                             const model::Item& item, size_t max_records) override;
  void Publish(std::vector<model::Effect>& effects) override;
  void Drop() override;
  void Forget(std::vector<model::Effect>& effects) override;
  void AbandonWaiting(shard::UnitOfWork& work, const base::Error& error) override;

 private:
  void Count();

  account::Accounts accounts_;
  conversation::Conversations conversations_;
  conversation::PacketMessages packet_messages_;
  group::Groups groups_;
  inbox::Inbox inbox_;
  MessageCounters& counters_;
  int64_t counted_messages_ = 0;
  int64_t counted_entries_ = 0;
};

}  // namespace hongyan
