#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/money.h"
#include "storage/batch.h"

namespace hongyan::storage {

// Wallets and what is remembered of them. Reads: any thread, see every commit that was published
// before they began; Errors as in AccountStore. The others stage into a batch of the same store:
// shard thread of the wallet's shard. Putting the same row twice in a batch costs one record: the
// last wins.
class LedgerStore {
 public:
  virtual ~LedgerStore() = default;

  virtual base::Result<std::optional<model::Wallet>> FindWallet(model::ShardId shard,
                                                                model::UserId user) const = 0;
  virtual void PutWallet(Batch& batch, model::ShardId shard, const model::Wallet& wallet) = 0;
  // By user id, from the one after `after`: for listings and the audit.
  virtual base::Result<std::vector<model::Wallet>> ListWallets(model::ShardId shard,
                                                               model::UserId after,
                                                               size_t limit) const = 0;

  // Stages a new row. REQUIRES row.account_seq to be the wallet's next.
  virtual void AppendStatement(Batch& batch, model::ShardId shard, model::UserId user,
                               const model::StatementRow& row) = 0;
  // Rows with account_seq < `before` (0 = from the newest), newest first.
  virtual base::Result<std::vector<model::StatementRow>> ReadStatement(model::ShardId shard,
                                                                       model::UserId user,
                                                                       int64_t before,
                                                                       size_t limit) const = 0;

  virtual base::Result<std::optional<model::SendOutcome>> FindSend(
      model::UserId user, const model::RequestId& request) const = 0;
  // One outcome per (user, request): what is there already is put again only with `returned`
  // changed.
  virtual void PutSend(Batch& batch, model::UserId user, const model::RequestId& request,
                       const model::SendOutcome& outcome) = 0;

  virtual base::Result<std::optional<model::MoveOutcome>> FindMove(model::UserId user,
                                                                   std::string_view id) const = 0;
  // An insert too.
  virtual void PutMove(Batch& batch, model::UserId user, std::string_view id,
                       const model::MoveOutcome& outcome) = 0;

  // Zeros where the shard has none yet.
  virtual base::Result<model::Books> ReadBooks(model::ShardId shard) const = 0;
  virtual void PutBooks(Batch& batch, model::ShardId shard, const model::Books& books) = 0;
};

}  // namespace hongyan::storage
