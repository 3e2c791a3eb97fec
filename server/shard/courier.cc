#include "shard/courier.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "shard/item_codec.h"

namespace hongyan::shard {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kTrimIntervalNs = 10'000'000'000;
constexpr int64_t kTrimItems = 1024;    // a range this long is worth a trim
constexpr size_t kGivenRecords = 8192;  // beyond, neighbours are merged: ages become coarser

// What an item holds in memory, nearly: what it points at is about as large as it is encoded.
size_t BytesOf(const cluster::TravellingItem& item) {
  return sizeof(cluster::TravellingItem) + sizeof(model::Item) + item.bytes;
}

}  // namespace

base::Result<void> Courier::Open(storage::ChannelStore& store, storage::ShardHead::Emitted head,
                                 uint64_t meeting, int64_t now_ns) {
  auto oldest = store.ReadOutbox(channel_, 0, 1, 1);
  if (!oldest) return oldest.error();
  head_ = head.number;
  head_total_fen_ = head.total_fen;
  // Not what was given before the ends met.
  shown_ = head.cut ? head.cut->number : head_;
  shown_total_fen_ = head.cut ? head.cut->total_fen : head_total_fen_;
  cut_kept_ = head.cut.has_value();
  lost_tail_ = false;
  oldest_kept_ = oldest->empty() ? head_ + 1 : oldest->front().first;
  oldest_total_fen_ = oldest->empty() ? head_total_fen_ : oldest->front().total_before_fen;
  applied_ = oldest_kept_ - 1;
  applied_total_fen_ = oldest_total_fen_;
  trimmed_ = applied_;
  window_.clear();
  window_bytes_ = 0;
  window_from_ = oldest_kept_;
  sent_ = applied_;
  given_.clear();
  given_bytes_ = 0;
  if (applied_ < head_) given_.push_back({head_, now_ns, 0});
  meeting_ = meeting;
  met_ = false;
  last_hello_ns_ = 0;
  stopped_.clear();
  return {};
}

void Courier::Committed(std::vector<cluster::TravellingItem> items, int64_t now_ns) {
  int64_t bytes = 0;
  size_t held = 0;
  for (const auto& item : items) {
    bytes += static_cast<int64_t>(item.bytes);
    held += BytesOf(item);
  }
  const bool fits = window_last() == head_ &&
                    window_.size() + items.size() <= limits_.window_items &&
                    window_bytes_ + held <= limits_.window_bytes;
  head_ = items.back().number;
  head_total_fen_ = items.back().total_fen;
  if (given_.size() < kGivenRecords) {
    given_.push_back({head_, now_ns, bytes});
  } else {
    given_.back().last = head_;
    given_.back().bytes += bytes;
  }
  given_bytes_ += bytes;
  if (fits) {
    window_bytes_ += held;
    for (auto& item : items) window_.push_back(std::move(item));
  }
}

void Courier::Applied(const storage::ChannelMark& mark) {
  if (mark.applied > head_) {
    head_ = mark.applied;
    head_total_fen_ = mark.total_fen;
  }
  Confirm(mark.applied, mark.total_fen);
  sent_ = std::max(sent_, mark.applied);
  if (mark.applied > shown_) {
    shown_ = mark.applied;
    shown_total_fen_ = mark.total_fen;
  }
}

void Courier::Confirm(int64_t applied, int64_t total_fen) {
  if (applied <= applied_) return;
  applied_ = applied;
  applied_total_fen_ = total_fen;
  while (!window_.empty() && window_.front().number <= applied_) {
    window_bytes_ -= BytesOf(window_.front());
    window_.pop_front();
  }
  if (window_.empty()) {
    window_from_ = std::max(window_from_, applied_ + 1);
  } else {
    window_from_ = window_.front().number;
  }
  while (!given_.empty() && given_.front().last <= applied_) {
    given_bytes_ -= given_.front().bytes;
    given_.pop_front();
  }
}

// Anything outside the rule of courier.h means that one side lost committed state: never guess.
void Courier::Meet(const cluster::ChannelProgress& progress) {
  std::string why = progress.refused;
  lost_tail_ = false;
  if (!why.empty()) {
    // The target has said it.
  } else if (progress.incarnation != 0 && progress.incarnation != incarnation_) {
    // What was here when the source was opened the target may have had from another life of it.
    lost_tail_ = true;
    why = "the target knows another incarnation of the source";
  } else if (progress.applied > shown_) {
    // Not head_: what was given since the start cannot have been applied before we have met.
    lost_tail_ = true;
    why = "the target has applied up to " + std::to_string(progress.applied) +
          ", the source had given only " + std::to_string(shown_) + ": the source lost its tail";
  } else if (progress.applied < oldest_kept_ - 1) {
    why = "the target has applied up to " + std::to_string(progress.applied) +
          ", the source keeps only from " + std::to_string(oldest_kept_) +
          ": the target lost its tail";
  } else if (progress.applied == head_ && progress.total_fen != head_total_fen_) {
    why = "by item " + std::to_string(head_) + " the source has given " +
          std::to_string(head_total_fen_) + " fen, the target has taken " +
          std::to_string(progress.total_fen);
  }
  if (!why.empty()) {
    if (stopped_ != why) {
      LOG_ERROR("channel_stopped source={} target={} why=\"{}\"", channel_.source, channel_.target,
                why);
      last_hello_ns_ = 0;  // the target hears at once that we wait for the administrator
    }
    stopped_ = std::move(why);
    return;
  }
  if (!stopped_.empty()) {
    LOG_WARN("channel_resumed source={} target={} applied={}", channel_.source, channel_.target,
             progress.applied);
  }
  stopped_.clear();
  met_ = true;
  Confirm(progress.applied, progress.total_fen);
  sent_ = applied_;
}

void Courier::OnProgress(const cluster::ChannelProgress& progress, int64_t now_ns) {
  last_progress_ns_ = now_ns;
  if (progress.meeting != meeting_) {
    // The target is in no meeting with us (it started anew): begin another one.
    if (met_) {
      met_ = false;
      ++meeting_;
      last_hello_ns_ = 0;
    }
    return;
  }
  if (!met_) {
    Meet(progress);
    return;
  }
  if (!progress.refused.empty()) {
    met_ = false;
    Meet(progress);
    return;
  }
  if (progress.applied <= head_) Confirm(progress.applied, progress.total_fen);
  if (progress.resend) sent_ = applied_;
}

void Courier::SayHello(cluster::Carrier& carrier, int64_t now_ns) {
  last_hello_ns_ = now_ns;
  // Of a lost tail the target must hear where it was cut: what was given since it has not taken.
  carrier.Send(cluster::ChannelItems{channel_,
                                     meeting_,
                                     incarnation_,
                                     oldest_kept_,
                                     lost_tail_ ? shown_ : head_,
                                     lost_tail_ ? shown_total_fen_ : head_total_fen_,
                                     oldest_total_fen_,
                                     !stopped_.empty(),
                                     {}});
}

void Courier::Refill(storage::ChannelStore& store) {
  if (window_last() >= head_ || window_.size() * 2 > limits_.window_items ||
      window_bytes_ * 2 > limits_.window_bytes) {
    return;
  }
  if (window_.empty()) window_from_ = std::max(window_from_, applied_ + 1);
  const int64_t from = window_last() + 1;
  auto rows = store.ReadOutbox(channel_, from, limits_.window_items - window_.size(),
                               limits_.window_bytes - window_bytes_);
  if (!rows) {
    LOG_WARN("outbox_unreadable source={} target={} error=\"{}\"", channel_.source, channel_.target,
             rows.error().text);
    return;
  }
  if (rows->empty() || rows->front().first > from) {
    // Rows are gone that nobody confirmed: meet again, by what is really kept, and be stopped
    // there.
    oldest_kept_ = rows->empty() ? head_ + 1 : rows->front().first;
    oldest_total_fen_ = rows->empty() ? head_total_fen_ : rows->front().total_before_fen;
    met_ = false;
    last_hello_ns_ = 0;
    return;
  }
  for (const auto& row : *rows) {
    int64_t total_fen = row.total_before_fen;
    for (size_t i = 0; i < row.items.size(); ++i) {
      const int64_t number = row.first + static_cast<int64_t>(i);
      if (!row.fen.empty()) total_fen += row.fen[i];
      if (number != window_last() + 1 || number > head_) continue;
      cluster::TravellingItem travelling{number, 0, nullptr, {}, total_fen, row.items[i].size()};
      if (auto item = DecodeItem(row.items[i])) {
        travelling.item = std::make_shared<const model::Item>(std::move(item).value());
      } else {
        travelling.broken = row.items[i];
      }
      window_bytes_ += BytesOf(travelling);
      window_.push_back(std::move(travelling));
    }
  }
}

void Courier::Pump(storage::ChannelStore& store, cluster::Carrier& carrier, int64_t now_ns) {
  if (!met_) {
    if (last_hello_ns_ == 0 || now_ns - last_hello_ns_ >= limits_.resend_ms * kNsPerMs) {
      SayHello(carrier, now_ns);
    }
    return;
  }
  if (sent_ > applied_ && now_ns - last_progress_ns_ >= limits_.resend_ms * kNsPerMs) {
    sent_ = applied_;
    last_progress_ns_ = now_ns;
  }
  Refill(store);
  if (!met_ || cut_kept_ || window_last() <= sent_) return;
  cluster::ChannelItems message{channel_,          meeting_, incarnation_,
                                oldest_kept_,      head_,    head_total_fen_,
                                oldest_total_fen_, false,    {}};
  const auto skip = static_cast<ptrdiff_t>(std::max<int64_t>(0, sent_ + 1 - window_from_));
  message.items.assign(window_.begin() + skip, window_.end());
  if (sent_ == applied_) last_progress_ns_ = now_ns;
  sent_ = window_last();
  if (sent_ > shown_) {
    shown_ = sent_;
    shown_total_fen_ = window_.back().total_fen;
  }
  carrier.Send(std::move(message));
}

void Courier::TrimIfDue(storage::ChannelStore& store, bool quiet, int64_t now_ns) {
  if (!met_ || applied_ <= trimmed_) return;
  const bool late = now_ns - last_trim_ns_ >= kTrimIntervalNs;
  if (!quiet && !late && applied_ - trimmed_ < kTrimItems) return;
  last_trim_ns_ = now_ns;
  if (auto trimmed = store.TrimOutbox(channel_, applied_); !trimmed) return;
  trimmed_ = applied_;
  oldest_kept_ = applied_ + 1;
  oldest_total_fen_ = applied_total_fen_;
}

bool Courier::MayEmit(int64_t now_ns, std::string* why) const {
  if (!stopped_.empty()) {
    *why = "stopped: " + stopped_;
    return false;
  }
  if (given_.empty()) return true;
  if (now_ns - given_.front().at_ns > limits_.lag_ms * kNsPerMs) {
    *why = "its oldest item is older than " + std::to_string(limits_.lag_ms) + " ms";
  } else if (head_ - applied_ > limits_.lag_items || given_bytes_ > limits_.lag_bytes) {
    *why = std::to_string(head_ - applied_) + " items are under way";
  } else {
    return true;
  }
  return false;
}

ChannelReport Courier::Report(int64_t now_ns) const {
  ChannelReport report;
  report.source = channel_.source;
  report.target = channel_.target;
  report.head = head_;
  report.applied = applied_;
  report.backlog_items = head_ - applied_;
  report.oldest_age_ms =
      given_.empty() ? 0 : std::max<int64_t>(1, (now_ns - given_.front().at_ns) / kNsPerMs);
  report.stopped = stopped_;
  return report;
}

}  // namespace hongyan::shard
