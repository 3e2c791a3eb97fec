#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "client-sdk/src/random.h"
#include "client-sdk/src/saver.h"
#include "client-sdk/src/session.h"
#include "hongyan/client.h"

namespace hongyan::sdk {

// Messages on their way. Each is in the store before it leaves,
// keeps its id and its bytes however often it is sent, and goes when the server has accepted or
// refused it. Per conversation one is unacknowledged at a time: a refusal for now, a lost
// connection or a restart cannot turn the order round. Runtime's thread.
class Outbox {
 public:
  struct Events {
    std::function<void(int64_t number, const Conversation&, const Result<Sent>&)> on_sent = {};
    // By the server's answer, not by the inbox.
    std::function<void(const std::string& client_msg_id)> on_acknowledged = {};
  };

  Outbox(Runtime& runtime, const Options& options, Session& session, Saver& saver,
         std::vector<UnsentMessage> unsent, Events events);

  // Refuses (by `done`) beyond options.max_unsent.
  void Add(int64_t number, const Conversation& to, std::string body, int timeout_ms,
           Callback<Sent> done);

  // `max_frame_bytes` as the server said.
  void OnReady(size_t max_frame_bytes);
  void OnLost();

  // The inbox is pulled up to the login: what came back is settled, what did not leaves again.
  void OnCaughtUp();

  // It came back in the inbox: the server has it.
  void OnOwn(const Conversation& conversation, const std::string& client_msg_id, const Sent& sent);

  void OnCommitted(const Result<Done>& result);

  // Ends the waiting of all callbacks; the messages stay in the store.
  void CancelWaiting(const Error& why);

  size_t size() const { return size_; }

 private:
  enum class State {
    kSaving,     // not yet known to be in the store
    kAssigning,  // in the store, its id not yet
    kWaiting,    // free to leave
  };
  struct Item {
    UnsentMessage message;
    State state = State::kSaving;
    bool may_have_left = false;  // in an earlier session: it may come back in the inbox
    int64_t due_ms = 0;          // of the callback; 0 = none
    Callback<Sent> done = {};
  };
  struct Queue {
    std::deque<Item> items;  // by number; never empty
    bool in_flight = false;
    int64_t not_before_ms = 0;
    Backoff backoff;
  };
  using Queues = std::map<Conversation, Queue>;

  Queue& QueueOf(const Conversation& conversation);
  Item* Find(const Conversation& conversation, int64_t number);
  void Pump();
  bool PumpOne(const Conversation& conversation, Queue& queue);
  void Transmit(const Conversation& conversation, Queue& queue);
  void OnAnswer(const Conversation& conversation, int64_t number, const Result<Sent>& result);
  void Finish(const Conversation& conversation, const Result<Sent>& result);
  void OnDeadlines();
  void ArmDeadlines();

  Runtime& runtime_;
  const Options& options_;
  Session& session_;
  Saver& saver_;
  Events events_;
  Queues queues_;
  std::vector<std::pair<Conversation, int64_t>>
      saving_;  // kSaving and kAssigning, in this turn's commit
  std::map<std::pair<int64_t, int64_t>, Conversation> deadlines_;  // (due, number)
  Timer wait_;                                                     // the earliest not_before
  Timer deadline_;                                                 // the earliest due callback
  size_t size_ = 0;
  size_t in_flight_ = 0;
  size_t max_frame_bytes_ = 0;
  bool caught_up_ = false;
};

}  // namespace hongyan::sdk
