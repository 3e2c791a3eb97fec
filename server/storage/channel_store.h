#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "storage/batch.h"

namespace hongyan::storage {

using model::ChannelId;

// One row per shard in each commit that touches it.
struct ShardHead {
  int64_t batch = 0;    // number of the shard's last batch
  int64_t time_ms = 0;  // shard time of that batch
  // By target shard: number of the last item given to the channel, and the running total in fen
  // (money).
  struct Emitted {
    int64_t number = 0;
    int64_t total_fen = 0;
    // Set while the ends have not met since the source was opened: the last number that may have
    // been sent. Where the source has lost its tail, the target knows the numbers above as other
    // items.
    struct Cut {
      int64_t number = 0;
      int64_t total_fen = 0;
      auto operator<=>(const Cut&) const = default;
    };
    std::optional<Cut> cut = {};
    auto operator<=>(const Emitted&) const = default;
  };
  std::map<model::ShardId, Emitted> emitted;
};

// The receiver's side of a channel: committed with the effect of what it counts.
struct ChannelMark {
  uint64_t incarnation = 0;  // of the source, as first met
  int64_t applied = 0;       // number of the last item applied
  int64_t total_fen = 0;     // running total over items 1..applied
  int64_t position = 0;      // how far item applied + 1 has been applied in slices; 0 = not begun
  bool operator==(const ChannelMark&) const = default;
};

// The items one batch gave to one channel, in one row keyed by the number of the last.
struct OutboxRow {
  int64_t first = 0;
  int64_t last = 0;
  std::vector<std::string> items;  // encoded, shard/item_codec; items[i] has number first + i
  // The money in them, beside what the items say themselves: a second witness. fen[i] is of
  // items[i]; none at all = none carries any.
  int64_t total_before_fen = 0;  // the channel's running total through first - 1
  std::vector<int64_t> fen{};
};

// An item that could not be applied, kept whole.
struct ParkedItem {
  ChannelId channel;
  int64_t number = 0;  // the item's, or the next that was free
  // Items parked for the same reason and thing are applied in order of `conversation`, then number.
  model::ConversationId conversation;  // {0,0}: parked by itself, not waiting for a slice
  int64_t parked_ms = 0;
  std::string why;       // for people
  std::string item;      // encoded; none: money on which the ends of an accepted channel disagreed
  int64_t position = 0;  // how far it was applied in slices: no further piece of it twice
  int64_t fen = 0;       // the money it carries, booked to suspense meanwhile
  bool broken = false;   // nothing of the row can be read but its place; never stored
};

// Heads, channels and parked items of all shards of the store. Reads: any thread. Others: the
// executor's thread that drives the shard.
class ChannelStore {
 public:
  virtual ~ChannelStore() = default;

  virtual base::Result<ShardHead> ReadHead(model::ShardId shard) const = 0;
  virtual void PutHead(Batch& batch, model::ShardId shard, const ShardHead& head) = 0;

  virtual base::Result<ChannelMark> ReadMark(ChannelId channel) const = 0;
  virtual void PutMark(Batch& batch, ChannelId channel, const ChannelMark& mark) = 0;

  // REQUIRES row.last above every row of the channel so far.
  virtual void PutOutbox(Batch& batch, ChannelId channel, const OutboxRow& row) = 0;

  // Rows from the one that holds item `number` on, oldest first, as many as stay within `max_items`
  // items and `max_bytes` (at least one row if there is one). One seek: never walks over what was
  // delivered before.
  virtual base::Result<std::vector<OutboxRow>> ReadOutbox(ChannelId channel, int64_t number,
                                                          size_t max_items,
                                                          size_t max_bytes) const = 0;

  // The first item number still kept; none = the outbox is empty.
  virtual base::Result<std::optional<int64_t>> OldestKept(ChannelId channel) const = 0;

  // Removes rows whose last item is <= `through`. Lazy: it needs no sync and no batch; a crash may
  // bring the rows back.
  virtual base::Result<void> TrimOutbox(ChannelId channel, int64_t through) = 0;

  virtual void Park(Batch& batch, const ParkedItem& item) = 0;
  virtual void Unpark(Batch& batch, ChannelId channel, int64_t number) = 0;

  // A place among the parked items of a target, which lie by source and number.
  struct ParkedPlace {
    model::ShardId source = 0;
    int64_t number = 0;  // from 1: {} is before the first
    auto operator<=>(const ParkedPlace&) const = default;
  };
  // Parked items whose target is this shard, from the one behind `after`.
  virtual base::Result<std::vector<ParkedItem>> ListParked(model::ShardId target, ParkedPlace after,
                                                           size_t limit) const = 0;
};

}  // namespace hongyan::storage
