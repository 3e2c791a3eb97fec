#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "access/known_users.h"
#include "access/requests.h"
#include "access/services.h"
#include "access/slots.h"
#include "hongyan/v1/message.pb.h"
#include "hongyan/v1/session.pb.h"
#include "model/command.h"
#include "net/loop.h"
#include "shard/outlet.h"

namespace hongyan::access {

class Session;

// Written by one loop, read by anybody.
class Count {
 public:
  void Add(int64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

struct DeskCounts {
  Count sessions;  // logged in now
  Count logins;    // ever
  Count requests;
  Count refused;  // requests answered with an error
  Count heartbeats;
  Count notifies;
  Count syncs;            // answered on the loop
  Count syncs_from_disk;  // had to go to the reader pool
};

// Which executor drives which shard. Filled in before the first connection.
struct Executors {
  std::vector<shard::Executor*> messages;  // by shard
  std::vector<shard::Executor*> money;     // by shard, from kFirstMoneyShard on

  shard::Executor& Of(model::ShardId shard) const {
    return model::IsMoneyShard(shard)
               ? *money.at(static_cast<size_t>(shard - model::kFirstMoneyShard))
               : *messages.at(shard);
  }
};

// The front door's place on one loop: its sessions, what waits for an answer from a shard, and what
// is gathered over a turn. Everything of a connection happens here. Loop thread, but where said.
class Desk {
 public:
  // All outlive it.
  Desk(net::Loop& loop, const Services& services, const Limits& limits, const Executors& executors);
  ~Desk();
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  net::Loop& loop() { return loop_; }
  const Services& services() const { return services_; }
  const Limits& limits() const { return limits_; }
  int64_t now_ms() const { return loop_.now_ms(); }
  // Shard time, by which the age of request ids is judged: what clients are told as the server's
  // clock.
  int64_t server_time_ms() const { return executors_.messages.front()->time_ms(); }
  // Shard time of money, by which packets expire.
  int64_t money_time_ms() const { return executors_.money.front()->time_ms(); }
  bool draining() const { return draining_; }
  const DeskCounts& counts() const { return counts_; }  // any thread
  DeskCounts& counts() { return counts_; }

  // -- sessions

  uint64_t Enter(Session& session) { return sessions_.Put(&session); }
  void Leave(uint64_t session) { sessions_.Remove(session); }
  Session* FindSession(uint64_t session) {
    Session** found = sessions_.Find(session);
    return found == nullptr ? nullptr : *found;
  }

  // From here on effects for the user reach the session; before its head is read.
  void Register(Session& session);
  void Unregister(Session& session);
  std::vector<model::DeviceId> OnlineDevices(model::UserId user) const;

  // -- to the shards

  // Queues a command for a session; request.replied gets the reply, if the session still lives.
  // Commands of one turn leave together.
  void Submit(Session& session, uint32_t request_id, const Request& request, model::ShardId shard,
              model::CommandBody body);

  // The same for whoever is not a session; `done` gets the reply on this loop. Without `done`
  // nobody waits.
  void Submit(model::Priority priority, model::ShardId shard, model::CommandBody body,
              std::function<void(model::Reply)> done);

  // The shard's store is closed: what it is asked is refused.
  bool stopped(model::ShardId shard) const { return executors_.Of(shard).stopped(); }

  // Opens of this packet in its shard's queue and batch.
  int64_t opens_in_flight(model::ShardId shard, model::PacketId packet) const {
    return executors_.Of(shard).opens_in_flight(packet);
  }

  // -- from the shards

  void OnReplies(std::vector<shard::Outbound> replies);
  void OnEffects(const std::vector<model::Effect>& effects);

  // -- answers

  // The payload, in memory that is good until the next call.
  std::string_view Encode(const google::protobuf::MessageLite& message);

  // Messages to be used again by one handler after the other: reusing beats arenas here (measured).
  struct Scratch {
    v1::SendMessage send;
    v1::SendMessageReply sent;
    v1::Body body;
    v1::Sync sync;
    v1::SyncReply sync_reply;
    v1::HeartbeatReply heartbeat;
    v1::Notify notify;
  };
  Scratch& scratch() { return scratch_; }
  KnownUsers& known_users() { return known_users_; }

  // Answers what is in flight, tells every session to come back after a pause of up to `spread_ms`,
  // closes.
  void Drain(int64_t spread_ms);
  int64_t drain_spread_ms() const { return drain_spread_ms_; }

 private:
  struct Waiting {
    uint64_t session = 0;
    uint32_t request_id = 0;
    const Request* request = nullptr;  // null: `done` waits
    std::unique_ptr<std::function<void(model::Reply)>> done;
  };
  // What one executor gets at the end of the turn.
  struct Gathered {
    shard::Executor* executor = nullptr;
    std::vector<model::Command> commands;
  };

  void Gather(model::ShardId shard, model::Command command);
  void HandOver();
  void OnReply(uint64_t ticket, model::Reply reply);
  void Apply(const model::HeadMoved& moved);
  void Apply(const model::SessionsEnded& ended);
  void Apply(const model::WalletChanged& changed);

  net::Loop& loop_;
  const Services& services_;
  const Limits limits_;
  const Executors& executors_;
  Slots<Session*> sessions_;
  absl::flat_hash_map<model::UserId, Session*>
      online_;  // the first of the user's, linked by next_of_user
  Slots<Waiting> waiting_;
  std::vector<Gathered> gathered_;
  bool handing_over_ = false;  // at the end of this turn
  KnownUsers known_users_;
  Scratch scratch_;
  std::string encoded_;
  DeskCounts counts_;
  bool draining_ = false;
  int64_t drain_spread_ms_ = 0;
};

}  // namespace hongyan::access
