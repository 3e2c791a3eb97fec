#pragma once

#include <string>

#include "base/result.h"
#include "storage/rocksdb/durable_file.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

// The directory of one store: who holds it, which format it has, whose it is
// (schema/rocksdb/README.md). Holds the lock as long as it lives. One thread.
class DataDir {
 public:
  // Makes the directory if there is none, locks it and checks its format. Errors name the process
  // that holds it, or what is wrong with the directory, and what to do.
  static base::Result<DataDir> Open(const std::string& path);

  // There is no finished store in it: Create must follow.
  bool fresh() const { return fresh_; }

  // Starts a creation: clears what an interrupted one left (never a finished store) and writes the
  // identity. REQUIRES fresh().
  base::Result<void> Create(const StoreIdentity& identity);
  // The store in it is complete. REQUIRES Create.
  base::Result<void> FinishCreation();

  base::Result<StoreIdentity> ReadIdentity() const;
  base::Result<void> WriteIdentity(const StoreIdentity& identity) const;

  const std::string& path() const { return path_; }
  std::string mark_path() const { return path_ + "/MARK"; }
  std::string db_path() const { return path_ + "/db"; }

 private:
  explicit DataDir(std::string path) : path_(std::move(path)) {}
  base::Result<void> Lock();
  base::Result<void> CheckFormat();

  std::string path_;
  Descriptor lock_;
  bool fresh_ = false;
};

// A new identity with fresh random parts.
StoreIdentity DrawIdentity(int shards);

}  // namespace hongyan::storage
