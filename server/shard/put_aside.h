#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "model/command.h"
#include "shard/batch_run.h"
#include "shard/executor.h"

namespace hongyan::shard {

// Commands that wait until their shard has applied what shards of its own kind had given into it
// when they were put aside, or 300 ms (UnitOfWork::AwaitArrivals). One that its batch puts aside
// stays among those the batch has taken, to be run again or refused like the others, until the
// batch has ended well. Executor's thread.
class PutAside {
 public:
  // Both outlive it.
  PutAside(const DrivenShards& driven, const ExecutorLimits& limits)
      : driven_(driven), limits_(limits) {}

  // The last of `taken` is put aside by the batch under way. False = too many wait already.
  bool Note(const std::vector<model::Command>& taken, int64_t now_ns);
  // That batch has ended well: what it noted leaves those it answers, and waits.
  void Keep(std::vector<model::Command>* taken);
  // It has not.
  void Drop() { noted_.clear(); }

  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }

  struct Ready {
    model::Command command;
    bool complete = false;  // all has come; else it must not wait longer
  };
  // The next whose turn has come; `all`: nobody waits any longer.
  bool HasReady(int64_t now_ns, bool all) const;
  std::optional<Ready> TakeReady(int64_t now_ns, bool all);
  std::vector<model::Command> TakeAll();

 private:
  struct Waiting {
    size_t place = 0;  // among the commands its batch took
    model::Command command;
    std::vector<std::pair<storage::ChannelId, int64_t>> needs;  // applied up to this number
    int64_t until_ns = 0;
  };
  bool Complete(const Waiting& waiting) const;
  // The last number of the channel as far as is known here.
  int64_t HeadOf(storage::ChannelId channel, const Arrivals& arrivals) const;

  const DrivenShards& driven_;
  const ExecutorLimits& limits_;
  std::vector<Waiting> noted_;
  std::deque<Waiting> waiting_;
};

}  // namespace hongyan::shard
