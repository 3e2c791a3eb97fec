// After a commit of unknown outcome: the store is opened and read again, and only then is anybody
// answered.
#include <algorithm>
#include <utility>

#include <absl/container/flat_hash_set.h>

#include "base/log.h"
#include "model/reason.h"
#include "shard/executor_impl.h"

namespace hongyan::shard {
namespace {

constexpr int64_t kReopenPauseMs = 200;

}  // namespace

base::Error StoreStopped(const char* what) {
  return model::Refuse(base::Code::kUnavailable, model::Reason::kStoreStopped, what, 500);
}

base::Error StoreClosed() {
  return StoreStopped(
      "the store is closed after a failed write; send the same request again later");
}

// The fourth ending of a commit: nothing is answered until recovery has decided what the
// commit became.
void Executor::Impl::Recover(BatchRun& run, const std::vector<model::Command>& taken) {
  ++counts.reopens;
  const auto numbers = run.batch_numbers();
  aside.Drop();  // answered with the rest
  auto replies = std::move(run.replies);
  run.replies.clear();
  run.Dropped();
  // Those whose answer was to come with a later slice, and those who have waited for one since an
  // earlier batch, unless this one answers them.
  absl::flat_hash_set<std::pair<uint32_t, uint64_t>> answered;
  for (const auto& reply : replies) answered.emplace(reply.to.loop, reply.to.ticket);
  std::vector<model::ReplyTo> unanswered;
  for (const auto& command : taken) unanswered.push_back(command.reply_to);
  for (const auto& abandoned : Abandoned()) unanswered.push_back(abandoned.to);
  for (const auto& to : unanswered) {
    if (!answered.emplace(to.loop, to.ticket).second) continue;
    replies.push_back({to, StoreStopped("send the same request again")});
  }
  if (auto reopened = Reopen(); !reopened) {
    Close(reopened.error());
    // The outcome stays unknown: the same request again, once the store is open, finds what it
    // became.
    for (auto& reply : replies)
      reply.reply = StoreStopped("the outcome is not known yet; send the same request again");
    outlet.Replies(std::move(replies));
    return;
  }
  const bool durable = std::all_of(numbers.begin(), numbers.end(), [this](const auto& number) {
    return driven.shards.at(number.first).head.batch >= number.second;
  });
  if (pace.May()) {
    LOG_ERROR("commit_unknown executor={} commands={} last_batch={}", name, taken.size(),
              durable ? "kept" : "lost");
  }
  if (!durable) {
    // Refusals as well: one may rest on what another command of this batch would have changed.
    for (auto& reply : replies)
      reply.reply = StoreStopped("not stored; send the same request again");
  }
  ForgetAll();
  outlet.Replies(std::move(replies));
}

// Opens the store again, and reads what is in it. A try replays the log, and the next one will
// hardly end better at once: between two the store counts as closed, whatever the traffic.
base::Result<void> Executor::Impl::Reopen() {
  if (clock.BootNs() < reopen_after_ns) {
    return StoreStopped("a commit failed right after the store had been opened again");
  }
  auto opened = store.Reopen();
  if (opened) opened = ReadStore();
  reopen_after_ns = clock.BootNs() + kReopenPauseMs * kNsPerMs;
  return opened;
}

void Executor::Impl::Close(const base::Error& why) {
  closed = true;
  said_closed = pace.May();
  if (!said_closed) return;
  LOG_ERROR("store_closed executor={} error=\"{}\": tried again every {} ms", name, why.text,
            kReopenPauseMs);
}

// Answers for whoever waits for a later slice: ask again. Nobody waits afterwards.
std::vector<Outbound> Executor::Impl::Abandoned() {
  BatchRun run(driven, store, limits, time.NowMs(), clock.BootNs());
  run.Abandon(StoreStopped("the server had to read its store again; send the same request again"));
  return std::move(run.replies);
}

// Caches go; what readers were shown is refreshed.
void Executor::Impl::ForgetAll() {
  std::vector<model::Effect> effects;
  auto abandoned = Abandoned();
  for (auto& [id, shard] : driven.shards) shard.logic->Forget(effects);
  if (!abandoned.empty()) outlet.Replies(std::move(abandoned));
  if (!effects.empty()) outlet.Effects(std::move(effects));
}

}  // namespace hongyan::shard
