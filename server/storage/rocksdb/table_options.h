#pragma once

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <memory>
#include <vector>

#include "storage/rocksdb/database.h"

namespace hongyan::storage {

// How RocksDB is set up for us; why is said beside each setting in table_options.cc.
rocksdb::DBOptions MakeDbOptions(const DatabaseOptions& options, IfMissing if_missing,
                                 Recovery recovery);

// One descriptor per Table, in the order of the enum.
std::vector<rocksdb::ColumnFamilyDescriptor> MakeTables(
    const DatabaseOptions& options, const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace hongyan::storage
