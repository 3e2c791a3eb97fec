#include "storage/rocksdb/rocksdb_channels.h"

#include <algorithm>

#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rows.h"

namespace hongyan::storage {

namespace {

constexpr int64_t kTrimIntervalNs = 1'000'000'000;

Key AfterLastOutboxRow(ChannelId channel) { return OutboxKey(channel, INT64_MAX).Byte('\0'); }

}  // namespace

base::Result<ShardHead> RocksdbChannelStore::ReadHead(model::ShardId shard) const {
  rocksdb::PinnableSlice value;
  const Key key = HeadKey(shard);
  const auto found = view_.Get(Table::kRest, key, Reach::kDisk, &value);
  if (!found) return found.error();
  ShardHead head;
  if (*found && !DecodeHead(value, &head)) return BrokenRow("head", key.slice());
  return head;
}

void RocksdbChannelStore::PutHead(Batch& batch, model::ShardId shard, const ShardHead& head) {
  auto& staged = static_cast<RocksdbBatch&>(batch);
  staged.Put(Table::kRest, HeadKey(shard), EncodeHead(head));
  staged.NoteHead(shard, head);
}

base::Result<ChannelMark> RocksdbChannelStore::ReadMark(ChannelId channel) const {
  rocksdb::PinnableSlice value;
  const Key key = MarkKey(channel);
  const auto found = view_.Get(Table::kRest, key, Reach::kDisk, &value);
  if (!found) return found.error();
  ChannelMark mark;
  if (*found && !DecodeMark(value, &mark)) return BrokenRow("channel mark", key.slice());
  return mark;
}

void RocksdbChannelStore::PutMark(Batch& batch, ChannelId channel, const ChannelMark& mark) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kRest, MarkKey(channel), EncodeMark(mark));
}

void RocksdbChannelStore::PutOutbox(Batch& batch, ChannelId channel, const OutboxRow& row) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kOutbox, OutboxKey(channel, row.last),
                                        EncodeOutboxRow(row));
}

base::Result<std::vector<OutboxRow>> RocksdbChannelStore::ReadOutbox(ChannelId channel,
                                                                     int64_t number,
                                                                     size_t max_items,
                                                                     size_t max_bytes) const {
  const int64_t from = std::max(number, TrimmedThrough(channel) + 1);
  auto scan =
      Scan::From(view_, Table::kOutbox, OutboxKey(channel, from), AfterLastOutboxRow(channel));
  if (!scan) return scan.error();
  std::vector<OutboxRow> rows;
  size_t items = 0;
  size_t bytes = 0;
  for (scan->ToFirst(); scan->at_row(); scan->Next()) {
    OutboxRow row;
    if (!DecodeOutboxRow(scan->value(), LastId(scan->key()), &row)) {
      return BrokenRow("outbox row", scan->key());
    }
    items += row.items.size();
    bytes += scan->value().size();
    if (!rows.empty() && (items > max_items || bytes > max_bytes)) return rows;
    rows.push_back(std::move(row));
  }
  if (auto ended = scan->status(); !ended) return ended.error();
  return rows;
}

base::Result<std::optional<int64_t>> RocksdbChannelStore::OldestKept(ChannelId channel) const {
  auto scan = Scan::From(view_, Table::kOutbox, OutboxKey(channel, TrimmedThrough(channel) + 1),
                         AfterLastOutboxRow(channel));
  if (!scan) return scan.error();
  scan->ToFirst();
  if (!scan->at_row()) {
    if (auto ended = scan->status(); !ended) return ended.error();
    return std::optional<int64_t>();
  }
  OutboxRow row;
  if (!DecodeOutboxRow(scan->value(), LastId(scan->key()), &row)) {
    return BrokenRow("outbox row", scan->key());
  }
  return std::optional(row.first);
}

base::Result<void> RocksdbChannelStore::TrimOutbox(ChannelId channel, int64_t through) {
  if (auto reading = view_.Read(); !reading) return std::move(reading).error();
  const std::lock_guard lock(mutex_);
  Trim& trim = trims_[channel];
  trim.wanted = std::max(trim.wanted, through);
  return {};
}

int64_t RocksdbChannelStore::TrimmedThrough(ChannelId channel) const {
  const std::lock_guard lock(mutex_);
  const auto found = trims_.find(channel);
  return found == trims_.end() ? 0 : found->second.wanted;
}

void RocksdbChannelStore::StageTrims(rocksdb::WriteBatch* writes) {
  const int64_t now_ns = clock_.BootNs();
  const std::lock_guard lock(mutex_);
  for (auto& [channel, trim] : trims_) {
    if (trim.wanted == trim.staged) continue;
    if (trim.staged != 0 && now_ns - trim.staged_ns < kTrimIntervalNs) continue;
    // Ranges that do not overlap: nested ones would cost the square of their number.
    CHECK(writes
              ->DeleteRange(view_.database().name(Table::kOutbox),
                            OutboxKey(channel, trim.staged + 1).slice(),
                            OutboxKey(channel, trim.wanted + 1).slice())
              .ok());
    trim.staged = trim.wanted;
    trim.staged_ns = now_ns;
  }
}

void RocksdbChannelStore::ForgetTrims() {
  const std::lock_guard lock(mutex_);
  trims_.clear();
}

void RocksdbChannelStore::Park(Batch& batch, const ParkedItem& item) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kRest, ParkedKey(item.channel, item.number),
                                        EncodeParked(item));
}

void RocksdbChannelStore::Unpark(Batch& batch, ChannelId channel, int64_t number) {
  static_cast<RocksdbBatch&>(batch).Delete(Table::kRest, ParkedKey(channel, number));
}

base::Result<std::vector<ParkedItem>> RocksdbChannelStore::ListParked(model::ShardId target,
                                                                      ParkedPlace after,
                                                                      size_t limit) const {
  constexpr size_t kSourceAt = 1 + 2;
  const Key end =
      target == UINT16_MAX ? Key('p' + 1) : Key('p').Be16(static_cast<uint16_t>(target + 1));
  const Key from = ParkedKey({after.source, target}, after.number).Byte('\0');
  auto scan = Scan::From(view_, Table::kRest, from, end);
  if (!scan) return scan.error();
  std::vector<ParkedItem> items;
  for (scan->ToFirst(); scan->at_row() && items.size() < limit; scan->Next()) {
    const rocksdb::Slice key = scan->key();
    if (key.size() != kSourceAt + 2 + 8) return BrokenRow("parked item", key);
    ParkedItem& item = items.emplace_back();
    if (!DecodeParked(scan->value(), &item)) {  // must not stand in the way of the others
      item = ParkedItem();
      item.broken = true;
      item.why = BrokenRow("parked item", key).text;
    }
    item.channel = {base::ReadBe16(key.data() + kSourceAt), target};
    item.number = LastId(key);
  }
  if (scan->at_row()) return items;
  if (auto ended = scan->status(); !ended) return ended.error();
  return items;
}

}  // namespace hongyan::storage
