#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/money.h"
#include "storage/batch.h"

namespace hongyan::storage {

// Days of packets that left the store for files of their own. Whether a day may
// go is for the caller to know (money/days.h); here is how: a file is written whole, synced and
// read back, then one commit takes the rows away and leaves a row that names it. PacketStore finds
// and lists the packets of archived days in their files, so nobody above sees the difference.
// Reads: any thread. Batches: shard thread of the packets' shard. Writing files and Reclaim take
// long: not on a shard thread.
class DayStore {
 public:
  virtual ~DayStore() = default;

  // The archived days of the shard, in order.
  virtual base::Result<std::vector<model::ArchivedDay>> ListDays(model::ShardId shard) const = 0;
  virtual base::Result<std::optional<model::ArchivedDay>> FindDay(model::ShardId shard,
                                                                  int32_t day) const = 0;

  // A file under construction. Given up where it is not finished. One thread.
  class File {
   public:
    virtual ~File() = default;
    // REQUIRES packets in order of their ids, all of the day, each with all its claims.
    virtual base::Result<void> Add(const model::Packet& packet,
                                   const std::vector<model::Claim>& claims) = 0;
    // Makes it durable under its name, in place of one that no archived day names; reads it back.
    // Fills `file` and `hash` of `day`.
    virtual base::Result<void> Finish(model::ArchivedDay* day) = 0;
  };
  virtual base::Result<std::unique_ptr<File>> NewFile(model::ShardId shard, int32_t day) = 0;

  // Reads the file of an archived day whole: an Error where it is not there or not as it was
  // written.
  virtual base::Result<void> Verify(model::ShardId shard, const model::ArchivedDay& day) const = 0;

  // Stages: the day's packets and claims go, `day` says where they are. REQUIRES a finished file
  // that holds all of them. The same again takes away what a restore put back that was cut short.
  virtual void Archive(Batch& batch, model::ShardId shard, const model::ArchivedDay& day) = 0;

  struct Restored {
    model::PacketId last;  // the last packet staged
    bool done = false;     // all are back with this batch, and the day is not archived any more
  };
  // Stages the inverse: packets of the file after `after` with their claims, at least one and up to
  // about `max_records` records. Until it is done all of the day is still read from its file, and
  // it may begin anew. An Error has staged nothing.
  virtual base::Result<Restored> Restore(Batch& batch, model::ShardId shard, int32_t day,
                                         model::PacketId after, size_t max_records) = 0;

  // Gives the disk back that the rows of an archived day held. An Error where it was stopped: it
  // comes back by itself, later.
  virtual base::Result<void> Reclaim(model::ShardId shard, int32_t day) = 0;
  // Reclaim ends at once, and each that follows, until the store is opened again. Any thread.
  virtual void StopReclaiming() = 0;
};

// The ids of one day. Ids begin with their day.
constexpr int64_t kIdsPerDay = 100'000'000'000'000;
constexpr int32_t DayOfId(model::PacketId packet) {
  return static_cast<int32_t>(packet.value / kIdsPerDay);
}
// Before the first id of the day.
constexpr model::PacketId BeforeDay(int32_t day) {
  return model::PacketId(int64_t{day} * kIdsPerDay - 1);
}

}  // namespace hongyan::storage
