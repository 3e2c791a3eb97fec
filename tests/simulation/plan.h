#pragma once

#include <cstdint>

#include "group/groups.h"
#include "money/limits.h"
#include "shard/executor.h"
#include "simulation/random.h"

namespace hongyan::simulation {

// How often things go wrong; all zero in the calm that ends a run.
struct Faults {
  // per message of a carrier
  double lose = 0;
  double twice = 0;
  int64_t carrier_delay_ms = 1;
  // per commit
  double reject = 0;
  double guard = 0;
  double unknown = 0;  // half of them applied
  double die_before = 0;
  double die_after = 0;
  // otherwise
  double reopen_fails = 0;
  double not_in_memory = 0;
  double disk_full = 0;    // per step: free disk falls below the reserve for a while
  double die = 0;          // per step: the process
  double hang_up = 0;      // per step: one connection
  double effect_lost = 0;  // per effect
  double effect_twice = 0;
  double asked_twice = 0;   // per command: as by a resend over a second connection
  double clock_step = 0;    // per step
  double days = 0;          // per step: days pass without a sound
  double broken_slice = 0;  // per restart: a follower slice rots on disk
  double app_dies = 0;      // per step
  double reinstall = 0;     // per step
  double stall = 0;         // per step: the shards of one store stand still for a while
};

// Everything a seed decides before anything happens.
struct Plan {
  int shards = 4;
  int executors = 1;  // at most; which drives which shard is drawn anew at each start
  int users = 6;      // with devices
  int crowd = 20;     // without: they make groups large
  int steps = 1500;
  double activity = 0.3;  // of a device that acts: does something
  double run = 0.7;       // of a step: an executor gets its turn
  int64_t heartbeat_ms = 30'000;
  int64_t max_changes = 40;  // users in one change of members
  bool encode = false;       // what travels goes through the codec, as over a stream
  shard::ExecutorLimits limits;
  group::GroupLimits group_limits;

  double spending = 0;  // per step: somebody does something with money; 0: there is none
  int money_shards = 1;
  int money_executors = 1;  // at most
  money::Limits money_limits;
  int64_t to_midnight_ms = int64_t{16} * 3600 * 1000;  // from the start: packet ids carry the day
  Faults faults;

  // What is put back as it was at one step of the storm, after the run has ended well: a restore of
  // one side alone.
  enum class LostTail : uint8_t { kNone, kMoney, kMoneyShard, kMessages };
  LostTail lost_tail = LostTail::kNone;
  int copied_at = 0;

  bool money() const { return spending > 0; }
};

// Most plans leave some faults out, so that no fault hides behind another.
Plan DrawPlan(Random& random);

}  // namespace hongyan::simulation
