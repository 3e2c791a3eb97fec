#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "access/told.h"
#include "conversation/membership.h"
#include "conversation/reader.h"
#include "inbox/online_heads.h"
#include "inbox/reader.h"
#include "money/board.h"
#include "money/routes.h"
#include "shard/executor.h"
#include "shard/outlet.h"
#include "shard/router.h"
#include "simulation/events.h"
#include "simulation/money_witness.h"
#include "simulation/plan.h"
#include "simulation/trace.h"
#include "simulation/wire.h"
#include "simulation/witness.h"
#include "storage/message_store.h"

namespace hongyan::simulation {

// Takes the answers that come over one connection; told once when it is gone.
class Caller {
 public:
  virtual ~Caller() = default;
  virtual void OnAnswer(uint64_t connection, const Answer& answer) = 0;
  virtual void OnGone(uint64_t connection) = 0;
};

// One life of the process's front door: sessions, the reads of Sync joined above inbox and
// conversation, and told/latest by the server's own rules. Connections are as TCP is: in order, and
// lost as a whole. Between the shards and the door replies and effects may be late, turned round
// and (effects) lost or doubled. Dies with its process. One thread.
class FrontDoor final : public shard::Outlet {
 public:
  struct Server {
    storage::MessageStore& store;
    const shard::Router& router;
    inbox::OnlineHeads& online;
    const money::Routes& routes;
    const money::Board& board;
    std::function<shard::Executor&(model::ShardId)> executor_of;
  };
  struct Ground {
    Events& events;
    Random& random;
    const base::ManualClock& clock;
    const Faults& faults;
    Trace& trace;
    Witness& witness;
    MoneyWitness& money;
  };

  FrontDoor(Server server, Ground ground, uint64_t first_connection);
  ~FrontDoor() override;

  uint64_t Connect(Caller& caller);
  void Send(uint64_t connection, Request request);  // arrives later, or never
  void HangUp(uint64_t connection);                 // either side, or the network
  std::vector<uint64_t> connections() const;

  // Any command, as an administrator or a prober asks it. `done` may be empty.
  void Submit(model::Command command, std::function<void(const model::Reply&)> done);

  // The grab: what the board says, checked against the disk.
  base::Result<money::Board::Grab> Grab(model::PacketId packet, model::UserId user,
                                        const model::Eligible* eligible);
  const money::Eligibility& membership() const { return membership_; }

  // The process dies: nothing that is not on its way may leave.
  void Silence() { silent_ = true; }

  // Tells who has to be told; checks what readers are shown.
  void Poll();

  // Nothing is under way: whoever is still logged in has the newest session of a device whose
  // tokens were not revoked since.
  void CheckSessions() const;

  // What it tells clients to make ids by, as the real one does: shard time, not the wall clock.
  int64_t time_ms() const { return server_.executor_of(0).time_ms(); }

  // Commands whose reply is still to come.
  size_t waiting() const { return waiting_.size(); }
  uint64_t next_connection() const { return next_connection_; }

  void Replies(std::vector<shard::Outbound> replies) override;
  void Effects(std::vector<model::Effect> effects) override;

 private:
  struct Session {
    Caller* caller = nullptr;
    model::UserId user;
    model::DeviceId device;
    int64_t session_number = 0;
    int64_t ended_below = 0;  // heard before the number was known
    bool registered = false;
    bool logged_in = false;
    access::Told told;
    int64_t last_in_ns = 0;  // what is sent later arrives later
    int64_t last_out_ns = 0;
  };
  struct Waiting {
    model::CommandBody command;
    std::function<void(const model::Reply&)> done;
  };

  model::ShardId ShardOf(const model::CommandBody& body) const;
  void OnRequest(uint64_t connection, const Request& request);
  void OnLogin(uint64_t connection, uint64_t number, const Login& login);
  void OnSync(uint64_t connection, Session& session, uint64_t number, const Sync& sync);
  base::Result<SyncPage> ReadPage(model::UserId user, const Sync& sync) const;
  void OnCommand(uint64_t connection, uint64_t number, model::CommandBody body);
  void OnEffect(const model::Effect& effect);
  void Answered(const Waiting& waiting, const model::Reply& reply);
  void Deliver(uint64_t connection, Answer answer);
  void CheckHeads();
  int64_t Late();
  template <class Fn>
  void Later(int64_t delay_ns, Fn what);

  const Server server_;
  const Ground ground_;
  const inbox::Reader inbox_;
  const conversation::Reader conversations_;
  const conversation::Membership membership_;
  std::map<uint64_t, Session> sessions_;
  std::map<uint64_t, Waiting> waiting_;
  std::map<model::UserId, model::Seq> shown_;  // heads readers were shown in this life
  uint64_t next_connection_;
  uint64_t next_ticket_ = 1;
  bool silent_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hongyan::simulation
