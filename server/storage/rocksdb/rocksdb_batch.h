#pragma once

#include <absl/container/flat_hash_map.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/batch.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/hot_rows.h"

namespace hongyan::storage {

// Writes staged for the embedded store. Entries are gathered per user, so that a batch with many
// messages of one group writes one row per member, not one per member and message. Shard thread.
class RocksdbBatch final : public Batch {
 public:
  explicit RocksdbBatch(const Database& database) : database_(database) {}

  size_t records() const override {
    return records_ + rows_.size() + replaced_.size() + new_rows_.size();
  }
  size_t bytes() const override {
    return writes_.GetDataSize() + entry_bytes_ + replaced_bytes_ + new_bytes_.size() +
           new_rows_.size() * kRecordHead;
  }

  void Put(Table table, const Key& key, const rocksdb::Slice& value);
  // A value in two parts, so that a body is not copied twice.
  void Put(Table table, const Key& key, const rocksdb::Slice& head, const rocksdb::Slice& rest);
  // A row that is rewritten many times in a batch: the last wins, and costs one record.
  void Replace(Table table, const Key& key, std::string value);
  // A row that nothing else in this batch touches. Written in the order of keys: neighbours are
  // inserted faster than strangers.
  void Insert(Table table, const Key& key, const rocksdb::Slice& value);
  void Delete(Table table, const Key& key);
  // Every row with first <= key < end. Counts as one record.
  void DeleteRange(Table table, const Key& first, const Key& end);

  void AddEntry(model::UserId user, model::Seq seq, const model::Entry& entry);

  // The batch number that becomes durable with this batch, and its shard time.
  void NoteHead(model::ShardId shard, const ShardHead& head) {
    heads_.emplace_back(shard, head.batch);
    newest_time_ms_ = std::max(newest_time_ms_, head.time_ms);
  }
  const std::vector<std::pair<model::ShardId, int64_t>>& heads() const { return heads_; }
  int64_t newest_time_ms() const { return newest_time_ms_; }

  // Everything staged, as one write. Stage nothing more afterwards.
  rocksdb::WriteBatch& Finish();

 private:
  static constexpr size_t kRecordHead = 5;  // tag, table, both sizes

  const Database& database_;
  rocksdb::WriteBatch writes_;
  size_t records_ = 0;
  std::vector<std::pair<model::ShardId, int64_t>> heads_;
  int64_t newest_time_ms_ = 0;

  std::vector<EntryRow> rows_;
  absl::flat_hash_map<model::UserId, uint32_t>
      open_row_;  // user -> index of the row that may still grow
  size_t entry_bytes_ = 0;

  absl::flat_hash_map<std::pair<Table, std::string>, std::string> replaced_;
  size_t replaced_bytes_ = 0;

  // Where in new_bytes_ the key of a row begins, and behind it the value.
  struct NewRow {
    Table table;
    uint32_t at;
    uint32_t key_size;
    uint32_t value_size;
  };
  void WriteInOrder();
  std::vector<NewRow> new_rows_;
  std::string new_bytes_;
};

}  // namespace hongyan::storage
