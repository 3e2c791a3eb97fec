#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client-sdk/src/link.h"
#include "client-sdk/src/random.h"
#include "client-sdk/src/sign_in.h"
#include "hongyan/client.h"

namespace hongyan::sdk {

// Keeps one device connected and logged in: connects, signs in, beats, notices a dead connection,
// waits and tries again, or stops for good where trying again would do harm. Knows nothing of
// messages. Runtime's thread.
class Session {
 public:
  struct Events {
    // Logged in: link() is there.
    std::function<void(const SignedIn&)> on_ready = {};
    // What was ready is no longer. Comes before on_disconnected or on_stopped.
    std::function<void()> on_lost = {};
    std::function<void(const Error& why, int64_t retry_in_ms)> on_disconnected = {};
    std::function<void(StopReason, const std::string& text)> on_stopped = {};
    // The server named its newest seq, by notify or heartbeat.
    std::function<void(int64_t head)> on_head = {};
    std::function<void()> on_wallet_changed = {};
  };

  // `saved_token` may be empty. `options` and `runtime` outlive the session.
  Session(Runtime& runtime, const Options& options, std::string device_id, std::string saved_token,
          Events events);

  void Start();

  // The link while logged in, else null.
  Link* link() { return ready_ && link_->up() ? link_.get() : nullptr; }

  // A request was not answered in time: asks for a sign of life now, gives the connection up
  // without one.
  void Suspect();

  // The server does not know the session any more (NOT_LOGGED_IN).
  void Drop(const Error& why);

  // Everything was pulled: the connection is good, waits start small again.
  void Proven() { backoff_.Reset(); }

  void SetBackground(bool background);
  void Stop(StopReason reason, const std::string& text);
  void Close();  // without any event
  bool stopped() const { return stopped_; }

  // By the server's clock, as learnt at the last login or heartbeat; by ours before that.
  int64_t server_now_ms() const { return WallClockMs() + clock_offset_ms_; }
  int64_t clock_offset_ms() const { return clock_offset_ms_; }
  bool clock_known() const { return clock_known_; }

 private:
  void Connect();
  void OnUp();
  void OnSignedIn(Result<SignedIn> result);
  void OnLoginRefused(const Error& error);
  void OnPush(uint16_t command, std::string_view payload);
  void OnSessionEnded(std::string_view payload);
  void Beat();
  void Retry(const Error& why, int64_t hint_ms);
  void LetGo();
  bool NextCredentials();
  void LearnClock(int64_t server_time_ms);

  Runtime& runtime_;
  const Options& options_;
  Events events_;
  Credentials who_;
  bool given_token_tried_ = false;
  Backoff backoff_;
  Timer retry_;
  Timer heartbeat_;
  std::unique_ptr<Link> link_;
  int heartbeat_ms_ = 0;
  bool beating_ = false;
  bool ready_ = false;
  bool stopped_ = false;
  bool clock_known_ = false;
  int64_t clock_offset_ms_ = 0;
};

}  // namespace hongyan::sdk
