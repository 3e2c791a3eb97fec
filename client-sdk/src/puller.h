#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>

#include "client-sdk/src/random.h"
#include "client-sdk/src/saver.h"
#include "client-sdk/src/session.h"
#include "hongyan/client.h"
#include "hongyan/v1/message.pb.h"

namespace hongyan::sdk {

// Pulls the inbox by cursor and hands its entries over, each once and in order. What is heard
// (notify, heartbeat) only says that there is something; only the replies move the cursor. A pull
// that fails is repeated until it succeeds. Runtime's thread.
class Puller {
 public:
  struct Events {
    std::function<void(const Message&)> on_message = {};
    std::function<void(GroupId)> on_group_changed = {};
    std::function<void(const PacketReturned&)> on_packet_returned = {};
    std::function<void()> on_synced = {};
    std::function<void()> on_truncated = {};
    std::function<void(const Error&)> on_problem = {};
    // An entry of this user's own carries the id it was sent with.
    std::function<void(const Conversation&, const std::string& client_msg_id, const Sent&)> on_own =
        {};
    // Everything was pulled that the server had at the login, and later again.
    std::function<void()> on_caught_up = {};
  };

  Puller(Runtime& runtime, const Options& options, Session& session, Saver& saver, int64_t cursor,
         Events events);

  // After a login: its head, -1 if the server did not know.
  void OnReady(UserId me, int64_t head);
  void OnLost();

  void OnHead(int64_t head);

  // One of our sends was acknowledged: its copy in the own inbox comes without a notify.
  void OnAcknowledged(const std::string& client_msg_id);

  // Since the login at hand.
  int64_t cursor() const { return cursor_; }
  int64_t head() const { return head_; }

 private:
  enum class Taken { kAll, kGap };

  void PullIfNeeded();
  void OnReply(int64_t asked_from, Result<v1::SyncReply> reply);
  void OnFailed(const Error& error);
  Taken TakeEntries(const v1::SyncReply& reply);
  void HandOver(const v1::Entry& entry);

  Runtime& runtime_;
  const Options& options_;
  Session& session_;
  Saver& saver_;
  Events events_;
  Timer retry_;  // after a failed pull
  Backoff backoff_;
  Timer own_copy_;                           // to fetch what awaited_ names
  std::unordered_set<std::string> awaited_;  // acknowledged sends whose copies have not come yet
  UserId me_ = {};
  int64_t cursor_;
  int64_t head_ = -1;   // the newest seq heard of
  int64_t heard_ = -1;  // the same, since the pull under way left
  int64_t awaited_since_ms_ = 0;
  bool unknown_ = false;  // there may be something although no head says so
  bool in_flight_ = false;
};

}  // namespace hongyan::sdk
