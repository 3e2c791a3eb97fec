#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/command.h"
#include "model/item.h"
#include "money/board.h"
#include "money/books.h"
#include "money/counters.h"
#include "money/limits.h"
#include "money/live_packets.h"
#include "money/proof.h"
#include "money/routes.h"
#include "shard/unit_of_work.h"
#include "storage/money_store.h"

namespace hongyan::money {

// The packets of one shard: made in the commit that receives their money, announced, opened,
// closed. Beside the last open, `Close` is the only way out of CREATED and OPEN. A packet whose
// rows do not add up is quarantined: its money goes to suspense, its requests get one clear code,
// everything else goes on; out of there only an administrator leads (`ReturnRest`). Shard thread;
// everything staged goes with the unit of work's commit.
class Packets {
 public:
  // All outlive it. `held`: what is known without the store, by weight (see Board).
  Packets(model::ShardId shard, storage::PacketStore& store, const storage::MoneyIdentity& identity,
          BooksOfShard& books, const Routes& routes, Board& board, Counters& counters,
          Limits limits, size_t held);

  void Open(shard::UnitOfWork& work, const model::ReplyTo& to, const model::OpenPacket& open);
  void Return(shard::UnitOfWork& work, const model::ReplyTo& to,
              const model::ReturnPacket& command);
  void Mend(shard::UnitOfWork& work, const model::ReplyTo& to, const model::MendPacket& mend);

  // Commit 2 of a send: makes the packet, or sends the money back.
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                         const model::FundItem& item);
  // Commit 4.
  base::Result<shard::ItemOutcome> Apply(shard::UnitOfWork& work, const model::VerdictItem& item);

  // Money in suspense goes to whom this item says: funds back to their sender, a share or a refund
  // on to its wallet, wherever that is.
  base::Result<void> SendOn(shard::UnitOfWork& work, const model::Item& item);

  // Something may have expired by `time_ms`. Cheap.
  bool Due(int64_t time_ms) const { return sweep_.next_ms <= time_ms; }
  // Closes what has, up to about `max_records` records.
  void Sweep(shard::UnitOfWork& work, size_t max_records);

  // The store refused what was written of this packet: into quarantine. False = nothing is changed.
  bool SetApart(shard::UnitOfWork& work, model::PacketId packet);
  // The same of the next that is due.
  void SetApartDue(shard::UnitOfWork& work);

  void Publish();
  void Drop();
  void Forget();

 private:
  // Where the sweep stands in the order of expiry.
  struct SweepPlace {
    storage::PacketStore::Expiry after;
    int64_t next_ms = 0;  // nothing is due before; 0 = not known yet
    // From the first key again: for those that could not be read.
    int64_t again_ms = std::numeric_limits<int64_t>::max();
  };
  struct Tally {
    int64_t packets = 0;
    int64_t opens = 0;
    int64_t opens_refused = 0;
    int64_t finished = 0;
    int64_t refunds = 0;
    int64_t quarantined = 0;
    int64_t first_expiry_ms = std::numeric_limits<int64_t>::max();  // of the packets made
  };

  model::Reply Take(shard::UnitOfWork& work, const model::OpenPacket& open);
  base::Result<model::Opened> Draw(shard::UnitOfWork& work, LivePacket& packet,
                                   const model::OpenPacket& open);
  void Finish(shard::UnitOfWork& work, LivePacket& packet, const model::Claim& last);
  model::Reply GiveBack(shard::UnitOfWork& work, const model::ReturnPacket& command);
  model::Reply MendOne(shard::UnitOfWork& work, const model::MendPacket& mend);
  base::Result<void> LetGo(shard::UnitOfWork& work, LivePacket& packet);
  base::Result<void> ReturnRest(shard::UnitOfWork& work, LivePacket& packet);

  // REQUIRES CREATED or OPEN, and rows that add up. An Error has changed nothing.
  base::Result<void> Close(shard::UnitOfWork& work, LivePacket& packet, model::PacketState state,
                           model::ReturnReason reason, model::UserId by);
  // Commit 3, in the conversation: it takes a packet's message once, and says so each time.
  void Announce(shard::UnitOfWork& work, const model::PacketHeader& header);
  void Refund(shard::UnitOfWork& work, const model::PacketHeader& header, int64_t fen,
              model::ReturnReason reason);
  void Notice(shard::UnitOfWork& work, const model::PacketHeader& header,
              model::PacketNoticeItem::What what, model::UserId user, int64_t amount_fen,
              int64_t took_ms);
  base::Result<shard::ItemOutcome> Reverse(shard::UnitOfWork& work, const model::FundItem& item,
                                           model::ReturnReason reason);
  bool Expire(shard::UnitOfWork& work, const storage::PacketStore::Expiry& expiry);
  // Of what an open or a close relies on.
  std::optional<Flaw> FlawIn(const LivePacket& packet) const;
  // The packet's rows do not add up.
  void Quarantine(shard::UnitOfWork& work, LivePacket& packet, const std::string& why);

  const model::ShardId shard_;
  storage::PacketStore& store_;
  const storage::MoneyIdentity& identity_;
  BooksOfShard& books_;
  const Routes& routes_;
  Board& board_;
  Counters& counters_;
  const Limits limits_;
  LivePackets live_;
  SweepPlace sweep_;
  SweepPlace committed_sweep_;
  Tally tally_;  // of the batch under way
};

}  // namespace hongyan::money
