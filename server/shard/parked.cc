#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "model/reason.h"
#include "shard/batch_run.h"
#include "shard/item_codec.h"

// The part of a batch that is about parked items: kept whole where they could not be applied, with
// their money in suspense, until they are applied once more or their money is sent on.

namespace hongyan::shard {
namespace {

constexpr size_t kParkedPage = 256;

base::Error NoSuchShard() {
  return {base::Code::kNotFound, "there is no such shard; see `hongyan-admin channels`"};
}

base::Error BrokenParked() {
  return model::Refuse(
      base::Code::kDataLoss, model::Reason::kBroken,
      "its row cannot be read, so nobody knows what it carries: `hongyan-admin money "
      "audit` says what is missing; restore a backup");
}

base::Error OtherAmount() {
  return model::Refuse(base::Code::kFailedPrecondition, model::Reason::kBroken,
                       "the item carries another amount than its channel has counted for it");
}

}  // namespace

void BatchRun::ParkNext(Arrivals& arrivals, storage::ChannelId channel, std::string why) {
  const cluster::TravellingItem item = arrivals.next();
  if (const auto fen = arrivals.FenOf(item)) {
    Park(arrivals, channel, item, *fen, {}, std::move(why));
  }
}

bool BatchRun::Park(Arrivals& arrivals, storage::ChannelId channel,
                    const cluster::TravellingItem& item, int64_t fen,
                    model::ConversationId waits_for, std::string why) {
  const auto no = [&](const base::Error& error) {
    LOG_WARN("item_not_parked source={} target={} number={} error=\"{}\"", channel.source,
             channel.target, item.number, error.text);
    return false;
  };
  const auto place = FreePlace(channel, item.number);
  if (!place) return no(place.error());
  if (fen != 0) {
    const auto booked =
        driven_.shards.at(channel.target).logic->Suspend(WorkOf(channel.target), fen);
    if (!booked) return no(booked.error());
  }
  LOG_ERROR("item_parked source={} target={} number={} item={} conversation={}/{} why=\"{}\"",
            channel.source, channel.target, *place, item.number, waits_for.a, waits_for.b, why);
  storage::ParkedItem parked{channel,
                             *place,
                             waits_for,
                             time_ms_,
                             std::move(why),
                             item.item ? EncodeItem(*item.item) : item.broken,
                             arrivals.mark().position,
                             fen};
  PutParked(std::move(parked));
  arrivals.Advance(item);
  return true;
}

// Its item's number, or the next one under which nothing is parked: a source that lost its tail
// gives numbers again.
base::Result<int64_t> BatchRun::FreePlace(storage::ChannelId channel, int64_t number) const {
  for (;; ++number) {
    const auto changed = parked_.find({channel, number});
    if (changed != parked_.end()) {
      if (!changed->second) return number;
      continue;
    }
    const auto rows = store_.channels().ListParked(channel.target, {channel.source, number - 1}, 1);
    if (!rows) return rows.error();
    const bool taken =
        !rows->empty() && rows->front().channel == channel && rows->front().number == number;
    if (!taken) return number;
  }
}

// REQUIRES a free place.
void BatchRun::PutParked(storage::ParkedItem row) {
  store_.channels().Park(*batch_, row);
  driven_.shards.at(row.channel.target).touched = true;
  ++parked_change;
  parked_[{row.channel, row.number}] = std::move(row);
}

base::Result<void> BatchRun::VisitParked(
    model::ShardId target, ParkedPlace after,
    const std::function<bool(const storage::ParkedItem&)>& visit) {
  // A snapshot may come in the very batch that parked what waits for it.
  std::vector<storage::ParkedItem> fresh;
  for (const auto& [place, item] : parked_) {
    if (place.first.target != target || !item.has_value()) continue;
    if (after < ParkedPlace{place.first.source, place.second}) fresh.push_back(*item);
  }
  for (bool more = true; more;) {
    auto page = store_.channels().ListParked(target, after, kParkedPage);
    if (!page) return page.error();
    more = page->size() == kParkedPage;
    for (const auto& row : *page) {
      after = {row.channel.source, row.number};
      if (!parked_.contains({row.channel, row.number}) && !visit(row)) return {};
    }
  }
  for (const auto& row : fresh) {
    // A visit may have released one that comes after it.
    if (!parked_.at({row.channel, row.number}).has_value()) continue;
    if (!visit(row)) return {};
  }
  return {};
}

void BatchRun::Unpark(const storage::ParkedItem& row) {
  store_.channels().Unpark(*batch_, row.channel, row.number);
  parked_[{row.channel, row.number}] = std::nullopt;
  --parked_change;
}

base::Result<void> BatchRun::Retry(const storage::ParkedItem& row,
                                   model::ConversationId* released) {
  if (row.broken) return BrokenParked();
  auto item = DecodeItem(row.item);
  if (!item) return std::move(item).error();
  if (model::FenOf(*item) != row.fen) return OtherAmount();
  const model::ShardId target = row.channel.target;
  Logic& logic = *driven_.shards.at(target).logic;
  if (row.fen != 0) {
    if (auto booked = logic.Suspend(WorkOf(target), -row.fen); !booked) return booked;
  }
  const ItemPlace place{row.channel.source, row.number, row.position};
  auto outcome = logic.ApplyItem(WorkOf(target), place, *item, std::numeric_limits<size_t>::max());
  if (!outcome || outcome->kind != ItemOutcome::Kind::kApplied) {
    // Back where it was; what could be booked a moment ago can be booked.
    if (row.fen != 0) CHECK(logic.Suspend(WorkOf(target), row.fen).ok());
    if (!outcome) return std::move(outcome).error();
    return base::Error(base::Code::kFailedPrecondition, outcome->why);
  }
  *released = outcome->conversation;
  Unpark(row);
  return {};
}

// What a slice snapshot lets go: this conversation's parked items, in their order, so that nothing
// newer can pass them. At least one, then as many as there is room for.
bool BatchRun::Release(model::ShardId target, model::ConversationId conversation,
                       size_t max_records) {
  const size_t before = batch_->records();
  bool full = false;
  const auto visited = VisitParked(target, {}, [&](const storage::ParkedItem& row) {
    if (row.conversation != conversation) return true;
    full = batch_->records() - before >= max_records;
    if (full) return false;
    model::ConversationId released;
    if (Retry(row, &released)) ++items_applied;
    return true;
  });
  if (!visited) {
    LOG_ERROR("parked_unreadable target={} error=\"{}\"", target, visited.error().text);
  }
  return !full;
}

model::Reply BatchRun::RetryParked(const model::RetryParked& retry) {
  const storage::ChannelId channel{retry.source, retry.target};
  if (!driven_.shards.contains(retry.target)) return NoSuchShard();
  const size_t before = batch_->records();
  model::ParkedRetried answer;
  const ParkedPlace after{retry.source, retry.number != 0 ? retry.number - 1 : retry.after};
  const auto visited = VisitParked(retry.target, after, [&](const storage::ParkedItem& row) {
    if (row.channel != channel || (retry.number != 0 && row.number != retry.number)) {
      return row.channel.source <= channel.source && retry.number == 0;
    }
    answer.more = batch_->records() - before >= limits_.batch_records ||
                  answer.retried >= static_cast<int64_t>(limits_.batch_records);
    if (answer.more) return false;
    ++answer.retried;
    answer.last = row.number;
    model::ConversationId released;
    if (auto applied = Retry(row, &released); !applied) {
      if (answer.why.empty()) answer.why = applied.error().text;
      return true;
    }
    ++answer.applied;
    // A snapshot that failed by itself lets go here what waits for it, before anything newer comes.
    if (released.valid()) Release(retry.target, released, std::numeric_limits<size_t>::max());
    return true;
  });
  if (!visited) return visited.error();
  MarkTouched(retry.target, before);
  return model::ReplyBody(std::move(answer));
}

model::Reply BatchRun::ReturnParked(const model::ReturnParked& back) {
  const storage::ChannelId channel{back.source, back.target};
  const auto shard = driven_.shards.find(back.target);
  if (shard == driven_.shards.end()) return NoSuchShard();
  std::optional<storage::ParkedItem> parked;
  const auto visited =
      VisitParked(back.target, {back.source, back.number - 1}, [&](const storage::ParkedItem& row) {
        if (row.channel == channel && row.number == back.number) {
          parked = row;
        }
        return false;
      });
  if (!visited) return visited.error();
  if (!parked) {
    return base::Error(base::Code::kNotFound,
                       "no such item is parked; see `hongyan-admin channel parked`");
  }
  if (parked->broken) return BrokenParked();
  if (parked->fen == 0) {
    return base::Error(base::Code::kFailedPrecondition,
                       "this item carries no money: it can only be applied again");
  }
  auto read = back.as ? base::Result<model::Item>(*back.as) : DecodeItem(parked->item);
  if (!read) {
    return base::Error(base::Code::kFailedPrecondition,
                       "the item cannot be read, so it does not say whose money it carries: name "
                       "the packet and the user; `hongyan-admin money audit` says what is missing");
  }
  if (model::FenOf(*read) != parked->fen) return OtherAmount();
  const size_t before = batch_->records();
  if (auto sent = shard->second.logic->SendOn(WorkOf(back.target), *read); !sent) {
    return sent.error();
  }
  Unpark(*parked);
  LOG_WARN("parked_returned source={} target={} number={} fen={}", back.source, back.target,
           back.number, parked->fen);
  MarkTouched(back.target, before);
  return model::ReplyBody(model::Done{});
}

}  // namespace hongyan::shard
