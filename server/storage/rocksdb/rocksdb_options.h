#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace rocksdb {
class Env;
}

namespace hongyan::storage {

// How an embedded store of either kind is opened.
struct RocksdbOptions {
  std::string path;                    // the store's own directory
  const base::Clock* clock = nullptr;  // outlives the store
  int shards = 4;                      // only for a store that is created now
  int64_t disk_reserve_bytes = 512 << 20;
  size_t block_cache_bytes = 256 << 20;
  size_t write_buffer_bytes = 16 << 20;  // of each of the three busiest tables
  int max_open_files = 512;
  bool unsafe_no_sync = false;  // acknowledges what is not on disk; logged as an error
  rocksdb::Env* env = nullptr;  // for tests that inject faults; none = the system's
};

// What `hongyan-admin store accept` made of a store.
struct AcceptedStore {
  int64_t generation = 0;  // the new one
};

}  // namespace hongyan::storage
