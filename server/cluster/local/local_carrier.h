#pragma once

#include <vector>

#include "cluster/carrier.h"

namespace hongyan::cluster {

// Carrier of one process: hands over at once. Ends are registered before the first Send and outlive
// it.
class LocalCarrier final : public Carrier {
 public:
  // `end` takes what goes to `shard` (items) and what comes back for it (progress).
  void Register(model::ShardId shard, CarrierEnd& end);

  void Send(ChannelItems items) override;
  void Send(ChannelProgress progress) override;

 private:
  std::vector<CarrierEnd*> ends_;  // by shard
};

}  // namespace hongyan::cluster
