#include "money/days.h"

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"
#include "money/calendar.h"
#include "money/packet_id.h"
#include "money/proof.h"
#include "money/refusals.h"

namespace hongyan::money {
namespace {

using base::Code;
using model::ArchivedDay;
using model::ShardId;

constexpr size_t kPage = 500;
constexpr size_t kRestoreRecords = 500;  // of one batch: the shard goes on with its work beside it
constexpr int kAcknowledgeTries = 300;   // of 200 ms each

base::Error NotDrained(ShardId shard, int32_t day, const std::string& why) {
  return model::Refuse(
      Code::kFailedPrecondition, model::Reason::kNone,
      DayText(day) + " in shard " + std::to_string(shard) + " is not drained: " + why);
}

base::Result<void> CheckDay(int32_t day) {
  if (day >= kFirstDay && day <= kLastDay) return {};
  return base::Error(Code::kInvalidArgument, "no packet can be of day " + std::to_string(day));
}

std::vector<ShardId> ShardsOf(const storage::MoneyStore& store) {
  std::vector<ShardId> shards;
  const storage::StoreIdentity& identity = store.identity();
  for (int i = 0; i < identity.shards; ++i) {
    shards.push_back(static_cast<ShardId>(identity.first_shard + i));
  }
  return shards;
}

// Sums that broken rows may overflow: such a day is never drained.
bool Add(int64_t more, int64_t* sum) { return !__builtin_add_overflow(*sum, more, sum); }

bool AddUp(const model::Packet& packet, const std::vector<model::Claim>& claims,
           model::DayTotals* totals) {
  ++totals->packets;
  totals->claims += static_cast<int64_t>(claims.size());
  bool whole = Add(packet.header.terms.total_fen, &totals->created_fen) &&
               Add(packet.status.refund_fen, &totals->refunded_fen);
  for (const model::Claim& claim : claims) {
    whole = whole && Add(claim.amount_fen, &totals->claimed_fen);
  }
  return whole;
}

base::Result<void> GoOn(const Ended& ended) {
  if (!ended || !ended()) return {};
  return model::Refuse(Code::kUnavailable, model::Reason::kDraining,
                       "the server is going down: do the same again later", 1000);
}

// Every packet of the day with its claims, by id, until `visit` gives an Error.
template <class Visit>
base::Result<void> VisitDay(const storage::PacketStore& packets, ShardId shard, int32_t day,
                            const Ended& ended, Visit visit) {
  for (model::PacketId after = storage::BeforeDay(day);;) {
    if (auto more = GoOn(ended); !more) return more;
    auto page = packets.ListPackets(shard, after, kPage);
    if (!page) return std::move(page).error();
    for (const model::Packet& packet : *page) {
      if (storage::DayOfId(packet.header.id) != day) return {};
      auto claims = packets.ListClaims(shard, packet.header.id);
      if (!claims) return std::move(claims).error();
      if (auto visited = visit(packet, *claims); !visited) return visited;
    }
    if (page->size() < kPage) return {};
    after = page->back().header.id;
  }
}

base::Result<void> CheckClosed(const storage::MoneyIdentity& identity, ShardId shard, int32_t day,
                               const model::Packet& packet,
                               const std::vector<model::Claim>& claims) {
  const std::string name = "packet " + std::to_string(packet.header.id.value);
  if (packet.status.quarantined) return NotDrained(shard, day, name + " is in quarantine");
  if (!model::Closed(packet.status.state)) return NotDrained(shard, day, name + " is not closed");
  if (const auto flaw = FlawOf(packet.header, packet.status, claims, identity)) {
    return NotDrained(shard, day, name + " does not add up: " + flaw->text);
  }
  return {};
}

// The certificate and the file of one shard's day. No file where there is no packet.
base::Result<ArchivedDay> Export(storage::MoneyStore& store, ShardId shard, int32_t day,
                                 const Ended& ended) {
  auto snapshot = store.TakeSnapshot();
  if (!snapshot) return std::move(snapshot).error();
  ArchivedDay archived;
  archived.day = day;
  auto head = (*snapshot)->channels().ReadHead(shard);
  if (!head) return std::move(head).error();
  for (const auto& [target, emitted] : head->emitted) {
    archived.acknowledged[target] = emitted.number;
  }
  std::unique_ptr<storage::DayStore::File> file;
  auto written =
      VisitDay((*snapshot)->packets(), shard, day, ended,
               [&](const model::Packet& packet, const auto& claims) -> base::Result<void> {
                 auto closed = CheckClosed(store.money_identity(), shard, day, packet, claims);
                 if (!closed) return closed;
                 if (!AddUp(packet, claims, &archived.totals))
                   return Refusal(model::Reason::kBroken);
                 if (file == nullptr) {
                   auto made = store.days().NewFile(shard, day);
                   if (!made) return std::move(made).error();
                   file = *std::move(made);
                 }
                 return file->Add(packet, claims);
               });
  if (!written) return written.error();
  const model::DayTotals& totals = archived.totals;
  if (totals.created_fen - totals.claimed_fen != totals.refunded_fen) {
    return NotDrained(shard, day, "its packets are not the sum of their claims and refunds");
  }
  if (file == nullptr) return archived;
  if (auto finished = file->Finish(&archived); !finished) return finished.error();
  return archived;
}

// Asks again as long as the shard is busy, above all with items that are not acknowledged yet.
model::Reply AskPatiently(const Ask& ask, const Ended& ended, ShardId shard,
                          const model::CommandBody& body) {
  for (int tries = 1;; ++tries) {
    if (auto more = GoOn(ended); !more) return more.error();
    model::Reply reply = ask(shard, body);
    const bool busy = !reply && reply.error().reason == static_cast<uint16_t>(model::Reason::kBusy);
    if (!busy || tries == kAcknowledgeTries) return reply;
    std::this_thread::sleep_for(std::chrono::milliseconds(reply.error().retry_after_ms));
  }
}

// What the shard is to archive; no file: it has no packets of the day.
base::Result<ArchivedDay> Prepare(storage::MoneyStore& store, ShardId shard, int32_t day,
                                  const Ask& ask, const Ended& ended) {
  auto found = store.days().FindDay(shard, day);
  if (!found) return std::move(found).error();
  if (found->has_value()) {
    // A restore that was cut short has left rows beside the file. They go once more, if the file is
    // what they are copies of.
    if (auto good = store.days().Verify(shard, **found); !good) return good.error();
    return **std::move(found);
  }
  ArchivedDay asked;
  asked.day = day;
  if (auto over = AskPatiently(ask, ended, shard, model::ArchiveDay{asked}); !over)
    return over.error();
  return Export(store, shard, day, ended);
}

base::Result<void> ArchiveShard(storage::MoneyStore& store, ShardId shard, int32_t day,
                                const Ask& ask, const Ended& ended) {
  auto archived = Prepare(store, shard, day, ask, ended);
  if (!archived) return std::move(archived).error();
  if (archived->file.empty()) return {};
  if (auto done = AskPatiently(ask, ended, shard, model::ArchiveDay{*archived}); !done) {
    return done.error();
  }
  if (auto reclaimed = store.days().Reclaim(shard, day); !reclaimed) {
    LOG_WARN("day_not_reclaimed shard={} day={} error=\"{}\": its space comes back later", shard,
             day, reclaimed.error().text);
  }
  return {};
}

base::Result<void> RestoreShard(storage::MoneyStore& store, ShardId shard,
                                const ArchivedDay& archived, const Ask& ask, const Ended& ended) {
  if (auto good = store.days().Verify(shard, archived); !good) return good;
  for (model::PacketId after;;) {
    auto reply = AskPatiently(ask, ended, shard, model::RestoreDay{archived.day, after});
    if (!reply) return reply.error();
    const auto& restored = std::get<model::DayRestored>(*reply);
    if (restored.done) return {};
    after = restored.last;
  }
}

}  // namespace

// -- for the administrator

base::Result<std::vector<DayState>> LookAtDay(storage::MoneyStore& store, int32_t day,
                                              const Ended& ended) {
  if (auto good = CheckDay(day); !good) return good.error();
  auto snapshot = store.TakeSnapshot();
  if (!snapshot) return std::move(snapshot).error();
  std::vector<DayState> states;
  for (const ShardId shard : ShardsOf(store)) {
    DayState state;
    state.shard = shard;
    auto read = VisitDay((*snapshot)->packets(), shard, day, ended,
                         [&state](const model::Packet& packet, const auto& claims) {
                           const bool whole = AddUp(packet, claims, &state.totals);
                           state.unclosed += model::Closed(packet.status.state) ? 0 : 1;
                           state.quarantined += packet.status.quarantined || !whole ? 1 : 0;
                           return base::Result<void>();
                         });
    if (!read) return read.error();
    auto archived = store.days().FindDay(shard, day);
    if (!archived) return std::move(archived).error();
    state.archived = *std::move(archived);
    if (state.totals.packets > 0) states.push_back(std::move(state));
  }
  return states;
}

base::Result<std::vector<int32_t>> ListDays(storage::MoneyStore& store) {
  auto snapshot = store.TakeSnapshot();
  if (!snapshot) return std::move(snapshot).error();
  std::set<int32_t> days;
  for (const ShardId shard : ShardsOf(store)) {
    for (model::PacketId after;;) {
      auto first = (*snapshot)->packets().ListPackets(shard, after, 1);
      if (!first) return std::move(first).error();
      if (first->empty()) break;
      const int32_t day = storage::DayOfId(first->front().header.id);
      days.insert(day);
      after = storage::BeforeDay(day + 1);
    }
  }
  return std::vector<int32_t>(days.begin(), days.end());
}

base::Result<std::vector<DayState>> ArchiveDay(storage::MoneyStore& store, int32_t day,
                                               const Ask& ask, const Ended& ended) {
  if (auto good = CheckDay(day); !good) return good.error();
  for (const ShardId shard : ShardsOf(store)) {
    if (auto done = ArchiveShard(store, shard, day, ask, ended); !done) return done.error();
  }
  auto states = LookAtDay(store, day, ended);
  if (states && states->empty()) {
    return base::Error(Code::kNotFound, "there are no packets of " + DayText(day));
  }
  return states;
}

base::Result<std::vector<DayState>> RestoreDay(storage::MoneyStore& store, int32_t day,
                                               const Ask& ask, const Ended& ended) {
  if (auto good = CheckDay(day); !good) return good.error();
  bool any = false;
  for (const ShardId shard : ShardsOf(store)) {
    auto archived = store.days().FindDay(shard, day);
    if (!archived) return std::move(archived).error();
    if (!archived->has_value()) continue;
    any = true;
    if (auto done = RestoreShard(store, shard, **archived, ask, ended); !done) return done.error();
  }
  auto states = LookAtDay(store, day, ended);
  // Where packets of it are here it has been restored before, or was never archived: as asked.
  if (!any && states && states->empty()) {
    return base::Error(Code::kNotFound, "there are no packets of " + DayText(day));
  }
  return states;
}

// -- for the shard

void Days::Archive(shard::UnitOfWork& work, const model::ReplyTo& to,
                   const model::ArchiveDay& command) {
  work.Reply(to, ArchiveOne(work, command.day));
}

model::Reply Days::ArchiveOne(shard::UnitOfWork& work, const ArchivedDay& day) {
  if (auto good = CheckDay(day.day); !good) return good.error();
  if (DayOf(work.time_ms()) < day.day + 2) {
    return NotDrained(shard_, day.day,
                      "packets of it may still be made until the day after it is over");
  }
  if (day.file.empty()) return model::ReplyBody(model::Done{});
  auto found = store_.days().FindDay(shard_, day.day);
  if (!found) return std::move(found).error();
  const bool again = found->has_value();
  if (again && (*found)->hash != day.hash) return Refusal(model::Reason::kDayDrained);
  if (auto complete = CheckAcknowledged(day); !complete) return complete.error();
  ArchivedDay archived = again ? **std::move(found) : day;
  if (!again) archived.archived_ms = work.time_ms();
  store_.days().Archive(work.batch(), shard_, archived);
  LOG_INFO("day_archived shard={} day={} packets={} claims={} file={}", shard_, day.day,
           day.totals.packets, day.totals.claims, day.file);
  return model::ReplyBody(model::Done{});
}

// Acknowledged items leave the outbox.
base::Result<void> Days::CheckAcknowledged(const ArchivedDay& day) const {
  for (const auto& [target, number] : day.acknowledged) {
    auto oldest = store_.channels().OldestKept({shard_, target});
    if (!oldest) return std::move(oldest).error();
    if (!oldest->has_value() || **oldest > number) continue;
    base::Error busy = Busy(200);
    busy.text = "items up to " + std::to_string(number) + " of the channel from shard " +
                std::to_string(shard_) + " to shard " + std::to_string(target) +
                " are not acknowledged yet: see `hongyan-admin channels`";
    return busy;
  }
  return {};
}

void Days::Restore(shard::UnitOfWork& work, const model::ReplyTo& to,
                   const model::RestoreDay& command) {
  auto restored =
      store_.days().Restore(work.batch(), shard_, command.day, command.after, kRestoreRecords);
  if (!restored) return work.Reply(to, restored.error());
  if (restored->done) LOG_INFO("day_restored shard={} day={}", shard_, command.day);
  work.Reply(to, model::ReplyBody(model::DayRestored{restored->last, restored->done}));
}

}  // namespace hongyan::money
