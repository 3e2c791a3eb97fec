#pragma once

#include <rocksdb/comparator.h>
#include <rocksdb/db.h>

#include <string>

#include "storage/rocksdb/keys.h"

namespace hongyan::storage {

// Names a table while writes are staged. RocksDB's own handles live only as long as the database is
// open; a batch may outlive a Reopen, and a write staged meanwhile must not land in another table.
// Any thread.
class TableName final : public rocksdb::ColumnFamilyHandle {
 public:
  // `place`: among the tables of its store.
  explicit TableName(uint32_t place) : id_(place) {}

  const std::string& GetName() const override { return name_; }
  // The column families are created together, in the order of TablesOf; opening checks it.
  uint32_t GetID() const override { return id_; }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override {
    return rocksdb::Status::NotSupported();
  }
  const rocksdb::Comparator* GetComparator() const override {
    return rocksdb::BytewiseComparator();
  }

 private:
  const uint32_t id_;
  const std::string name_ = "staged";
};

}  // namespace hongyan::storage
