#include "storage/rocksdb/small_files.h"

#include <rocksdb/env.h>
#include <rocksdb/metadata.h>
#include <rocksdb/options.h>

#include <string>
#include <vector>

namespace hongyan::storage {

rocksdb::Status MergeSmallFiles(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* table) {
  rocksdb::ColumnFamilyMetaData found;
  db.GetColumnFamilyMetaData(table, &found);
  if (found.levels.empty()) return rocksdb::Status::OK();
  // Only neighbours in time may become one. The newest come first.
  const auto& files = found.levels.front().files;
  std::vector<std::string> small;
  uint64_t bytes = 0;
  for (const auto& file : files) {
    if (file.size > kSmallFileBytes && files.size() < kTooManyFiles) break;
    small.push_back(file.name);
    bytes += file.size;
  }
  if (small.size() < kManySmallFiles) return rocksdb::Status::OK();
  uint64_t room = 0;
  const rocksdb::Status known = db.GetEnv()->GetFreeSpace(db.GetName(), &room);
  if (!known.ok() || room / 2 < bytes) return rocksdb::Status::OK();
  rocksdb::CompactionOptions as_the_table;
  as_the_table.compression = rocksdb::kDisableCompressionOption;  // its own
  return db.CompactFiles(as_the_table, table, small, 0);
}

}  // namespace hongyan::storage
