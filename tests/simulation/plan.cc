#include "simulation/plan.h"

namespace hongyan::simulation {
namespace {

double Sometimes(Random& random, double often, double at_most) {
  if (!random.Chance(often)) return 0;
  return at_most * static_cast<double>(random.Between(1, 10)) / 10;
}

// Half of the plans know no money: what they find is found in messages alone.
void DrawMoney(Random& random, Plan& plan) {
  if (random.Chance(0.5)) return;
  plan.spending = static_cast<double>(random.Between(1, 9)) / 10;
  plan.money_shards = static_cast<int>(random.Between(1, 3));
  plan.money_executors = random.Chance(0.6) ? 1 : plan.money_shards;
  money::Limits& limits = plan.money_limits;
  limits.max_total_fen = 2'000;
  limits.max_share_fen = random.Between(50, 500);
  limits.max_shares = 12;
  limits.max_transfer_fen = 3'000;
  limits.max_greeting_bytes = 20;
  // Some are over before their message is stored.
  const auto life = random.Below(4);
  limits.life_ms = life == 0   ? random.Between(100, 1000)
                   : life == 1 ? random.Between(1000, 10'000)
                               : random.Between(10'000, 300'000);
  if (random.Chance(0.4)) plan.to_midnight_ms = random.Below(20'000);
  if (random.Chance(0.5)) plan.lost_tail = static_cast<Plan::LostTail>(random.Between(1, 3));
  plan.copied_at = static_cast<int>(random.Below(plan.steps));
}

}  // namespace

Plan DrawPlan(Random& random) {
  Plan plan;
  plan.shards = static_cast<int>(random.Between(1, 5));
  plan.executors = random.Chance(0.4) ? 1 : static_cast<int>(random.Between(1, 4));
  plan.users = static_cast<int>(random.Between(2, 10));
  plan.crowd =
      static_cast<int>(random.Chance(0.3) ? random.Between(60, 150) : random.Between(0, 20));
  plan.steps = static_cast<int>(random.Between(400, 1600));
  plan.activity = static_cast<double>(random.Between(1, 6)) / 10;
  plan.run = static_cast<double>(random.Between(2, 10)) / 10;
  plan.encode = random.Chance(0.5);

  plan.limits.batch_records = static_cast<size_t>(random.Between(20, 60));
  plan.limits.slice_at_least = static_cast<size_t>(random.Between(1, 12));
  plan.limits.shortcut_entries = random.Chance(0.2) ? 0 : static_cast<size_t>(random.Between(2, 8));
  plan.limits.window_items = static_cast<size_t>(random.Chance(0.5) ? random.Between(2, 12) : 4096);
  plan.limits.queue_commands =
      static_cast<size_t>(random.Chance(0.1) ? random.Between(2, 8) : 65'536);
  if (random.Chance(0.3)) plan.limits.lag_items = random.Between(5, 100);
  plan.group_limits.create_at_once = 3;
  plan.group_limits.max_changes = static_cast<size_t>(plan.max_changes);

  Faults& faults = plan.faults;
  faults.lose = Sometimes(random, 0.6, 0.3);
  faults.twice = Sometimes(random, 0.5, 0.2);
  faults.carrier_delay_ms = random.Chance(0.3) ? 1 : random.Between(1, 300);
  faults.reject = Sometimes(random, 0.4, 0.05);
  faults.guard = Sometimes(random, 0.4, 0.05);
  faults.unknown = Sometimes(random, 0.5, 0.05);
  faults.reopen_fails = Sometimes(random, 0.5, 0.7);
  faults.die_before = Sometimes(random, 0.4, 0.03);
  faults.die_after = Sometimes(random, 0.4, 0.03);
  faults.die = Sometimes(random, 0.4, 0.01);
  faults.not_in_memory = Sometimes(random, 0.3, 0.5);
  faults.disk_full = Sometimes(random, 0.2, 0.005);
  faults.hang_up = Sometimes(random, 0.5, 0.05);
  faults.effect_lost = Sometimes(random, 0.3, 0.3);
  faults.effect_twice = Sometimes(random, 0.3, 0.3);
  faults.asked_twice = Sometimes(random, 0.3, 0.2);
  faults.clock_step = Sometimes(random, 0.3, 0.01);
  faults.days = Sometimes(random, 0.1, 0.005);
  faults.broken_slice = Sometimes(random, 0.3, 1.0);
  faults.app_dies = Sometimes(random, 0.4, 0.02);
  faults.reinstall = Sometimes(random, 0.4, 0.005);
  faults.stall = Sometimes(random, 0.3, 0.005);
  // Without lost effects nobody may have to wait for a heartbeat.
  if (faults.effect_lost == 0 && random.Chance(0.5)) plan.heartbeat_ms = int64_t{24} * 3600 * 1000;
  DrawMoney(random, plan);
  return plan;
}

}  // namespace hongyan::simulation
