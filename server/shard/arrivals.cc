#include "shard/arrivals.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "model/item.h"

namespace hongyan::shard {

void Arrivals::Open(const storage::ChannelMark& mark) {
  committed_ = pending_ = mark;
  touched_ = false;
  queue_.clear();
  taken_.clear();
  meeting_ = 0;
  asked_from_ = 0;
  failed_once = false;
  refused_.clear();
  refused_now_ = false;
}

std::optional<cluster::ChannelProgress> Arrivals::Take(cluster::ChannelItems message) {
  if (message.items.empty()) {
    meeting_ = message.meeting;
    incarnation_ = message.incarnation;
    oldest_kept_ = message.oldest_kept;
    source_head_ = message.head;
    source_total_fen_ = message.total_fen;
    oldest_total_fen_ = message.oldest_total_fen;
    seen_head_ = message.head;
    // A late hello of an old meeting may look like a lost tail; only a source that has stopped says
    // so.
    ends_agree_ =
        !message.stopped ||
        ((committed_.incarnation == 0 || committed_.incarnation == message.incarnation) &&
         message.oldest_kept - 1 <= committed_.applied && committed_.applied <= message.head);
    money_agrees_ = !message.stopped || committed_.applied != message.head ||
                    committed_.total_fen == message.total_fen;
    queue_.clear();  // what was queued is sent again in this meeting
    asked_from_ = 0;
    return Progress();
  }
  if (message.meeting != meeting_) return Progress(true);
  seen_head_ = std::max(seen_head_, message.head);
  // All of it was applied before: what told the source so was lost.
  if (message.items.back().number <= committed_.applied) return Progress();
  for (auto& item : message.items) {
    const int64_t expected = queue_.empty() ? committed_.applied + 1 : queue_.back().number + 1;
    if (item.number < expected) continue;
    if (item.number > expected) {
      if (asked_from_ == expected) return std::nullopt;
      asked_from_ = expected;
      return Progress(true);
    }
    queue_.push_back(std::move(item));
  }
  return std::nullopt;
}

std::optional<int64_t> Arrivals::FenOf(const cluster::TravellingItem& item) {
  const int64_t given = item.total_fen - pending_.total_fen;
  // One that cannot be decoded has no other witness than its source.
  if (item.item == nullptr ? given >= 0 : given == model::FenOf(*item.item)) return given;
  const int64_t carries = item.item == nullptr ? 0 : model::FenOf(*item.item);
  refused_ = "the money does not add up: " + std::to_string(pending_.total_fen) +
             " fen were taken by item " + std::to_string(item.number - 1) + ", item " +
             std::to_string(item.number) + " carries " + std::to_string(carries) +
             ", but its source counts " + std::to_string(item.total_fen) +
             " fen by then; see `hongyan-admin channels`";
  refused_total_fen_ = item.total_fen - carries;
  refused_now_ = true;
  untold_ = true;
  LOG_ERROR("channel_refused source={} target={} why=\"{}\"", channel_.source, channel_.target,
            refused_);
  return std::nullopt;
}

void Arrivals::Advance(const cluster::TravellingItem& item) {
  const int64_t number = item.number;
  pending_.incarnation = incarnation_ != 0 ? incarnation_ : pending_.incarnation;
  pending_.applied = number;
  pending_.total_fen = item.total_fen;
  pending_.position = 0;
  touched_ = true;
  failed_once = false;
  while (!queue_.empty() && queue_.front().number <= number) {
    taken_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

void Arrivals::AdvanceTo(int64_t number, int64_t position) {
  pending_.incarnation = incarnation_ != 0 ? incarnation_ : pending_.incarnation;
  pending_.applied = number - 1;
  pending_.position = position;
  touched_ = true;
  failed_once = false;
}

base::Result<storage::ChannelMark> Arrivals::Acceptable() const {
  if (incarnation_ == 0) {
    return base::Error(base::Code::kUnavailable,
                       "the source has not been heard since the start; try again in a second");
  }
  if (ends_agree_ && money_agrees_ && refused_.empty()) {
    return base::Error(base::Code::kFailedPrecondition,
                       "this channel is not stopped: there is nothing to accept");
  }
  storage::ChannelMark mark = pending_;
  mark.incarnation = incarnation_;
  if (ends_agree_) {  // in number
    mark.total_fen = refused_.empty() ? source_total_fen_ : refused_total_fen_;
    return mark;
  }
  // A source that lost its tail, or was rolled back under another incarnation: what it had when it
  // was opened, up to here, was applied, and must not be applied again. A source that was made anew
  // had nothing. Otherwise it goes on from what is kept.
  if (committed_.applied > source_head_) {
    mark.applied = source_head_;
    mark.total_fen = source_total_fen_;
    mark.position = 0;
  } else if (committed_.applied < oldest_kept_ - 1) {
    mark.applied = oldest_kept_ - 1;
    mark.total_fen = oldest_total_fen_;
    mark.position = 0;
  }
  return mark;
}

void Arrivals::Accept(const storage::ChannelMark& mark) {
  pending_ = mark;
  touched_ = true;
  refused_.clear();
  queue_.clear();
  taken_.clear();
  ends_agree_ = money_agrees_ = true;
}

void Arrivals::Refuse(std::string why) {
  refused_ = std::move(why);
  refused_total_fen_ = pending_.total_fen;
  untold_ = true;
  LOG_ERROR("channel_refused source={} target={} why=\"{}\"", channel_.source, channel_.target,
            refused_);
}

void Arrivals::Publish() {
  untold_ = untold_ || committed_.applied != pending_.applied;
  committed_ = pending_;
  touched_ = false;
  refused_now_ = false;
  taken_.clear();
}

void Arrivals::Drop() {
  pending_ = committed_;
  touched_ = false;
  if (refused_now_) refused_.clear();  // found again when what came before it is
  refused_now_ = false;
  while (!taken_.empty()) {
    queue_.push_front(std::move(taken_.back()));
    taken_.pop_back();
  }
}

std::optional<cluster::ChannelProgress> Arrivals::TakeUntold() {
  if (!untold_) return std::nullopt;
  untold_ = false;
  return Progress();
}

cluster::ChannelProgress Arrivals::Progress(bool resend) const {
  return {channel_, meeting_, committed_.incarnation, committed_.applied, committed_.total_fen,
          resend,   refused_};
}

}  // namespace hongyan::shard
