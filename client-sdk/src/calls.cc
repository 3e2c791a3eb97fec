#include "client-sdk/src/calls.h"

#include <algorithm>
#include <utility>

namespace hongyan::sdk {
namespace {

constexpr size_t kMaxWaiting = 1'000;
constexpr size_t kMaxInFlight = 16;

bool MayGoAgain(const Error& error) {
  return error.retry_after_ms > 0 || error.reason == Reason::kBusy ||
         error.reason == Reason::kNotLoggedIn || error.code == Code::kUnavailable ||
         error.code == Code::kDeadlineExceeded;
}

}  // namespace

Calls::Calls(Runtime& runtime, const Options& options, Session& session)
    : runtime_(runtime),
      options_(options),
      session_(session),
      timer_(runtime, [this] { OnTimer(); }) {}

int64_t Calls::DueMs(int timeout_ms) const {
  if (timeout_ms == kNoTimeout) return INT64_MAX;
  return runtime_.now_ms() + (timeout_ms < 0 ? 2 * options_.timing.request_timeout_ms : timeout_ms);
}

void Calls::Add(Call call) {
  if (calls_.size() >= kMaxWaiting) {
    call.done(Error{Code::kResourceExhausted, Reason::kLimitReached,
                    std::string(call.what) + ": " + std::to_string(kMaxWaiting) +
                        " calls wait for answers already"});
    return;
  }
  calls_.emplace(++last_number_, std::move(call));
  Pump();
  ArmTimer();
}

void Calls::Pump() {
  if (session_.link() == nullptr) return;
  const int64_t now = runtime_.now_ms();
  for (auto& [number, call] : calls_) {
    if (in_flight_ >= kMaxInFlight) return;
    if (!call.in_flight && call.not_before_ms <= now) Transmit(number, call);
  }
}

void Calls::Transmit(int64_t number, Call& call) {
  if (!std::exchange(call.built, true)) call.payload = call.build();
  const int64_t left_ms = std::max<int64_t>(call.due_ms - runtime_.now_ms(), 1);
  const int timeout_ms =
      static_cast<int>(std::min<int64_t>(left_ms, options_.timing.request_timeout_ms));
  call.in_flight =
      session_.link()->Request(call.command, call.payload, timeout_ms,
                               [this, number](const Answer& answer) { OnAnswer(number, answer); });
  if (call.in_flight) {
    ++in_flight_;
  } else {
    call.not_before_ms = runtime_.now_ms() + call.backoff.Next();
  }
}

void Calls::OnAnswer(int64_t number, const Answer& answer) {
  const auto at = calls_.find(number);
  if (at == calls_.end()) return;  // its time was over
  Call& call = at->second;
  call.in_flight = false;
  --in_flight_;
  if (answer.ok()) {
    Finish(number, std::string(answer.payload));
    Pump();
    return;
  }
  const Error error = ErrorOf(answer, call.what);
  if (!MayGoAgain(error)) {
    Finish(number, error);
  } else {
    call.not_before_ms = runtime_.now_ms() + call.backoff.Next(error.retry_after_ms);
    if (call.not_before_ms >= call.due_ms) Finish(number, error);
  }
  ArmTimer();
  if (error.reason == Reason::kNotLoggedIn) {
    session_.Drop(error);
  } else if (error.code == Code::kDeadlineExceeded) {
    session_.Suspect();
  }
  Pump();
}

void Calls::Finish(int64_t number, const Result<std::string>& result) {
  const auto at = calls_.find(number);
  if (at->second.in_flight) --in_flight_;
  const auto done = std::move(at->second.done);
  calls_.erase(at);
  done(result);
}

void Calls::OnLost() {
  in_flight_ = 0;
  for (auto& [number, call] : calls_) {
    call.in_flight = false;
    call.not_before_ms = 0;
  }
}

void Calls::CancelAll(const Error& why) {
  timer_.Disarm();
  while (!calls_.empty()) Finish(calls_.begin()->first, why);
}

void Calls::OnTimer() {
  const int64_t now = runtime_.now_ms();
  for (auto at = calls_.begin(); at != calls_.end();) {
    const auto& [number, call] = *at++;
    if (call.due_ms > now) continue;
    Finish(number, Error{Code::kDeadlineExceeded, Reason::kNone,
                         std::string(call.what) + (session_.link() == nullptr
                                                       ? ": not connected to " + options_.address
                                                       : ": no answer in time")});
  }
  Pump();
  ArmTimer();
}

void Calls::ArmTimer() {
  int64_t next_ms = INT64_MAX;
  const int64_t now = runtime_.now_ms();
  for (const auto& [number, call] : calls_) {
    next_ms = std::min(next_ms, call.due_ms);
    if (!call.in_flight && call.not_before_ms > now)
      next_ms = std::min(next_ms, call.not_before_ms);
  }
  if (next_ms != INT64_MAX) timer_.Arm(next_ms - now);
}

}  // namespace hongyan::sdk
