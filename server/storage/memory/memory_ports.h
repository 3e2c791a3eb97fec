#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "model/reason.h"
#include "storage/account_store.h"
#include "storage/channel_store.h"
#include "storage/conversation_store.h"
#include "storage/inbox_store.h"
#include "storage/memory/memory_batch.h"
#include "storage/memory/memory_state.h"

namespace hongyan::storage {

// The one way to a memory store's state: a lock, and whether the store is open. Any thread.
class MemoryDoor {
 public:
  explicit MemoryDoor(std::shared_ptr<MemoryState> state) : state_(std::move(state)) {}

  // Runs `read` on the state and gives its Result, or the Error of a store that waits for Reopen.
  template <class Read>
  auto Look(Read read) const -> decltype(read(std::declval<const MemoryState&>())) {
    const std::shared_lock lock(mutex_);
    if (closed_) return Stopped();
    return read(static_cast<const MemoryState&>(*state_));
  }

  // As Look; `change` may write the state.
  template <class Change>
  auto Alter(Change change) -> decltype(change(std::declval<MemoryState&>())) {
    const std::unique_lock lock(mutex_);
    if (closed_) return Stopped();
    return change(*state_);
  }

  static base::Error Stopped() {
    return model::Refuse(base::Code::kUnavailable, model::Reason::kStoreStopped,
                         "the store waits to be reopened after a failed commit", 100);
  }

  std::shared_mutex& mutex() const { return mutex_; }
  // REQUIRES mutex() held.
  bool& closed() { return closed_; }
  const std::shared_ptr<MemoryState>& state() const { return state_; }

  // Asked at each read with Reach::kMemory; true = "not in memory". May be empty.
  std::function<bool()> not_in_memory;

  // The Error of a read that would have to go to disk, if this one would.
  std::optional<base::Error> Reaches(Reach reach) const {
    if (reach == Reach::kDisk || !not_in_memory || !not_in_memory()) return std::nullopt;
    return base::Error(base::Code::kUnavailable, "not in memory");
  }

 private:
  mutable std::shared_mutex mutex_;
  bool closed_ = false;
  std::shared_ptr<MemoryState> state_;
};

class MemoryAccountStore final : public AccountStore {
 public:
  explicit MemoryAccountStore(const MemoryDoor& door) : door_(door) {}

  base::Result<std::optional<model::User>> FindUser(model::UserId user) const override;
  void PutUser(Batch& batch, const model::User& user) override;
  base::Result<std::optional<model::Device>> FindDevice(model::UserId user,
                                                        model::DeviceId device) const override;
  base::Result<std::vector<model::Device>> ListDevices(model::UserId user) const override;
  void PutDevice(Batch& batch, model::UserId user, const model::Device& device) override;
  void EraseDevice(Batch& batch, model::UserId user, model::DeviceId device) override;
  base::Result<std::vector<model::User>> ListUsers(model::UserId after,
                                                   size_t limit) const override;

 private:
  const MemoryDoor& door_;
};

class MemoryConversationStore final : public ConversationStore {
 public:
  explicit MemoryConversationStore(const MemoryDoor& door) : door_(door) {}

  base::Result<std::optional<model::Message>> LastMessage(
      model::ConversationId conversation) const override;
  base::Result<std::vector<std::optional<model::Message>>> ReadMessages(
      std::span<const MessageKey> keys, Reach reach) const override;
  base::Result<Stretch> ReadRange(model::ConversationId conversation, model::ConvSeq first,
                                  model::ConvSeq last, Order order, size_t limit, size_t max_bytes,
                                  Reach reach) const override;
  void AppendMessage(Batch& batch, model::ConversationId conversation,
                     const model::Message& message, uint64_t body_hash) override;
  base::Result<std::optional<model::SendReceipt>> FindReceipt(
      model::ConversationId conversation, model::UserId sender,
      const model::RequestId& client_msg_id) const override;
  base::Result<std::optional<model::Group>> FindGroup(model::GroupId group,
                                                      Reach reach) const override;
  void PutGroup(Batch& batch, const model::Group& group) override;
  base::Result<std::optional<model::Member>> FindMember(model::GroupId group, model::UserId user,
                                                        Reach reach) const override;
  base::Result<std::vector<model::Member>> ListMembers(model::GroupId group, model::UserId after,
                                                       size_t limit) const override;
  void PutMember(Batch& batch, model::GroupId group, const model::Member& member) override;

 private:
  const MemoryDoor& door_;
};

class MemoryInboxStore final : public InboxStore {
 public:
  explicit MemoryInboxStore(const MemoryDoor& door) : door_(door) {}

  base::Result<model::Seq> LastSeq(model::UserId user, Reach reach) const override;
  base::Result<model::Seq> Floor(model::UserId user, Reach reach) const override;
  base::Result<std::vector<NumberedEntry>> ReadEntries(model::UserId user, model::Seq after,
                                                       model::Seq upto, size_t limit,
                                                       Reach reach) const override;
  void Append(Batch& batch, std::span<const Recipient> recipients,
              const model::Entry& entry) override;
  base::Result<std::optional<model::FollowerSlice>> FindSlice(model::ShardId shard,
                                                              model::GroupId group) const override;
  void PutSlice(Batch& batch, model::ShardId shard, model::GroupId group,
                const model::FollowerSlice& slice) override;
  base::Result<std::vector<model::Follower>> ListFollowers(model::ShardId shard,
                                                           model::GroupId group) const override;
  void PutFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                   const model::Follower& follower) override;
  void EraseFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                     model::UserId user) override;
  base::Result<std::vector<model::GroupId>> ListGroups(model::UserId user, model::GroupId after,
                                                       size_t limit) const override;

 private:
  const MemoryDoor& door_;
};

class MemoryChannelStore final : public ChannelStore {
 public:
  explicit MemoryChannelStore(MemoryDoor& door) : door_(door) {}

  base::Result<ShardHead> ReadHead(model::ShardId shard) const override;
  void PutHead(Batch& batch, model::ShardId shard, const ShardHead& head) override;
  base::Result<ChannelMark> ReadMark(ChannelId channel) const override;
  void PutMark(Batch& batch, ChannelId channel, const ChannelMark& mark) override;
  void PutOutbox(Batch& batch, ChannelId channel, const OutboxRow& row) override;
  base::Result<std::vector<OutboxRow>> ReadOutbox(ChannelId channel, int64_t number,
                                                  size_t max_items,
                                                  size_t max_bytes) const override;
  base::Result<std::optional<int64_t>> OldestKept(ChannelId channel) const override;
  base::Result<void> TrimOutbox(ChannelId channel, int64_t through) override;
  void Park(Batch& batch, const ParkedItem& item) override;
  void Unpark(Batch& batch, ChannelId channel, int64_t number) override;
  base::Result<std::vector<ParkedItem>> ListParked(model::ShardId target,
                                                   size_t limit) const override;

 private:
  MemoryDoor& door_;
};

}  // namespace hongyan::storage
