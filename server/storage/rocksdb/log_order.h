#pragma once

#include <rocksdb/wal_filter.h>

#include <cstdint>

namespace hongyan::storage {

// Looks on while the logs are replayed at opening: each record must begin with the sequence number
// right after the one before. RocksDB checks each record by itself, and the sizes of closed logs;
// this finds records that are missing between, where a damaged length hides the end of a log that
// others follow. For one opening. RocksDB's opening thread.
class LogOrder final : public rocksdb::WalFilter {
 public:
  WalProcessingOption LogRecordFound(unsigned long long log_number, const std::string& file,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* changed,
                                     bool* batch_changed) override;
  const char* Name() const override { return "hongyan.LogOrder"; }

  int64_t records() const { return records_; }

 private:
  uint64_t next_ = 0;  // 0 = none seen yet
  int64_t records_ = 0;
};

}  // namespace hongyan::storage
