#include "shard/batch_run.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "shard/item_codec.h"

namespace hongyan::shard {

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

UnitOfWork& BatchRun::WorkOf(model::ShardId shard) {
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
    const auto place = FreePlace(channel, std::max<int64_t>(1, mark->applied));
    if (!place) return place.error();
    Logic& logic = *driven_.shards.at(accept.target).logic;
    if (auto booked = logic.Suspend(WorkOf(accept.target), fen); !booked) return booked.error();
    MarkTouched(accept.target, before);
    // Suspense holds what is parked: a row without an item, until somebody says whose money it is.
    const char* const why =
        fen > 0
            ? "given up when its channel was accepted: counted by the source, brought by no item"
            : "taken twice: its channel was accepted, and the source does not know of it";
    PutParked({channel, *place, {}, time_ms_, why, {}, 0, fen});
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
