#pragma once

#include <optional>
#include <span>
#include <vector>

#include "storage/account_store.h"
#include "storage/conversation_store.h"
#include "storage/inbox_store.h"
#include "storage/rocksdb/database.h"

namespace hongyan::storage {

// The ports on RocksDB; keys and values are drawn in schema/rocksdb/README.md.

class RocksdbAccountStore final : public AccountStore {
 public:
  explicit RocksdbAccountStore(const Database& database) : database_(database) {}

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
  const Database& database_;
};

class RocksdbConversationStore final : public ConversationStore {
 public:
  explicit RocksdbConversationStore(const Database& database) : database_(database) {}

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
  const Database& database_;
};

class RocksdbInboxStore final : public InboxStore {
 public:
  explicit RocksdbInboxStore(const Database& database) : database_(database) {}

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
  std::optional<std::vector<NumberedEntry>> ReadRecent(model::UserId user, model::Seq after,
                                                       model::Seq upto, size_t limit) const;

  const Database& database_;
};

}  // namespace hongyan::storage
