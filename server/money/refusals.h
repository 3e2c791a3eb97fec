#pragma once

#include "base/result.h"
#include "model/money.h"
#include "model/reason.h"
#include "shard/unit_of_work.h"

namespace hongyan::money {

// What a client is told for each rule of money: code, reason, and a sentence that says what to do.
// One place, so that a remembered refusal reads like the first one. Any thread.
base::Error Refusal(model::Reason rule);

// A verdict on a send itself, to be remembered with its request: the same request gets it again,
// whatever changes. Not: busy, unreadable, stopped, funds on their way.
bool IsVerdict(const base::Error& refusal);

// Nobody can open this packet any more: DONE, EXPIRED, RETURNED or REFUSED. REQUIRES Closed(state).
model::Reason ReasonOf(model::PacketState state);

// BUSY, to be tried again after `retry_ms`.
base::Error Busy(int64_t retry_ms);

// BUSY or UNAVAILABLE where the channel to `target` lags or is stopped. Shard thread.
base::Result<void> MayEmit(const shard::UnitOfWork& work, model::ShardId target);

// An opener who waits for the announcement asks again after this.
constexpr int64_t kUnannouncedRetryMs = 50;

}  // namespace hongyan::money
