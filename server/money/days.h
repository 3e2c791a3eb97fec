#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "model/command.h"
#include "model/money.h"
#include "shard/unit_of_work.h"
#include "storage/money_store.h"

namespace hongyan::money {

// Days of packets leave the store for files and come back. A day is drained when
// nothing of it can change or be missing any more: the shard's own day is D+2 or later, so no
// packet of D can be made; every packet of D is closed, none in quarantine, each adds up by itself,
// and all together created = claims + refunds; every item about them has been acknowledged. The
// proof, the file and its hash are the certificate that stays in the store in place of the rows.
// Opens, grabs, details and the audit find archived packets in their files.

// -- for the administrator

// Carries a command to a money shard and waits for its reply.
using Ask = std::function<model::Reply(model::ShardId, model::CommandBody)>;
// Asked again and again: true = the server is going down. May be empty.
using Ended = std::function<bool()>;

// One day on one shard.
struct DayState {
  model::ShardId shard = 0;
  model::DayTotals totals;
  int64_t unclosed = 0;
  int64_t quarantined = 0;
  std::optional<model::ArchivedDay> archived;
};

// Each reads the whole day, and the last two write it: for a thread of the administrator's. They go
// through all shards in turn; an Error names the first that could not be done, those before it are,
// and the same again goes on from there. Once `ended` says so they end with UNAVAILABLE, before the
// next step; the longest is to read one file whole. `day` is an epoch day.

// Only shards that have packets of that day.
base::Result<std::vector<DayState>> LookAtDay(storage::MoneyStore& store, int32_t day,
                                              const Ended& ended = {});
// Days of which there are packets.
base::Result<std::vector<int32_t>> ListDays(storage::MoneyStore& store);
// FAILED_PRECONDITION where the day is not drained, with what is missing. NOT_FOUND where no shard
// has packets of it. A day that is archived already is so afterwards, also where a restore of it
// was cut short.
base::Result<std::vector<DayState>> ArchiveDay(storage::MoneyStore& store, int32_t day,
                                               const Ask& ask, const Ended& ended = {});
// The files stay where they are. NOT_FOUND where no shard has archived the day.
base::Result<std::vector<DayState>> RestoreDay(storage::MoneyStore& store, int32_t day,
                                               const Ask& ask, const Ended& ended = {});

// -- for the shard

// What a shard does about its days. Stages into the unit of work, remembers nothing. Shard thread.
class Days {
 public:
  // `store` outlives it.
  Days(model::ShardId shard, storage::MoneyStore& store) : shard_(shard), store_(store) {}

  // Without a file: only whether the day is over for this shard, so that all there will ever be of
  // it is committed when the answer comes.
  void Archive(shard::UnitOfWork& work, const model::ReplyTo& to, const model::ArchiveDay& command);
  void Restore(shard::UnitOfWork& work, const model::ReplyTo& to, const model::RestoreDay& command);

 private:
  model::Reply ArchiveOne(shard::UnitOfWork& work, const model::ArchivedDay& day);
  base::Result<void> CheckAcknowledged(const model::ArchivedDay& day) const;

  const model::ShardId shard_;
  storage::MoneyStore& store_;
};

}  // namespace hongyan::money
