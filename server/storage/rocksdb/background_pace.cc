#include "storage/rocksdb/background_pace.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>
#include <utility>

namespace hongyan::storage {

namespace {

constexpr int kFlushRests = 4;       // halved by each memtable of a table that waits behind one
constexpr int kCompactionRests = 2;  // it may take its time, but must not fall behind
constexpr int kHurryFiles = 8;       // twice as many as begin a compaction
constexpr int kLowest = 19;
constexpr int64_t kLongestRestNs = 100'000'000;

int64_t ThreadCpuNs() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

int64_t SteadyNs() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Of this thread, for good: an unprivileged one may not take it back. On Linux a thread's own.
void GiveWay() {
  thread_local const int given = setpriority(PRIO_PROCESS, 0, kLowest);
  (void)given;
}

class Teller final : public rocksdb::EventListener {
 public:
  explicit Teller(std::shared_ptr<BackgroundPace> pace) : pace_(std::move(pace)) {}

  void OnMemTableSealed(const rocksdb::MemTableInfo& memtable) override {
    pace_->Sealed(memtable.cf_name, memtable.first_seqno);
  }
  void OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& flush) override {
    pace_->Flushed(flush.cf_name, flush.largest_seqno);
  }
  void OnCompactionCompleted(rocksdb::DB* /*db*/,
                             const rocksdb::CompactionJobInfo& compaction) override {
    const auto taken =
        std::count_if(compaction.input_file_infos.begin(), compaction.input_file_infos.end(),
                      [](const auto& file) { return file.level == 0; });
    const size_t put = compaction.output_level == 0 ? compaction.output_files.size() : 0;
    pace_->Compacted(compaction.cf_name, static_cast<int>(taken) - static_cast<int>(put));
  }

 private:
  const std::shared_ptr<BackgroundPace> pace_;
};

}  // namespace

std::shared_ptr<rocksdb::EventListener> BackgroundPace::Listener(
    std::shared_ptr<BackgroundPace> pace) {
  return std::make_shared<Teller>(std::move(pace));
}

void BackgroundPace::RestAfter(std::chrono::nanoseconds pause) {
  rests_from_ns_ = SteadyNs() + pause.count();
}

bool BackgroundPace::rests() const {
  const int64_t from_ns = rests_from_ns_.load(std::memory_order_relaxed);
  return from_ns != kNever && SteadyNs() >= from_ns;
}

void BackgroundPace::FilesAtLevel0(const std::string& table, int files) {
  const std::lock_guard lock(mutex_);
  files_[table] = files;
  Judge();
}

void BackgroundPace::Sealed(const std::string& table, uint64_t first) {
  const std::lock_guard lock(mutex_);
  sealed_[table].insert(first);
  Judge();
}

void BackgroundPace::Flushed(const std::string& table, uint64_t last) {
  const std::lock_guard lock(mutex_);
  auto& waiting = sealed_[table];
  waiting.erase(waiting.begin(), waiting.upper_bound(last));
  ++files_[table];
  Judge();
}

void BackgroundPace::Compacted(const std::string& table, int fewer_files_at_level0) {
  const std::lock_guard lock(mutex_);
  int& files = files_[table];
  files = std::max(0, files - fewer_files_at_level0);
  Judge();
}

void BackgroundPace::Judge() {
  size_t memtables = 0;
  int files = 0;
  for (const auto& [table, waiting] : sealed_) memtables = std::max(memtables, waiting.size());
  for (const auto& [table, count] : files_) files = std::max(files, count);
  const int rests = kFlushRests >> (std::max<size_t>(1, memtables) - 1);
  flush_rests_ = rests;
  compaction_rests_ = files >= kHurryFiles ? 0 : std::min(rests, kCompactionRests);
}

int BackgroundPace::Rests(rocksdb::Env::IOPriority priority) const {
  if (!rests()) return 0;
  if (priority == rocksdb::Env::IO_HIGH) return flush_rests_;
  if (priority == rocksdb::Env::IO_LOW) return compaction_rests_;
  return 0;
}

void BackgroundPace::Request(int64_t /*bytes*/, rocksdb::Env::IOPriority priority,
                             rocksdb::Statistics* /*statistics*/) {
  thread_local int64_t rested_at_ns = ThreadCpuNs();
  const int rests = Rests(priority);
  if (rests > 0) {
    if (priority == rocksdb::Env::IO_LOW) GiveWay();
    const int64_t rest_ns = std::min(kLongestRestNs, rests * (ThreadCpuNs() - rested_at_ns));
    std::this_thread::sleep_for(std::chrono::nanoseconds(rest_ns));
  }
  rested_at_ns = ThreadCpuNs();
}

}  // namespace hongyan::storage
