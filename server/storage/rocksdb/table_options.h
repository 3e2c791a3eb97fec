#pragma once

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/log.h"
#include "storage/rocksdb/background_pace.h"
#include "storage/rocksdb/database.h"

namespace hongyan::storage {

// What the logs may grow to before they are written out: bounds the replay at opening to about a
// million records, 2 to 3 s.
constexpr int64_t kMaxLogBytes = 96 << 20;

// How RocksDB is set up for us; why is said beside each setting in table_options.cc. What it says
// goes to our log at `log_pace`.
rocksdb::DBOptions MakeDbOptions(const DatabaseOptions& options, IfMissing if_missing,
                                 Recovery recovery, const std::shared_ptr<base::LogPace>& log_pace,
                                 const std::shared_ptr<BackgroundPace>& background);

// One descriptor per table of this kind of store, in the order of TablesOf.
std::vector<rocksdb::ColumnFamilyDescriptor> MakeTables(
    const DatabaseOptions& options, const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace hongyan::storage
