#pragma once

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "storage/batch.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/log_order.h"
#include "storage/rocksdb/recent_rows.h"
#include "storage/rocksdb/table_name.h"

namespace hongyan::storage {

class BackgroundPace;

struct DatabaseOptions {
  StoreKind kind = StoreKind::kMessages;
  std::string path;
  size_t block_cache_bytes = 256 << 20;
  // Of each busy column family. Small, so that a flush is short: while one runs, syncs and the
  // threads that answer have less of the disk and the cores (64 MiB doubled the p99 of sends).
  size_t write_buffer_bytes = 16 << 20;
  int max_open_files = 512;
  bool sync = true;
  rocksdb::Env* env = nullptr;  // none = the system's
  // Receipts whose client made them before this time (UTC, ms) may go. Read by compactions, so
  // atomic.
  const std::atomic<int64_t>* receipts_expire_before_ms = nullptr;
};

enum class IfMissing { kCreate, kRefuse };

// What opening does about a log that is damaged anywhere but at its torn end.
enum class Recovery {
  kStrict,   // refuses, and changes nothing
  kSalvage,  // keeps what comes before the damage
};

// RocksDB with our tables: opening and its judgement on the logs, reads that end where the store is
// closed, one synced write per batch. Reads: any thread; Open, Close: one thread, they wait for
// readers.
class Database {
 public:
  explicit Database(DatabaseOptions options);
  ~Database();

  // An Error says what was found and what to do.
  base::Result<void> Open(IfMissing if_missing, Recovery recovery);
  void Close();

  // All or nothing. Not ok = nobody knows; then the database answers no read until it is opened
  // again.
  rocksdb::Status Write(rocksdb::WriteBatch* batch);

  bool failed() const { return failed_.load(std::memory_order_acquire); }

  // One instant of the database, kept for reads while it goes on. Ends with Close. Any thread.
  class Pin {
   public:
    Pin(const Database& database, const rocksdb::Snapshot* snapshot, int64_t opening)
        : database_(database), snapshot_(snapshot), opening_(opening) {}
    Pin(const Pin&) = delete;
    ~Pin() { database_.Release(*this); }

   private:
    friend class Database;
    const Database& database_;
    const rocksdb::Snapshot* const snapshot_;
    const int64_t opening_;  // the one it belongs to
  };
  base::Result<std::shared_ptr<const Pin>> PinNow() const;

  // Keeps the database open. Lives briefly: Close waits for it.
  class Reading {
   public:
    const rocksdb::Snapshot* snapshot() const { return snapshot_; }  // null = the newest
    rocksdb::DB& db() const { return *database_->db_; }
    rocksdb::ColumnFamilyHandle* table(Table table) const {
      return database_->handles_[database_->PlaceOf(table)];
    }

   private:
    friend class Database;
    explicit Reading(const Database& database)
        : lock_(database.open_mutex_), database_(&database) {}
    std::shared_lock<std::shared_mutex> lock_;
    const Database* database_;
    const rocksdb::Snapshot* snapshot_ = nullptr;
  };
  base::Result<Reading> Read(const Pin* pin = nullptr) const;

  // The value, in `value`; false = there is no such row.
  base::Result<bool> Get(Table table, const Key& key, Reach reach, rocksdb::PinnableSlice* value,
                         const Pin* pin = nullptr) const;

  // Merges what a table has with first <= key < end; may take minutes. An Error where it was
  // stopped: by anybody, or because the database is to be closed.
  base::Result<void> Compact(Table table, const Key& first, const Key& end);
  // Whatever compacts, or comes to it, ends at once. Until the next opening.
  void StopCompacting() { stop_compacting_.store(true, std::memory_order_release); }

  // The row if it was committed lately: entries and bodies only. False says nothing.
  bool GetRecent(Table table, const Key& key, std::string* value) const;

  // Where staged writes go; good whether the database is open or not.
  rocksdb::ColumnFamilyHandle* name(Table table) const { return &names_[PlaceOf(table)]; }

  std::span<const Table> tables() const { return tables_; }

  // For readers of other files of the same store.
  const std::shared_ptr<rocksdb::Cache>& cache() const { return cache_; }
  rocksdb::Env* env() const { return options_.env; }

  // For lines about failures, which come again as long as their cause lasts.
  base::LogPace& pace() { return *pace_; }

  int64_t syncs() const { return syncs_.load(std::memory_order_relaxed); }

 private:
  // REQUIRE open_mutex_ held alone. Nothing compacts from the first to the third.
  base::Result<void> OpenLocked(IfMissing if_missing, Recovery recovery);
  rocksdb::Status MergeSmallFiles();
  rocksdb::Status StartCompacting();
  rocksdb::Status CloseLocked();
  void Release(const Pin& pin) const;
  void Remember(const rocksdb::WriteBatch& committed);
  RecentRows* RecentOf(Table table) const;  // null: none of it is kept
  RecentRows* RecentOf(Table table, const rocksdb::Slice& key) const;
  // Among the tables of this store. REQUIRES that it has this one.
  size_t PlaceOf(Table table) const {
    const size_t place = places_[static_cast<size_t>(table)];
    CHECK(place < tables_.size());
    return place;
  }

  const DatabaseOptions options_;
  const std::shared_ptr<base::LogPace> pace_;  // RocksDB keeps a share
  const std::span<const Table> tables_;
  std::array<size_t, kTables> places_{};
  std::shared_ptr<rocksdb::Cache> cache_;
  mutable std::shared_mutex
      open_mutex_;                  // shared by readers and writers, held alone to open and close
  std::atomic<bool> failed_{true};  // closed, or not to be trusted
  std::atomic<bool> stop_compacting_{true};
  std::unique_ptr<LogOrder> log_order_;         // outlives db_, which keeps a pointer
  std::shared_ptr<BackgroundPace> background_;  // of this opening
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // by place
  mutable std::deque<TableName> names_;                // by place
  std::atomic<int64_t> syncs_{0};
  mutable std::mutex pins_mutex_;
  mutable std::vector<const rocksdb::Snapshot*> pins_;  // of this opening
  int64_t openings_ = 0;                                // guarded by open_mutex_
  mutable RecentRows recent_entries_;
  mutable RecentRows recent_bodies_;
  mutable RecentRows recent_members_;  // and their groups: kept when read, too
};

// The database as it is, or as it was when it was pinned. Value.
class View {
 public:
  View(const Database& database)  // NOLINT: implicit by intent
      : database_(&database) {}
  View(const Database& database, std::shared_ptr<const Database::Pin> pin)
      : database_(&database), pin_(std::move(pin)) {}

  base::Result<bool> Get(Table table, const Key& key, Reach reach,
                         rocksdb::PinnableSlice* value) const {
    return database_->Get(table, key, reach, value, pin_.get());
  }
  base::Result<Database::Reading> Read() const { return database_->Read(pin_.get()); }
  const Database& database() const { return *database_; }

 private:
  const Database* database_;
  std::shared_ptr<const Database::Pin> pin_;
};

// Rows of one table with first <= key < end, in either direction. Lives briefly: Close waits for
// it.
class Scan {
 public:
  static base::Result<Scan> From(const View& view, Table table, const Key& first, const Key& end,
                                 Reach reach = Reach::kDisk);

  // Position on the first or last row. Then:
  void ToFirst() { rows_->Seek(bounds_->first); }
  void ToLast() { rows_->SeekToLast(); }
  bool at_row() const { return rows_->Valid(); }
  void Next() { rows_->Next(); }
  void Back() { rows_->Prev(); }
  // To the first row at or after `key`, which is not before where the scan stands: a step where
  // that is the next row, else a seek.
  void Advance(const Key& key);
  rocksdb::Slice key() const { return rows_->key(); }
  rocksdb::Slice value() const { return rows_->value(); }

  // Whether the rows ended because there are no more. Ask when at_row() is false.
  base::Result<void> status() const;

 private:
  struct Bounds {
    Key first_key, end_key;
    rocksdb::Slice first, end;
  };
  Scan(Database::Reading reading, Table table, const Key& first, const Key& end, Reach reach);

  Database::Reading reading_;
  std::unique_ptr<Bounds> bounds_;  // the iterator points at it
  std::unique_ptr<rocksdb::Iterator> rows_;
};

// What a failed read means to a caller; see storage::Reach.
base::Error ReadError(const rocksdb::Status& status);

// A row whose bytes nobody of us wrote.
base::Error BrokenRow(const char* what, const rocksdb::Slice& key);

}  // namespace hongyan::storage
