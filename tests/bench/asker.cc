#include "asker.h"

#include <algorithm>

#include "hongyan/v1/command.pb.h"
#include "refusal.h"

namespace hongyan::bench {
namespace {

// An answer that takes longer means that the connection is no good: make another and ask again.
constexpr int kAnswerTimeoutMs = 15'000;
constexpr int kLeastPauseMs = 5;

}  // namespace

Asker::~Asker() {
  for (const auto& call : calls_) {
    if (call->busy && call->left && call->command == v1::OPEN_PACKET) --thread_.tally.unacked;
  }
}

void Asker::Ask(uint16_t command, std::string_view payload, int64_t asked_ns, OnReply on_reply) {
  if (free_.empty()) {
    calls_.push_back(std::make_unique<Call>(*this, thread_));
    free_.push_back(calls_.back().get());
  }
  Call& call = *free_.back();
  free_.pop_back();
  call.command = command;
  call.busy = true;
  call.left = false;
  call.tries = 0;
  call.asked_ns = asked_ns;
  call.payload.assign(payload);
  call.on_reply = std::move(on_reply);
  ++waiting_;
  if (client_.online()) Transmit(call);
}

void Asker::OnOnline() {
  for (size_t i = 0; i < calls_.size(); ++i) {
    Call& call = *calls_[i];
    if (!call.busy || call.timer.armed()) continue;
    if (call.left) ++thread_.tally.resent;
    Transmit(call);
  }
}

int Asker::TimeoutOf(const Call& call) const {
  if (patience_ms_ == 0) return kAnswerTimeoutMs;
  return std::min(patience_ms_ << std::min<int>(call.tries, 12), kAnswerTimeoutMs);
}

void Asker::Transmit(Call& call) {
  if (!client_.online()) return;  // OnOnline comes
  const bool sent =
      client_.link()->Request(call.command, call.payload, TimeoutOf(call),
                              [p = &call](const sdk::Answer& a) { p->asker.OnAnswer(*p, a); });
  if (!sent) return client_.link()->Fail(sdk::DownReason::kIoError, "too much is unanswered");
  if (!call.left && call.command == v1::OPEN_PACKET) ++thread_.tally.unacked;
  call.left = true;
}

void Asker::OnAnswer(Call& call, const sdk::Answer& answer) {
  if (answer.kind == sdk::Answer::Kind::kDown) return;  // OnOnline comes
  if (answer.kind == sdk::Answer::Kind::kTimedOut) return OnTimedOut(call);
  if (answer.ok()) return Finish(call, answer, nullptr);
  const v1::Error error = ErrorOf(answer);
  if (!MayPass(error)) return Finish(call, answer, &error);
  ++thread_.tally.busy;
  thread_.tally.NoteRefusal(Describe(error));
  call.timer.Arm(std::max<int64_t>(error.retry_after_ms(), kLeastPauseMs));
}

// The first try is still on its way and may well be taken: the repeat must not do anything twice.
void Asker::OnTimedOut(Call& call) {
  if (TimeoutOf(call) >= kAnswerTimeoutMs) {
    return client_.link()->Fail(sdk::DownReason::kIoError, "no answer in time");
  }
  ++call.tries;
  ++thread_.tally.impatient;
  Transmit(call);
}

void Asker::Finish(Call& call, const sdk::Answer& answer, const v1::Error* refused) {
  if (call.command == v1::OPEN_PACKET) --thread_.tally.unacked;
  thread_.tally.moved.fetch_add(1, std::memory_order_relaxed);
  call.busy = false;
  --waiting_;
  const OnReply on_reply = std::move(call.on_reply);
  call.on_reply = nullptr;
  const Reply reply{answer.payload, refused, call.asked_ns, NowNs()};
  free_.push_back(&call);
  on_reply(reply);
}

}  // namespace hongyan::bench
