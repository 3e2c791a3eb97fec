#include "client-sdk/src/session.h"

#include <utility>

#include "client-sdk/src/wire.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/session.pb.h"

namespace hongyan::sdk {
namespace {

constexpr int kDefaultHeartbeatMs = 240'000;

// Logins that will be refused the next time too, whatever credentials are shown.
bool IsHopeless(const Error& error) {
  if (error.retry_after_ms > 0) return false;
  return error.code == Code::kInvalidArgument || error.code == Code::kUnimplemented ||
         error.code == Code::kPermissionDenied || error.reason == Reason::kVersionUnsupported;
}

}  // namespace

Session::Session(Runtime& runtime, const Options& options, std::string device_id,
                 std::string saved_token, Events events)
    : runtime_(runtime),
      options_(options),
      events_(std::move(events)),
      backoff_(options.timing.reconnect_min_ms, 0),
      retry_(runtime, [this] { Connect(); }),
      heartbeat_(runtime, [this] { Beat(); }) {
  who_.token = std::move(saved_token);
  who_.device_id = std::move(device_id);
  who_.user_name = options.user_name;
  who_.password = options.password;
  who_.device_class = options.device_class;
  who_.client = options.program;
  backoff_.set_max(options.background ? options.timing.background_reconnect_max_ms
                                      : options.timing.reconnect_max_ms);
  if (who_.token.empty()) {
    who_.token = options.token;
    given_token_tried_ = true;
  }
}

void Session::Start() { Connect(); }

void Session::Connect() {
  if (stopped_ || link_) return;
  LinkOptions to;
  to.address = options_.address;
  to.source_address = options_.source_address;
  to.connect_timeout_ms = options_.timing.connect_timeout_ms;
  link_ = std::make_unique<Link>(
      runtime_, std::move(to),
      Link::Events{.on_up = [this] { OnUp(); },
                   .on_push = [this](uint16_t command,
                                     std::string_view payload) { OnPush(command, payload); },
                   .on_down =
                       [this](const Down& down) {
                         Retry({Code::kUnavailable, Reason::kNone, down.text}, 0);
                       }});
}

// ---- logging in ----

void Session::OnUp() {
  SignIn(*link_, who_, options_.timing.connect_timeout_ms,
         [this](Result<SignedIn> result) { OnSignedIn(std::move(result)); });
}

void Session::OnSignedIn(Result<SignedIn> result) {
  if (!result.ok()) {
    // A link that went down says so itself right after this; but a refusal before that says more.
    const bool only_down = !link_->up() && result.error().code == Code::kUnavailable;
    if (!only_down) OnLoginRefused(result.error());
    return;
  }
  const v1::LoginReply& login = result->login;
  if (!login.token().empty()) who_.token = login.token();
  LearnClock(login.server_time_ms());
  heartbeat_ms_ = options_.timing.heartbeat_ms > 0 ? options_.timing.heartbeat_ms
                  : login.heartbeat_ms() > 0       ? static_cast<int>(login.heartbeat_ms())
                                                   : kDefaultHeartbeatMs;
  heartbeat_.Arm(heartbeat_ms_);
  ready_ = true;
  result->login.set_token(who_.token);
  events_.on_ready(*result);
}

void Session::OnLoginRefused(const Error& error) {
  if (error.reason == Reason::kUserDisabled) {
    Stop(StopReason::kDisabled, error.text);
  } else if (error.reason == Reason::kReplaced) {
    Stop(StopReason::kReplaced, error.text);
  } else if (error.code == Code::kUnauthenticated || error.code == Code::kNotFound) {
    const bool was_token = !who_.token.empty();
    if (NextCredentials()) {
      LetGo();
      Connect();  // another credential, not another try: at once
    } else {
      Stop(was_token ? StopReason::kRevoked : StopReason::kBadCredentials, error.text);
    }
  } else if (IsHopeless(error)) {
    Stop(StopReason::kRefused, error.text);
  } else {
    Retry(error, error.retry_after_ms);
  }
}

// After what was shown is refused: the app's own token, then the password. False: nothing is left
// to show. A password is tried once per refused token, for the server then gives another.
bool Session::NextCredentials() {
  const std::string refused = std::exchange(who_.token, {});
  if (refused.empty()) return false;  // it was the password
  if (!std::exchange(given_token_tried_, true) && options_.token != refused) {
    who_.token = options_.token;
    if (!who_.token.empty()) return true;
  }
  return !who_.password.empty() && !who_.user_name.empty();
}

void Session::LearnClock(int64_t server_time_ms) {
  if (server_time_ms <= 0) return;
  clock_offset_ms_ = server_time_ms - WallClockMs();
  clock_known_ = true;
}

// ---- while logged in ----

void Session::OnPush(uint16_t command, std::string_view payload) {
  if (command == v1::NOTIFY && ready_) {
    v1::Notify notify;
    if (notify.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      events_.on_head(notify.head());
    }
  } else if (command == v1::WALLET_CHANGED && ready_) {
    events_.on_wallet_changed();
  } else if (command == v1::SESSION_ENDED) {
    OnSessionEnded(payload);
  }
  // Other pushes are a newer server's: ignored.
}

void Session::OnSessionEnded(std::string_view payload) {
  v1::SessionEnded ended;
  if (!ended.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
  switch (ended.reason()) {
    case v1::END_REPLACED:
      Stop(StopReason::kReplaced,
           "this device has logged in from elsewhere, and only one can be it: two programs need a "
           "store each");
      return;
    case v1::END_DISABLED:
      Stop(StopReason::kDisabled, "the account is disabled; ask the administrator");
      return;
    case v1::END_REVOKED: {
      const Error why{Code::kUnauthenticated, Reason::kTokenRevoked,
                      "this device's token was revoked: log in by password"};
      if (NextCredentials()) {
        Retry(why, ended.retry_after_ms());
      } else {
        Stop(StopReason::kRevoked, why.text);
      }
      return;
    }
    case v1::END_DRAINING:
      Retry({Code::kUnavailable, Reason::kDraining, "the server is going down or moving"},
            ended.retry_after_ms());
      return;
    case v1::END_IDLE:
    default:
      Retry({Code::kUnavailable, Reason::kNone, "the server has ended the session"},
            ended.retry_after_ms());
      return;
  }
}

void Session::Beat() {
  if (!ready_ || beating_) return;
  heartbeat_.Disarm();
  beating_ = link_->Request(
      v1::HEARTBEAT, {}, options_.timing.heartbeat_timeout_ms, [this](const Answer& answer) {
        beating_ = false;
        if (answer.kind == Answer::Kind::kTimedOut) {
          link_->Fail(DownReason::kIoError,
                      options_.address + " does not answer: the connection is dead");
          return;
        }
        if (answer.kind == Answer::Kind::kDown) return;
        heartbeat_.Arm(heartbeat_ms_);
        if (answer.kind == Answer::Kind::kRefused) {
          const Error error = ErrorOf(answer, "heartbeat");
          if (error.reason == Reason::kNotLoggedIn) Drop(error);
          return;
        }
        v1::HeartbeatReply reply;
        if (!reply.ParseFromArray(answer.payload.data(), static_cast<int>(answer.payload.size())))
          return;
        LearnClock(reply.server_time_ms());
        if (reply.head() >= 0) events_.on_head(reply.head());
      });
  if (!beating_)
    link_->Fail(DownReason::kIoError, options_.address + " does not read what is sent");
}

void Session::Suspect() { Beat(); }

void Session::Drop(const Error& why) {
  if (ready_) Retry(why, why.retry_after_ms);
}

// ---- the end of a connection ----

void Session::LetGo() {
  link_.reset();
  heartbeat_.Disarm();
  beating_ = false;
  if (std::exchange(ready_, false)) events_.on_lost();
}

void Session::Retry(const Error& why, int64_t hint_ms) {
  LetGo();
  if (stopped_) return;
  const int64_t wait_ms = backoff_.Next(hint_ms);
  retry_.Arm(wait_ms);
  events_.on_disconnected(why, wait_ms);
}

void Session::Stop(StopReason reason, const std::string& text) {
  if (std::exchange(stopped_, true)) return;
  retry_.Disarm();
  LetGo();
  events_.on_stopped(reason, text);
}

void Session::Close() {
  stopped_ = true;
  ready_ = false;
  retry_.Disarm();
  heartbeat_.Disarm();
  link_.reset();
}

void Session::SetBackground(bool background) {
  backoff_.set_max(background ? options_.timing.background_reconnect_max_ms
                              : options_.timing.reconnect_max_ms);
  if (background || stopped_) return;
  if (ready_) {
    Beat();
  } else if (retry_.armed()) {
    backoff_.Reset();
    retry_.Disarm();
    Connect();
  }
}

}  // namespace hongyan::sdk
