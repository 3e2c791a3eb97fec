#include "cluster/local/local_carrier.h"

#include <utility>

#include "base/check.h"

namespace hongyan::cluster {

void LocalCarrier::Register(model::ShardId shard, CarrierEnd& end) {
  if (ends_.size() <= shard) ends_.resize(shard + size_t{1});
  ends_[shard] = &end;
}

void LocalCarrier::Send(ChannelItems items) {
  CarrierEnd* end = ends_.at(items.channel.target);
  CHECK(end != nullptr);
  end->OnItems(std::move(items));
}

void LocalCarrier::Send(ChannelProgress progress) {
  CarrierEnd* end = ends_.at(progress.channel.source);
  CHECK(end != nullptr);
  end->OnProgress(progress);
}

}  // namespace hongyan::cluster
