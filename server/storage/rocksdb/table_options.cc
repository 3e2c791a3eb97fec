#include "storage/rocksdb/table_options.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <cstdarg>
#include <cstdio>

#include "base/log.h"

namespace hongyan::storage {

namespace {

// RocksDB's own words, from warnings on, in our log. Not in a file of its own: this build of it
// aborts when that file cannot be written, and a full disk would end the server.
class RocksdbLog final : public rocksdb::Logger {
 public:
  explicit RocksdbLog(std::shared_ptr<base::LogPace> pace)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), pace_(std::move(pace)) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    using rocksdb::InfoLogLevel;
    if (level != InfoLogLevel::WARN_LEVEL && level != InfoLogLevel::ERROR_LEVEL &&
        level != InfoLogLevel::FATAL_LEVEL) {
      return;
    }
    if (!pace_->May()) return;
    char text[1000];
    std::vsnprintf(text, sizeof text, format, arguments);
    for (char& c : text) {
      if (c == '\0') break;
      if (c == '\n') c = ' ';
    }
    LOG_WARN("store_says text=\"{}\"", text);
  }

 private:
  const std::shared_ptr<base::LogPace> pace_;
};

// What must not be missed.
class Alarms final : public rocksdb::EventListener {
 public:
  explicit Alarms(std::shared_ptr<base::LogPace> pace) : pace_(std::move(pace)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (!pace_->May()) return;
    LOG_ERROR("store_write_failed during={} error=\"{}\"", static_cast<int>(reason),
              error->ToString());
  }

  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    const auto now = info.condition.cur;
    if (now == rocksdb::WriteStallCondition::kNormal) {
      LOG_INFO("store_write_stall_over table={}", info.cf_name);
    } else {
      LOG_WARN("store_write_stall table={} writes={}", info.cf_name,
               now == rocksdb::WriteStallCondition::kStopped ? "stopped" : "delayed");
    }
  }

 private:
  const std::shared_ptr<base::LogPace> pace_;
};

// Receipts fall out once their request id is too old to be accepted again.
class ExpiredReceipts final : public rocksdb::CompactionFilter {
 public:
  explicit ExpiredReceipts(const std::atomic<int64_t>* expire_before_ms)
      : expire_before_ms_(expire_before_ms) {}

  bool Filter(int /*level*/, const rocksdb::Slice& key, const rocksdb::Slice& /*value*/,
              std::string* /*new_value*/, bool* /*value_changed*/) const override {
    model::RequestId id;
    if (key.size() < id.bytes.size()) return false;
    id.Assign({key.data(), id.bytes.size()});
    return id.created_ms() < expire_before_ms_->load(std::memory_order_relaxed);
  }
  const char* Name() const override { return "hongyan.ExpiredReceipts"; }

 private:
  const std::atomic<int64_t>* expire_before_ms_;
};

class ExpiredReceiptsFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit ExpiredReceiptsFactory(const std::atomic<int64_t>* expire_before_ms)
      : expire_before_ms_(expire_before_ms) {}
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<ExpiredReceipts>(expire_before_ms_);
  }
  const char* Name() const override { return "hongyan.ExpiredReceiptsFactory"; }

 private:
  const std::atomic<int64_t>* expire_before_ms_;
};

enum class Filters { kNone, kFilesAndMemtable };

rocksdb::ColumnFamilyOptions MakeTable(const std::shared_ptr<rocksdb::Cache>& cache,
                                       size_t write_buffer_bytes, Filters filters) {
  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = cache;
  blocks.block_size = 8 << 10;
  blocks.format_version = 5;
  if (filters != Filters::kNone) blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));

  rocksdb::ColumnFamilyOptions table;
  table.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  table.write_buffer_size = write_buffer_bytes;
  table.max_write_buffer_number = 8;  // a burst of flushes does not stop writes
  table.compression = rocksdb::kLZ4Compression;
  table.level_compaction_dynamic_level_bytes = true;
  table.disable_auto_compactions = true;  // until what an opening finds is in order
  // Stalls hit the one thread that acknowledges everything, so they are far away; overload refuses
  // before.
  table.level0_file_num_compaction_trigger = 4;
  table.level0_slowdown_writes_trigger = 40;
  table.level0_stop_writes_trigger = 80;
  table.soft_pending_compaction_bytes_limit = uint64_t{128} << 30;
  table.hard_pending_compaction_bytes_limit = uint64_t{512} << 30;
  if (filters == Filters::kFilesAndMemtable) {
    table.memtable_whole_key_filtering = true;
    table.memtable_prefix_bloom_size_ratio = 0.02;
  }
  return table;
}

// The memtable keeps, per prefix, the place of its last insertion: the next row of the same user or
// conversation goes right behind it without a search. Searching is what commits spend most of their
// time with. With the shard for prefix it is the place of the batch's last row: rows that come in
// the order of keys are found from there.
void RememberPlaces(rocksdb::ColumnFamilyOptions* table, size_t prefix_bytes) {
  table->memtable_insert_with_hint_prefix_extractor.reset(
      rocksdb::NewFixedPrefixTransform(prefix_bytes));
}

}  // namespace

rocksdb::DBOptions MakeDbOptions(const DatabaseOptions& options, IfMissing if_missing,
                                 Recovery recovery, const std::shared_ptr<base::LogPace>& log_pace,
                                 const std::shared_ptr<BackgroundPace>& background) {
  rocksdb::DBOptions db;
  if (options.env != nullptr) db.env = options.env;
  db.create_if_missing = if_missing == IfMissing::kCreate;
  db.create_missing_column_families = if_missing == IfMissing::kCreate;

  // The default, point in time, silently drops everything after a damaged record; absolute
  // consistency refuses the torn end that every kill leaves.
  const bool strict = recovery == Recovery::kStrict;
  db.wal_recovery_mode = strict ? rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords
                                : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db.track_and_verify_wals_in_manifest = strict;
  db.recycle_log_file_num = 0;      // old records would look like a torn end
  db.max_bgerror_resume_count = 0;  // never goes on by itself after a failed write or sync
  db.max_total_wal_size = kMaxLogBytes;

  db.max_open_files = options.max_open_files;
  db.max_background_jobs = 2;   // one flush and one compaction at a time
  db.bytes_per_sync = 1 << 20;  // no bursts of write-back beside the syncs of commits
  db.rate_limiter = background;
  db.writable_file_max_buffer_size = BackgroundPace::kPieceBytes;
  db.avoid_unnecessary_blocking_io = true;
  db.allow_concurrent_memtable_write = false;  // one writer; and remembered places need it
  db.enable_write_thread_adaptive_yield = false;
  db.skip_stats_update_on_db_open = true;

  db.info_log = std::make_shared<RocksdbLog>(log_pace);
  db.max_manifest_file_size = 16 << 20;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.listeners.push_back(std::make_shared<Alarms>(log_pace));
  db.listeners.push_back(BackgroundPace::Listener(background));
  return db;
}

std::span<const Table> TablesOf(StoreKind kind) {
  static constexpr Table kMessages[] = {Table::kRest, Table::kEntries, Table::kBodies,
                                        Table::kReceipts, Table::kOutbox};
  static constexpr Table kMoney[] = {Table::kRest,     Table::kOutbox,     Table::kReceipts,
                                     Table::kWallets,  Table::kStatements, Table::kPackets,
                                     Table::kStatuses, Table::kClaims,     Table::kExpiries};
  if (kind == StoreKind::kMoney) return kMoney;
  return kMessages;
}

namespace {

// Falls out once the request id it begins with is too old to be accepted again; one that begins
// with it is new at one end.
rocksdb::ColumnFamilyOptions MakeReceipts(const DatabaseOptions& options,
                                          const std::shared_ptr<rocksdb::Cache>& cache) {
  // Every send looks for one that is not there.
  auto receipts = MakeTable(cache, options.write_buffer_bytes, Filters::kFilesAndMemtable);
  constexpr size_t kHoursBytes = 3;  // of the time they begin with: new ones go to one end
  RememberPlaces(&receipts, kHoursBytes);
  if (options.receipts_expire_before_ms != nullptr) {
    receipts.compaction_filter_factory =
        std::make_shared<ExpiredReceiptsFactory>(options.receipts_expire_before_ms);
    constexpr uint64_t kDaySeconds = 24 * 60 * 60;
    receipts.periodic_compaction_seconds = kDaySeconds;  // reaches files that nothing else touches
  }
  return receipts;
}

constexpr size_t kShardBytes = 2;  // that keys of money begin with

rocksdb::ColumnFamilyDescriptor MakeTable(Table table, const DatabaseOptions& options,
                                          const std::shared_ptr<rocksdb::Cache>& cache) {
  const size_t busy = options.write_buffer_bytes;
  switch (table) {
    case Table::kRest:
      // Rows of rest are looked up one by one, often in vain (floors, members, devices).
      return {rocksdb::kDefaultColumnFamilyName,
              MakeTable(cache, busy / 2, Filters::kFilesAndMemtable)};
    case Table::kEntries: {  // entries and bodies are only read in ranges
      auto entries = MakeTable(cache, busy, Filters::kNone);
      RememberPlaces(&entries, sizeof(int64_t));  // of the user's last one
      return {"entries", entries};
    }
    case Table::kBodies: {
      auto bodies = MakeTable(cache, busy, Filters::kNone);
      RememberPlaces(&bodies, 2 * sizeof(int64_t));  // of the conversation's last one
      return {"bodies", bodies};
    }
    case Table::kReceipts:
      return {"receipts", MakeReceipts(options, cache)};
    case Table::kWallets: {  // by everybody in turn, so that users' own places would be too many
      auto wallets = MakeTable(cache, busy, Filters::kFilesAndMemtable);
      RememberPlaces(&wallets, kShardBytes);
      return {"wallets", wallets};
    }
    case Table::kStatements: {  // only read in ranges
      auto statements = MakeTable(cache, busy, Filters::kNone);
      RememberPlaces(&statements, kShardBytes);
      return {"statements", statements};
    }
    case Table::kPackets:  // each creation looks for one that is not there
      return {"packets", MakeTable(cache, busy / 2, Filters::kFilesAndMemtable)};
    case Table::kStatuses:
      return {"statuses", MakeTable(cache, busy / 2, Filters::kFilesAndMemtable)};
    case Table::kClaims: {  // each open looks for one that is not there
      auto claims = MakeTable(cache, busy, Filters::kFilesAndMemtable);
      RememberPlaces(&claims, kShardBytes + 1 + sizeof(int64_t));  // of the packet's last one
      return {"claims", claims};
    }
    case Table::kExpiries:  // come at one end, go at the other
      return {"expiries", MakeTable(cache, busy / 4, Filters::kNone)};
    case Table::kOutbox:  // rows live for moments and go in ranges
      return {"outbox", MakeTable(cache, busy / 4, Filters::kNone)};
  }
  CHECK(false);
}

}  // namespace

std::vector<rocksdb::ColumnFamilyDescriptor> MakeTables(
    const DatabaseOptions& options, const std::shared_ptr<rocksdb::Cache>& cache) {
  std::vector<rocksdb::ColumnFamilyDescriptor> tables;
  for (const Table table : TablesOf(options.kind)) {
    tables.push_back(MakeTable(table, options, cache));
  }
  return tables;
}

}  // namespace hongyan::storage
