#include "access/session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "access/joining.h"
#include "base/log.h"
#include "hongyan/v1/error.pb.h"
#include "model/reason.h"

namespace hongyan::access {
namespace {

constexpr int kMaxMistakes = 5;  // before login
constexpr int64_t kConfirmEveryMs = 60'000;
constexpr int64_t kLookForPeerMs = 1000;  // while its login is under way

// Of lines about requests that met broken rows; all loops share it.
base::LogPace& BrokenPace() {
  static base::LogPace pace("broken rows", 4, std::chrono::seconds(10));
  return pace;
}

v1::EndReason ToWire(model::EndReason why) {
  switch (why) {
    case model::EndReason::kReplaced:
      return v1::END_REPLACED;
    case model::EndReason::kRevoked:
      return v1::END_REVOKED;
    case model::EndReason::kDisabled:
      return v1::END_DISABLED;
  }
  return v1::END_NONE;
}

}  // namespace

// With the connection below it, an idle session should stay well under 4 KiB.
static_assert(sizeof(Session) <= 320);

Session::Session(Desk& desk, net::Connection& connection)
    : desk_(desk),
      connection_(connection),
      name_(desk.Enter(*this)),
      heard_ms_(desk.now_ms()),
      login_by_ms_(heard_ms_ + desk_.limits().hello_timeout_ms) {
  timer_.on_fire = [this] { OnTimer(); };
  ArmAt(login_by_ms_);
}

Session::~Session() = default;

void Session::OnFrame(net::Connection&, const proto::Frame& frame) {
  heard_ms_ = desk_.now_ms();
  if (state_ == State::kEnding || draining_) return;
  if (frame.header.is_answer() || frame.header.request_id == 0) {
    Refuse(frame.header.command, frame.header.request_id,
           {base::Code::kInvalidArgument,
            "a client sends requests only: no answer flag, and a request id above 0"});
    connection_.Close(true);
    return;
  }
  desk_.counts().requests.Add();
  const Request* const request = FindRequest(frame.header.command);
  if (request == nullptr) {
    Refuse(frame.header.command, frame.header.request_id,
           {base::Code::kUnimplemented,
            "this server does not know command " + std::to_string(frame.header.command)});
    if (state_ != State::kOnline) Misused();
    return;
  }
  if (!MayAsk(*request, frame)) return;
  if (request->shed) {
    auto& admission = desk_.services().AdmissionOf(request->priority);
    if (auto admitted = admission.Admit(request->priority, user_); !admitted) {
      Refuse(frame.header.command, frame.header.request_id, admitted.error());
      if (frame.header.command == v1::SYNC) {
        told_.SyncFailed();  // a refused sync ends the waiting too
        Tell();
      }
      return;
    }
  }
  request->handle(*this, frame);
}

bool Session::MayAsk(const Request& request, const proto::Frame& frame) {
  const auto no = [&](base::Code code, model::Reason reason, const char* text) {
    Refuse(frame.header.command, frame.header.request_id, model::Refuse(code, reason, text));
    return false;
  };
  switch (state_) {
    case State::kNew:
      if (request.when == Request::When::kFirst) return true;
      no(base::Code::kFailedPrecondition, model::Reason::kNotLoggedIn,
         "the first frame of a connection is HELLO");
      connection_.Close(true);
      return false;
    case State::kGreeted:
    case State::kJoining:
      if (request.when == Request::When::kLogin) return true;
      if (request.when == Request::When::kFirst) {
        no(base::Code::kFailedPrecondition, model::Reason::kNone, "HELLO comes once");
      } else {
        no(base::Code::kUnauthenticated, model::Reason::kNotLoggedIn, "log in first");
      }
      Misused();
      return false;
    case State::kOnline:
      if (request.when == Request::When::kOnline) return true;
      return no(base::Code::kFailedPrecondition, model::Reason::kNone,
                "this connection is logged in already: open another one");
    case State::kEnding:
      break;
  }
  return false;
}

void Session::Misused() {
  if (++mistakes_ >= kMaxMistakes) connection_.Close(true);
}

void Session::OnFrameTooLarge(net::Connection&, const proto::FrameHeader& header) {
  const bool before_login = state_ != State::kOnline;
  Refuse(
      header.command, header.request_id,
      model::Refuse(base::Code::kResourceExhausted, model::Reason::kTooLarge,
                    before_login ? "a frame before login has at most 4 KiB"
                                 : "the frame is larger than this server takes; see HelloReply"));
}

void Session::OnClosed(net::Connection&, net::CloseReason) {
  if (online() && !desk_.draining()) ConfirmNow();
  DropJob();
  StopHearing();
  state_ = State::kEnding;
  desk_.Leave(name_);
}

// -- answers

void Session::Answer(uint16_t command, uint32_t request_id,
                     const google::protobuf::MessageLite& reply) {
  Answer(command, request_id, desk_.Encode(reply));
}

void Session::Answer(uint16_t command, uint32_t request_id, std::string_view encoded) {
  proto::FrameHeader header;
  header.length = static_cast<uint32_t>(encoded.size());
  header.command = command;
  header.flags = proto::kFlagAnswer;
  header.request_id = request_id;
  connection_.Send(header, encoded);
}

void Session::Refuse(uint16_t command, uint32_t request_id, const base::Error& error) {
  desk_.counts().refused.Add();
  // What lies broken where is for the log; who asked learns that no retry helps.
  if (error.code == base::Code::kDataLoss) {
    if (BrokenPace().May()) {
      LOG_ERROR("stored_data_broken command={} user={} why=\"{}\"", command, user_.value,
                error.text);
    }
    return SendError(command, request_id,
                     {error.code, error.reason,
                      "what is stored of this cannot be read: the administrator may find why in "
                      "the server's log"});
  }
  SendError(command, request_id, error);
}

void Session::SendError(uint16_t command, uint32_t request_id, const base::Error& error) {
  v1::Error refusal;
  refusal.set_code(static_cast<v1::Code>(error.code));
  refusal.set_reason(static_cast<v1::Reason>(error.reason));
  refusal.set_text(error.text);
  refusal.set_retry_after_ms(error.retry_after_ms);
  const std::string_view encoded = desk_.Encode(refusal);
  proto::FrameHeader header;
  header.length = static_cast<uint32_t>(encoded.size());
  header.command = command;
  header.flags = proto::kFlagAnswer | proto::kFlagError;
  header.request_id = request_id;
  connection_.Send(header, encoded);
}

bool Session::Parse(const proto::Frame& frame, google::protobuf::MessageLite& message) {
  if (message.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
    return true;
  }
  Refuse(frame.header.command, frame.header.request_id,
         {base::Code::kInvalidArgument, "the payload is not a " + message.GetTypeName()});
  if (state_ != State::kOnline) Misused();
  return false;
}

// -- what takes longer

void Session::Submit(uint16_t command, uint32_t request_id, model::ShardId shard,
                     model::CommandBody body) {
  if (++in_flight_ == desk_.limits().requests_in_flight) {
    connection_.PauseReading(net::Connection::Pause::kInFlight);
  }
  const Request& request = *FindRequest(command);
  if (request.alone) Hold();
  desk_.Submit(*this, request_id, request, shard, std::move(body));
}

void Session::Replied(const Request& request) {
  if (in_flight_-- == desk_.limits().requests_in_flight) {
    connection_.ResumeReading(net::Connection::Pause::kInFlight);
  }
  FinishDraining();
  if (request.alone) Release();
}

void Session::Hold() {
  if (held_++ == 0) connection_.PauseReading(net::Connection::Pause::kHandler);
}

void Session::Release() {
  if (--held_ > 0) return;
  FinishDraining();
  if (!draining_) connection_.ResumeReading(net::Connection::Pause::kHandler);
}

// -- life

void Session::Greet() {
  state_ = State::kGreeted;
  desk_.loop().timers().Disarm(timer_);
  login_by_ms_ = desk_.now_ms() + desk_.limits().login_timeout_ms;
  ArmAt(login_by_ms_);
}

void Session::BeginLogin(std::unique_ptr<Joining> joining) {
  joining_ = std::move(joining);
  ArmAt(std::min(desk_.now_ms() + kLookForPeerMs, login_by_ms_));
}

void Session::BeginJoining() {
  user_ = joining_->token.user;
  device_ = joining_->token.device;
  state_ = State::kJoining;
  registered_ = true;
  desk_.Register(*this);
  Hold();
}

void Session::FailJoining(const base::Error& error) {
  Refuse(joining_->command, joining_->request_id, error);
  StopHearing();
  joining_.reset();
  if (state_ == State::kJoining) Release();
  state_ = State::kGreeted;
  Misused();
}

void Session::BecomeOnline() {
  number_ = joining_->opened.session_number;
  desk_.known_users().Add(user_);
  joining_.reset();
  state_ = State::kOnline;
  confirmed_at_ms_ = desk_.now_ms();
  connection_.set_max_payload(desk_.limits().frame_bytes);
  connection_.LoggedIn();
  desk_.loop().timers().Disarm(timer_);
  ArmAt(heard_ms_ + desk_.limits().idle_timeout_ms);
  Tell();
  Release();
}

void Session::Heard(const model::HeadMoved& moved) {
  told_.Heard(moved, !moved.all_from.is_zero() && moved.all_from == device_);
  Tell();
}

void Session::Heard(const model::SessionsEnded& ended) {
  if (!ended.device.is_zero() && ended.device != device_) return;
  if (state_ == State::kJoining) {
    if (ended.below > joining_->ended_below) {
      joining_->ended_below = ended.below;
      joining_->ended_why = ended.reason;
    }
  } else if (state_ == State::kOnline && number_ < ended.below) {
    End(ToWire(ended.reason), 0);
  }
}

void Session::Heard(const model::WalletChanged&) {
  if (state_ != State::kOnline) return;
  proto::FrameHeader header;
  header.command = v1::WALLET_CHANGED;
  connection_.Send(header, {});
}

void Session::End(v1::EndReason reason, int64_t retry_after_ms) {
  v1::SessionEnded ended;
  ended.set_reason(reason);
  ended.set_retry_after_ms(retry_after_ms);
  const std::string_view encoded = desk_.Encode(ended);
  proto::FrameHeader header;
  header.length = static_cast<uint32_t>(encoded.size());
  header.command = v1::SESSION_ENDED;
  connection_.Send(header, encoded);
  LOG_DEBUG("session_ended user={} reason={}", user_.value, static_cast<int>(reason));
  CloseAfterAnswer();
}

void Session::CloseAfterAnswer() {
  DropJob();
  StopHearing();
  state_ = State::kEnding;
  desk_.loop().timers().Disarm(timer_);
  connection_.Close(true);
}

void Session::Drain() {
  if (state_ == State::kEnding || draining_) return;
  if (state_ != State::kOnline) {
    connection_.Close(true);
    return;
  }
  draining_ = true;
  connection_.PauseReading(net::Connection::Pause::kHandler);
  FinishDraining();
}

void Session::FinishDraining() {
  if (!draining_ || state_ != State::kOnline || in_flight_ > 0 || held_ > 0) return;
  // Spread by name: neighbours come back at different times.
  const int64_t spread_ms = desk_.drain_spread_ms();
  const auto part = static_cast<int64_t>(name_ * 2'654'435'761u % 1024);
  End(v1::END_DRAINING, spread_ms * part / 1024);
}

void Session::DropJob() {
  if (job_ != 0) pool_->Cancel(std::exchange(job_, 0));
}

void Session::StopHearing() {
  if (!registered_) return;
  registered_ = false;
  desk_.Unregister(*this);
}

// -- its inbox

void Session::Tell() {
  if (state_ != State::kOnline) return;
  if (const auto head = told_.Notify(desk_.now_ms())) {
    desk_.counts().notifies.Add();
    v1::Notify& notify = desk_.scratch().notify;
    notify.set_head(head->value);
    const std::string_view encoded = desk_.Encode(notify);
    proto::FrameHeader header;
    header.length = static_cast<uint32_t>(encoded.size());
    header.command = v1::NOTIFY;
    connection_.Send(header, encoded);
  }
  if (const auto due_ms = told_.due_ms()) ArmAt(*due_ms);
}

void Session::Confirm(model::Seq cursor) {
  cursor_ = std::max(cursor_, cursor);
  if (desk_.now_ms() - confirmed_at_ms_ >= kConfirmEveryMs) ConfirmNow();
}

void Session::ConfirmNow() {
  if (cursor_ <= confirmed_) return;
  confirmed_ = cursor_;
  confirmed_at_ms_ = desk_.now_ms();
  desk_.Submit(model::Priority::kSync, desk_.services().router.ShardOf(user_),
               model::ConfirmCursor{user_, device_, cursor_}, nullptr);
}

// -- time

void Session::ArmAt(int64_t due_ms) {
  if (timer_.armed() && timer_ms_ <= due_ms) return;
  timer_ms_ = due_ms;
  desk_.loop().timers().Arm(timer_, std::max<int64_t>(due_ms - desk_.now_ms(), 0));
}

void Session::OnTimer() {
  const int64_t now_ms = desk_.now_ms();
  switch (state_) {
    case State::kNew:
    case State::kGreeted:
    case State::kJoining:
      return OnLoginTimer();
    case State::kEnding:
      connection_.Close(false);
      return;
    case State::kOnline:
      break;
  }
  if (now_ms - heard_ms_ >= desk_.limits().idle_timeout_ms) {
    End(v1::END_IDLE, 0);
    return;
  }
  // One timer for all: it may have fired for a sign of life that came since, or for a lost notify.
  ArmAt(heard_ms_ + desk_.limits().idle_timeout_ms);
  Tell();
}

void Session::OnLoginTimer() {
  // The connection is held, so its end is not read; hashing a password nobody waits for would only
  // hold up the others.
  if (joining_ != nullptr && connection_.PeerGone()) return connection_.Close(false);
  const int64_t now_ms = desk_.now_ms();
  if (now_ms < login_by_ms_) {
    return ArmAt(joining_ == nullptr ? login_by_ms_
                                     : std::min(now_ms + kLookForPeerMs, login_by_ms_));
  }
  LOG_DEBUG("login_timeout peer={}", connection_.peer());
  if (joining_ == nullptr) return connection_.Close(true);
  base::Error late = desk_.services().admission.Busy();
  late.text = "the server did not come to this login in time: connect again after the pause";
  Refuse(joining_->command, joining_->request_id, late);
  joining_.reset();
  CloseAfterAnswer();
}

}  // namespace hongyan::access
