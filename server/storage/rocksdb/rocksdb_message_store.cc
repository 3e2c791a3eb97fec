#include "storage/rocksdb/rocksdb_message_store.h"

#include <filesystem>
#include <mutex>
#include <optional>

#include "base/log.h"
#include "model/reason.h"
#include "storage/rocksdb/data_dir.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/mark_file.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_ports.h"
#include "storage/rocksdb/store_keeper.h"
#include "storage/rocksdb/table_options.h"

namespace hongyan::storage {

namespace {

constexpr int kMaxShards = 256;
// A receipt must outlive its request id by a day (MESSAGING section 2).
constexpr int64_t kReceiptLifeMs = int64_t{8} * 24 * 60 * 60 * 1000;

using Heads = std::vector<int64_t>;  // by shard: number of the last batch

base::Result<Heads> ReadHeads(const ChannelStore& channels, int shards) {
  Heads heads;
  for (int shard = 0; shard < shards; ++shard) {
    const auto head = channels.ReadHead(static_cast<model::ShardId>(shard));
    if (!head) return head.error();
    heads.push_back(head->batch);
  }
  return heads;
}

base::Error LostCommits(const std::string& path, size_t shard, int64_t found, int64_t durable) {
  return model::Refuse(
      base::Code::kDataLoss, model::Reason::kBroken,
      "the store in " + path + " has lost committed batches: shard " + std::to_string(shard) +
          " ends at batch " + std::to_string(found) + ", but " + std::to_string(durable) +
          " was known durable. Restore a backup, or run `hongyan-admin store accept` to go on "
          "without what is lost");
}

base::Error LostMark(const std::string& path) {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       "the high-water mark " + path +
                           " is missing or damaged, so nobody can tell whether the "
                           "store is complete. Restore a backup, or run `hongyan-admin store "
                           "accept` to take the store "
                           "as it is");
}

base::Result<void> CheckHeads(const std::string& path, const Heads& heads, const Heads& durable) {
  for (size_t shard = 0; shard < durable.size(); ++shard) {
    const int64_t found = shard < heads.size() ? heads[shard] : 0;
    if (found < durable[shard]) return LostCommits(path, shard, found, durable[shard]);
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

DatabaseOptions OptionsFor(const RocksdbOptions& options, const DataDir& dir,
                           const std::atomic<int64_t>* receipts_expire_before_ms) {
  DatabaseOptions database;
  database.path = dir.db_path();
  database.block_cache_bytes = options.block_cache_bytes;
  database.write_buffer_bytes = options.write_buffer_bytes;
  database.max_open_files = options.max_open_files;
  database.sync = !options.unsafe_no_sync;
  database.env = options.env;
  database.receipts_expire_before_ms = receipts_expire_before_ms;
  return database;
}

base::Result<void> CheckOptions(const RocksdbOptions& options) {
  CHECK(options.clock != nullptr);
  if (options.path.empty()) {
    return base::Error(base::Code::kInvalidArgument, "the store needs a data directory");
  }
  if (options.shards < 1 || options.shards > kMaxShards) {
    return base::Error(base::Code::kInvalidArgument,
                       "a store has 1 to " + std::to_string(kMaxShards) + " shards, not " +
                           std::to_string(options.shards));
  }
  return {};
}

}  // namespace

struct RocksdbMessageStore::Impl {
  Impl(const RocksdbOptions& o, DataDir d, const StoreIdentity& i)
      : options(o),
        dir(std::move(d)),
        identity(i),
        database(OptionsFor(options, dir, &receipts_expire_before_ms)),
        accounts(database),
        conversations(database),
        inboxes(database),
        channels(database, *options.clock) {}

  ~Impl() {
    keeper.reset();  // the last mark
    database.Close();
  }

  base::Result<void> OpenMark(const Heads& heads);

  const RocksdbOptions options;
  DataDir dir;
  const StoreIdentity identity;
  // Receipts from before may go: by the newest shard time committed and by the wall clock, so that
  // neither alone can expire one early.
  std::atomic<int64_t> receipts_expire_before_ms{0};
  Database database;
  RocksdbAccountStore accounts;
  RocksdbConversationStore conversations;
  RocksdbInboxStore inboxes;
  RocksdbChannelStore channels;
  std::mutex reopen_mutex;
  std::atomic<int64_t> commits{0};
  std::atomic<int64_t> records{0};
  std::atomic<int64_t> bytes{0};
  std::optional<StoreKeeper> keeper;
};

// Compares what was recovered with the mark, then goes on from the newer of both.
base::Result<void> RocksdbMessageStore::Impl::OpenMark(const Heads& heads) {
  auto mark = MarkFile::Open(dir.mark_path(), identity.incarnation);
  if (!mark) return mark.error();
  if (!mark->has_value()) return LostMark(dir.mark_path());
  if (auto complete = CheckHeads(dir.path(), heads, (*mark)->batches()); !complete) {
    return complete;
  }
  // Recovery wrote what it found into synced files, so all of it is durable now.
  if (!options.unsafe_no_sync && heads != (*mark)->batches()) {
    if (auto written = (*mark)->Write(heads); !written) return written;
  }
  keeper.emplace(dir.path(), *std::move(*mark), options.disk_reserve_bytes);
  return {};
}

RocksdbMessageStore::RocksdbMessageStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksdbMessageStore::~RocksdbMessageStore() = default;

base::Result<std::unique_ptr<RocksdbMessageStore>> RocksdbMessageStore::Open(
    const RocksdbOptions& options) {
  if (auto checked = CheckOptions(options); !checked) return checked.error();
  auto dir = DataDir::Open(options.path);
  if (!dir) return std::move(dir).error();
  const bool fresh = dir->fresh();
  if (fresh) {
    if (auto created = dir->Create(DrawIdentity(options.shards)); !created) return created.error();
  }
  const auto identity = dir->ReadIdentity();
  if (!identity) return identity.error();
  if (fresh) {
    const Heads none(static_cast<size_t>(identity->shards), 0);
    auto mark = MarkFile::Create(dir->mark_path(), identity->incarnation, none);
    if (!mark) return std::move(mark).error();
  }

  auto impl = std::make_unique<Impl>(options, *std::move(dir), *identity);
  const auto opened =
      impl->database.Open(fresh ? IfMissing::kCreate : IfMissing::kRefuse, Recovery::kStrict);
  if (!opened) return opened.error();
  if (fresh) {
    if (auto finished = impl->dir.FinishCreation(); !finished) return finished.error();
  }
  const auto heads = ReadHeads(impl->channels, identity->shards);
  if (!heads) return heads.error();
  if (auto marked = impl->OpenMark(*heads); !marked) return marked.error();
  if (options.disk_reserve_bytes < kMaxLogBytes) {
    LOG_WARN(
        "store_disk_reserve_small path={} reserve_bytes={}: its log may hold {} bytes that want to "
        "be written out even where chat is refused; set storage.disk_reserve above that",
        options.path, options.disk_reserve_bytes, kMaxLogBytes);
  }
  if (options.unsafe_no_sync) {
    LOG_ERROR("store_does_not_sync path={}: a crash of the machine loses acknowledged messages",
              options.path);
  }
  return std::unique_ptr<RocksdbMessageStore>(new RocksdbMessageStore(std::move(impl)));
}

AccountStore& RocksdbMessageStore::accounts() { return impl_->accounts; }
ConversationStore& RocksdbMessageStore::conversations() { return impl_->conversations; }
InboxStore& RocksdbMessageStore::inboxes() { return impl_->inboxes; }
ChannelStore& RocksdbMessageStore::channels() { return impl_->channels; }
const StoreIdentity& RocksdbMessageStore::identity() const { return impl_->identity; }
bool RocksdbMessageStore::BelowDiskReserve() const { return impl_->keeper->below_reserve(); }

std::unique_ptr<Batch> RocksdbMessageStore::NewBatch() {
  return std::make_unique<RocksdbBatch>(impl_->database);
}

CommitOutcome RocksdbMessageStore::Commit(std::unique_ptr<Batch> batch) {
  auto& staged = static_cast<RocksdbBatch&>(*batch);
  if (impl_->database.failed()) return CommitOutcome::kUnknown;
  const auto records = static_cast<int64_t>(staged.records());
  const size_t bytes = staged.bytes();
  if (bytes > kMaxBatchBytes) {
    LOG_ERROR("store_batch_too_large bytes={} limit={}", bytes, kMaxBatchBytes);
    return CommitOutcome::kRejected;
  }
  rocksdb::WriteBatch& writes = staged.Finish();
  impl_->channels.StageTrims(&writes);
  if (const auto status = impl_->database.Write(&writes); !status.ok()) {
    if (impl_->database.pace().May()) {
      LOG_ERROR("store_commit_unknown path={} error=\"{}\"{}", impl_->options.path,
                status.ToString(), status.IsNoSpace() ? ": the disk is full, free some space" : "");
    }
    return CommitOutcome::kUnknown;
  }

  impl_->commits.fetch_add(1, std::memory_order_relaxed);
  impl_->records.fetch_add(records, std::memory_order_relaxed);
  impl_->bytes.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  if (!impl_->options.unsafe_no_sync) impl_->keeper->Durable(staged.heads());
  if (staged.newest_time_ms() > 0) {
    const int64_t now_ms = std::min(staged.newest_time_ms(), impl_->options.clock->WallMs());
    impl_->receipts_expire_before_ms.store(now_ms - kReceiptLifeMs, std::memory_order_relaxed);
  }
  return CommitOutcome::kCommitted;
}

base::Result<void> RocksdbMessageStore::Reopen() {
  const std::lock_guard lock(impl_->reopen_mutex);
  if (!impl_->database.failed()) return {};
  impl_->database.Close();
  auto opened = impl_->database.Open(IfMissing::kRefuse, Recovery::kStrict);
  if (!opened) return opened;
  impl_->channels.ForgetTrims();
  const auto heads = ReadHeads(impl_->channels, impl_->identity.shards);
  base::Result<void> complete =
      heads ? CheckHeads(impl_->dir.path(), *heads, impl_->keeper->durable())
            : base::Result<void>(heads.error());
  if (!complete) {
    impl_->database.Close();
    return complete;
  }
  return {};
}

StoreStats RocksdbMessageStore::stats() const {
  StoreStats stats;
  stats.commits = impl_->commits.load(std::memory_order_relaxed);
  stats.records = impl_->records.load(std::memory_order_relaxed);
  stats.bytes = impl_->bytes.load(std::memory_order_relaxed);
  stats.syncs = impl_->database.syncs();
  stats.disk_bytes = BytesUnder(impl_->options.path);
  stats.disk_free_bytes = impl_->keeper->disk_free_bytes();
  return stats;
}

base::Result<void> RocksdbMessageStore::Compact() {
  const auto reading = impl_->database.Read();
  if (!reading) return reading.error();
  for (int table = 0; table < kTables; ++table) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    const auto status = reading->db().CompactRange(
        options, reading->table(static_cast<Table>(table)), nullptr, nullptr);
    if (!status.ok()) return ReadError(status);
  }
  return {};
}

base::Result<AcceptedStore> AcceptStore(const RocksdbOptions& options) {
  if (auto checked = CheckOptions(options); !checked) return checked.error();
  auto dir = DataDir::Open(options.path);
  if (!dir) return std::move(dir).error();
  if (dir->fresh()) {
    return base::Error(base::Code::kNotFound, "there is no store in " + options.path);
  }
  auto identity = dir->ReadIdentity();
  if (!identity) return identity.error();

  Database database(OptionsFor(options, *dir, nullptr));
  if (auto opened = database.Open(IfMissing::kRefuse, Recovery::kSalvage); !opened) {
    return opened.error();
  }
  const RocksdbChannelStore channels(database, *options.clock);
  const auto heads = ReadHeads(channels, identity->shards);
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
