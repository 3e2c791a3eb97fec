#pragma once

#include "hongyan/v1/admin.pb.h"
#include "model/money.h"

namespace hongyan::admin {

// What an administrator is shown of an archived day. Any thread.
inline void Fill(model::ShardId shard, const model::ArchivedDay& day, v1::DayFile* to) {
  to->set_shard(shard);
  to->set_file(day.file);
  to->set_packets(day.totals.packets);
  to->set_claims(day.totals.claims);
  to->set_created_fen(day.totals.created_fen);
  to->set_claimed_fen(day.totals.claimed_fen);
  to->set_refunded_fen(day.totals.refunded_fen);
  to->set_archived_ms(day.archived_ms);
}

}  // namespace hongyan::admin
