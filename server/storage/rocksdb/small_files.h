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
constexpr size_t kTooManyFiles = 24;           // then of any size

// Nothing is done where the disk has not twice the room for it. REQUIRES that nothing compacts.
// Takes some milliseconds; a second or two where large files are too many. Not ok = the database
// must be opened anew.
rocksdb::Status MergeSmallFiles(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* table);

}  // namespace hongyan::storage
