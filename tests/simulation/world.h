#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/device.h"
#include "simulation/front_door.h"
#include "simulation/life.h"
#include "simulation/lossy_carrier.h"
#include "simulation/money_witness.h"
#include "simulation/plan.h"
#include "simulation/purses.h"
#include "simulation/witness.h"

namespace hongyan::simulation {

// What a run was worth.
struct Summary {
  int64_t messages = 0;
  int64_t entries = 0;
  int64_t lives = 0;
  int64_t commits = 0;
  int64_t unknown = 0;
  int64_t parked = 0;  // items that waited for a slice
  int64_t shortcuts = 0;
  int64_t steps = 0;
  MoneyWitness::Tally money;
  int64_t days_moved = 0;  // archived or restored, while commits failed
  int64_t lost_tails = 0;  // runs whose ends were found to disagree afterwards
};

// A whole system from one seed: the real executors, channels and logic of messages and of money on
// two memory stores, simulated devices and purses around it, and everything that can go wrong. One
// thread; virtual time.
class World {
 public:
  World(uint64_t seed, Trace& trace);
  ~World();

  // A storm of faults, then a calm in which everything must come to rest. Throws Broken where an
  // invariant does not hold.
  Summary Run();

 private:
  struct ProcessDied {};

  void CreateUsers();
  void Storm();
  void Calm();
  void RestUntil(int64_t until_ns);
  void TouchGroups();
  void SendUntilAccepted(model::SendMessage send);
  void ReadHistories();
  void Step();
  void PassTime();
  void RunExecutors();
  void Mischief();
  void Probe();
  void ProbeRepeat();
  void ProbeStale();
  void Administrate();
  void ProbeChannels();

  void Start();
  void StartDrivers(bool money, const std::vector<model::ShardId>& shards, int at_most,
                    const std::vector<model::ShardId>& elsewhere);
  std::unique_ptr<shard::Logic> MakeLogic(model::ShardId shard);
  storage::MemoryFaults MakeFaults();
  void SetClockForStart();
  void OutliveThePackets();
  void AuditMoney(bool drained);
  void MoveDays();
  bool MoveDay(int32_t day, bool archive);
  void RestoreHalf(int32_t day);
  void OpenAgain();
  void LoseTail();
  void PutBackShard(const storage::MemoryMoneyState& old, model::ShardId shard);
  std::set<model::ChannelId> ChannelsThatDisagree() const;
  storage::ChannelMark MarkOf(model::ChannelId channel) const;
  void GoOnWithout(const std::set<model::ChannelId>& stopped, int64_t until_ns);
  void Kill(const char* why);
  void DamageSlice();
  storage::CommitFate FateOfCommit();
  bool Rest() const;
  std::string WhatIsStillBusy() const;
  FrontDoor* door();
  model::RequestId IdAt(int64_t ms);

  Trace& trace_;
  Random random_;
  Plan plan_;
  Faults faults_;
  base::ManualClock clock_;
  Events events_;
  std::shared_ptr<storage::MemoryState> state_;
  shard::Router router_;
  std::shared_ptr<storage::MemoryMoneyState> money_state_;
  shard::Router wallets_;
  money::Routes routes_;
  std::unique_ptr<Witness> witness_;
  std::optional<storage::MemoryState> old_messages_;
  std::optional<storage::MemoryMoneyState> old_money_;
  std::unique_ptr<MoneyWitness> money_;
  std::unique_ptr<Purses> purses_;
  LossyCarrier carrier_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<model::UserId> app_users_;  // those with devices
  std::unique_ptr<Life> life_;
  uint64_t next_connection_ = 1;
  int64_t wall_offset_ms_ = 0;
  int64_t disk_full_until_ = 0;
  int64_t stalled_until_[2] = {0, 0};  // message shards, money shards
  std::set<storage::MemoryState::SliceKey> damaged_;
  bool dying_ = false;  // committed, and dead before anything could leave
  bool calm_ = false;
  int touching_ = 0;  // last messages to groups that are not accepted yet
  Summary summary_;
};

}  // namespace hongyan::simulation
