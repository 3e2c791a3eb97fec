#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cluster/local/local_carrier.h"
#include "conversation/reader.h"
#include "hongyan/v1/message.pb.h"
#include "inbox/online_heads.h"
#include "inbox/reader.h"
#include "message_shard.h"
#include "shard/executor.h"
#include "shard/outlet.h"
#include "shard/router.h"
#include "storage/memory/memory_message_store.h"

namespace hongyan::testing {

// The real rooms between the two doors, in one thread: commands go in, replies and inboxes come
// out. Speaks in names of people; groups are named by what Create returned.
class House final : public shard::Outlet {
 public:
  struct Options {
    int shards = 4;
    int executors = 1;
    shard::ExecutorLimits limits;
    group::GroupLimits group_limits;
    // What stands around the logic of each shard; may be empty.
    std::function<std::unique_ptr<shard::Logic>(std::unique_ptr<shard::Logic>)> around;
  };
  House() : House(Options()) {}
  explicit House(Options options);

  // A life of the process on the same stored state. Start runs at construction.
  void Start();
  void Kill() {
    executors_.clear();
    store_.reset();
  }
  void Restart() {
    Kill();
    state->Crash();
    Start();
  }

  model::UserId User(const std::string& name) const { return router_->UserIdOf(name); }
  static model::ConversationId Direct(model::UserId a, model::UserId b) {
    return model::ConversationId::Direct(a, b);
  }

  // A fresh UUIDv7 by the house's clock, or one that is `ago_ms` old.
  model::RequestId NewId(int64_t ago_ms = 0);

  // Each runs the house until nothing moves, then returns the reply.
  model::Reply Send(const std::string& from, model::ConversationId to, const std::string& text,
                    std::optional<model::RequestId> id = {},
                    std::optional<model::RequestId> after = {});
  model::Reply Create(const std::string& creator, const std::string& name,
                      const std::vector<std::string>& members,
                      std::optional<model::RequestId> id = {});
  model::Reply Change(const std::string& actor, model::GroupId group,
                      const std::vector<std::string>& add, const std::vector<std::string>& remove,
                      std::optional<model::RequestId> id = {});

  // Queues without running; the ticket finds the reply later.
  uint64_t Submit(model::ShardId shard, model::CommandBody body);
  model::SendMessage MakeSend(const std::string& from, model::ConversationId to,
                              const std::string& text, std::optional<model::RequestId> id = {});
  bool RunOnce();
  void Run();  // until nothing moves
  std::optional<model::Reply> Take(uint64_t ticket);
  int answers(uint64_t ticket) const;  // how often it was answered

  // A user's inbox as texts, in order of seq; system messages as "*".
  std::vector<std::string> Inbox(const std::string& name);
  std::vector<storage::InboxStore::NumberedEntry> Entries(const std::string& name);

  // The bodies of a user's inbox; of entries that point at none, an empty one.
  std::vector<v1::Body> Bodies(const std::string& name);

  // Answers of the replies, for short tests.
  static int64_t ConvSeq(const model::Reply& reply);
  static model::GroupId Group(const model::Reply& reply);
  static model::Reason Why(const model::Reply& reply);

  void Replies(std::vector<shard::Outbound> replies) override;
  void Effects(std::vector<model::Effect> effects) override;

  std::shared_ptr<storage::MemoryState> state;
  storage::MemoryFaults faults;
  base::ManualClock clock{1'790'000'000'000};
  std::vector<model::Effect> effects;
  inbox::OnlineHeads online;
  MessageCounters counters;

  storage::MemoryMessageStore& store() { return *store_; }
  const shard::Router& router() const { return *router_; }
  shard::Executor& executor(size_t i = 0) { return *executors_.at(i); }

 private:
  model::Reply Await(uint64_t ticket);

  Options options_;
  std::unique_ptr<storage::MemoryMessageStore> store_;
  std::unique_ptr<shard::Router> router_;
  std::unique_ptr<cluster::LocalCarrier> carrier_;
  std::vector<std::unique_ptr<shard::Executor>> executors_;
  std::map<uint64_t, model::Reply> replies_;
  std::map<uint64_t, int> answers_;
  uint64_t next_ticket_ = 1;
  uint64_t next_id_ = 1;
};

}  // namespace hongyan::testing
