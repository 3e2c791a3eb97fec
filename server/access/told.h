#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "model/command.h"
#include "model/ids.h"

namespace hongyan::access {

// What one device has been told of its inbox, and when it has to be told more.
//
//   told    the highest head this device was told by login, heartbeat, sync reply or notify
//   latest  the highest head any effect named
//
// One notify at most is unanswered; a sync reply, sent or failed, answers it, and one unanswered
// for 10 s counts as lost. Numbers only grow, so replies and effects may come in any order. Loop
// thread.
class Told {
 public:
  static constexpr int64_t kLostAfterMs = 10'000;

  // An effect. `own`: this very device sent all that is new, and its acks have told it; then the
  // head needs no notify, unless the device was told of nothing up to there.
  void Heard(const model::HeadMoved& moved, bool own) {
    latest_ = std::max(latest_, moved.head);
    if (own && told_.value >= moved.first_new.value - 1) Say(moved.head);
  }

  // The device is being told this head, by login, heartbeat or sync reply.
  void Say(model::Seq head) { told_ = std::max(told_, head); }

  // A sync reply with this head leaves.
  void Synced(model::Seq head) {
    Say(head);
    unanswered_ = false;
  }

  // An error leaves as the answer to a sync.
  void SyncFailed() { unanswered_ = false; }

  // The head to notify now, if any; then it counts as told and unanswered.
  std::optional<model::Seq> Notify(int64_t now_ms) {
    if (unanswered_ && now_ms - sent_ms_ >= kLostAfterMs) unanswered_ = false;
    if (unanswered_ || latest_ <= told_) return std::nullopt;
    told_ = latest_;
    unanswered_ = true;
    sent_ms_ = now_ms;
    return told_;
  }

  // When to ask Notify again though nothing has happened: there is more to tell, and a notify is
  // unanswered.
  std::optional<int64_t> due_ms() const {
    if (!unanswered_ || latest_ <= told_) return std::nullopt;
    return sent_ms_ + kLostAfterMs;
  }

  model::Seq told() const { return told_; }

 private:
  model::Seq told_;
  model::Seq latest_;
  int64_t sent_ms_ = 0;
  bool unanswered_ = false;
};

}  // namespace hongyan::access
