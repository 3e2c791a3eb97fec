#include "storage/rocksdb/rocksdb_batch.h"

#include <algorithm>

namespace hongyan::storage {

namespace {

void CheckStaged(const rocksdb::Status& status) {
  CHECK(status.ok());  // only misuse can fail: writes go to memory, keys and tables are ours
}

}  // namespace

void RocksdbBatch::Put(Table table, const Key& key, const rocksdb::Slice& value) {
  CheckStaged(writes_.Put(database_.name(table), key.slice(), value));
  ++records_;
}

void RocksdbBatch::Put(Table table, const Key& key, const rocksdb::Slice& head,
                       const rocksdb::Slice& rest) {
  const rocksdb::Slice key_part = key.slice();
  const rocksdb::Slice parts[] = {head, rest};
  CheckStaged(writes_.Put(database_.name(table), rocksdb::SliceParts(&key_part, 1),
                          rocksdb::SliceParts(parts, 2)));
  ++records_;
}

void RocksdbBatch::Replace(Table table, const Key& key, std::string value) {
  const rocksdb::Slice name = key.slice();
  const auto [row, added] = replaced_.try_emplace(std::pair(table, name.ToString()));
  replaced_bytes_ += value.size() - row->second.size();
  if (added) replaced_bytes_ += name.size() + kRecordHead;
  row->second = std::move(value);
}

void RocksdbBatch::Insert(Table table, const Key& key, const rocksdb::Slice& value) {
  const rocksdb::Slice name = key.slice();
  new_rows_.push_back({table, static_cast<uint32_t>(new_bytes_.size()),
                       static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())});
  new_bytes_.append(name.data(), name.size()).append(value.data(), value.size());
}

void RocksdbBatch::Delete(Table table, const Key& key) {
  CheckStaged(writes_.Delete(database_.name(table), key.slice()));
  ++records_;
}

void RocksdbBatch::DeleteRange(Table table, const Key& first, const Key& end) {
  CheckStaged(writes_.DeleteRange(database_.name(table), first.slice(), end.slice()));
  ++records_;
}

void RocksdbBatch::AddEntry(model::UserId user, model::Seq seq, const model::Entry& entry) {
  constexpr size_t kRowOverhead = 24;  // key, count, record head
  const auto [open, added] = open_row_.try_emplace(user, static_cast<uint32_t>(rows_.size()));
  if (!added) {
    EntryRow& row = rows_[open->second];
    const size_t before = row.entries().size();
    if (row.Append(seq, entry)) {
      entry_bytes_ += row.entries().size() - before;
      return;
    }
    open->second = static_cast<uint32_t>(rows_.size());  // a jump of generation: a row of its own
  }
  rows_.emplace_back(user).Append(seq, entry);
  entry_bytes_ += rows_.back().entries().size() + kRowOverhead;
}

void RocksdbBatch::WriteInOrder() {
  const auto key = [this](const NewRow& row) {
    return std::string_view(new_bytes_).substr(row.at, row.key_size);
  };
  std::sort(new_rows_.begin(), new_rows_.end(), [&key](const NewRow& a, const NewRow& b) {
    return std::pair(a.table, key(a)) < std::pair(b.table, key(b));
  });
  for (const NewRow& row : new_rows_) {
    const char* const name = new_bytes_.data() + row.at;
    CheckStaged(writes_.Put(database_.name(row.table), {name, row.key_size},
                            {name + row.key_size, row.value_size}));
    ++records_;
  }
  new_rows_.clear();
  new_bytes_.clear();
}

rocksdb::WriteBatch& RocksdbBatch::Finish() {
  WriteInOrder();
  // In the order of keys, too.
  std::sort(rows_.begin(), rows_.end(), [](const EntryRow& a, const EntryRow& b) {
    return std::pair(a.user(), a.last()) < std::pair(b.user(), b.last());
  });
  std::string count;
  for (const EntryRow& row : rows_) {
    count.clear();
    AppendVarint32(&count, row.count());
    Put(Table::kEntries, EntryKey(row.user(), row.last()), count, row.entries());
  }
  rows_.clear();

  std::vector<decltype(replaced_)::const_pointer> replaced;
  replaced.reserve(replaced_.size());
  for (const auto& row : replaced_) replaced.push_back(&row);
  std::sort(replaced.begin(), replaced.end(),
            [](const auto* a, const auto* b) { return a->first < b->first; });
  for (const auto* row : replaced) {
    CheckStaged(writes_.Put(database_.name(row->first.first), row->first.second, row->second));
    ++records_;
  }
  replaced_.clear();
  replaced_bytes_ = 0;
  return writes_;
}

}  // namespace hongyan::storage
