// Days of packets leave the store for files and come back, while commits fail and the process dies:
// what the witness has seen of a packet stays what is read of it, and nothing of an archived day
// stays in the store.

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "model/reason.h"
#include "money/days.h"
#include "simulation/world.h"

namespace hongyan::simulation {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;
constexpr int64_t kRestMs = 120'000;
constexpr int kBusyTries = 50;

struct DiedMeanwhile {};

}  // namespace

void World::MoveDays() {
  std::set<int32_t> with_packets;
  for (const auto& [key, header] : money_state_->headers) {
    with_packets.insert(storage::DayOfId(key.second));
  }
  if (with_packets.empty()) return;
  const std::vector<int32_t> days(with_packets.begin(), with_packets.end());
  trace_.Note("packets of {} days are moved", days.size());
  clock_.Advance(3 * kDayMs);
  RestUntil(clock_.BootNs() + kRestMs * kNsPerMs);
  const Faults& storm = plan_.faults;
  faults_.reject = storm.reject > 0 ? 0.1 : 0;
  faults_.guard = storm.guard > 0 ? 0.1 : 0;
  faults_.unknown = storm.unknown > 0 ? 0.1 : 0;
  faults_.reopen_fails = storm.reopen_fails;
  faults_.die_before = storm.die_before > 0 ? 0.1 : 0;
  faults_.die_after = storm.die_after > 0 ? 0.1 : 0;
  for (int64_t n = random_.Between(5, 20); n > 0; --n) {
    const int32_t day = random_.Pick(days);
    if (random_.Chance(0.5)) RestoreHalf(day);
    if (MoveDay(day, random_.Chance(0.6))) ++summary_.days_moved;
    for (int i = 0; i < 20; ++i) Step();
    money_->Look();
    AuditMoney(false);
  }
  // In the calm nothing is in the way of either.
  faults_ = Faults{};
  if (life_ && life_->trims_are_back) Kill("with days in files");
  if (!life_) Start();
  RestUntil(clock_.BootNs() + kRestMs * kNsPerMs);
  for (const int32_t day : days) {
    INVARIANT(MoveDay(day, true), "day {} is not archived although nothing fails", day);
    if (random_.Chance(0.5)) {
      INVARIANT(MoveDay(day, false), "day {} does not come back although nothing fails", day);
    }
  }
  money_->Look();
  money_->AskForSends({*life_->money_store, life_->routes});
  AuditMoney(true);
}

// False where it was not done; the same again does it.
bool World::MoveDay(int32_t day, bool archive) {
  if (!life_) return false;
  const int64_t life = summary_.lives;
  const auto go_on = [this, life] {
    Step();
    if (!life_ || summary_.lives != life) throw DiedMeanwhile();
    if (random_.Chance(0.2)) OpenAgain();
  };
  const auto ask_once = [&](model::ShardId shard, const model::CommandBody& body) {
    const auto reply = std::make_shared<std::optional<model::Reply>>();
    life_->door->Submit({{}, model::Priority::kMoney, 0, shard, body},
                        [reply](const model::Reply& said) { *reply = said; });
    while (!reply->has_value()) go_on();
    return **reply;
  };
  const money::Ask ask = [&](model::ShardId shard, model::CommandBody body) -> model::Reply {
    for (int tries = 0; tries < kBusyTries; ++tries) {
      model::Reply reply = ask_once(shard, body);
      const auto busy = static_cast<uint16_t>(model::Reason::kBusy);
      if (reply.ok() || reply.error().reason != busy) return reply;
      for (int i = 0; i < 50; ++i) go_on();
    }
    return base::Error(base::Code::kUnavailable, "busy for too long");
  };
  try {
    storage::MoneyStore& store = *life_->money_store;
    const auto states =
        archive ? money::ArchiveDay(store, day, ask) : money::RestoreDay(store, day, ask);
    trace_.Note("day {} is {}: {}", day, archive ? "archived" : "restored",
                states.ok() ? std::string("done") : states.error().text);
    if (!states) return false;
    for (const auto& state : *states) {
      INVARIANT(state.archived.has_value() == archive, "day {} is said to be moved, and is not",
                day);
    }
  } catch (const DiedMeanwhile&) {
    return false;
  }
  if (archive) money_->LookAtArchived(day);
  return true;
}

// What a process leaves behind that died in a restore.
void World::RestoreHalf(int32_t day) {
  if (!life_) return;
  const Faults faults = std::exchange(faults_, Faults{});
  storage::MoneyStore& store = *life_->money_store;
  for (int i = 0; i < plan_.money_shards; ++i) {
    const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + i);
    auto batch = store.NewBatch();
    const auto records = static_cast<size_t>(random_.Between(1, 40));
    const auto restored = store.days().Restore(*batch, shard, day, {}, records);
    if (!restored || restored->done) continue;
    INVARIANT(store.Commit(std::move(batch)) == storage::CommitOutcome::kCommitted,
              "half a restore of day {} is not stored", day);
  }
  faults_ = faults;
}

// Somebody asks for a packet whose life is over: the first answer, or that it is gone.
void World::OpenAgain() {
  if (money_->packets().empty()) return;
  const model::PacketId packet = random_.Pick(money_->packets());
  const model::UserId user = random_.Pick(app_users_);
  (void)life_->door->Grab(packet, user, nullptr);
  life_->door->Submit(
      {{}, model::Priority::kMoney, 0, 0, model::OpenPacket{packet, user, {true, 1}}}, {});
}

}  // namespace hongyan::simulation
