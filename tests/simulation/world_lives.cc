// The lives of the simulated process: how it starts, what its commits become, how it dies.

#include <algorithm>
#include <utility>

#include "simulation/watched_logic.h"
#include "simulation/world.h"

namespace hongyan::simulation {
namespace {

constexpr int64_t kStartBehindMs = 4 * 60 * 1000;  // no further behind at a start: it is refused

}  // namespace

storage::CommitFate World::FateOfCommit() {
  using storage::CommitFate;
  if (dying_) throw ProcessDied{};
  ++summary_.commits;
  life_->door->Poll();  // what readers see while the commit is open
  if (random_.Chance(faults_.die_before)) throw ProcessDied{};
  if (random_.Chance(faults_.die_after)) {
    dying_ = true;
    life_->door->Silence();
    carrier_.Silence(true);
    return CommitFate::kApply;
  }
  CommitFate fate = CommitFate::kApply;
  if (random_.Chance(faults_.reject)) fate = CommitFate::kReject;
  if (random_.Chance(faults_.guard)) fate = CommitFate::kGuard;
  if (random_.Chance(faults_.unknown)) {
    fate = random_.Chance(0.5) ? CommitFate::kUnknownApplied : CommitFate::kUnknownLost;
    ++summary_.unknown;
    life_->trims_are_back = life_->drivers.size() > 1;
  }
  trace_.Note("commit {}", static_cast<int>(fate));
  return fate;
}

// A server whose clock is far behind its stores does not start until somebody has set it.
void World::SetClockForStart() {
  for (const auto* heads : {&state_->heads, &money_state_->heads}) {
    for (const auto& [shard, head] : *heads) {
      const int64_t behind_ms = head.time_ms - clock_.WallMs();
      if (behind_ms < kStartBehindMs) continue;
      clock_.StepWall(behind_ms);
      wall_offset_ms_ += behind_ms;
    }
  }
}

storage::MemoryFaults World::MakeFaults() {
  storage::MemoryFaults faults;
  faults.commit = [this] { return FateOfCommit(); };
  faults.reopen_fails = [this] {
    if (dying_ || random_.Chance(faults_.die_before)) throw ProcessDied{};
    return random_.Chance(faults_.reopen_fails);
  };
  faults.not_in_memory = [this] { return random_.Chance(faults_.not_in_memory); };
  faults.below_disk_reserve = [this] { return clock_.BootNs() < disk_full_until_; };
  return faults;
}

void World::Start() {
  ++summary_.lives;
  SetClockForStart();
  if (random_.Chance(faults_.broken_slice)) DamageSlice();
  life_ = std::make_unique<Life>(
      std::make_unique<storage::MemoryMessageStore>(state_, MakeFaults()),
      std::make_unique<storage::MemoryMoneyStore>(money_state_, MakeFaults()));
  Life& life = *life_;
  life.door = std::make_unique<FrontDoor>(
      FrontDoor::Server{*life.store, life.router, life.online, life.routes, life.board,
                        [&life](model::ShardId shard) -> shard::Executor& {
                          return *life.drivers[life.driver_of.at(shard)].executor;
                        }},
      FrontDoor::Ground{events_, random_, clock_, faults_, trace_, *witness_, *money_},
      next_connection_);
  const auto range = [](model::ShardId first, int count) {
    std::vector<model::ShardId> shards;
    for (int i = 0; i < count; ++i) shards.push_back(static_cast<model::ShardId>(first + i));
    return shards;
  };
  const auto talk = range(0, plan_.shards);
  const auto cash =
      plan_.money() ? range(model::kFirstMoneyShard, plan_.money_shards) : range(0, 0);
  StartDrivers(false, talk, plan_.executors, cash);
  if (plan_.money()) StartDrivers(true, cash, plan_.money_executors, talk);
  std::map<model::ShardId, cluster::CarrierEnd*> ends;
  for (const auto& [shard, driver] : life.driver_of) {
    ends[shard] = life.drivers[driver].executor.get();
  }
  carrier_.Connect(std::move(ends));
  trace_.Note("life {} begins with {} executors", summary_.lives, life.drivers.size());
}

// Which executor drives which shard is chosen at start and never stored.
void World::StartDrivers(bool money, const std::vector<model::ShardId>& shards, int at_most,
                         const std::vector<model::ShardId>& elsewhere) {
  Life& life = *life_;
  storage::ShardStore& store = money ? static_cast<storage::ShardStore&>(*life.money_store)
                                     : static_cast<storage::ShardStore&>(*life.store);
  const auto count = static_cast<size_t>(random_.Between(1, at_most));
  const size_t first = life.drivers.size();
  std::vector<std::vector<model::ShardId>> driven(count);
  for (const model::ShardId shard : shards) {
    const auto driver = static_cast<size_t>(random_.Below(static_cast<int64_t>(count)));
    driven[driver].push_back(shard);
    life.driver_of[shard] = first + driver;
  }
  for (size_t i = 0; i < count; ++i) {
    auto executor = std::make_unique<shard::Executor>(
        fmt::format("{}{}", money ? "money" : "message", i), driven[i], store, carrier_, *life.door,
        clock_, plan_.limits, elsewhere);
    auto opened = executor->Open([this](model::ShardId shard) { return MakeLogic(shard); });
    INVARIANT(opened.ok(), "the server does not start: {}", opened.error().text);
    life.drivers.push_back({std::move(executor), money, clock_.BootNs()});
  }
}

std::unique_ptr<shard::Logic> World::MakeLogic(model::ShardId shard) {
  Life& life = *life_;
  if (!model::IsMoneyShard(shard)) {
    return std::make_unique<WatchedLogic>(std::make_unique<MessageShard>(
        *life.store, life.router, life.online, life.counters, plan_.group_limits));
  }
  return std::make_unique<WatchedLogic>(std::make_unique<MoneyShard>(
      shard, *life.money_store, life.routes, life.board, life.money_counters, plan_.money_limits));
}

void World::Kill(const char* why) {
  if (!life_) return;
  trace_.Note("the process dies {}", why);
  carrier_.Connect({});
  carrier_.Silence(true);
  life_->door->Silence();
  next_connection_ = life_->door->next_connection();
  const int64_t collisions = life_->store->collisions() + life_->money_store->collisions();
  INVARIANT(collisions == 0, "a number was given twice: unique keys fired {} times", collisions);
  for (const Life::Driver& driver : life_->drivers) {
    driver.executor->Tick();
    summary_.shortcuts += driver.executor->report().shortcuts;
  }
  life_->drivers.clear();
  life_.reset();
  carrier_.Silence(false);
  dying_ = false;
  state_->Crash();
  money_state_->Crash();
}

// A follower slice rots: version, count or followers are not what they were.
void World::DamageSlice() {
  if (state_->slices.empty()) return;
  auto slice = state_->slices.begin();
  std::advance(slice, random_.Below(static_cast<int64_t>(state_->slices.size())));
  const auto [shard, group] = slice->first;
  // Two damages may cancel out so that nobody can see them: one at most per slice.
  if (slice->second.awaiting_snapshot || !damaged_.insert(slice->first).second) return;
  witness_->SliceDamaged();
  auto followers = state_->followers.lower_bound({slice->first, model::UserId()});
  const bool has_followers =
      followers != state_->followers.end() && followers->first.first == slice->first;
  // In the middle of a change of members nobody can tell a rotten row of a follower from one that
  // the change has written, and the cache may not look again: what is seen there is the slice's
  // row.
  const bool amid = std::any_of(state_->marks.begin(), state_->marks.end(), [&](const auto& mark) {
    return mark.first.target == shard && mark.second.position != 0;
  });
  const auto damage = amid ? random_.Below(2) * 3 : random_.Below(4);
  trace_.Note("slice of group {} in shard {} is damaged, kind {}", group.value, shard, damage);
  if (damage == 0) {
    slice->second.version += random_.Chance(0.5) ? 1 : -1;
  } else if (damage == 1 && has_followers) {
    state_->followed.erase({followers->first.second, group});
    state_->followers.erase(followers);
  } else if (damage == 2) {
    const auto stranger = random_.Pick(witness_->users());
    if (router_.ShardOf(stranger) != shard) return;
    const auto row = state_->followers.try_emplace(
        {slice->first, stranger}, model::Follower{stranger, model::ConvSeq(1), {}});
    if (row.second) state_->followed[{stranger, group}] = shard;
  } else {
    state_->slices.erase(slice);
  }
}

}  // namespace hongyan::simulation
