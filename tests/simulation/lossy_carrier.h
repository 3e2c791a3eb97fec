#pragma once

#include <functional>
#include <map>
#include <utility>

#include "cluster/carrier.h"
#include "simulation/events.h"
#include "simulation/plan.h"
#include "simulation/trace.h"

namespace hongyan::simulation {

// A carrier at its worst: loses, doubles, delays and so reorders. It outlives the process: what an
// old life has sent may arrive in a new one. One thread.
class LossyCarrier final : public cluster::Carrier {
 public:
  LossyCarrier(Events& events, Random& random, const Faults& faults, const Plan& plan, Trace& trace)
      : events_(events), random_(random), faults_(faults), plan_(plan), trace_(trace) {}

  // Who takes what goes to a shard now; where there is nobody it is lost.
  void Connect(std::map<model::ShardId, cluster::CarrierEnd*> ends) { ends_ = std::move(ends); }

  // The process is dead: what it would still send never leaves.
  void Silence(bool silent) { silent_ = silent; }

  void Send(cluster::ChannelItems items) override;
  void Send(cluster::ChannelProgress progress) override;

 private:
  void Deliver(std::function<void()> arrive);
  cluster::CarrierEnd* EndOf(model::ShardId shard) const {
    const auto end = ends_.find(shard);
    return end == ends_.end() ? nullptr : end->second;
  }

  Events& events_;
  Random& random_;
  const Faults& faults_;
  const Plan& plan_;
  Trace& trace_;
  std::map<model::ShardId, cluster::CarrierEnd*> ends_;
  bool silent_ = false;
};

}  // namespace hongyan::simulation
