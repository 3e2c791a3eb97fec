#include "shard/batch_run.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "model/reason.h"
#include "shard/item_codec.h"

namespace hongyan::shard {
namespace {

constexpr size_t kParkedPage = 256;

base::Error NoSuchShard() {
  return {base::Code::kNotFound, "there is no such shard; see `hongyan-admin channels`"};
}

base::Error OtherAmount() {
  return model::Refuse(base::Code::kFailedPrecondition, model::Reason::kBroken,
                       "the item carries another amount than its channel has counted for it");
}

}  // namespace

class BatchRun::Work final : public UnitOfWork {
 public:
  Work(BatchRun& run, model::ShardId shard)
      : UnitOfWork(shard, run.time_ms_, *run.batch_), run_(run) {}

  void Emit(model::ShardId target, model::Item item, int32_t entries) override {
    run_.Emit(shard(), target, std::move(item), entries);
  }
  void Reply(const model::ReplyTo& to, model::Reply reply) override {
    run_.replies.push_back({to, std::move(reply)});
  }
  bool MayEmit(model::ShardId target, std::string* why) const override {
    const auto courier = run_.driven_.couriers.find({shard(), target});
    return courier == run_.driven_.couriers.end() || courier->second.MayEmit(run_.now_ns_, why);
  }
  void AwaitArrivals() override {
    CHECK(run_.turn_ == Turn::kFirst);
    run_.put_aside_ = true;
  }
  bool waited() const override { return run_.turn_ != Turn::kFirst; }
  bool arrivals_missing() const override { return run_.turn_ == Turn::kImpatient; }
  bool BelowDiskReserve() const override { return run_.store_.BelowDiskReserve(); }

 private:
  BatchRun& run_;
};

BatchRun::BatchRun(DrivenShards& driven, storage::ShardStore& store, const ExecutorLimits& limits,
                   int64_t time_ms, int64_t now_ns)
    : driven_(driven),
      store_(store),
      limits_(limits),
      time_ms_(time_ms),
      now_ns_(now_ns),
      batch_(store.NewBatch()) {}

BatchRun::~BatchRun() = default;

BatchRun::Work& BatchRun::WorkOf(model::ShardId shard) {
  auto& work = works_[shard];
  if (!work) work = std::make_unique<Work>(*this, shard);
  return *work;
}

void BatchRun::MarkTouched(model::ShardId shard, size_t records_before) {
  if (batch_->records() != records_before) driven_.shards.at(shard).touched = true;
}

bool BatchRun::Apply(const model::Command& command, Turn turn) {
  turn_ = turn;
  put_aside_ = false;
  if (const auto* retry = std::get_if<model::RetryParked>(&command.body)) {
    replies.push_back({command.reply_to, RetryParked(*retry)});
  } else if (const auto* back = std::get_if<model::ReturnParked>(&command.body)) {
    replies.push_back({command.reply_to, ReturnParked(*back)});
  } else if (const auto* accept = std::get_if<model::AcceptChannel>(&command.body)) {
    replies.push_back({command.reply_to, AcceptChannel(*accept)});
  } else {
    const size_t before = batch_->records();
    driven_.shards.at(command.shard).logic->Apply(WorkOf(command.shard), command);
    MarkTouched(command.shard, before);
  }
  ApplyLocals();
  return !put_aside_;
}

void BatchRun::ApplyDue(model::ShardId shard, size_t max_records) {
  const size_t before = batch_->records();
  driven_.shards.at(shard).logic->ApplyDue(WorkOf(shard), max_records);
  MarkTouched(shard, before);
  ApplyLocals();
}

// Numbers are given here and nowhere else. An item takes the shortcut where its channel is empty,
// counting what this batch has applied already, so order holds without asking.
void BatchRun::Emit(model::ShardId source, model::ShardId target, model::Item item,
                    int32_t entries) {
  DrivenShard& shard = driven_.shards.at(source);
  shard.touched = true;
  storage::ShardHead::Emitted& emitted = shard.next_head.emitted[target];
  const int64_t number = ++emitted.number;
  emitted.total_fen += model::FenOf(item);
  const storage::ChannelId channel{source, target};
  emitted.cut = driven_.couriers.at(channel).cut();
  cluster::TravellingItem travelling{
      number, entries, std::make_shared<const model::Item>(std::move(item)), {}, emitted.total_fen};

  const auto arrivals = driven_.arrivals.find(channel);
  const bool ours = arrivals != driven_.arrivals.end();
  if (ours && may_shortcut_ && static_cast<size_t>(entries) <= limits_.shortcut_entries &&
      driven_.couriers.at(channel).met() && arrivals->second.mark().position == 0 &&
      arrivals->second.mark().applied + locals_waiting_[channel] == number - 1) {
    ++locals_waiting_[channel];
    locals_.push_back({channel, std::move(travelling)});
    return;
  }
  ToOutbox(channel, std::move(travelling));
}

void BatchRun::ForgetCuts() {
  for (const auto& [channel, courier] : driven_.couriers) {
    if (!courier.cut_mended()) continue;
    DrivenShard& shard = driven_.shards.at(channel.source);
    shard.next_head.emitted[channel.target].cut.reset();
    shard.touched = true;
  }
}

void BatchRun::ToOutbox(storage::ChannelId channel, cluster::TravellingItem item) {
  // In order of numbers: one that fails in this commit comes here after one that was too large for
  // it.
  auto& items = outbox_[channel];
  auto place = items.end();
  while (place != items.begin() && std::prev(place)->number > item.number) --place;
  items.insert(place, std::move(item));
}

void BatchRun::ApplyLocals() {
  while (!locals_.empty()) {
    Local local = std::move(locals_.front());
    locals_.pop_front();
    --locals_waiting_[local.channel];
    Arrivals& arrivals = driven_.arrivals.at(local.channel);
    // One that went to the outbox takes all that follow it in its channel along.
    const bool in_turn = arrivals.mark().applied == local.item.number - 1;
    if (in_turn &&
        ApplyItem(arrivals, local.channel, local.item, std::numeric_limits<size_t>::max())) {
      ++shortcuts;
    } else {
      ToOutbox(local.channel, std::move(local.item));
    }
  }
}

bool BatchRun::ApplyNext(Arrivals& arrivals, storage::ChannelId channel, size_t max_records) {
  const cluster::TravellingItem item = arrivals.next();
  const bool done = ApplyItem(arrivals, channel, item, max_records);
  ApplyLocals();
  return done;
}

bool BatchRun::ApplyItem(Arrivals& arrivals, storage::ChannelId channel,
                         const cluster::TravellingItem& item, size_t max_records) {
  const size_t before = batch_->records();
  const auto fen = arrivals.FenOf(item);
  if (!fen) return false;
  if (item.item == nullptr) {
    return Park(arrivals, channel, item, *fen, {}, "its stored bytes cannot be decoded");
  }
  DrivenShard& target = driven_.shards.at(channel.target);
  const ItemPlace place{channel.source, item.number, arrivals.mark().position};
  auto outcome = target.logic->ApplyItem(WorkOf(channel.target), place, *item.item, max_records);
  if (!outcome) {
    const base::Error& error = outcome.error();
    if (error.code == base::Code::kUnavailable || !arrivals.failed_once) {
      arrivals.failed_once = error.code != base::Code::kUnavailable;
      LOG_WARN("item_failed source={} target={} number={} error=\"{}\"", channel.source,
               channel.target, item.number, error.text);
      return false;
    }
    return Park(arrivals, channel, item, *fen, {}, error.text);
  }
  MarkTouched(channel.target, before);
  switch (outcome->kind) {
    case ItemOutcome::Kind::kSlice:
      arrivals.AdvanceTo(item.number, outcome->position);
      return false;
    case ItemOutcome::Kind::kPark:
      return Park(arrivals, channel, item, *fen, outcome->conversation, std::move(outcome->why));
    case ItemOutcome::Kind::kApplied:
      if (outcome->conversation.valid() && !Release(channel.target, outcome->conversation,
                                                    std::min(max_records, limits_.batch_records))) {
        arrivals.AdvanceTo(item.number, place.position + 1);
        return false;
      }
      arrivals.Advance(item);
      ++items_applied;
      return true;
  }
  return true;
}

bool BatchRun::SetApart(const model::Command& command) {
  const auto shard = driven_.shards.find(command.shard);
  if (shard == driven_.shards.end()) return false;
  const size_t before = batch_->records();
  const bool apart = shard->second.logic->SetApart(WorkOf(command.shard), command);
  MarkTouched(command.shard, before);
  return apart;
}

void BatchRun::SetApartDue(model::ShardId shard) {
  const size_t before = batch_->records();
  driven_.shards.at(shard).logic->SetApartDue(WorkOf(shard));
  MarkTouched(shard, before);
}

void BatchRun::ParkNext(Arrivals& arrivals, storage::ChannelId channel, std::string why) {
  const cluster::TravellingItem item = arrivals.next();
  if (const auto fen = arrivals.FenOf(item)) {
    Park(arrivals, channel, item, *fen, {}, std::move(why));
  }
}

bool BatchRun::Park(Arrivals& arrivals, storage::ChannelId channel,
                    const cluster::TravellingItem& item, int64_t fen,
                    model::ConversationId waits_for, std::string why) {
  if (fen != 0) {
    const auto booked =
        driven_.shards.at(channel.target).logic->Suspend(WorkOf(channel.target), fen);
    if (!booked) {
      LOG_WARN("item_not_parked source={} target={} number={} error=\"{}\"", channel.source,
               channel.target, item.number, booked.error().text);
      return false;
    }
  }
  LOG_ERROR("item_parked source={} target={} number={} conversation={}/{} why=\"{}\"",
            channel.source, channel.target, item.number, waits_for.a, waits_for.b, why);
  storage::ParkedItem parked{channel,
                             item.number,
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

// Under its item's number, or the next one under which nothing is parked: a source that lost its
// tail gives numbers again.
void BatchRun::PutParked(storage::ParkedItem row) {
  while (IsParked(row.channel, row.number)) ++row.number;
  store_.channels().Park(*batch_, row);
  driven_.shards.at(row.channel.target).touched = true;
  ++parked_change;
  parked_[{row.channel, row.number}] = std::move(row);
}

bool BatchRun::IsParked(storage::ChannelId channel, int64_t number) const {
  const auto changed = parked_.find({channel, number});
  if (changed != parked_.end()) return changed->second.has_value();
  const auto rows = store_.channels().ListParked(channel.target, {channel.source, number - 1}, 1);
  return rows && !rows->empty() && rows->front().channel == channel &&
         rows->front().number == number;
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

model::Reply BatchRun::AcceptChannel(const model::AcceptChannel& accept) {
  const storage::ChannelId channel{accept.source, accept.target};
  const auto arrivals = driven_.arrivals.find(channel);
  if (arrivals == driven_.arrivals.end()) {
    return base::Error(base::Code::kNotFound,
                       "there is no such channel; see `hongyan-admin channels`");
  }
  const auto mark = arrivals->second.Acceptable();
  if (!mark) return mark.error();
  const int64_t fen = mark->total_fen - arrivals->second.mark().total_fen;
  if (fen != 0) {
    const size_t before = batch_->records();
    Logic& logic = *driven_.shards.at(accept.target).logic;
    if (auto booked = logic.Suspend(WorkOf(accept.target), fen); !booked) return booked.error();
    MarkTouched(accept.target, before);
    // Suspense holds what is parked: a row without an item, until somebody says whose money it is.
    const char* const why =
        fen > 0
            ? "given up when its channel was accepted: counted by the source, brought by no item"
            : "taken twice: its channel was accepted, and the source does not know of it";
    PutParked({channel, std::max<int64_t>(1, mark->applied), {}, time_ms_, why, {}, 0, fen});
  }
  arrivals->second.Accept(*mark);
  LOG_WARN("channel_accepted source={} target={} applied={} to_suspense_fen={}", accept.source,
           accept.target, mark->applied, fen);
  driven_.shards.at(accept.target).touched = true;
  return model::ReplyBody(model::Done{});
}

void BatchRun::Abandon(const base::Error& error) {
  for (auto& [id, shard] : driven_.shards) shard.logic->AbandonWaiting(WorkOf(id), error);
}

bool BatchRun::writes() const {
  if (batch_->records() > 0 || !outbox_.empty()) return true;
  for (const auto& [id, shard] : driven_.shards) {
    if (shard.touched) return true;
  }
  for (const auto& [channel, arrivals] : driven_.arrivals) {
    if (arrivals.touched()) return true;
  }
  return false;
}

std::unique_ptr<storage::Batch> BatchRun::Seal() {
  CHECK(!sealed_);
  sealed_ = true;
  storage::ChannelStore& channels = store_.channels();
  for (auto& [channel, arrivals] : driven_.arrivals) {
    if (!arrivals.touched()) continue;
    channels.PutMark(*batch_, channel, arrivals.mark());
    driven_.shards.at(channel.target).touched = true;
  }
  for (auto& [channel, items] : outbox_) {
    storage::OutboxRow row{items.front().number, items.back().number, {}, 0, {}};
    row.total_before_fen = items.front().total_fen - model::FenOf(*items.front().item);
    bool money = false;
    for (auto& item : items) {
      row.fen.push_back(model::FenOf(*item.item));
      money |= row.fen.back() != 0;
      row.items.push_back(EncodeItem(*item.item));
      item.bytes = row.items.back().size();
    }
    if (!money) row.fen.clear();
    channels.PutOutbox(*batch_, channel, row);
  }
  for (auto& [id, shard] : driven_.shards) {
    if (!shard.touched) continue;
    shard.next_head.batch = shard.head.batch + 1;
    shard.next_head.time_ms = time_ms_;
    channels.PutHead(*batch_, id, shard.next_head);
  }
  return std::move(batch_);
}

std::vector<std::pair<model::ShardId, int64_t>> BatchRun::batch_numbers() const {
  std::vector<std::pair<model::ShardId, int64_t>> numbers;
  for (const auto& [id, shard] : driven_.shards) {
    if (shard.touched) numbers.emplace_back(id, shard.next_head.batch);
  }
  return numbers;
}

void BatchRun::Committed() {
  for (auto& [id, shard] : driven_.shards) {
    shard.logic->Publish(effects);
    if (!shard.touched) continue;
    shard.head = shard.next_head;
    shard.touched = false;
    for (const auto& [target, emitted] : shard.head.emitted) {
      driven_.couriers.at({id, target}).CutKept(emitted.cut.has_value());
    }
  }
  for (auto& [channel, arrivals] : driven_.arrivals) {
    if (!arrivals.touched()) continue;
    arrivals.Publish();
    const auto courier = driven_.couriers.find(channel);
    if (courier == driven_.couriers.end() || !courier->second.met()) continue;
    // Both ends are ours: no message is needed to learn what was applied, or applied at once.
    courier->second.Applied(arrivals.mark());
    if (!arrivals.refuses()) arrivals.TakeUntold();
  }
  for (auto& [channel, items] : outbox_) {
    Courier& courier = driven_.couriers.at(channel);
    courier.Committed(std::move(items), now_ns_);
  }
}

void BatchRun::Dropped() {
  for (auto& [id, shard] : driven_.shards) {
    shard.logic->Drop();
    shard.next_head = shard.head;
    shard.touched = false;
  }
  for (auto& [channel, arrivals] : driven_.arrivals) arrivals.Drop();
}

}  // namespace hongyan::shard
