#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/rocksdb/durable_file.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

// The directory of one store: who holds it, which format it has, whose it is
// (schema/rocksdb/README.md). Holds the lock as long as it lives. One thread.
class DataDir {
 public:
  // What the file FORMAT calls this kind of store, and what people do.
  struct Kind {
    std::string_view format;  // "hongyan-message-store"
    std::string_view what;    // "a store of messages"
  };

  // Makes the directory if there is none, locks it and checks its format. Errors name the process
  // that holds it, or what is wrong with the directory, and what to do.
  static base::Result<DataDir> Open(const std::string& path, Kind kind);

  // There is no finished store in it: Create must follow.
  bool fresh() const { return fresh_; }

  // Starts a creation: clears what an interrupted one left (never a finished store) and writes the
  // identity. REQUIRES fresh().
  base::Result<void> Create(const StoreIdentity& identity);
  // The store in it is complete. REQUIRES Create.
  base::Result<void> FinishCreation();

  // A small file of the store, readable by its owner only, with a checksum. `Read`: none where it
  // is missing or damaged.
  base::Result<void> WriteChecked(std::string_view name, std::string bytes) const;
  base::Result<std::optional<std::string>> ReadChecked(std::string_view name) const;

  base::Result<StoreIdentity> ReadIdentity() const;
  base::Result<void> WriteIdentity(const StoreIdentity& identity) const;

  const std::string& path() const { return path_; }
  std::string mark_path() const { return path_ + "/MARK"; }
  std::string db_path() const { return path_ + "/db"; }

 private:
  DataDir(std::string path, Kind kind) : path_(std::move(path)), kind_(kind) {}
  base::Result<void> Lock();
  base::Result<void> CheckFormat();

  std::string path_;
  Kind kind_;
  Descriptor lock_;
  bool fresh_ = false;
};

// A new identity with fresh random parts.
StoreIdentity DrawIdentity(int shards, model::ShardId first_shard);

}  // namespace hongyan::storage
