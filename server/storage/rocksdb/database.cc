#include "storage/rocksdb/database.h"

#include <rocksdb/cache.h>

#include <chrono>
#include <mutex>
#include <vector>

#include "model/reason.h"
#include "storage/rocksdb/small_files.h"
#include "storage/rocksdb/table_options.h"

namespace hongyan::storage {

namespace {

constexpr auto kFirstRest = std::chrono::seconds(10);  // of flushes and compactions, after opening
// Some 10 MiB with short messages, 80 MiB at the very most.
constexpr size_t kRecentEntryRows = 65'536;
constexpr size_t kRecentBodies = 16'384;
constexpr size_t kRecentMembers = 65'536;
constexpr size_t kRecentRowBytes = 1024;

bool HasMessages(const DatabaseOptions& options) { return options.kind == StoreKind::kMessages; }

base::Error StoppedError() {
  return model::Refuse(base::Code::kUnavailable, model::Reason::kStoreStopped,
                       "the store is being opened again after a failed write", 200);
}

constexpr int64_t kFailureLines = 20;
constexpr auto kFailureWindow = std::chrono::seconds(10);

base::Error OpenError(const std::string& path, StoreKind kind, const rocksdb::Status& status,
                      Recovery recovery) {
  const std::string found = " (" + status.ToString() + ")";
  if (status.IsCorruption() && recovery == Recovery::kSalvage) {
    return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                         "the store in " + path +
                             " cannot be accepted: it is damaged before what its tables already "
                             "hold, so no whole state of it is left" +
                             found + "; nothing was changed: restore a backup");
  }
  if (status.IsCorruption()) {
    return model::Refuse(
        base::Code::kDataLoss, model::Reason::kBroken,
        "the store in " + path + " is damaged, and not just at the torn end that a crash leaves" +
            found + "; nothing was changed: restore a backup, or run " + AcceptCommand(kind) +
            " to go on with what is readable before the damage");
  }
  if (status.IsNoSpace()) {
    return {base::Code::kResourceExhausted,
            "the disk of " + path + " is full" + found +
                "; free some space. A server that runs opens it by itself then, one that does not "
                "is to be started again"};
  }
  if (status.IsInvalidArgument()) {
    return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                         "there is no database in " + path + found +
                             "; restore a backup of the whole data directory");
  }
  return {base::Code::kUnavailable, "cannot open the store in " + path + found};
}

}  // namespace

base::Error ReadError(const rocksdb::Status& status) {
  if (status.IsIncomplete()) return {base::Code::kUnavailable, "not in memory"};
  if (status.IsCorruption()) {
    return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                         "stored data cannot be read: " + status.ToString());
  }
  return model::Refuse(base::Code::kUnavailable, model::Reason::kStoreStopped,
                       "the store cannot be read: " + status.ToString(), 200);
}

base::Error BrokenRow(const char* what, const rocksdb::Slice& key) {
  return model::Refuse(
      base::Code::kDataLoss, model::Reason::kBroken,
      std::string("the stored ") + what + " with key " + key.ToString(true) + " cannot be read");
}

Database::Database(DatabaseOptions options)
    : options_(std::move(options)),
      pace_(std::make_shared<base::LogPace>("store", kFailureLines, kFailureWindow)),
      tables_(TablesOf(options_.kind)),
      cache_(rocksdb::NewLRUCache(options_.block_cache_bytes)),
      recent_entries_(HasMessages(options_) ? kRecentEntryRows : 1, kRecentRowBytes),
      recent_bodies_(HasMessages(options_) ? kRecentBodies : 1, kRecentRowBytes),
      recent_members_(HasMessages(options_) ? kRecentMembers : 1, kRecentRowBytes) {
  // The threads of flushes and compactions are the process's: those of one store that rests must
  // not keep the other's waiting.
  constexpr int kStores = 2;
  rocksdb::Env* const threads = options_.env != nullptr ? options_.env : rocksdb::Env::Default();
  threads->SetBackgroundThreads(kStores, rocksdb::Env::LOW);
  threads->SetBackgroundThreads(kStores, rocksdb::Env::HIGH);
  places_.fill(SIZE_MAX);
  for (size_t place = 0; place < tables_.size(); ++place) {
    places_[static_cast<size_t>(tables_[place])] = place;
    names_.emplace_back(static_cast<uint32_t>(place));
  }
}

Database::~Database() { Close(); }

base::Result<void> Database::Open(IfMissing if_missing, Recovery recovery) {
  const std::unique_lock lock(open_mutex_);
  CHECK(db_ == nullptr);
  if (auto opened = OpenLocked(if_missing, recovery); !opened) return opened;
  // Who accepts a damaged store reads no more of it than must be.
  if (const auto merged = recovery == Recovery::kStrict ? MergeSmallFiles() : rocksdb::Status::OK();
      !merged.ok()) {
    // It was to save reads, and no more. It leaves an error behind that only an opening ends.
    LOG_WARN("store_small_files_left path={} error=\"{}\"", options_.path, merged.ToString());
    CloseLocked();
    if (auto opened = OpenLocked(if_missing, recovery); !opened) return opened;
  }
  if (const auto goes_on = StartCompacting(); !goes_on.ok()) {
    CloseLocked();
    return OpenError(options_.path, options_.kind, goes_on, recovery);
  }
  failed_.store(false, std::memory_order_release);
  if (pace_->May()) {
    LOG_INFO("store_opened path={} replayed={}", options_.path, log_order_->records());
  }
  return {};
}

base::Result<void> Database::OpenLocked(IfMissing if_missing, Recovery recovery) {
  log_order_ = std::make_unique<LogOrder>();
  background_ = std::make_shared<BackgroundPace>();
  rocksdb::DBOptions db_options = MakeDbOptions(options_, if_missing, recovery, pace_, background_);
  db_options.wal_filter = log_order_.get();
  handles_.clear();
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(db_options, options_.path, MakeTables(options_, cache_), &handles_, &db);
  if (!status.ok()) return OpenError(options_.path, options_.kind, status, recovery);
  db_.reset(db);
  CHECK(handles_.size() == tables_.size());
  bool as_created = true;
  for (size_t i = 0; i < handles_.size(); ++i) as_created &= handles_[i]->GetID() == i;
  if (as_created) return {};
  CloseLocked();
  return OpenError(options_.path, options_.kind,
                   rocksdb::Status::InvalidArgument("its tables are not ours"), recovery);
}

rocksdb::Status Database::MergeSmallFiles() {
  for (auto* const handle : handles_) {
    const rocksdb::Status merged = storage::MergeSmallFiles(*db_, handle);
    if (!merged.ok()) return merged;
  }
  return rocksdb::Status::OK();
}

rocksdb::Status Database::StartCompacting() {
  for (auto* const handle : handles_) {
    std::string files;
    if (db_->GetProperty(handle, rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0", &files)) {
      background_->FilesAtLevel0(handle->GetName(), std::stoi(files));
    }
  }
  background_->RestAfter(kFirstRest);
  stop_compacting_.store(false, std::memory_order_release);
  return db_->EnableAutoCompaction(handles_);
}

void Database::Close() {
  StopCompacting();
  const bool had_failed = failed_.exchange(true, std::memory_order_acq_rel);  // no new readers
  const std::unique_lock lock(open_mutex_);
  if (db_ == nullptr) return;
  const rocksdb::Status status = CloseLocked();
  if (!status.ok() && !had_failed) {
    LOG_WARN("store_close_failed path={} error=\"{}\"", options_.path, status.ToString());
  }
}

rocksdb::Status Database::CloseLocked() {
  background_->RestNoMore();
  if (!options_.sync) db_->SyncWAL().PermitUncheckedError();
  recent_entries_.Clear();
  recent_bodies_.Clear();
  recent_members_.Clear();
  {
    const std::lock_guard lock(pins_mutex_);
    for (const auto* const snapshot : pins_) db_->ReleaseSnapshot(snapshot);
    pins_.clear();
    ++openings_;
  }
  for (auto* const handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  handles_.clear();
  const rocksdb::Status status = db_->Close();
  db_.reset();
  return status;
}

rocksdb::Status Database::Write(rocksdb::WriteBatch* batch) {
  const std::shared_lock lock(open_mutex_);
  if (failed()) return rocksdb::Status::Aborted("the store waits to be opened again");
  rocksdb::WriteOptions options;
  options.sync = options_.sync;
  rocksdb::Status status = db_->Write(options, batch);
  if (!status.ok()) failed_.store(true, std::memory_order_release);
  if (status.ok() && options.sync) syncs_.fetch_add(1, std::memory_order_relaxed);
  if (status.ok()) Remember(*batch);
  return status;
}

void Database::Remember(const rocksdb::WriteBatch& committed) {
  struct Visitor final : rocksdb::WriteBatch::Handler {
    explicit Visitor(Database& to) : database(to) {}
    rocksdb::Status PutCF(uint32_t table, const rocksdb::Slice& key,
                          const rocksdb::Slice& value) override {
      if (auto* const recent = database.RecentOf(database.tables_[table], key)) {
        recent->Put(key, value);
      }
      return rocksdb::Status::OK();
    }
    rocksdb::Status DeleteCF(uint32_t table, const rocksdb::Slice& key) override {
      if (auto* const recent = database.RecentOf(database.tables_[table], key)) {
        recent->Forget(key);
      }
      return rocksdb::Status::OK();
    }
    rocksdb::Status DeleteRangeCF(uint32_t table, const rocksdb::Slice&,
                                  const rocksdb::Slice&) override {
      if (auto* const recent = database.RecentOf(database.tables_[table])) recent->Clear();
      return rocksdb::Status::OK();
    }
    Database& database;
  };
  Visitor visitor(*this);
  committed.Iterate(&visitor).PermitUncheckedError();
}

RecentRows* Database::RecentOf(Table table) const {
  switch (table) {
    case Table::kEntries:
      return &recent_entries_;
    case Table::kBodies:
      return &recent_bodies_;
    case Table::kRest:
      return &recent_members_;
    default:
      return nullptr;
  }
}

RecentRows* Database::RecentOf(Table table, const rocksdb::Slice& key) const {
  const bool kept = table != Table::kRest || key[0] == kGroupTag || key[0] == kMemberTag;
  return kept ? RecentOf(table) : nullptr;
}

bool Database::GetRecent(Table table, const Key& key, std::string* value) const {
  if (failed()) return false;
  const RecentRows* const recent = RecentOf(table, key.slice());
  return recent != nullptr && recent->Get(key.slice(), value);
}

base::Result<Database::Reading> Database::Read(const Pin* pin) const {
  if (failed()) return StoppedError();
  Reading reading(*this);
  if (failed()) return StoppedError();
  if (pin != nullptr) {
    if (pin->opening_ != openings_) return StoppedError();
    reading.snapshot_ = pin->snapshot_;
  }
  return reading;
}

base::Result<std::shared_ptr<const Database::Pin>> Database::PinNow() const {
  auto reading = Read();
  if (!reading) return std::move(reading).error();
  const rocksdb::Snapshot* const snapshot = db_->GetSnapshot();
  const std::lock_guard lock(pins_mutex_);
  pins_.push_back(snapshot);
  return std::make_shared<const Pin>(*this, snapshot, openings_);
}

void Database::Release(const Pin& pin) const {
  const std::shared_lock open(open_mutex_);
  if (pin.opening_ != openings_ || db_ == nullptr) return;
  const std::lock_guard lock(pins_mutex_);
  std::erase(pins_, pin.snapshot_);
  db_->ReleaseSnapshot(pin.snapshot_);
}

base::Result<bool> Database::Get(Table table, const Key& key, Reach reach,
                                 rocksdb::PinnableSlice* value, const Pin* pin) const {
  auto reading = Read(pin);
  if (!reading) return std::move(reading).error();
  RecentRows* const recent = pin == nullptr ? RecentOf(table, key.slice()) : nullptr;
  uint64_t changes = 0;
  if (recent != nullptr && recent->Get(key.slice(), value->GetSelf(), &changes)) {
    value->PinSelf();
    return true;
  }
  rocksdb::ReadOptions options;
  options.snapshot = reading->snapshot();
  if (reach == Reach::kMemory) options.read_tier = rocksdb::kBlockCacheTier;
  const rocksdb::Status status =
      reading->db().Get(options, reading->table(table), key.slice(), value);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return ReadError(status);
  if (recent != nullptr) recent->Keep(key.slice(), *value, changes);
  return true;
}

base::Result<void> Database::Compact(Table table, const Key& first, const Key& end) {
  const auto reading = Read();
  if (!reading) return reading.error();
  const rocksdb::Slice from = first.slice();
  const rocksdb::Slice to = end.slice();
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.canceled = &stop_compacting_;
  const auto status = reading->db().CompactRange(options, reading->table(table), &from, &to);
  if (status.ok()) return {};
  if (status.IsIncomplete()) return base::Error(base::Code::kUnavailable, "it was stopped");
  return ReadError(status);
}

Scan::Scan(Database::Reading reading, Table table, const Key& first, const Key& end, Reach reach)
    : reading_(std::move(reading)), bounds_(new Bounds{first, end, {}, {}}) {
  bounds_->first = bounds_->first_key.slice();
  bounds_->end = bounds_->end_key.slice();
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &bounds_->first;
  options.iterate_upper_bound = &bounds_->end;
  options.snapshot = reading_.snapshot();
  if (reach == Reach::kMemory) options.read_tier = rocksdb::kBlockCacheTier;
  rows_.reset(reading_.db().NewIterator(options, reading_.table(table)));
}

base::Result<Scan> Scan::From(const View& view, Table table, const Key& first, const Key& end,
                              Reach reach) {
  auto reading = view.Read();
  if (!reading) return std::move(reading).error();
  return Scan(std::move(*reading), table, first, end, reach);
}

void Scan::Advance(const Key& key) {
  const rocksdb::Slice wanted = key.slice();
  if (rows_->Valid() && rows_->key().compare(wanted) < 0) {
    rows_->Next();
    if (rows_->Valid() && rows_->key() == wanted) return;
  }
  if (rows_->Valid() && rows_->key() == wanted) return;
  rows_->Seek(wanted);
}

base::Result<void> Scan::status() const {
  if (rows_->status().ok()) return {};
  return ReadError(rows_->status());
}

}  // namespace hongyan::storage
