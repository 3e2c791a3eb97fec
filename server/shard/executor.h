#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/carrier.h"
#include "model/command.h"
#include "shard/outlet.h"
#include "shard/unit_of_work.h"
#include "storage/shard_store.h"

namespace hongyan::shard {

struct ExecutorLimits {
  size_t batch_records = 1000;      // a batch is bounded by what it writes:
  size_t batch_bytes = 256 << 10;   // one sync costs the same up to there
  size_t slice_at_least = 64;       // records an item is given, even where a batch is nearly full
  size_t queue_commands = 65'536;   // above: BUSY
  int64_t queue_bytes = 256 << 20;  // of commands waiting and under way; above: BUSY
  size_t shortcut_entries = 64;     // items up to here may be applied in the emitting commit
  size_t window_items = 4096;       // of a channel, in memory
  size_t window_bytes = 4 << 20;
  int64_t lag_ms = 1000;  // a channel whose oldest item is older takes no new sends
  int64_t lag_items = 100'000;
  int64_t lag_bytes = 256 << 20;
  int64_t resend_ms = 1000;      // no progress for so long: the courier sends again
  int64_t await_ms = 300;        // a command put aside for arrivals waits no longer
  size_t await_commands = 1024;  // that wait so; above: BUSY
};

// How one channel that leaves this executor stands.
struct ChannelReport {
  model::ShardId source = 0;
  model::ShardId target = 0;
  int64_t head = 0;           // last number given
  int64_t applied = 0;        // last number the target has confirmed
  int64_t oldest_age_ms = 0;  // of the oldest unconfirmed item; 0 = none. "Acked but not delivered"
  int64_t backlog_items = 0;
  std::string stopped;  // empty = live
};

struct ExecutorReport {
  std::string name;
  int64_t batches = 0;
  int64_t commands = 0;
  int64_t items = 0;
  int64_t shortcuts = 0;  // items applied in the emitting commit
  int64_t parked = 0;     // items parked now
  int64_t refused_busy = 0;
  int64_t reopens = 0;  // unknown outcomes survived
  int64_t queued = 0;
  int64_t put_aside = 0;  // of these, commands that wait for arrivals
  double queue_ms = 0;    // average queuing time of the last second: the overload signal
  bool stopped = false;   // the store cannot be opened again; nothing is answered
  std::vector<ChannelReport> channels;
};

// A thread that drives some shards of one store and commits all of them together: take what is
// queued, apply it to an overlay, commit once, publish, then reply, tell and deliver. Works without
// a thread too: tests and the simulator call RunOnce.
class Executor final : public cluster::CarrierEnd {
 public:
  using LogicFactory = std::function<std::unique_ptr<Logic>(model::ShardId)>;

  // `store`, `carrier`, `outlet` and `clock` outlive the executor. `elsewhere`: shards of other
  // stores that these have channels from and to, both ways.
  Executor(std::string name, std::vector<model::ShardId> shards, storage::ShardStore& store,
           cluster::Carrier& carrier, Outlet& outlet, const base::Clock& clock,
           ExecutorLimits limits, std::vector<model::ShardId> elsewhere = {});
  ~Executor() override;

  // Reads heads and marks and makes the logic of each shard. Fails where the store cannot be read
  // or the wall clock is more than 5 minutes behind the newest head. Call before Start or RunOnce.
  base::Result<void> Open(const LogicFactory& make_logic);

  // Starts the thread; Stop answers what is queued, then joins.
  void Start();
  void Stop();

  // Queues a command; its reply comes through the outlet. An Error (BUSY) where the queue is full:
  // then no reply follows. Any thread.
  base::Result<void> Submit(model::Command command);
  // Many at once, one lock and one wake-up. All are of this executor's shards; an Error means none
  // was taken.
  base::Result<void> SubmitAll(std::vector<model::Command> commands);

  // From the carrier. Any thread.
  void OnItems(cluster::ChannelItems items) override;
  void OnProgress(const cluster::ChannelProgress& progress) override;

  // Executes at most one batch; false = there was nothing to do. Executor's thread (or the test's).
  bool RunOnce();

  // Does what time asks for: sends again what made no progress, trims the outbox. Called by the
  // thread every 100 ms; by the simulator when it likes.
  void Tick();

  bool drives(model::ShardId shard) const;
  ExecutorReport report() const;  // any thread
  // Shard time now, what clients make their request ids by: a step of the wall clock does not move
  // it. Any thread.
  int64_t time_ms() const;
  // OpenPacket commands for this packet in the queue and in the batch under way. Counted where
  // commands enter and leave, so there is nothing to release. Any thread, cheap.
  int64_t opens_in_flight(model::PacketId packet) const;
  // Its store is closed after a failed write, and all it is asked is refused. Any thread, cheap.
  bool stopped() const;
  // Average queuing time of the last second, ms. Any thread, cheap.
  double queue_ms() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace hongyan::shard
