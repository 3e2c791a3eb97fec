#include "shard/executor.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "model/reason.h"
#include "shard/command_bytes.h"
#include "shard/executor_impl.h"

namespace hongyan::shard {
namespace {

using storage::CommitOutcome;

constexpr int64_t kTickMs = 100;
constexpr int64_t kFailureLines = 4;
constexpr auto kFailureWindow = std::chrono::seconds(10);
constexpr size_t kParkedPage = 1000;
constexpr size_t kDueShare = 8;  // of a batch's places: one in so many is kept for what is due

}  // namespace

Executor::Impl::Impl(std::string n, std::vector<model::ShardId> s, storage::ShardStore& st,
                     cluster::Carrier& c, Outlet& o, const base::Clock& cl, ExecutorLimits l,
                     std::vector<model::ShardId> e)
    : name(std::move(n)),
      ids(std::move(s)),
      elsewhere(std::move(e)),
      store(st),
      carrier(c),
      outlet(o),
      clock(cl),
      limits(l),
      time(cl),
      pace("executor " + name, kFailureLines, kFailureWindow) {}

Executor::Executor(std::string name, std::vector<model::ShardId> shards, storage::ShardStore& store,
                   cluster::Carrier& carrier, Outlet& outlet, const base::Clock& clock,
                   ExecutorLimits limits, std::vector<model::ShardId> elsewhere)
    : impl_(std::make_unique<Impl>(std::move(name), std::move(shards), store, carrier, outlet,
                                   clock, limits, std::move(elsewhere))) {}

Executor::~Executor() { Stop(); }

base::Result<void> Executor::Open(const LogicFactory& make_logic) {
  Impl& me = *impl_;
  for (const model::ShardId id : me.ids) {
    DrivenShard shard;
    shard.id = id;
    shard.logic = make_logic(id);
    me.driven.shards.emplace(id, std::move(shard));
  }
  const storage::StoreIdentity& identity = me.store.identity();
  const uint64_t incarnation = identity.incarnation;
  std::vector<model::ShardId> others = me.elsewhere;
  for (int i = 0; i < identity.shards; ++i) {
    others.push_back(static_cast<model::ShardId>(identity.first_shard + i));
  }
  for (const model::ShardId ours : me.ids) {
    for (const model::ShardId other : others) {
      const storage::ChannelId out{ours, other};
      const storage::ChannelId in{other, ours};
      me.driven.couriers.try_emplace(out, out, incarnation, me.limits);
      me.driven.arrivals.try_emplace(in, in);
    }
  }
  me.next_meeting = static_cast<uint64_t>(me.clock.WallMs()) << 20 | 1;
  if (auto read = me.ReadStore(); !read) return read;
  int64_t newest_ms = 0;
  for (const auto& [id, shard] : me.driven.shards)
    newest_ms = std::max(newest_ms, shard.head.time_ms);
  if (auto started = me.time.Start(newest_ms); !started) return started;
  me.PublishTime();
  me.counts.name = me.name;
  for (const model::ShardId id : me.ids) {
    storage::ChannelStore::ParkedPlace after;
    for (size_t found = kParkedPage; found == kParkedPage;) {
      auto parked = me.store.channels().ListParked(id, after, kParkedPage);
      if (!parked) return parked.error();
      found = parked->size();
      me.counts.parked += static_cast<int64_t>(found);
      if (found > 0) after = {parked->back().channel.source, parked->back().number};
    }
  }
  me.PublishReport();
  return {};
}

// Heads, marks and outboxes as the store has them; every channel meets anew.
base::Result<void> Executor::Impl::ReadStore() {
  const int64_t now_ns = clock.BootNs();
  for (auto& [id, shard] : driven.shards) {
    auto head = store.channels().ReadHead(id);
    if (!head) return head.error();
    shard.head = shard.next_head = *head;
    shard.touched = false;
  }
  for (auto& [channel, courier] : driven.couriers) {
    const auto& emitted = driven.shards.at(channel.source).head.emitted;
    const auto found = emitted.find(channel.target);
    const auto head = found == emitted.end() ? storage::ShardHead::Emitted() : found->second;
    if (auto opened = courier.Open(store.channels(), head, next_meeting++, now_ns); !opened)
      return opened;
  }
  for (auto& [channel, arrivals] : driven.arrivals) {
    auto mark = store.channels().ReadMark(channel);
    if (!mark) return mark.error();
    arrivals.Open(*mark);
  }
  return {};
}

base::Result<void> Executor::Submit(model::Command command) {
  std::vector<model::Command> one;
  one.push_back(std::move(command));
  return SubmitAll(std::move(one));
}

base::Result<void> Executor::SubmitAll(std::vector<model::Command> commands) {
  Impl& me = *impl_;
  const int64_t now_ns = me.clock.BootNs();
  const auto count = static_cast<int64_t>(commands.size());
  int64_t bytes = 0;
  for (const auto& command : commands) bytes += BytesOf(command);
  bool wake = false;
  {
    std::lock_guard lock(me.mutex);
    if (me.stopping) {
      return model::Refuse(base::Code::kUnavailable, model::Reason::kDraining,
                           "the server is going down; connect again", 1000);
    }
    if (me.queued.load(std::memory_order_relaxed) + count >
            static_cast<int64_t>(me.limits.queue_commands) ||
        me.queued_bytes.load(std::memory_order_relaxed) + bytes > me.limits.queue_bytes) {
      me.refused_busy.fetch_add(count, std::memory_order_relaxed);
      return model::Refuse(base::Code::kResourceExhausted, model::Reason::kBusy,
                           "the server is busy; send the same request again after a moment", 100);
    }
    me.queued.fetch_add(count, std::memory_order_relaxed);
    me.queued_bytes.fetch_add(bytes, std::memory_order_relaxed);
    for (auto& command : commands) {
      command.queued_ns = now_ns;
      if (const auto* open = std::get_if<model::OpenPacket>(&command.body))
        ++me.opens[open->packet];
      me.inbox.commands.push_back(std::move(command));
    }
    wake = std::exchange(me.sleeping, false);
  }
  if (wake) me.wake.notify_one();
  return {};
}

void Executor::OnItems(cluster::ChannelItems items) {
  Impl& me = *impl_;
  bool wake = false;
  {
    std::lock_guard lock(me.mutex);
    me.inbox.items.push_back(std::move(items));
    wake = std::exchange(me.sleeping, false);
  }
  if (wake) me.wake.notify_one();
}

void Executor::OnProgress(const cluster::ChannelProgress& progress) {
  Impl& me = *impl_;
  bool wake = false;
  {
    std::lock_guard lock(me.mutex);
    me.inbox.progress.push_back(progress);
    wake = std::exchange(me.sleeping, false);
  }
  if (wake) me.wake.notify_one();
}

void Executor::Impl::TakeInbox() {
  Inbox taken;
  {
    std::lock_guard lock(mutex);
    std::swap(taken, inbox);
  }
  for (auto& command : taken.commands) queue.push_back(std::move(command));
  const int64_t now_ns = clock.BootNs();
  for (const auto& progress : taken.progress) {
    const auto courier = driven.couriers.find(progress.channel);
    if (courier != driven.couriers.end()) courier->second.OnProgress(progress, now_ns);
  }
  for (auto& items : taken.items) {
    const auto arrivals = driven.arrivals.find(items.channel);
    if (arrivals == driven.arrivals.end()) continue;
    if (auto progress = arrivals->second.Take(std::move(items))) carrier.Send(*progress);
  }
}

bool Executor::Impl::ItemsWaiting() const {
  return std::any_of(driven.arrivals.begin(), driven.arrivals.end(),
                     [](const auto& entry) { return entry.second.has_next(); });
}

void Executor::Impl::NoteQueueTime(const model::Command& command, int64_t now_ns) {
  window_wait_ns += now_ns - command.queued_ns;
  ++window_commands;
}

void Executor::Impl::FillCommands(BatchRun& run, std::vector<model::Command>& taken, Room room) {
  const int64_t now_ns = clock.BootNs();
  TakeUpAgain(run, taken, room);
  while (!queue.empty() && !full(run, room)) {
    taken.push_back(std::move(queue.front()));
    queue.pop_front();
    NoteQueueTime(taken.back(), now_ns);
    ApplyFirst(run, taken);
    ++counts.commands;
  }
}

void Executor::Impl::TakeUpAgain(BatchRun& run, std::vector<model::Command>& taken, Room room) {
  const int64_t now_ns = clock.BootNs();
  while (!full(run, room)) {
    auto ready = aside.TakeReady(now_ns, stopping_now);
    if (!ready) return;
    taken.push_back(std::move(ready->command));
    run.Apply(taken.back(),
              ready->complete ? BatchRun::Turn::kComplete : BatchRun::Turn::kImpatient);
  }
}

// A command comes for the first time.
void Executor::Impl::ApplyFirst(BatchRun& run, const std::vector<model::Command>& taken) {
  if (suspects.Holds(taken.back(), clock.BootNs())) {
    run.replies.push_back({taken.back().reply_to, StoreRefuses()});
    return;
  }
  if (run.Apply(taken.back(), BatchRun::Turn::kFirst)) return;
  if (aside.Note(taken, clock.BootNs())) return;
  run.replies.push_back(
      {taken.back().reply_to,
       model::Refuse(base::Code::kResourceExhausted, model::Reason::kBusy,
                     "the server is busy; send the same request again after a moment", 100)});
}

void Executor::Impl::FillItems(BatchRun& run, Room room) {
  auto& arrivals = driven.arrivals;
  auto it = arrivals.upper_bound(last_served);
  for (size_t asked = 0; asked < arrivals.size() && !full(run, room); ++asked, ++it) {
    if (it == arrivals.end()) it = arrivals.begin();
    while (it->second.has_next() && !full(run, room)) {
      last_served = it->first;
      const size_t records = std::max(limits.slice_at_least, room.records - run.records());
      if (!run.ApplyNext(it->second, it->first, records)) break;
    }
  }
}

// Clients' commands come first, but arrived items keep half of the records while they have a
// backlog, and what is due an eighth of all, so none starves another.
void Executor::Impl::Fill(BatchRun& run, std::vector<model::Command>& taken) {
  const Room all{limits.batch_records, limits.batch_bytes};
  run.ForgetCuts();
  const bool due = SomethingDue(run.time_ms());
  const Room others{due ? all.records - all.records / kDueShare : all.records,
                    due ? all.bytes - all.bytes / kDueShare : all.bytes};
  FillCommands(run, taken, {ItemsWaiting() ? others.records / 2 : others.records, others.bytes});
  FillItems(run, others);
  if (due) FillDue(run);
  if (!queue.empty()) FillCommands(run, taken, all);
}

bool Executor::Impl::SomethingDue(int64_t time_ms) const {
  if (clock.BootNs() < due_again_ns) return false;
  return std::any_of(driven.shards.begin(), driven.shards.end(),
                     [time_ms](const auto& entry) { return entry.second.logic->Due(time_ms); });
}

bool Executor::Impl::CutsMended() const {
  return std::any_of(driven.couriers.begin(), driven.couriers.end(),
                     [](const auto& entry) { return entry.second.cut_mended(); });
}

// What is left of the batch, spread over the shards that have something due.
void Executor::Impl::FillDue(BatchRun& run) {
  std::vector<model::ShardId> shards;
  for (const auto& [id, shard] : driven.shards) {
    if (shard.logic->Due(run.time_ms())) shards.push_back(id);
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    const size_t left =
        limits.batch_records > run.records() ? limits.batch_records - run.records() : 0;
    run.ApplyDue(shards[i], std::max<size_t>(1, left / (shards.size() - i)));
  }
}

bool Executor::RunOnce() {
  Impl& me = *impl_;
  if (me.closed) {
    // One more try to open; until it succeeds everything is refused, nothing is lost.
    if (!me.Reopen()) {
      me.TakeInbox();
      std::vector<model::Command> taken(std::make_move_iterator(me.queue.begin()),
                                        std::make_move_iterator(me.queue.end()));
      me.queue.clear();
      for (auto& command : me.aside.TakeAll()) taken.push_back(std::move(command));
      me.Refuse(taken, StoreClosed());
      return false;
    }
    me.closed = false;
    if (me.said_closed) LOG_WARN("store_open_again executor={}", me.name);
    me.ForgetAll();
  }
  me.TakeInbox();
  if (me.careful > 0) {
    const bool moved = me.GoCarefully();
    me.PumpAll();
    return moved;
  }
  const int64_t time_ms = me.time.NowMs();
  if (me.queue.empty() && !me.ItemsWaiting() &&
      !me.aside.HasReady(me.clock.BootNs(), me.stopping_now) && !me.SomethingDue(time_ms) &&
      !me.CutsMended()) {
    me.PumpAll();
    return false;
  }
  BatchRun run(me.driven, me.store, me.limits, time_ms, me.clock.BootNs());
  std::vector<model::Command> taken;
  me.Fill(run, taken);
  // Only items that failed: there is nothing to do before the next tick, or this would never rest.
  const bool moved = !taken.empty() || run.writes();
  me.Finish(run, std::move(taken));
  me.PumpAll();
  return moved;
}

void Executor::Impl::Finish(BatchRun& run, std::vector<model::Command> taken) {
  if (!run.writes()) {
    // Refusals and repeats only: nothing to make durable, so nothing to wait for.
    run.Committed();
    Answer(run);
    aside.Keep(&taken);
    Left(taken);
    return;
  }
  const int64_t things = static_cast<int64_t>(run.records()) + run.items_applied + 1;
  const CommitOutcome outcome = store.Commit(run.Seal());
  ++counts.batches;
  switch (outcome) {
    case CommitOutcome::kCommitted:
      run.Committed();
      Answer(run);
      aside.Keep(&taken);
      break;
    case CommitOutcome::kRejected:
      run.Dropped();
      aside.Drop();
      LOG_WARN("batch_rejected executor={} commands={}", name, taken.size());
      RunAlone(std::move(taken), things);
      return;
    case CommitOutcome::kGuardFired:
      // Our memory is wrong, not the commands: read again, then run them again.
      run.Dropped();
      aside.Drop();
      LOG_ERROR("guard_fired executor={} commands={}", name, taken.size());
      if (auto read = ReadStore()) {
        ForgetAll();
      } else {
        Close(read.error());
      }
      RunAlone(std::move(taken), things);
      return;
    case CommitOutcome::kUnknown:
      Recover(run, taken);
      break;
  }
  Left(taken);
}

int64_t Executor::opens_in_flight(model::PacketId packet) const {
  std::lock_guard lock(impl_->mutex);
  const auto count = impl_->opens.find(packet);
  return count == impl_->opens.end() ? 0 : count->second;
}

void Executor::Impl::Answer(BatchRun& run) {
  counts.items += run.items_applied;
  counts.shortcuts += run.shortcuts;
  counts.parked += run.parked_change;
  const auto busy = [](const Outbound& answer) {
    return !answer.reply &&
           answer.reply.error().reason == static_cast<uint16_t>(model::Reason::kBusy);
  };
  refused_busy.fetch_add(std::count_if(run.replies.begin(), run.replies.end(), busy),
                         std::memory_order_relaxed);
  if (!run.replies.empty()) outlet.Replies(std::move(run.replies));
  if (!run.effects.empty()) outlet.Effects(std::move(run.effects));
}

// These commands wait no more: there is room for others.
void Executor::Impl::Left(const std::vector<model::Command>& answered) {
  int64_t bytes = 0;
  for (const auto& command : answered) bytes += BytesOf(command);
  queued.fetch_sub(static_cast<int64_t>(answered.size()), std::memory_order_relaxed);
  queued_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  std::lock_guard lock(mutex);
  for (const auto& command : answered) {
    const auto* open = std::get_if<model::OpenPacket>(&command.body);
    if (open == nullptr) continue;
    const auto count = opens.find(open->packet);
    if (--count->second == 0) opens.erase(count);
  }
}

void Executor::Impl::Refuse(const std::vector<model::Command>& taken, const base::Error& error) {
  std::vector<Outbound> replies;
  for (const auto& command : taken) replies.push_back({command.reply_to, error});
  if (!replies.empty()) outlet.Replies(std::move(replies));
  Left(taken);
}

void Executor::Impl::PumpAll() {
  const int64_t now_ns = clock.BootNs();
  for (auto& [channel, arrivals] : driven.arrivals) {
    if (auto progress = arrivals.TakeUntold()) carrier.Send(*progress);
  }
  for (auto& [channel, courier] : driven.couriers) {
    courier.Pump(store.channels(), carrier, now_ns);
  }
}

void Executor::Tick() {
  Impl& me = *impl_;
  const int64_t now_ns = me.clock.BootNs();
  const bool quiet = me.queue.empty() && !me.ItemsWaiting();
  for (auto& [channel, courier] : me.driven.couriers) {
    courier.TrimIfDue(me.store.channels(), quiet, now_ns);
    courier.Pump(me.store.channels(), me.carrier, now_ns);
  }
  if (now_ns - me.window_start_ns >= 1000 * kNsPerMs) {
    me.queue_ms.store(me.window_commands == 0 ? 0.0
                                              : static_cast<double>(me.window_wait_ns) /
                                                    static_cast<double>(me.window_commands) / 1e6);
    me.window_start_ns = now_ns;
    me.window_wait_ns = 0;
    me.window_commands = 0;
  }
  me.PublishTime();
  me.PublishReport();
}

void Executor::Impl::PublishReport() {
  const int64_t now_ns = clock.BootNs();
  ExecutorReport now = counts;
  now.queued = queued.load(std::memory_order_relaxed);
  now.refused_busy = refused_busy.load(std::memory_order_relaxed);
  now.put_aside = static_cast<int64_t>(aside.size());
  now.queue_ms = queue_ms.load();
  now.stopped = closed;
  for (const auto& [channel, courier] : driven.couriers)
    now.channels.push_back(courier.Report(now_ns));
  std::lock_guard lock(report_mutex);
  report = std::move(now);
}

void Executor::Start() {
  Impl& me = *impl_;
  me.thread = std::thread([this] {
    Impl& im = *impl_;
    pthread_setname_np(pthread_self(), ("exec-" + im.name).substr(0, 15).c_str());
    for (;;) {
      const int64_t now_ns = im.clock.BootNs();
      if (now_ns - im.last_tick_ns >= kTickMs * kNsPerMs) {
        im.last_tick_ns = now_ns;
        Tick();
      }
      if (RunOnce()) continue;
      std::unique_lock lock(im.mutex);
      im.stopping_now = im.stopping;
      if (im.stopping && im.inbox.empty() && im.aside.empty()) return;
      if (!im.inbox.empty() || (im.stopping && !im.aside.empty())) continue;
      im.sleeping = true;
      im.wake.wait_for(lock, std::chrono::milliseconds(kTickMs));
      im.sleeping = false;
    }
  });
}

void Executor::Stop() {
  Impl& me = *impl_;
  {
    std::lock_guard lock(me.mutex);
    me.stopping = true;
  }
  me.wake.notify_one();
  if (me.thread.joinable()) me.thread.join();
}

bool Executor::drives(model::ShardId shard) const {
  return std::find(impl_->ids.begin(), impl_->ids.end(), shard) != impl_->ids.end();
}

ExecutorReport Executor::report() const {
  std::lock_guard lock(impl_->report_mutex);
  return impl_->report;
}

int64_t Executor::time_ms() const {
  return impl_->clock.BootNs() / kNsPerMs + impl_->time_ahead_ms.load();
}

bool Executor::stopped() const { return impl_->closed.load(std::memory_order_relaxed); }

double Executor::queue_ms() const { return impl_->queue_ms.load(std::memory_order_relaxed); }

}  // namespace hongyan::shard
