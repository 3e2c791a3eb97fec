#pragma once

#include <cstdint>
#include <limits>

#include "base/result.h"
#include "model/command.h"
#include "model/money.h"

namespace hongyan::money {

// May this user take a share: one order of checks, for the grab on a loop and
// for the open in the shard alike. Any thread.
//
// own claim (its first amount, flagged `already`) -> quarantined -> CREATED: BUSY -> closed ->
// expired by `time_ms` -> not eligible -> not the named person -> own packet where the kind forbids
// it -> take it.
struct Judged {
  enum class Kind : uint8_t {
    kTake = 1,     // nothing speaks against it
    kAlready = 2,  // see `opened`
    kWhoIsIt = 3,  // all is well up to eligibility, which was not given
  };
  Kind kind = Kind::kTake;
  model::Opened opened;
};

// For a grab: no clock but the shard's, in its commit, ends a packet's life.
constexpr int64_t kNoClock = std::numeric_limits<int64_t>::min();

// `own` is the user's claim or null; `eligible` null = not asked yet.
base::Result<Judged> Judge(const model::PacketHeader& header, const model::PacketStatus& status,
                           const model::Claim* own, model::UserId user,
                           const model::Eligible* eligible, int64_t time_ms);

// How a claim is answered.
model::Opened ToOpened(const model::Claim& claim, bool already);

}  // namespace hongyan::money
