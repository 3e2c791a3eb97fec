#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "access/desk.h"
#include "access/front_door.h"
#include "admin/stat.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "hongyan/v1/admin.pb.h"
#include "money/days.h"
#include "net/listener.h"
#include "storage/message_store.h"
#include "storage/money_store.h"

namespace hongyan::admin {

class Errand;

// The back door: AdminRequest in, AdminReply out (admin.proto). Whoever can open its listener is
// the administrator; the listener is a unix socket with mode 0600. Changes go through the shards as
// commands, like a client's; reads run on the reader pool. Loop thread, that of its desk.
class Service {
 public:
  // All outlive it. `executors`: each once. `drain_patience`: of an audit that waits until no money
  // is between shards.
  Service(access::FrontDoor& door, access::Desk& desk, storage::MessageStore& store,
          storage::MoneyStore& money_store, std::vector<shard::Executor*> executors, Stats stats,
          std::chrono::milliseconds drain_patience = std::chrono::minutes(1));

  ~Service() { End(); }

  // The server goes down: audits, days and other long readings end at once, and say so. Any thread.
  void End() {
    ending_ = true;
    money_store_.days().StopReclaiming();
  }
  // None of them has an answer under way any more.
  bool ended() const { return long_readings_ == 0; }

  // For the admin listener, which must hand its connections to the desk's loop only.
  net::Listener::Factory factory();

  // Carries out one request; `errand` takes the answer, at once or later.
  void Handle(std::shared_ptr<Errand> errand, const v1::AdminRequest& request);

 private:
  using ErrandPtr = std::shared_ptr<Errand>;
  using Read = std::function<base::Result<v1::AdminReply>()>;

  // users.cc
  void ImportUsers(ErrandPtr errand, const v1::ImportUsers& request);
  void SetPassword(ErrandPtr errand, const v1::SetPassword& request);
  void SetDisabled(ErrandPtr errand, const v1::SetDisabled& request);
  void ListUsers(ErrandPtr errand, const v1::ListUsers& request);
  void ShowUser(ErrandPtr errand, const v1::ShowUser& request);
  void IssueTokens(ErrandPtr errand, const v1::IssueTokens& request);
  void RevokeTokens(ErrandPtr errand, const v1::RevokeTokens& request);
  // Finds the user, then queues what `make` makes for it: in the shard of the account.
  void OfUser(ErrandPtr errand, const std::string& name,
              std::function<model::CommandBody(model::UserId)> make);
  // The same in the shard that `shard_of` names.
  void OfUser(ErrandPtr errand, const std::string& name,
              std::function<model::ShardId(model::UserId)> shard_of,
              std::function<model::CommandBody(model::UserId)> make);

  // groups.cc
  void CreateGroup(ErrandPtr errand, const v1::AdminCreateGroup& request);
  void ChangeMembers(ErrandPtr errand, const v1::AdminChangeMembers& request);
  void ShowGroup(ErrandPtr errand, const v1::ShowGroup& request);
  void SubmitGroup(ErrandPtr errand, model::ShardId shard, model::CommandBody body);

  // channels.cc
  void ShowStats(ErrandPtr errand);
  void ListChannels(ErrandPtr errand);
  void ListParked(ErrandPtr errand, const v1::ListParked& request);
  void RetryParked(ErrandPtr errand, const v1::RetryParked& request);
  void ReturnParked(ErrandPtr errand, const v1::ReturnParked& request);
  // What carried so much of this packet to this user, or back to them, and has not come: by what is
  // stored of both. `request`: of the send, where it is known. Pool.
  base::Result<model::Item> Missing(model::PacketId packet, model::UserId user, int64_t fen,
                                    const std::optional<model::RequestId>& request) const;
  base::Result<void> AwaitArrivals(model::PacketId packet, model::UserId user,
                                   model::ShardId parked_in) const;
  base::Result<void> OtherParked(model::PacketId packet, model::UserId user,
                                 const model::ReturnParked& but) const;
  void AcceptChannel(ErrandPtr errand, const v1::AcceptChannel& request);

  // wallets.cc
  void MoveFunds(ErrandPtr errand, const v1::MoveFunds& request);
  void SetFrozen(ErrandPtr errand, const v1::SetFrozen& request);
  void ShowWallet(ErrandPtr errand, const v1::ShowWallet& request);

  // packets.cc
  void ShowPacket(ErrandPtr errand, const v1::ShowPacket& request);
  void ShowDay(ErrandPtr errand, const v1::ShowDay& request);

  // days.cc
  void ArchiveDay(ErrandPtr errand, const v1::ArchiveDay& request);
  void RestoreDay(ErrandPtr errand, const v1::RestoreDay& request);
  // For the auditor's thread: carries a command to a shard and waits for its reply.
  money::Ask AskShards();

  // packets.cc
  void EndPacket(ErrandPtr errand, const v1::EndPacket& request);
  void ListQuarantine(ErrandPtr errand);
  void MendPacket(ErrandPtr errand, const v1::MendPacket& request);
  void Audit(ErrandPtr errand, const v1::Audit& request);
  // Nothing given to a channel out of money is on its way.
  bool Drained() const;
  // Of the packet's id, or nothing where none can have it: then the errand is refused.
  std::optional<model::ShardId> PacketShard(const ErrandPtr& errand, int64_t packet);

  const access::Services& services() const { return desk_.services(); }

  // Answers with what `read` returns; it runs on the pool.
  void OnPool(base::WorkerPool& pool, ErrandPtr errand, Read read);
  // The same for what reads every row: one at a time, not on the readers that everybody needs.
  void ReadLong(ErrandPtr errand, Read read);
  // Queues a command whose success is AdminDone.
  void SubmitDone(ErrandPtr errand, model::ShardId shard, model::CommandBody body);
  base::Result<model::ShardId> CheckChannel(uint32_t source, uint32_t target) const;
  bool IsShard(uint32_t shard) const;
  // Of all shards by number, from the one behind `after` in its target; at most `limit`.
  struct AfterParked {
    model::ShardId target = 0;
    storage::ChannelStore::ParkedPlace place;
  };
  base::Result<std::vector<storage::ParkedItem>> Parked(AfterParked after, size_t limit) const;

  access::FrontDoor& door_;
  access::Desk& desk_;
  storage::MessageStore& store_;
  storage::MoneyStore& money_store_;
  const std::vector<shard::Executor*> executors_;
  const Stats stats_;
  const std::chrono::milliseconds drain_patience_;
  std::atomic<bool> ending_{false};
  std::atomic<int> long_readings_{0};
  base::WorkerPool auditor_;
};

}  // namespace hongyan::admin
