#include "simulation/lossy_carrier.h"

#include <utility>

#include "shard/item_codec.h"

namespace hongyan::simulation {

void LossyCarrier::Deliver(std::function<void()> arrive) {
  if (silent_ || random_.Chance(faults_.lose)) return;
  const int copies = random_.Chance(faults_.twice) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    int64_t delay_us = random_.Below(faults_.carrier_delay_ms * 1000 + 1);
    // Now and then something stays away for long: another meeting may have begun meanwhile.
    if (faults_.carrier_delay_ms > 1 && random_.Chance(0.02)) delay_us += random_.Below(10'000'000);
    events_.In(delay_us * 1000, arrive);
  }
}

void LossyCarrier::Send(cluster::ChannelItems items) {
  trace_.Note("items {}>{} meeting {} n {} first {} head {}", items.channel.source,
              items.channel.target, items.meeting, items.items.size(),
              items.items.empty() ? 0 : items.items.front().number, items.head);
  if (plan_.encode) {
    for (auto& travelling : items.items) {
      if (travelling.item == nullptr) continue;
      auto copy = shard::DecodeItem(shard::EncodeItem(*travelling.item));
      INVARIANT(copy.ok(), "an item that was sent cannot be decoded");
      travelling.item = std::make_shared<const model::Item>(std::move(copy).value());
    }
  }
  Deliver([this, items = std::move(items)] {
    if (auto* end = EndOf(items.channel.target)) end->OnItems(items);
  });
}

void LossyCarrier::Send(cluster::ChannelProgress progress) {
  trace_.Note("progress {}>{} meeting {} applied {} resend {}", progress.channel.source,
              progress.channel.target, progress.meeting, progress.applied, progress.resend);
  Deliver([this, progress] {
    if (auto* end = EndOf(progress.channel.source)) end->OnProgress(progress);
  });
}

}  // namespace hongyan::simulation
