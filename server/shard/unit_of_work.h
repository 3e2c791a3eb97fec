#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/command.h"
#include "model/item.h"
#include "storage/batch.h"

namespace hongyan::shard {

// All of the shard that logic sees while it applies one command or one item: the time, the batch
// its ports write into, and the ways out. Nothing of it shows before the commit; if the batch is
// dropped, nothing of it ever happened. Shard thread; valid for the call only.
class UnitOfWork {
 public:
  virtual ~UnitOfWork() = default;

  model::ShardId shard() const { return shard_; }

  // Shard time, read once before the batch and written by its commit.
  int64_t time_ms() const { return time_ms_; }

  storage::Batch& batch() { return batch_; }

  // Gives the item the next number of the channel from this shard to `target`. `entries` is what
  // applying it will write there: a small item may be applied in this same commit.
  virtual void Emit(model::ShardId target, model::Item item, int32_t entries) = 0;

  // Answers a command; leaves after the commit.
  virtual void Reply(const model::ReplyTo& to, model::Reply reply) = 0;

  // The channel to `target` lags or is stopped: accepting more into it would acknowledge what
  // cannot be delivered soon. Asked before anything is written; the answer for the client is BUSY
  // or UNAVAILABLE.
  virtual bool MayEmit(model::ShardId target, std::string* why) const = 0;

  // Puts the command under way aside until this shard has applied all that the channels into it
  // from shards of its own kind held when it was put aside, or 300 ms have passed; then it is
  // applied once more, in its turn, with waited() true. Nothing may have been written or replied.
  // For a send whose wallet waits for credits ("forced credit").
  virtual void AwaitArrivals() = 0;
  // The command was put aside before: do not do so again.
  virtual bool waited() const = 0;
  // It was, for as long as that may last, and not all of it has come: the answer is FUNDS_PENDING
  // then, a verdict (NO_FUNDS) only where all has.
  virtual bool arrivals_missing() const = 0;

  // Free disk is below the reserve: refuse what only adds.
  virtual bool BelowDiskReserve() const = 0;

 protected:
  UnitOfWork(model::ShardId shard, int64_t time_ms, storage::Batch& batch)
      : shard_(shard), time_ms_(time_ms), batch_(batch) {}

 private:
  model::ShardId shard_;
  int64_t time_ms_;
  storage::Batch& batch_;
};

// What became of an item.
struct ItemOutcome {
  enum class Kind : uint8_t {
    kApplied,  // also where there was nothing to do: unknown user, group gone
    kSlice,    // applied up to `position`; call again with it in a later batch
    kPark,     // keep it whole and go on with the next; see `why`
  };
  Kind kind = Kind::kApplied;
  int64_t position = 0;
  // kPark: what it waits for; {0,0} = nothing, it failed by itself. kApplied: what no longer waits,
  // so its parked items are applied now, in their order, before anything newer of this channel: in
  // this commit, and where they are too many in the next ones, each of which applies the item again
  // at the position after.
  model::ConversationId conversation;
  std::string why;

  static ItemOutcome Applied() { return {}; }
  static ItemOutcome AppliedAndRelease(model::ConversationId conversation) {
    return {Kind::kApplied, 0, conversation, {}};
  }
  static ItemOutcome Slice(int64_t position) { return {Kind::kSlice, position, {}, {}}; }
  static ItemOutcome Park(model::ConversationId waits_for, std::string why) {
    return {Kind::kPark, 0, waits_for, std::move(why)};
  }
};

// Where an item comes from: its channel's source, its number, and how far it has been applied
// already: what its last kSlice said, also when it was parked in between; 0 = not begun.
struct ItemPlace {
  model::ShardId source = 0;
  int64_t number = 0;
  int64_t position = 0;
};

// The rules of one shard, as the executor drives them: apply to an overlay, then publish or drop
// it. One instance per shard, so everything in it has one writer. Shard thread, but where said.
class Logic {
 public:
  virtual ~Logic() = default;

  // Replies through the unit of work, now or in a later batch. A command that is refused has
  // written nothing.
  virtual void Apply(UnitOfWork& work, const model::Command& command) = 0;

  // Applies an item, or up to about `max_records` records of it. An Error means that it failed by
  // itself (broken or unreadable data) and has written nothing: tried once more, then parked.
  virtual base::Result<ItemOutcome> ApplyItem(UnitOfWork& work, const ItemPlace& place,
                                              const model::Item& item, size_t max_records) = 0;

  // A channel counts money as taken that no item has brought home: in the same commit it goes to
  // suspense. `fen` > 0: of an item that is parked, or of items that are given up. < 0: it leaves
  // suspense, because the item is about to be applied again; or a source that lost its tail is
  // accepted, and its money is here twice. An Error has changed nothing; then the item stays where
  // it is.
  virtual base::Result<void> Suspend(UnitOfWork& work, int64_t fen);

  // The money of a parked item that cannot be applied leaves suspense and goes on its way to whom
  // it belongs, by what the item says (funds of a send: back to their sender). In the commit that
  // unparks the item. An Error has changed nothing.
  virtual base::Result<void> SendOn(UnitOfWork& work, const model::Item& item);

  // What time asks for (expiry), bounded by about `max_records` records; the executor gives it at
  // least an eighth of a batch's places while Due says that there is something. Nobody waits for an
  // answer.
  virtual bool Due(int64_t time_ms) const;
  virtual void ApplyDue(UnitOfWork& work, size_t max_records);

  // The store refused what this command wrote, although it ran alone: what is stored of the thing
  // it is about does not fit. Marks the thing, in a commit of its own, so that commands about it
  // are refused before they write. False = there is nothing here to mark.
  virtual bool SetApart(UnitOfWork& work, const model::Command& command);
  // The same of what ApplyDue(work, 1) did.
  virtual void SetApartDue(UnitOfWork& work);

  // The batch is durable: the overlay becomes the caches and what readers see. Effects go out after
  // it.
  virtual void Publish(std::vector<model::Effect>& effects) = 0;

  // The batch did not happen: back to the caches as they were.
  virtual void Drop() = 0;

  // Our memory may be wrong: overlay and caches are emptied and read again from the store when
  // needed. What readers were shown is refreshed at once; effects tell of what a lost answer may
  // have hidden.
  virtual void Forget(std::vector<model::Effect>& effects) = 0;

  // Commands taken whose reply comes with a later batch (applied in slices) are answered with
  // `error`.
  virtual void AbandonWaiting(UnitOfWork& work, const base::Error& error) = 0;
};

}  // namespace hongyan::shard
