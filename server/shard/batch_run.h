#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "shard/arrivals.h"
#include "shard/courier.h"
#include "shard/outlet.h"
#include "shard/unit_of_work.h"
#include "storage/shard_store.h"

namespace hongyan::shard {

// One shard as its executor holds it.
struct DrivenShard {
  model::ShardId id = 0;
  std::unique_ptr<Logic> logic;
  storage::ShardHead head;       // committed
  storage::ShardHead next_head;  // the batch's overlay
  bool touched = false;          // the batch writes for it
};

// Everything an executor drives; the ends of its channels included.
struct DrivenShards {
  std::map<model::ShardId, DrivenShard> shards;
  std::map<storage::ChannelId, Courier> couriers;   // by channel, where the source is ours
  std::map<storage::ChannelId, Arrivals> arrivals;  // by channel, where the target is ours
};

// The overlay of one batch: commands and items applied, numbers given, replies and effects
// gathered. Ends in exactly one of Committed and Dropped. Executor's thread.
class BatchRun {
 public:
  BatchRun(DrivenShards& driven, storage::ShardStore& store, const ExecutorLimits& limits,
           int64_t time_ms, int64_t now_ns);
  ~BatchRun();

  // How a command that was put aside comes back.
  enum class Turn : uint8_t {
    kFirst,      // it has not been put aside
    kComplete,   // all it waited for has come
    kImpatient,  // not all, but it must not wait longer
  };
  // False = it was put aside (UnitOfWork::AwaitArrivals): nothing of it has happened.
  bool Apply(const model::Command& command, Turn turn);

  // Channels whose ends have met since: the heads need not say any more where that was.
  void ForgetCuts();

  // What is due in this shard, up to about so many records.
  void ApplyDue(model::ShardId shard, size_t max_records);

  // The next item of this channel, or a slice of it. False = leave the channel alone for this
  // batch: it was applied in part, or failed.
  bool ApplyNext(Arrivals& arrivals, storage::ChannelId channel, size_t max_records);

  // What is emitted is applied in a later batch: this one stands for one thing alone.
  void NoShortcuts() { may_shortcut_ = false; }
  // The store refused what a command, an item or what was due wrote by itself (Logic::SetApart).
  bool SetApart(const model::Command& command);
  void SetApartDue(model::ShardId shard);
  // The channel's next item is kept whole, and the channel goes on behind it.
  void ParkNext(Arrivals& arrivals, storage::ChannelId channel, std::string why);

  int64_t time_ms() const { return time_ms_; }
  size_t records() const { return batch_->records(); }
  size_t bytes() const { return batch_->bytes(); }
  bool writes() const;

  // Whoever waits for a later slice is answered with `error`. Instead of Apply, not beside it.
  void Abandon(const base::Error& error);

  // Stages heads, marks and outbox rows, and gives up the batch for Commit.
  std::unique_ptr<storage::Batch> Seal();

  // After kCommitted: overlays become what is known; replies, effects and items are there to be
  // sent.
  void Committed();
  // After a rollback: as if the batch had never been begun. Replies gathered are worthless.
  void Dropped();

  std::vector<Outbound> replies;
  std::vector<model::Effect> effects;
  int64_t items_applied = 0;
  int64_t shortcuts = 0;
  int64_t parked_change = 0;

  // Heads the batch stands for, by shard: recovery of an unknown commit compares them.
  std::vector<std::pair<model::ShardId, int64_t>> batch_numbers() const;

 private:
  class Work;
  friend class Work;

  // An item waiting to be applied in this same commit.
  struct Local {
    storage::ChannelId channel;
    cluster::TravellingItem item;
  };

  UnitOfWork& WorkOf(model::ShardId shard);
  void Emit(model::ShardId source, model::ShardId target, model::Item item, int32_t entries);
  void ToOutbox(storage::ChannelId channel, cluster::TravellingItem item);
  void ApplyLocals();
  // Applies one item; false = it was not finished (slice or failure).
  bool ApplyItem(Arrivals& arrivals, storage::ChannelId channel,
                 const cluster::TravellingItem& item, size_t max_records);
  // False = its money could not be booked: it stays the channel's next item.
  bool Park(Arrivals& arrivals, storage::ChannelId channel, const cluster::TravellingItem& item,
            int64_t fen, model::ConversationId waits_for, std::string why);
  base::Result<int64_t> FreePlace(storage::ChannelId channel, int64_t number) const;
  void PutParked(storage::ParkedItem row);
  // False = there was no room for all of them.
  bool Release(model::ShardId target, model::ConversationId conversation, size_t max_records);
  // Calls visit(row) for parked items of a target as this batch sees them, from behind `after`, by
  // source and number but for those it has parked itself, which come last; until that says false.
  using ParkedPlace = storage::ChannelStore::ParkedPlace;
  base::Result<void> VisitParked(model::ShardId target, ParkedPlace after,
                                 const std::function<bool(const storage::ParkedItem&)>& visit);
  // Applies a parked item once more. An Error: it stays.
  base::Result<void> Retry(const storage::ParkedItem& row, model::ConversationId* released);
  void Unpark(const storage::ParkedItem& row);
  model::Reply RetryParked(const model::RetryParked& retry);
  model::Reply ReturnParked(const model::ReturnParked& back);
  model::Reply AcceptChannel(const model::AcceptChannel& accept);
  void MarkTouched(model::ShardId shard, size_t records_before);

  DrivenShards& driven_;
  storage::ShardStore& store_;
  const ExecutorLimits& limits_;
  const int64_t time_ms_;
  const int64_t now_ns_;
  std::unique_ptr<storage::Batch> batch_;
  std::map<model::ShardId, std::unique_ptr<Work>> works_;
  std::deque<Local> locals_;
  std::map<storage::ChannelId, int64_t> locals_waiting_;
  std::map<storage::ChannelId, std::vector<cluster::TravellingItem>> outbox_;
  // The overlay over the store's parked items; none = unparked by this batch.
  std::map<std::pair<storage::ChannelId, int64_t>, std::optional<storage::ParkedItem>> parked_;
  Turn turn_ = Turn::kFirst;  // of the command being applied
  bool put_aside_ = false;    // it asked for that
  bool may_shortcut_ = true;
  bool sealed_ = false;
};

}  // namespace hongyan::shard
