#include "storage/rocksdb/small_files.h"

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
  std::vector<std::string> small;
  for (const auto& file : found.levels.front().files) {
    if (file.size > kSmallFileBytes) break;
    small.push_back(file.name);
  }
  if (small.size() < kManySmallFiles) return rocksdb::Status::OK();
  rocksdb::CompactionOptions as_the_table;
  as_the_table.compression = rocksdb::kDisableCompressionOption;  // its own
  return db.CompactFiles(as_the_table, table, small, 0);
}

}  // namespace hongyan::storage
