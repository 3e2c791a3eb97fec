#include "storage/rocksdb/log_order.h"

#include <rocksdb/write_batch.h>

#include "base/log.h"

namespace hongyan::storage {

namespace {

// A WriteBatch begins with its first sequence number and the number of its records, both
// little-endian.
constexpr size_t kBatchHeadBytes = 12;

uint64_t ReadLe(const char* at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(at[i]);
  return value;
}

}  // namespace

rocksdb::WalFilter::WalProcessingOption LogOrder::LogRecordFound(unsigned long long log_number,
                                                                 const std::string& file,
                                                                 const rocksdb::WriteBatch& batch,
                                                                 rocksdb::WriteBatch* /*changed*/,
                                                                 bool* /*batch_changed*/) {
  const std::string& bytes = batch.Data();
  if (bytes.size() < kBatchHeadBytes) return WalProcessingOption::kCorruptedRecord;
  const uint64_t first = ReadLe(bytes.data(), 8);
  const uint64_t count = ReadLe(bytes.data() + 8, 4);
  if (next_ != 0 && first != next_) {
    LOG_ERROR("store_log_has_a_gap file={} log={} expected={} found={}", file, log_number, next_,
              first);
    return WalProcessingOption::kCorruptedRecord;
  }
  next_ = first + count;
  ++records_;
  return WalProcessingOption::kContinueProcessing;
}

}  // namespace hongyan::storage
