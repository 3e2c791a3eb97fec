#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/front_door.h"

namespace hongyan::simulation {

// One installation of the app, with a small model of the SDK's rules: a
// durable cursor and durable unsent requests, one sync in flight, one unacknowledged send per
// conversation, resends with the same id and bytes, gaps never skipped. It checks what it is given
// against the witness. One thread.
class Device final : public Caller {
 public:
  struct Ground {
    Random& random;
    const base::ManualClock& clock;
    const Plan& plan;
    Trace& trace;
    Witness& witness;
    const shard::Router& router;
  };

  Device(int index, model::UserId user, Ground ground);

  // The app runs for a moment; `door` is null while no server can be reached. `busy`: its user does
  // something.
  void Act(FrontDoor* door, bool busy);

  // The app is killed and starts again: what is not durable is gone.
  void Die(FrontDoor* door);
  // Removed from the phone, for good.
  void Remove(FrontDoor* door);

  void StayOnline() { wants_online_ = true; }
  void BeatNow() { last_beat_ns_ = -ground_.plan.heartbeat_ms * 1'000'000; }
  bool removed() const { return removed_; }
  bool online() const { return logged_in_; }
  bool idle() const { return unsent_.empty() && group_requests_.empty(); }
  bool caught_up() const { return cursor_ == witness().StoredHead(user_); }
  // All it has not pulled is its own: no notify tells it, the acks did.
  bool knows_all() const;
  std::string Describe() const;
  model::UserId user() const { return user_; }

  void OnAnswer(uint64_t connection, const Answer& answer) override;
  void OnGone(uint64_t connection) override;

 private:
  struct Unsent {
    model::SendMessage send;
    uint64_t request = 0;  // in flight as; 0 = not
    int64_t not_before_ns = 0;
  };
  struct GroupRequest {
    std::variant<model::CreateGroup, model::ChangeMembers> body;
    uint64_t request = 0;
    int64_t not_before_ns = 0;
  };

  Witness& witness() const { return ground_.witness; }
  int64_t now() const { return ground_.clock.BootNs(); }

  void ThinkOfSomething();
  void WriteMessage();
  void ThinkOfGroups();
  model::RequestId NewId();
  std::vector<model::UserId> SomeUsers(int64_t most) const;

  void GoOnline(FrontDoor& door);
  void KeepUp(FrontDoor& door);
  void SendUnsent(FrontDoor& door);
  uint64_t Ask(FrontDoor& door, decltype(Request::body) body);
  void OnPage(const SyncPage& page);
  void OnEntry(const storage::InboxStore::NumberedEntry& numbered, const model::Message& message);
  void OnReply(uint64_t request, const model::ReplyBody& reply);
  void OnFailed(uint64_t request, const base::Error& error);
  void Learn(model::Seq head);

  const int index_;
  const model::UserId user_;
  const Ground ground_;

  // -- durable
  model::DeviceId id_;
  model::Seq cursor_;
  std::map<model::ConversationId, std::deque<Unsent>> unsent_;
  std::deque<GroupRequest> group_requests_;
  std::map<model::ConversationId, model::ConvSeq> transcript_;  // newest message handed to the app
  std::map<model::ConversationId, model::RequestId> last_sent_;
  std::set<model::RequestId> acked_;
  int64_t counter_ = 0;
  bool removed_ = false;

  // -- while the app runs
  bool wants_online_ = true;
  uint64_t connection_ = 0;
  uint64_t login_ = 0;  // request in flight
  bool logged_in_ = false;
  uint64_t sync_ = 0;       // request in flight
  bool sync_first_ = true;  // after a start: before anything is sent again
  bool want_sync_ = true;
  model::Seq known_head_;
  int64_t clock_offset_ms_ = 0;  // of the server's clock
  uint64_t next_request_ = 1;
  int64_t retry_at_ns_ = 0;
  int64_t sync_at_ns_ = 0;
  int64_t last_beat_ns_ = 0;
  int64_t asked_at_ns_ = 0;  // the oldest unanswered request, for the timeout
};

}  // namespace hongyan::simulation
