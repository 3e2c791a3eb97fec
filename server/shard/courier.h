#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "cluster/carrier.h"
#include "shard/executor.h"

namespace hongyan::shard {

// The source's end of one channel: keeps a bounded window of unconfirmed items in memory, filled
// right after each commit and refilled from the durable outbox whenever it fell out or started, and
// sends until the target confirms. What it holds is a copy: losing it loses nothing. Executor's
// thread.
class Courier {
 public:
  Courier(storage::ChannelId channel, uint64_t incarnation, const ExecutorLimits& limits)
      : channel_(channel), incarnation_(incarnation), limits_(limits) {}

  // As the store has it, at start and after it was reopened: a new meeting begins.
  base::Result<void> Open(storage::ChannelStore& store, storage::ShardHead::Emitted head,
                          uint64_t meeting, int64_t now_ns);

  // A commit gave these items to the outbox.
  void Committed(std::vector<cluster::TravellingItem> items, int64_t now_ns);

  // All through the mark is applied, as a target of the same executor knows; items applied in the
  // emitting commit itself never come by here before.
  void Applied(const storage::ChannelMark& mark);

  void OnProgress(const cluster::ChannelProgress& progress, int64_t now_ns);

  // Sends what is due: a hello until the ends have met, then items. Refills from `store` first.
  void Pump(storage::ChannelStore& store, cluster::Carrier& carrier, int64_t now_ns);

  // Rows up to here need not be kept. Lazily: asks for it only once enough has gathered, or it is
  // quiet, or ten seconds have passed: archives wait for it.
  void TrimIfDue(storage::ChannelStore& store, bool quiet, int64_t now_ns);

  int64_t head() const { return head_; }
  bool met() const { return met_; }
  const std::string& stopped() const { return stopped_; }
  // Until the ends have met: nothing above has been sent. Kept with the head of every commit that
  // gives to the channel; else, where this side has lost its tail, a restart would take what was
  // given since for what the target has taken.
  std::optional<storage::ShardHead::Emitted::Cut> cut() const {
    if (met_) return std::nullopt;
    return storage::ShardHead::Emitted::Cut{shown_, shown_total_fen_};
  }
  // The ends agree, and the head must say so before anything is sent.
  bool cut_mended() const { return cut_kept_ && met_; }
  void CutKept(bool kept) { cut_kept_ = kept; }  // by a commit

  // Accepting more would acknowledge what cannot be delivered soon (the oldest item is too old, or
  // too much is under way), or the channel is stopped.
  bool MayEmit(int64_t now_ns, std::string* why) const;

  ChannelReport Report(int64_t now_ns) const;

 private:
  // What one commit gave, for age and size of the backlog.
  struct Given {
    int64_t last = 0;
    int64_t at_ns = 0;
    int64_t bytes = 0;
  };

  void Confirm(int64_t applied, int64_t total_fen);
  void Meet(const cluster::ChannelProgress& progress);
  void SayHello(cluster::Carrier& carrier, int64_t now_ns);
  void Refill(storage::ChannelStore& store);
  int64_t window_last() const { return window_.empty() ? window_from_ - 1 : window_.back().number; }

  const storage::ChannelId channel_;
  const uint64_t incarnation_;
  const ExecutorLimits& limits_;
  std::deque<cluster::TravellingItem> window_;  // consecutive, from window_from_
  int64_t window_from_ = 1;
  size_t window_bytes_ = 0;  // of window_, in memory
  std::deque<Given> given_;
  int64_t given_bytes_ = 0;
  int64_t head_ = 0;     // last number given
  int64_t applied_ = 0;  // last number confirmed
  int64_t sent_ = 0;     // last number sent in this meeting
  int64_t shown_ = 0;  // no number above can have been applied: all ever sent, or here at the start
  bool lost_tail_ = false;
  bool cut_kept_ = false;  // in the store
  int64_t oldest_kept_ = 1;
  // Running totals of money through the number of the same name (oldest: through the one before).
  int64_t head_total_fen_ = 0;
  int64_t applied_total_fen_ = 0;
  int64_t shown_total_fen_ = 0;
  int64_t oldest_total_fen_ = 0;
  int64_t trimmed_ = 0;
  int64_t last_trim_ns_ = 0;
  uint64_t meeting_ = 0;
  bool met_ = false;
  int64_t last_hello_ns_ = 0;
  int64_t last_progress_ns_ = 0;
  std::string stopped_;
};

}  // namespace hongyan::shard
