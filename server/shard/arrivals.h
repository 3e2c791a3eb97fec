#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/result.h"
#include "cluster/carrier.h"
#include "storage/channel_store.h"

namespace hongyan::shard {

// The target's end of one channel: what has arrived and is not yet applied, in order and without
// gaps, and the mark of what has. Duplicates end here. Executor's thread.
class Arrivals {
 public:
  explicit Arrivals(storage::ChannelId channel) : channel_(channel) {}

  // As the store has it, at start and after it was reopened. What had arrived comes again.
  void Open(const storage::ChannelMark& mark);

  // Takes what the carrier brought; answers what to tell the source at once, if anything.
  std::optional<cluster::ChannelProgress> Take(cluster::ChannelItems message);

  bool has_next() const { return !refuses() && !queue_.empty(); }
  // Takes nothing more: its source must be told, also where nothing else needs to be.
  bool refuses() const { return !refused_.empty(); }
  const cluster::TravellingItem& next() const { return queue_.front(); }

  // -- the batch's overlay over the mark
  const storage::ChannelMark& mark() const { return pending_; }
  bool touched() const { return touched_; }
  // What the item carries, by the running totals of both ends; none = they disagree: one of them
  // lost or made money, so the channel takes no more until the administrator accepts it. Never
  // guess.
  std::optional<int64_t> FenOf(const cluster::TravellingItem& item);
  // The next item (or a shortcut's) is applied or parked: it is the new mark.
  void Advance(const cluster::TravellingItem& item);
  // The next item is applied up to `position`.
  void AdvanceTo(int64_t number, int64_t position);
  // The administrator's word: go on from where the source stands. Acceptable is the mark that this
  // leads to; its total less mark()'s is the money that lies between: > 0 given up, < 0 here twice.
  // Error where the source was not heard yet, or where the ends agree: then nothing is to be
  // accepted, and moving the mark would apply items twice.
  base::Result<storage::ChannelMark> Acceptable() const;
  void Accept(const storage::ChannelMark& mark);
  // Takes nothing more until it is accepted, or opened again.
  void Refuse(std::string why);
  void Publish();
  void Drop();

  // The next item failed once by itself; if it does so again it is parked.
  bool failed_once = false;

  // The last number the source is known to have given.
  int64_t seen_head() const { return seen_head_; }

  // What the source should learn since it was last told, if anything.
  std::optional<cluster::ChannelProgress> TakeUntold();

 private:
  const storage::ChannelId channel_;
  storage::ChannelMark committed_;
  storage::ChannelMark pending_;
  bool touched_ = false;
  std::deque<cluster::TravellingItem> queue_;  // from committed_.applied + 1 on
  std::deque<cluster::TravellingItem> taken_;  // applied in the batch under way, given back by Drop
  uint64_t meeting_ = 0;
  uint64_t incarnation_ = 0;  // of the source, as the meeting says
  int64_t oldest_kept_ = 1;
  int64_t source_head_ = 0;
  int64_t source_total_fen_ = 0;  // through source_head_
  int64_t oldest_total_fen_ = 0;  // through oldest_kept_ - 1
  int64_t seen_head_ = 0;
  std::string refused_;            // why nothing more is taken; empty = it is
  bool refused_now_ = false;       // found by the batch under way
  int64_t refused_total_fen_ = 0;  // by the source, before the item that was refused
  bool ends_agree_ = true;         // as of the last hello; a stopped source says hello every second
  bool money_agrees_ = true;
  int64_t asked_from_ = 0;  // a gap is asked for once
  bool untold_ = false;

  cluster::ChannelProgress Progress(bool resend = false) const;
};

}  // namespace hongyan::shard
