#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/item.h"

namespace hongyan::cluster {

// A numbered item on its way. Shared and immutable: the source's window and the target's queue hold
// the same.
struct TravellingItem {
  int64_t number = 0;
  int32_t entries = 0;  // what applying it writes
  std::shared_ptr<const model::Item>
      item;  // null: its stored bytes could not be decoded, see `broken`
  std::string broken;
  int64_t total_fen = 0;  // the channel's running total of money, this item's included
  size_t bytes = 0;       // encoded
};

// Consecutive items of one channel; none = a hello, by which the ends meet: it
// names the meeting, the target answers with what it has applied, the source compares and only then
// sends items.
struct ChannelItems {
  model::ChannelId channel;
  uint64_t meeting = 0;      // drawn by the source; items of another meeting are not taken
  uint64_t incarnation = 0;  // of the source
  int64_t oldest_kept = 0;  // first number still in the source's outbox; head + 1 where it is empty
  int64_t head = 0;         // last number given
  int64_t total_fen = 0;    // running total of money through head
  int64_t oldest_total_fen = 0;  // through oldest_kept - 1
  bool stopped = false;          // the ends have met and disagree; it waits for the administrator
  std::vector<TravellingItem> items;
};

// What the target answers, after its commit.
struct ChannelProgress {
  model::ChannelId channel;
  uint64_t meeting = 0;      // the one the target is in; 0 = none yet
  uint64_t incarnation = 0;  // as the target has stored it; 0 = it has never applied anything
  int64_t applied = 0;
  int64_t total_fen = 0;  // running total of money through applied
  bool resend = false;    // a gap was seen: send again from applied + 1
  std::string refused;    // it takes no more: why, for people
};

// Receives what a carrier brings. Any thread; must not block.
class CarrierEnd {
 public:
  virtual ~CarrierEnd() = default;
  virtual void OnItems(ChannelItems items) = 0;
  virtual void OnProgress(const ChannelProgress& progress) = 0;
};

// Brings items from shard to shard. May lose, double, delay and reorder what it is given: numbers
// and marks mend that. Adapters: local/ (one process), the simulator's lossy one; later a stream.
// Any thread.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual void Send(ChannelItems items) = 0;
  virtual void Send(ChannelProgress progress) = 0;
};

}  // namespace hongyan::cluster
