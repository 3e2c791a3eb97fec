#include "storage/rocksdb/money_rows.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_money_ports.h"

namespace hongyan::storage {

namespace {

RocksdbBatch& Staged(Batch& batch) { return static_cast<RocksdbBatch&>(batch); }

// The row with this key as `decode` reads it, if there is one.
template <class Row, class Decode>
base::Result<std::optional<Row>> FindRow(const View& view, Table table, const Key& key,
                                         const char* what, Decode decode) {
  rocksdb::PinnableSlice value;
  const auto found = view.Get(table, key, Reach::kDisk, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<Row>();
  Row row;
  if (!decode(value, &row)) return BrokenRow(what, key.slice());
  return std::optional(std::move(row));
}

}  // namespace

base::Result<std::optional<model::Wallet>> RocksdbLedgerStore::FindWallet(
    model::ShardId shard, model::UserId user) const {
  auto wallet = FindRow<model::Wallet>(view_, Table::kWallets, WalletKey(shard, user), "wallet",
                                       DecodeWallet);
  if (wallet && wallet->has_value()) (*wallet)->user = user;
  return wallet;
}

void RocksdbLedgerStore::PutWallet(Batch& batch, model::ShardId shard,
                                   const model::Wallet& wallet) {
  Staged(batch).Replace(Table::kWallets, WalletKey(shard, wallet.user), EncodeWallet(wallet));
}

base::Result<std::vector<model::Wallet>> RocksdbLedgerStore::ListWallets(model::ShardId shard,
                                                                         model::UserId after,
                                                                         size_t limit) const {
  auto scan = Scan::From(view_, Table::kWallets, WalletKey(shard, after).Byte('\0'),
                         WalletKey(shard, model::UserId(INT64_MAX)).Byte('\0'));
  if (!scan) return scan.error();
  std::vector<model::Wallet> wallets;
  for (scan->ToFirst(); scan->at_row() && wallets.size() < limit; scan->Next()) {
    model::Wallet& wallet = wallets.emplace_back();
    wallet.user = model::UserId(LastId(scan->key()));
    if (!DecodeWallet(scan->value(), &wallet)) return BrokenRow("wallet", scan->key());
  }
  if (scan->at_row()) return wallets;
  if (auto ended = scan->status(); !ended) return ended.error();
  return wallets;
}

void RocksdbLedgerStore::AppendStatement(Batch& batch, model::ShardId shard, model::UserId user,
                                         const model::StatementRow& row) {
  Staged(batch).Insert(Table::kStatements, StatementKey(shard, user, row.account_seq),
                       EncodeStatement(row));
}

base::Result<std::vector<model::StatementRow>> RocksdbLedgerStore::ReadStatement(
    model::ShardId shard, model::UserId user, int64_t before, size_t limit) const {
  auto scan = Scan::From(view_, Table::kStatements, StatementKey(shard, user, 0),
                         StatementKey(shard, user, before == 0 ? INT64_MAX : before));
  if (!scan) return scan.error();
  std::vector<model::StatementRow> rows;
  for (scan->ToLast(); scan->at_row() && rows.size() < limit; scan->Back()) {
    model::StatementRow& row = rows.emplace_back();
    row.account_seq = LastId(scan->key());
    if (!DecodeStatement(scan->value(), &row)) return BrokenRow("statement row", scan->key());
  }
  if (scan->at_row()) return rows;
  if (auto ended = scan->status(); !ended) return ended.error();
  return rows;
}

base::Result<std::optional<model::SendOutcome>> RocksdbLedgerStore::FindSend(
    model::UserId user, const model::RequestId& request) const {
  return FindRow<model::SendOutcome>(view_, Table::kReceipts, SendKey(request, user),
                                     "outcome of a send", DecodeSend);
}

void RocksdbLedgerStore::PutSend(Batch& batch, model::UserId user, const model::RequestId& request,
                                 const model::SendOutcome& outcome) {
  Staged(batch).Put(Table::kReceipts, SendKey(request, user), EncodeSend(outcome));
}

base::Result<std::optional<model::MoveOutcome>> RocksdbLedgerStore::FindMove(
    model::UserId user, std::string_view id) const {
  if (id.size() > kMaxMoveId) return std::optional<model::MoveOutcome>();
  return FindRow<model::MoveOutcome>(view_, Table::kRest, MoveKey(user, id), "outcome of a move",
                                     DecodeMove);
}

void RocksdbLedgerStore::PutMove(Batch& batch, model::UserId user, std::string_view id,
                                 const model::MoveOutcome& outcome) {
  CHECK(id.size() <= kMaxMoveId);
  Staged(batch).Put(Table::kRest, MoveKey(user, id), EncodeMove(outcome));
}

base::Result<model::Books> RocksdbLedgerStore::ReadBooks(model::ShardId shard) const {
  auto books =
      FindRow<model::Books>(view_, Table::kRest, BooksKey(shard), "row of books", DecodeBooks);
  if (!books) return books.error();
  return books->value_or(model::Books());
}

void RocksdbLedgerStore::PutBooks(Batch& batch, model::ShardId shard, const model::Books& books) {
  Staged(batch).Replace(Table::kRest, BooksKey(shard), EncodeBooks(books));
}

}  // namespace hongyan::storage
