#pragma once

#include <rocksdb/db.h>

#include <cstdint>

namespace hongyan::storage {

// Each opening after a crash writes what it finds in the logs to a file of level 0 per table,
// however little that is. A server that is killed again and again would pile them up faster than
// its short lives can compact them: reads ask each file, and at 80 of them writes stop for good.
// So once this many small files lie on top of a table, they are made one, still at level 0.
constexpr size_t kManySmallFiles = 8;
constexpr uint64_t kSmallFileBytes = 4 << 20;  // larger ones are work for compactions

// REQUIRES that nothing compacts. At most a second; before anybody is served.
rocksdb::Status MergeSmallFiles(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* table);

}  // namespace hongyan::storage
