// One thing after another, where the store refused a batch: so that what cannot be committed is
// refused alone, and the rest goes on.
#include <utility>

#include "base/log.h"
#include "shard/executor_impl.h"

namespace hongyan::shard {
namespace {

using storage::CommitOutcome;

constexpr int kTriesAlone = 10;  // refusals cost little, and some are a moment's (deadlocks)
constexpr int64_t kRefusedAgainMs = 10'000;
constexpr int64_t kDuePauseMs = 1000;  // what is due cannot even be set apart

bool Refused(CommitOutcome outcome) {
  return outcome == CommitOutcome::kRejected || outcome == CommitOutcome::kGuardFired;
}

}  // namespace

base::Error StoreRefuses() {
  return {base::Code::kInternal, 0, "the store refused this request; see the log", 10'000};
}

// One thing in a batch of its own. What it emits is not applied with it: that is another thing.
template <class What>
CommitOutcome Executor::Impl::Alone(std::vector<model::Command>* taken, const What& what) {
  BatchRun run(driven, store, limits, time.NowMs(), clock.BootNs());
  run.NoShortcuts();
  what(run);
  const CommitOutcome outcome = run.writes() ? store.Commit(run.Seal()) : CommitOutcome::kCommitted;
  if (outcome == CommitOutcome::kCommitted) {
    run.Committed();
    Answer(run);
    aside.Keep(taken);
  } else if (outcome == CommitOutcome::kUnknown) {
    Recover(run, *taken);
  } else {
    run.Dropped();
    aside.Drop();
  }
  return outcome;
}

// The same until it is not refused, a few times. What is refused each time is broken.
template <class What>
CommitOutcome Executor::Impl::AloneAgain(std::vector<model::Command>* taken, const What& what) {
  CommitOutcome outcome = Alone(taken, what);
  for (int tries = 1; tries < kTriesAlone && Refused(outcome); ++tries)
    outcome = Alone(taken, what);
  return outcome;
}

// After a refused batch. Where none of its commands was the reason, the next one may well pass (a
// database ends deadlocks so); if it is refused as well, something else in it is broken.
void Executor::Impl::RunAlone(std::vector<model::Command> taken, int64_t things) {
  const int64_t now_ns = clock.BootNs();
  const bool again = last_refused_ns != 0 && now_ns - last_refused_ns < kRefusedAgainMs * kNsPerMs;
  last_refused_ns = now_ns;
  if (!OneByOne(std::move(taken)) && again) careful = things;
}

// After a refused batch: each command alone, once, so that one that cannot be committed refuses
// only itself. True = there was one.
bool Executor::Impl::OneByOne(std::vector<model::Command> taken) {
  bool found = false;
  for (auto& command : taken) {
    std::vector<model::Command> one;
    one.push_back(std::move(command));
    if (closed) {
      Refuse(one, StoreClosed());
    } else if (!ApplyAlone(std::move(one))) {
      found = true;
    }
  }
  return found;
}

// False = the store refuses it alone. Where a guard fired, what is stored of the thing it is about
// does not fit: that is set apart, so that it is not paid for by every batch to come, and the
// command is asked again: it should be refused unwritten now.
bool Executor::Impl::ApplyAlone(std::vector<model::Command> one) {
  const auto apply = [&](BatchRun& run) { ApplyFirst(run, one); };
  CommitOutcome outcome = Alone(&one, apply);
  if (outcome == CommitOutcome::kGuardFired) outcome = AloneAgain(&one, apply);
  if (!Refused(outcome)) {
    Left(one);
    return true;
  }
  const model::Command& command = one.front();
  LOG_ERROR("command_refused_by_store executor={} shard={} kind={}", name, command.shard,
            command.body.index());
  if (outcome == CommitOutcome::kGuardFired) {
    std::vector<model::Command> nobody;
    bool apart = false;
    const auto marked = Alone(&nobody, [&](BatchRun& run) { apart = run.SetApart(command); });
    if (apart && marked == CommitOutcome::kCommitted && !Refused(Alone(&one, apply))) {
      Left(one);
      return false;
    }
    suspects.Add(command, clock.BootNs());
  }
  Refuse(one, StoreRefuses());
  return false;
}

// What came with a refused batch besides commands, one by one, until the one is found that the
// store does not take. Commands go on in batches of their own meanwhile.
bool Executor::Impl::GoCarefully() {
  bool moved = false;
  if (!queue.empty() || aside.HasReady(clock.BootNs(), stopping_now) || CutsMended()) {
    BatchRun run(driven, store, limits, time.NowMs(), clock.BootNs());
    std::vector<model::Command> taken;
    run.ForgetCuts();
    FillCommands(run, taken, {limits.batch_records, limits.batch_bytes});
    moved = !taken.empty() || run.writes();
    Finish(run, std::move(taken));
  }
  for (auto& [channel, arrivals] : driven.arrivals) {
    if (closed || !arrivals.has_next()) continue;
    moved = ItemAlone(arrivals, channel) || moved;
    --careful;
  }
  for (auto& [id, shard] : driven.shards) {
    if (closed || clock.BootNs() < due_again_ns || !shard.logic->Due(time.NowMs())) continue;
    DueAlone(id);
    moved = true;
    --careful;
  }
  return moved;
}

// True = something was written.
bool Executor::Impl::ItemAlone(Arrivals& arrivals, storage::ChannelId channel) {
  std::vector<model::Command> nobody;
  bool writes = false;
  const auto outcome = AloneAgain(&nobody, [&](BatchRun& run) {
    run.ApplyNext(arrivals, channel, limits.batch_records);
    writes = run.writes();
  });
  if (!Refused(outcome)) return writes;
  LOG_ERROR("item_refused_by_store executor={} source={} target={} number={}", name, channel.source,
            channel.target, arrivals.next().number);
  const auto parked = AloneAgain(&nobody, [&](BatchRun& run) {
    run.ParkNext(arrivals, channel, "the store refused what it writes, alone in a batch");
    writes = run.writes();
  });
  if (Refused(parked)) {
    arrivals.Refuse("the store refuses its next item, and to park it; see the server's log");
  }
  return writes;
}

void Executor::Impl::DueAlone(model::ShardId shard) {
  std::vector<model::Command> nobody;
  if (!Refused(AloneAgain(&nobody, [&](BatchRun& run) { run.ApplyDue(shard, 1); }))) return;
  LOG_ERROR("due_refused_by_store executor={} shard={}", name, shard);
  bool writes = false;
  const auto apart = AloneAgain(&nobody, [&](BatchRun& run) {
    run.SetApartDue(shard);
    writes = run.writes();
  });
  if (writes && !Refused(apart)) return;
  due_again_ns = clock.BootNs() + kDuePauseMs * kNsPerMs;
}

}  // namespace hongyan::shard
