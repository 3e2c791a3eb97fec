#include "shard/arrivals.h"

#include <utility>

namespace hongyan::shard {

void Arrivals::Open(const storage::ChannelMark& mark) {
  committed_ = pending_ = mark;
  touched_ = false;
  queue_.clear();
  taken_.clear();
  meeting_ = 0;
  asked_from_ = 0;
  failed_once = false;
}

std::optional<cluster::ChannelProgress> Arrivals::Take(cluster::ChannelItems message) {
  if (message.items.empty()) {
    meeting_ = message.meeting;
    incarnation_ = message.incarnation;
    oldest_kept_ = message.oldest_kept;
    source_head_ = message.head;
    // A late hello of an old meeting may look like a lost tail; only a source that has stopped says
    // so.
    ends_agree_ =
        !message.stopped ||
        ((committed_.incarnation == 0 || committed_.incarnation == message.incarnation) &&
         message.oldest_kept - 1 <= committed_.applied && committed_.applied <= message.head);
    queue_.clear();  // what was queued is sent again in this meeting
    asked_from_ = 0;
    return Progress();
  }
  if (message.meeting != meeting_) return Progress(true);
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

void Arrivals::Advance(int64_t number) {
  pending_.incarnation = incarnation_ != 0 ? incarnation_ : pending_.incarnation;
  pending_.applied = number;
  pending_.position = 0;
  touched_ = true;
  failed_once = false;
  while (!queue_.empty() && queue_.front().number <= number) {
    taken_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

void Arrivals::Advance(int64_t number, int64_t position) {
  pending_.incarnation = incarnation_ != 0 ? incarnation_ : pending_.incarnation;
  pending_.applied = number - 1;
  pending_.position = position;
  touched_ = true;
  failed_once = false;
}

base::Result<void> Arrivals::Accept() {
  if (incarnation_ == 0) {
    return base::Error(base::Code::kUnavailable,
                       "the source has not been heard since the start; try again in a second");
  }
  if (ends_agree_) {
    return base::Error(base::Code::kFailedPrecondition,
                       "this channel is not stopped: there is nothing to accept");
  }
  // A source that lost its tail: what it still has was applied. Otherwise it goes on from what is
  // kept.
  const bool lost_tail =
      committed_.incarnation == incarnation_ && committed_.applied > source_head_;
  pending_.incarnation = incarnation_;
  pending_.applied = lost_tail ? source_head_ : oldest_kept_ - 1;
  pending_.position = 0;
  touched_ = true;
  queue_.clear();
  taken_.clear();
  ends_agree_ = true;
  return {};
}

void Arrivals::Publish() {
  untold_ = untold_ || committed_.applied != pending_.applied;
  committed_ = pending_;
  touched_ = false;
  taken_.clear();
}

void Arrivals::Drop() {
  pending_ = committed_;
  touched_ = false;
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
  return {channel_, meeting_, committed_.incarnation, committed_.applied, resend};
}

}  // namespace hongyan::shard
