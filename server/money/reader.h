#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "model/command.h"
#include "model/money.h"
#include "money/routes.h"
#include "storage/money_store.h"

namespace hongyan::money {

// Packets, wallets and histories, read beside the writer on the reader pool (it may go to disk).
// What is answered was committed before the call. Rights are checked here: who asks is always
// given. Any thread.
class Reader {
 public:
  // `store`, its ports and `routes` outlive it.
  Reader(storage::MoneyStore& store, const Routes& routes)
      : ledger_(store.ledger()),
        packets_(store.packets()),
        channels_(store.channels()),
        routes_(routes) {}

  // -- packets

  // NO_SUCH_PACKET where there is none, BUSY where its money may still be on its way to its shard:
  // the sender knows the id from the debit on. No rights asked: for the conversation to ask
  // Eligibility for, and for the administrator.
  base::Result<model::Packet> Find(model::PacketId packet) const;

  struct Detail {
    model::Packet packet;
    std::vector<model::Claim> claims;  // by ordinal, up to `limit` after `after_ordinal`
    bool more = false;
    std::optional<model::Claim> own;  // of who asks
    model::UserId best_luck;          // only of a lucky packet that is DONE; else nobody
    int64_t took_ms = 0;              // DONE: from the creation to the last open
  };
  // Who has a claim and the sender may always see it; others only as `member` of the packet's
  // conversation (Eligibility::MayOpen; else NOT_ELIGIBLE).
  base::Result<Detail> Show(model::PacketId packet, model::UserId user, bool member,
                            int32_t after_ordinal, size_t limit) const;
  // The same for the administrator: no rights asked.
  base::Result<Detail> Show(model::PacketId packet, int32_t after_ordinal, size_t limit) const;

  // Also those that cannot be read at all: Find says so.
  base::Result<std::vector<model::PacketId>> Quarantined(model::ShardId shard, size_t limit) const;

  // -- sends

  enum class SendState : uint8_t { kSending = 1, kSent = 2, kReturned = 3 };
  struct Send {
    SendState state = SendState::kSending;
    model::PacketId packet;
    model::ReturnReason reason = model::ReturnReason::kNone;  // kReturned
  };
  // What became of a send under this request id. A remembered refusal is the Error; NOT_FOUND (no
  // reason) where nothing is remembered: it is on its way to its shard, was never taken, or is more
  // than 8 days old.
  base::Result<Send> FindSend(model::UserId user, const model::RequestId& request) const;

  // -- wallets: a user's own, or the administrator's to see

  // A user nobody has ever sent a fen has an empty wallet.
  base::Result<model::Wallet> FindWallet(model::UserId user) const;

  struct StatementPage {
    std::vector<model::StatementRow> rows;  // newest first
    int64_t next_before = 0;                // ask with it for older ones; 0 = there are none
  };
  base::Result<StatementPage> Statement(model::UserId user, int64_t before, size_t limit) const;

  enum class Side : uint8_t { kSent = 1, kReceived = 2 };
  // Packets sent (with their refunds) or received in a year (money::YearOf, calendar.h), newest
  // first. Looks at a bounded stretch of the statement: a page may be short, or empty, and yet not
  // the last. The totals of the year are in the wallet: model::Wallet::years.
  base::Result<StatementPage> History(model::UserId user, Side side, int32_t year, int64_t before,
                                      size_t limit) const;

  // -- channels between money shards

  // The number of the last item that the source has given; 0 = none.
  base::Result<int64_t> Given(storage::ChannelId channel) const;
  // Whether the target has applied, or parked, all up to this number.
  base::Result<bool> Arrived(storage::ChannelId channel, int64_t number) const;

  static constexpr size_t kMaxPage = 200;
  static constexpr size_t kMaxLooked = 2000;  // statement rows of one History

 private:
  base::Result<model::ShardId> PacketShard(model::PacketId packet) const;
  base::Result<bool> ArrivalsMissing(model::PacketId packet, model::ShardId shard) const;
  base::Result<int64_t> EndOfYear(model::UserId user, int32_t year, int64_t before) const;

  const storage::LedgerStore& ledger_;
  const storage::PacketStore& packets_;
  const storage::ChannelStore& channels_;
  const Routes& routes_;
};

}  // namespace hongyan::money
