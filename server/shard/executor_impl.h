#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "base/log.h"
#include "shard/batch_run.h"
#include "shard/executor.h"
#include "shard/put_aside.h"
#include "shard/shard_time.h"
#include "shard/suspects.h"

namespace hongyan::shard {

constexpr int64_t kNsPerMs = 1'000'000;

base::Error StoreStopped(const char* what);  // `what` the client is to do
base::Error StoreClosed();                   // until it can be opened again
base::Error StoreRefuses();                  // this request, alone

// What an executor holds, for its own files only: executor.cc fills a batch and ends it, alone.cc
// runs one thing after another where a batch was refused, recover.cc finds out what became of a
// commit of unknown outcome. Executor's thread, where nothing else is said.
struct Executor::Impl {
  Impl(std::string n, std::vector<model::ShardId> s, storage::ShardStore& st, cluster::Carrier& c,
       Outlet& o, const base::Clock& cl, ExecutorLimits l, std::vector<model::ShardId> e);

  // -- the two doors in; guarded by mutex
  struct Inbox {
    std::vector<model::Command> commands;
    std::vector<cluster::ChannelItems> items;
    std::vector<cluster::ChannelProgress> progress;
    bool empty() const { return commands.empty() && items.empty() && progress.empty(); }
  };

  // How far a batch may be filled now.
  struct Room {
    size_t records = 0;
    size_t bytes = 0;
  };

  // -- executor.cc
  base::Result<void> ReadStore();
  void TakeInbox();
  bool ItemsWaiting() const;
  bool SomethingDue(int64_t time_ms) const;
  bool CutsMended() const;
  void Fill(BatchRun& run, std::vector<model::Command>& taken);
  void FillCommands(BatchRun& run, std::vector<model::Command>& taken, Room room);
  void FillItems(BatchRun& run, Room room);
  void FillDue(BatchRun& run);
  void ApplyFirst(BatchRun& run, const std::vector<model::Command>& taken);
  void TakeUpAgain(BatchRun& run, std::vector<model::Command>& taken, Room room);
  void Finish(BatchRun& run, std::vector<model::Command> taken);
  void Answer(BatchRun& run);
  void Refuse(const std::vector<model::Command>& taken, const base::Error& error);
  void Left(const std::vector<model::Command>& answered);
  void PumpAll();
  void NoteQueueTime(const model::Command& command, int64_t now_ns);
  void PublishReport();
  void PublishTime() { time_ahead_ms.store(time.NowMs() - clock.BootNs() / kNsPerMs); }
  static bool full(const BatchRun& run, Room room) {
    return run.records() >= room.records || run.bytes() >= room.bytes;
  }

  // -- alone.cc
  template <class What>
  storage::CommitOutcome Alone(std::vector<model::Command>* taken, const What& what);
  template <class What>
  storage::CommitOutcome AloneAgain(std::vector<model::Command>* taken, const What& what);
  void RunAlone(std::vector<model::Command> taken, int64_t things);
  bool OneByOne(std::vector<model::Command> taken);
  bool ApplyAlone(std::vector<model::Command> one);
  bool GoCarefully();
  bool ItemAlone(Arrivals& arrivals, storage::ChannelId channel);
  void DueAlone(model::ShardId shard);

  // -- recover.cc
  void Recover(BatchRun& run, const std::vector<model::Command>& taken);
  base::Result<void> Reopen();
  void Close(const base::Error& why);
  void ForgetAll();
  std::vector<Outbound> Abandoned();

  const std::string name;
  const std::vector<model::ShardId> ids;
  const std::vector<model::ShardId> elsewhere;
  storage::ShardStore& store;
  cluster::Carrier& carrier;
  Outlet& outlet;
  const base::Clock& clock;
  const ExecutorLimits limits;

  mutable std::mutex mutex;
  std::condition_variable wake;
  Inbox inbox;
  absl::flat_hash_map<model::PacketId, int64_t> opens;  // queued or in the batch
  bool sleeping = false;
  bool stopping = false;
  std::atomic<int64_t> queued{0};        // commands taken and not yet answered,
  std::atomic<int64_t> queued_bytes{0};  // and what they hold

  // -- the executor's thread only
  ShardTime time;
  DrivenShards driven;
  std::deque<model::Command> queue;
  PutAside aside{driven, limits};
  storage::ChannelId last_served;  // fairness among channels: the next batch starts behind it
  uint64_t next_meeting = 1;
  int64_t last_tick_ns = 0;
  int64_t window_start_ns = 0;
  int64_t window_wait_ns = 0;
  int64_t window_commands = 0;
  bool stopping_now = false;        // nobody waits for arrivals any more
  std::atomic<bool> closed{false};  // the store stays closed: answer nothing but refusals
  bool said_closed = false;
  int64_t reopen_after_ns = 0;
  // So many items, and things that are due, go one by one: batches were refused with them, and none
  // of their commands alone.
  int64_t careful = 0;
  int64_t last_refused_ns = 0;
  int64_t due_again_ns = 0;
  Suspects suspects;
  base::LogPace pace;  // of lines about a store that fails again and again

  std::atomic<int64_t> refused_busy{0};  // at the door, and by the shards
  std::atomic<double> queue_ms{0};
  std::atomic<int64_t> time_ahead_ms{0};  // of the boot clock
  mutable std::mutex report_mutex;
  ExecutorReport report;  // guarded by report_mutex
  ExecutorReport counts;  // executor's thread; copied into `report` at each tick

  std::thread thread;
};

}  // namespace hongyan::shard
