#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "message_shard.h"
#include "simulation/device.h"
#include "simulation/front_door.h"
#include "simulation/lossy_carrier.h"
#include "simulation/plan.h"
#include "simulation/witness.h"
#include "storage/memory/memory_message_store.h"

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
};

// A whole system from one seed: the real executors, channels and logic on a memory store, simulated
// devices around it, and everything that can go wrong. One thread; virtual time.
class World {
 public:
  World(uint64_t seed, Trace& trace);
  ~World();

  // A storm of faults, then a calm in which everything must come to rest. Throws Broken where an
  // invariant does not hold.
  Summary Run();

 private:
  struct ProcessDied {};
  struct Life;

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
  std::unique_ptr<Witness> witness_;
  LossyCarrier carrier_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<model::UserId> app_users_;  // those with devices
  std::unique_ptr<Life> life_;
  uint64_t next_connection_ = 1;
  int64_t wall_offset_ms_ = 0;
  int64_t disk_full_until_ = 0;
  std::set<storage::MemoryState::SliceKey> damaged_;
  bool dying_ = false;  // committed, and dead before anything could leave
  bool calm_ = false;
  int touching_ = 0;  // last messages to groups that are not accepted yet
  Summary summary_;
};

}  // namespace hongyan::simulation
