#include "storage/rocksdb/store_core.h"

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "model/reason.h"
#include "storage/rocksdb/mark_file.h"
#include "storage/rocksdb/table_options.h"

namespace hongyan::storage {

namespace {

using Heads = std::vector<int64_t>;  // by shard: number of the last batch

base::Result<Heads> ReadHeads(const ChannelStore& channels, const StoreIdentity& identity) {
  Heads heads;
  for (int shard = 0; shard < identity.shards; ++shard) {
    const auto head = channels.ReadHead(static_cast<model::ShardId>(identity.first_shard + shard));
    if (!head) return head.error();
    heads.push_back(head->batch);
  }
  return heads;
}

base::Error LostCommits(const std::string& path, StoreKind kind, size_t shard, int64_t found,
                        int64_t durable) {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       "the store in " + path + " has lost committed batches: shard " +
                           std::to_string(shard) + " ends at batch " + std::to_string(found) +
                           ", but " + std::to_string(durable) +
                           " was known durable. Restore a backup, or run " + AcceptCommand(kind) +
                           " to go on without what is lost");
}

base::Error LostMark(const std::string& path, StoreKind kind) {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       "the high-water mark " + path +
                           " is missing or damaged, so nobody can tell whether the store is "
                           "complete. Restore a backup, or run " +
                           AcceptCommand(kind) + " to take the store as it is");
}

base::Result<void> CheckHeads(const std::string& path, StoreKind kind, model::ShardId first_shard,
                              const Heads& heads, const Heads& durable) {
  for (size_t shard = 0; shard < durable.size(); ++shard) {
    const int64_t found = shard < heads.size() ? heads[shard] : 0;
    if (found < durable[shard]) {
      return LostCommits(path, kind, first_shard + shard, found, durable[shard]);
    }
  }
  return {};
}

int64_t BytesUnder(const std::string& path) {
  int64_t bytes = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entries(path, error);
  for (; !error && entries != std::filesystem::recursive_directory_iterator();
       entries.increment(error)) {
    std::error_code gone;  // a file may go meanwhile
    const auto size = entries->is_regular_file(gone) ? entries->file_size(gone) : 0;
    if (!gone) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

DatabaseOptions OptionsFor(StoreKind kind, const RocksdbOptions& options, const DataDir& dir,
                           const std::atomic<int64_t>* receipts_expire_before_ms) {
  DatabaseOptions database;
  database.kind = kind;
  database.path = dir.db_path();
  database.block_cache_bytes = options.block_cache_bytes;
  database.write_buffer_bytes = options.write_buffer_bytes;
  database.max_open_files = options.max_open_files;
  database.sync = !options.unsafe_no_sync;
  database.env = options.env;
  database.receipts_expire_before_ms = receipts_expire_before_ms;
  return database;
}

base::Result<void> CheckOptions(const RocksdbOptions& options, int max_shards) {
  CHECK(options.clock != nullptr);
  if (options.path.empty()) {
    return base::Error(base::Code::kInvalidArgument, "the store needs a data directory");
  }
  if (options.shards < 1 || options.shards > max_shards) {
    return base::Error(base::Code::kInvalidArgument,
                       "a store has 1 to " + std::to_string(max_shards) + " shards, not " +
                           std::to_string(options.shards));
  }
  return {};
}

}  // namespace

StoreCore::StoreCore(const Kind& kind, const RocksdbOptions& options, DataDir dir,
                     const StoreIdentity& identity)
    : kind_(kind.tables),
      options_(options),
      dir_(std::move(dir)),
      identity_(identity),
      database_(OptionsFor(kind.tables, options_, dir_, &receipts_expire_before_ms_)),
      channels_(database_, *options_.clock) {}

StoreCore::~StoreCore() {
  keeper_.reset();  // the last mark
  database_.Close();
}

// Compares what was recovered with the mark, then goes on from the newer of both.
base::Result<void> StoreCore::OpenMark(const Heads& heads) {
  auto mark = MarkFile::Open(dir_.mark_path(), identity_.incarnation);
  if (!mark) return mark.error();
  if (!mark->has_value()) return LostMark(dir_.mark_path(), kind_);
  if (auto complete =
          CheckHeads(dir_.path(), kind_, identity_.first_shard, heads, (*mark)->batches());
      !complete) {
    return complete;
  }
  // Recovery wrote what it found into synced files, so all of it is durable now.
  if (!options_.unsafe_no_sync && heads != (*mark)->batches()) {
    if (auto written = (*mark)->Write(heads); !written) return written;
  }
  keeper_.emplace(dir_.path(), *std::move(*mark), identity_.first_shard,
                  options_.disk_reserve_bytes);
  return {};
}

base::Result<std::unique_ptr<StoreCore>> StoreCore::Open(const Kind& kind,
                                                         const RocksdbOptions& options) {
  if (auto checked = CheckOptions(options, kind.max_shards); !checked) return checked.error();
  auto dir = DataDir::Open(options.path, kind.directory);
  if (!dir) return std::move(dir).error();
  const bool fresh = dir->fresh();
  if (fresh) {
    const StoreIdentity drawn = DrawIdentity(options.shards, kind.first_shard);
    if (auto created = dir->Create(drawn); !created) return created.error();
    if (kind.create_more != nullptr) {
      if (auto more = kind.create_more(*dir, drawn); !more) return more.error();
    }
  }
  const auto identity = dir->ReadIdentity();
  if (!identity) return identity.error();
  if (fresh) {
    const Heads none(static_cast<size_t>(identity->shards), 0);
    auto mark = MarkFile::Create(dir->mark_path(), identity->incarnation, none);
    if (!mark) return std::move(mark).error();
  }

  std::unique_ptr<StoreCore> core(new StoreCore(kind, options, *std::move(dir), *identity));
  const auto opened =
      core->database_.Open(fresh ? IfMissing::kCreate : IfMissing::kRefuse, Recovery::kStrict);
  if (!opened) return opened.error();
  if (fresh) {
    if (auto finished = core->dir_.FinishCreation(); !finished) return finished.error();
  }
  const auto heads = ReadHeads(core->channels_, *identity);
  if (!heads) return heads.error();
  if (auto marked = core->OpenMark(*heads); !marked) return marked.error();
  if (options.disk_reserve_bytes < kMaxLogBytes) {
    LOG_WARN(
        "store_disk_reserve_small path={} reserve_bytes={}: its log may hold {} bytes that want to "
        "be written out even where chat is refused; set storage.disk_reserve above that",
        options.path, options.disk_reserve_bytes, kMaxLogBytes);
  }
  if (options.unsafe_no_sync) {
    LOG_ERROR("store_does_not_sync path={}: a crash of the machine loses what was acknowledged",
              options.path);
  }
  return core;
}

CommitOutcome StoreCore::Commit(RocksdbBatch& staged) {
  if (database_.failed()) return CommitOutcome::kUnknown;
  const auto records = static_cast<int64_t>(staged.records());
  const size_t bytes = staged.bytes();
  if (bytes > kMaxBatchBytes) {
    LOG_ERROR("store_batch_too_large bytes={} limit={}", bytes, kMaxBatchBytes);
    return CommitOutcome::kRejected;
  }
  rocksdb::WriteBatch& writes = staged.Finish();
  channels_.StageTrims(&writes);
  if (const auto status = database_.Write(&writes); !status.ok()) {
    if (database_.pace().May()) {
      LOG_ERROR("store_commit_unknown path={} error=\"{}\"{}", options_.path, status.ToString(),
                status.IsNoSpace() ? ": the disk is full, free some space" : "");
    }
    return CommitOutcome::kUnknown;
  }

  commits_.fetch_add(1, std::memory_order_relaxed);
  records_.fetch_add(records, std::memory_order_relaxed);
  bytes_.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  if (!options_.unsafe_no_sync) keeper_->Durable(staged.heads());
  if (staged.newest_time_ms() > 0) {
    const int64_t now_ms = std::min(staged.newest_time_ms(), options_.clock->WallMs());
    receipts_expire_before_ms_.store(now_ms - model::kRequestKeptMs, std::memory_order_relaxed);
  }
  return CommitOutcome::kCommitted;
}

base::Result<void> StoreCore::Reopen() {
  const std::lock_guard lock(reopen_mutex_);
  if (!database_.failed()) return {};
  database_.Close();
  auto opened = database_.Open(IfMissing::kRefuse, Recovery::kStrict);
  if (!opened) return opened;
  channels_.ForgetTrims();
  const auto heads = ReadHeads(channels_, identity_);
  base::Result<void> complete =
      heads ? CheckHeads(dir_.path(), kind_, identity_.first_shard, *heads, keeper_->durable())
            : base::Result<void>(heads.error());
  if (!complete) {
    database_.Close();
    return complete;
  }
  return {};
}

StoreStats StoreCore::stats() const {
  StoreStats stats;
  stats.commits = commits_.load(std::memory_order_relaxed);
  stats.records = records_.load(std::memory_order_relaxed);
  stats.bytes = bytes_.load(std::memory_order_relaxed);
  stats.syncs = database_.syncs();
  stats.disk_bytes = BytesUnder(options_.path);
  stats.disk_free_bytes = keeper_->disk_free_bytes();
  return stats;
}

base::Result<void> StoreCore::Compact() {
  const auto reading = database_.Read();
  if (!reading) return reading.error();
  for (const Table table : database_.tables()) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    const auto status =
        reading->db().CompactRange(options, reading->table(table), nullptr, nullptr);
    if (!status.ok()) return ReadError(status);
  }
  return {};
}

base::Result<AcceptedStore> StoreCore::Accept(const Kind& kind, const RocksdbOptions& options) {
  if (auto checked = CheckOptions(options, kind.max_shards); !checked) return checked.error();
  auto dir = DataDir::Open(options.path, kind.directory);
  if (!dir) return std::move(dir).error();
  if (dir->fresh()) {
    return base::Error(base::Code::kNotFound, "there is no store in " + options.path);
  }
  auto identity = dir->ReadIdentity();
  if (!identity) return identity.error();

  Database database(OptionsFor(kind.tables, options, *dir, nullptr));
  if (auto opened = database.Open(IfMissing::kRefuse, Recovery::kSalvage); !opened) {
    return opened.error();
  }
  const RocksdbChannelStore channels(database, *options.clock);
  const auto heads = ReadHeads(channels, *identity);
  if (!heads) return heads.error();
  // The generation first: should this be cut short, the store is refused as before and accepted
  // again.
  ++identity->generation;
  if (auto written = dir->WriteIdentity(*identity); !written) return written.error();
  auto mark = MarkFile::Create(dir->mark_path(), identity->incarnation, *heads);
  if (!mark) return std::move(mark).error();
  LOG_WARN("store_accepted path={} generation={}", options.path, identity->generation);
  return AcceptedStore{identity->generation};
}

}  // namespace hongyan::storage
