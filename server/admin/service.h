#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "access/desk.h"
#include "access/front_door.h"
#include "admin/stat.h"
#include "base/result.h"
#include "hongyan/v1/admin.pb.h"
#include "net/listener.h"
#include "storage/message_store.h"

namespace hongyan::admin {

class Errand;

// The back door: AdminRequest in, AdminReply out (admin.proto). Whoever can open its listener is
// the administrator; the listener is a unix socket with mode 0600. Changes go through the shards as
// commands, like a client's; reads run on the reader pool. Loop thread, that of its desk.
class Service {
 public:
  // All outlive it. `executors`: each once.
  Service(access::FrontDoor& door, access::Desk& desk, storage::MessageStore& store,
          std::vector<shard::Executor*> executors, Stats stats);

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
  // Finds the user, then queues what `make` makes for it.
  void OfUser(ErrandPtr errand, const std::string& name,
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
  void AcceptChannel(ErrandPtr errand, const v1::AcceptChannel& request);

  const access::Services& services() const { return desk_.services(); }

  // Answers with what `read` returns; it runs on the pool.
  void OnPool(base::WorkerPool& pool, ErrandPtr errand, Read read);
  // Queues a command whose success is AdminDone.
  void SubmitDone(ErrandPtr errand, model::ShardId shard, model::CommandBody body);
  base::Result<model::ShardId> CheckChannel(uint32_t source, uint32_t target) const;

  access::FrontDoor& door_;
  access::Desk& desk_;
  storage::MessageStore& store_;
  const std::vector<shard::Executor*> executors_;
  const Stats stats_;
};

}  // namespace hongyan::admin
