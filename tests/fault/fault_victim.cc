// A program that does known things to the files of one directory, reports numbers on standard
// output, and waits to be killed. Started by the tests under the preloaded library:
//
//   fault_victim SCENARIO DIR
//
// The bench-* scenarios are for people who want to know what the library costs: run them with and
// without it; they end by themselves and print a rate to standard error.

#include <dirent.h>
#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

std::string dir;  // set once by main

std::string At(const std::string& name) { return dir + "/" + name; }

void Report(uint64_t number) {
  if (write(STDOUT_FILENO, &number, sizeof(number)) != sizeof(number)) _exit(3);
}

void Require(bool good, const char* what) {
  if (good) return;
  fprintf(stderr, "fault_victim: %s: %s\n", what, strerror(errno));
  Report(UINT64_MAX - 1);
  _exit(2);
}
#define REQUIRE(condition) Require((condition), #condition)

int Open(const std::string& name, int flags) {
  int fd = open(At(name).c_str(), flags | O_CLOEXEC, 0644);
  REQUIRE(fd >= 0);
  return fd;
}

void Put(int fd, const std::string& bytes) {
  REQUIRE(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

void PutAt(int fd, const std::string& bytes, off_t at) {
  REQUIRE(pwrite(fd, bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size()));
}

void SyncDir(const std::string& name = ".") {
  int fd = open(At(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE(fsync(fd) == 0);
  close(fd);
}

// A file that is durable, bytes and name.
void Durable(const std::string& name, const std::string& bytes) {
  int fd = Open(name, O_WRONLY | O_CREAT | O_TRUNC);
  Put(fd, bytes);
  REQUIRE(fsync(fd) == 0);
  close(fd);
  SyncDir(std::filesystem::path(name).parent_path().string());
}

// --- bytes
// -----------------------------------------------------------------------------------------------

void AppendUnsynced() {
  int fd = Open("a", O_WRONLY | O_CREAT);
  SyncDir();
  Put(fd, std::string(5000, 'x'));
}

void AppendSyncAppend() {
  int fd = Open("a", O_WRONLY | O_CREAT | O_APPEND);
  SyncDir();
  Put(fd, std::string(5000, 'x'));
  REQUIRE(fdatasync(fd) == 0);
  Put(fd, std::string(7000, 'y'));
}

void Overwrite() {
  Durable("a", std::string(10000, 'x'));
  int fd = Open("a", O_WRONLY);
  PutAt(fd, std::string(100, 'y'), 50);
  PutAt(fd, std::string(3000, 'z'), 100);  // overlaps the one before
  REQUIRE(lseek(fd, 9000, SEEK_SET) == 9000);
  Put(fd, std::string(2000, 'w'));  // reaches beyond the end
  int copy = dup(fd);
  char three[] = "123";
  iovec parts[2] = {{three, 3}, {three, 3}};
  REQUIRE(pwritev(copy, parts, 2, 0) == 6);
  close(fd);
  close(copy);
}

void OverwriteSyncOverwrite() {
  Durable("a", std::string(8192, 'x'));
  int fd = Open("a", O_RDWR);
  PutAt(fd, std::string(4096, 'y'), 0);
  REQUIRE(fdatasync(fd) == 0);
  PutAt(fd, std::string(4096, 'z'), 0);
  PutAt(fd, std::string(4096, 'z'), 4096);
}

void MarkFile() {  // enough to make the undo log start over
  Durable("mark", std::string(8192, '\0'));
  int fd = Open("mark", O_WRONLY);
  for (uint64_t i = 1; i <= 700; ++i) {
    PutAt(fd, std::string(4096, static_cast<char>('a' + i % 26)), i % 2 == 0 ? 0 : 4096);
    REQUIRE(fdatasync(fd) == 0);
  }
  PutAt(fd, std::string(8192, '!'), 0);
}

void Shrink() {
  Durable("a", std::string(10000, 'x'));
  Durable("b", std::string(10000, 'x'));
  Durable("c", std::string(10000, 'x'));
  Durable("d", std::string(10000, 'x'));
  Durable("e", std::string(10000, 'x'));
  int fd = Open("a", O_WRONLY);
  REQUIRE(ftruncate(fd, 3000) == 0);
  PutAt(fd, std::string(4000, 'y'), 2000);
  REQUIRE(truncate(At("b").c_str(), 0) == 0);
  Put(Open("c", O_WRONLY | O_TRUNC), "new");
  FILE* stream = fopen(At("d").c_str(), "w");
  REQUIRE(stream != nullptr && fputs("new", stream) >= 0 && fflush(stream) == 0);
  fd = Open("e", O_WRONLY);
  REQUIRE(ftruncate(fd, 3000) == 0 && fsync(fd) == 0);
  REQUIRE(ftruncate(fd, 20000) == 0);
}

void Stdio() {
  FILE* lost = fopen(At("lost").c_str(), "w");
  FILE* kept = fopen(At("kept").c_str(), "a");
  REQUIRE(lost != nullptr && kept != nullptr);
  SyncDir();
  REQUIRE(fputs("12345", lost) >= 0 && fflush(lost) == 0);
  REQUIRE(fputs("12345", kept) >= 0 && fflush(kept) == 0 && fsync(fileno(kept)) == 0);
  REQUIRE(fputs("67890", kept) >= 0 && fclose(kept) == 0);
  std::ofstream(At("stream")) << "hello";
  SyncDir();
}

void DsyncWrites() {
  Durable("a", std::string(1000, 'x'));
  Durable("b", std::string(1000, 'x'));
  int fd = Open("a", O_WRONLY | O_DSYNC);
  PutAt(fd, "durable", 10);
  PutAt(fd, "tail", 1000);
  int plain = Open("b", O_WRONLY);
  fd = Open("b", O_WRONLY | O_DSYNC);
  PutAt(plain, std::string(50, 'y'), 0);
  PutAt(fd, "durable", 10);  // the bytes around it are not
  PutAt(plain, "never", 12);
}

bool InsideFsync(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/syscall");
  long number = -1;
  return file >> number && number == SYS_fsync;
}

// Appends and overwrites while a sync of much data runs: not covered by it. Reports 1 when it came
// to that.
void WriteDuringSync() {
  int fd = Open("a", O_RDWR | O_CREAT);
  SyncDir();
  const std::string much(64 << 20, 'x');
  Put(fd, much);
  std::atomic<bool> returned = false;
  std::atomic<pid_t> thread = 0;
  std::thread syncing([&] {
    thread = gettid();
    REQUIRE(fsync(fd) == 0);
    returned = true;
  });
  bool called = false;
  while (!called && !returned) called = thread != 0 && InsideFsync(thread);
  Put(fd, "late");
  PutAt(fd, "late", 100);
  bool inside = called && !returned;
  syncing.join();
  Report(inside ? 1 : 0);
}

// --- names
// -----------------------------------------------------------------------------------------------

void CreateWithoutDirSync() {
  int fd = Open("a", O_WRONLY | O_CREAT);
  Put(fd, "synced, and lost with its name");
  REQUIRE(fsync(fd) == 0);
}

void RenameOver(bool sync) {
  Durable("CURRENT", "old");
  Durable("CURRENT.tmp", "new content");
  REQUIRE(rename(At("CURRENT.tmp").c_str(), At("CURRENT").c_str()) == 0);
  if (sync) SyncDir();
}

void RenameUnsyncedFile() {  // the well-known mistake: the name is durable before the bytes
  Durable("CURRENT", "old");
  Put(Open("CURRENT.tmp", O_WRONLY | O_CREAT), "new content");
  REQUIRE(rename(At("CURRENT.tmp").c_str(), At("CURRENT").c_str()) == 0);
  SyncDir();
}

void Unlink(bool sync) {
  Durable("a", "content of a");
  int fd = Open("a", O_WRONLY | O_APPEND);
  Put(fd, "unsynced");
  REQUIRE(unlink(At("a").c_str()) == 0);
  Durable("b", "content of b");  // syncs the directory
  REQUIRE(remove(At("b").c_str()) == 0);
  if (sync) SyncDir();
}

void ReuseOfNames() {  // create, unlink, create again, rename away: one name, many files
  Durable("a", "first");
  for (const char* text : {"second", "third"}) {
    REQUIRE(unlink(At("a").c_str()) == 0);
    int fd = Open("a", O_WRONLY | O_CREAT | O_EXCL);
    Put(fd, text);
    REQUIRE(fsync(fd) == 0);
  }
  REQUIRE(rename(At("a").c_str(), At("b").c_str()) == 0);
  Put(Open("a", O_WRONLY | O_CREAT), "fourth");
}

void SyncThroughOpendir() {
  close(Open("a", O_WRONLY | O_CREAT));
  DIR* listing = opendir(dir.c_str());
  REQUIRE(listing != nullptr && fsync(dirfd(listing)) == 0);
  closedir(listing);
  char name[] = "b-XXXXXX";
  REQUIRE(chdir(dir.c_str()) == 0 && mkstemp(name) >= 0);
  REQUIRE(std::filesystem::create_directory("c"));
}

void Directories() {
  REQUIRE(mkdir(At("kept").c_str(), 0755) == 0);
  Durable("kept/a", "in a synced directory");
  REQUIRE(mkdir(At("lost").c_str(), 0755) == 0);
  int fd = Open("lost/a", O_WRONLY | O_CREAT);
  Put(fd, "lost");
  REQUIRE(fsync(fd) == 0);
  REQUIRE(mkdir(At("back").c_str(), 0750) == 0);
  Durable("back/a", "in a removed directory");
  SyncDir();
  REQUIRE(mkdir(At("lost2").c_str(), 0755) == 0);
  REQUIRE(unlink(At("back/a").c_str()) == 0);
  REQUIRE(rmdir(At("back").c_str()) == 0);
}

// As a checkpoint is made: links in a temporary directory, which is then renamed.
void Checkpoint(bool sync) {
  Durable("000001.sst", "table");
  REQUIRE(mkdir(At("backup.tmp").c_str(), 0755) == 0);
  REQUIRE(link(At("000001.sst").c_str(), At("backup.tmp/000001.sst").c_str()) == 0);
  Durable("backup.tmp/CURRENT", "manifest");
  Put(Open("backup.tmp/late", O_WRONLY | O_CREAT), "not synced in its directory");
  REQUIRE(rename(At("backup.tmp").c_str(), At("backup").c_str()) == 0);
  if (sync) SyncDir();
}

// The sync of the one directory makes durable what the rename stands on in the other.
void RenameAcross() {
  REQUIRE(mkdir(At("sub").c_str(), 0755) == 0);
  SyncDir();
  int fd = Open("a", O_WRONLY | O_CREAT);
  Put(fd, "moved");
  REQUIRE(fsync(fd) == 0);
  Open("c", O_WRONLY | O_CREAT);
  REQUIRE(rename(At("a").c_str(), At("sub/b").c_str()) == 0);
  SyncDir("sub");
}

void ManyNames() {  // enough to make the name log start over
  for (int i = 0; i < 6000; ++i) {
    close(Open("temporary", O_WRONLY | O_CREAT));
    REQUIRE(rename(At("temporary").c_str(), At("name").c_str()) == 0);
    if (i % 100 == 99) SyncDir();
  }
  Durable("name", "last durable");
  close(Open("temporary", O_WRONLY | O_CREAT));
  REQUIRE(rename(At("temporary").c_str(), At("name").c_str()) == 0);
}

// --- the whole filesystem, injected faults, what cannot be modelled
// --------------------------------------

void SyncFs() {
  int fd = Open("a", O_WRONLY | O_CREAT);
  Put(fd, "covered");
  close(Open("b", O_WRONLY | O_CREAT));
  REQUIRE(syncfs(fd) == 0);
  Put(fd, "not covered");
  REQUIRE(unlink(At("b").c_str()) == 0);
}

void Idle() {}

// Reports the number of each try to append 100 bytes and sync, and the errno of the try (0: fine).
void TryForever() {
  int fd = Open("a", O_WRONLY | O_CREAT | O_APPEND);
  int dir_fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(dir_fd >= 0);
  while (fsync(dir_fd) != 0) {
  }
  for (uint64_t i = 1;; ++i) {
    int error = 0;
    if (write(fd, std::string(100, 'x').data(), 100) != 100) error = errno;
    if (error == 0 && fdatasync(fd) != 0) error = errno;
    Report(i);
    Report(static_cast<uint64_t>(error));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void FillDisk() {  // with a limit of 10,000 bytes
  Durable("mark", std::string(4096, 'x'));
  int fd = Open("a", O_WRONLY | O_CREAT);
  SyncDir();
  REQUIRE(write(fd, std::string(5000, 'y').data(), 5000) == 5000);
  REQUIRE(write(fd, std::string(5000, 'y').data(), 5000) == 904);
  REQUIRE(write(fd, "z", 1) == -1 && errno == ENOSPC);
  REQUIRE(posix_fallocate(fd, 0, 1 << 20) == ENOSPC);
  int mark = Open("mark", O_WRONLY);
  PutAt(mark, std::string(4096, 'm'), 0);  // needs no new blocks
  REQUIRE(fdatasync(mark) == 0 && fdatasync(fd) == 0);
}

void Mapped() {
  Durable("a", std::string(4096, 'x'));
  int fd = Open("a", O_RDWR);
  REQUIRE(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
}

// --- many threads
// ----------------------------------------------------------------------------------------

// Four threads, each with its own 512-byte cell in one file and its own appended file; every number
// is reported once both are synced: thread * 2^32 + number.
void Concurrent() {
  std::vector<std::thread> threads;
  int cells = Open("cells", O_RDWR | O_CREAT);
  PutAt(cells, std::string(4 * 512, '\0'), 0);
  REQUIRE(fsync(cells) == 0);
  for (uint64_t t = 0; t < 4; ++t) close(Open("log" + std::to_string(t), O_WRONLY | O_CREAT));
  SyncDir();
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([t, cells] {
      int log = Open("log" + std::to_string(t), O_WRONLY | O_APPEND);
      for (uint64_t i = 1;; ++i) {
        Put(log, std::string(reinterpret_cast<const char*>(&i), sizeof(i)));
        std::string cell;
        while (cell.size() < 512) cell.append(reinterpret_cast<const char*>(&i), sizeof(i));
        PutAt(cells, cell, static_cast<off_t>(t * 512));
        REQUIRE(fdatasync(cells) == 0 && fdatasync(log) == 0);
        Report((t << 32) + i);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// --- RocksDB
// ---------------------------------------------------------------------------------------------

rocksdb::Options StoreOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.recycle_log_file_num = 0;
  options.write_buffer_size = 64 << 10;  // flushes and compactions all the time
  options.target_file_size_base = 64 << 10;
  options.level0_file_num_compaction_trigger = 2;
  options.max_background_jobs = 2;
  return options;
}

std::string NumberKey(uint64_t number) {
  char text[24];
  snprintf(text, sizeof(text), "n%020llu", static_cast<unsigned long long>(number));
  return text;
}

// Reports the newest number found at the start, checking that none below is missing; then writes
// numbers, each with a row that is overwritten again and again, and reports each once its write has
// returned.
void Rocksdb(bool sync) {
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(StoreOptions(), At("store"), &db);
  if (!status.ok()) fprintf(stderr, "fault_victim: open: %s\n", status.ToString().c_str());
  REQUIRE(status.ok());
  uint64_t number = 0;
  std::string value;
  rocksdb::Iterator* it = db->NewIterator({});
  for (it->Seek("n"); it->Valid() && it->key().starts_with("n"); it->Next()) {
    REQUIRE(it->key() == NumberKey(++number));
  }
  REQUIRE(it->status().ok());
  delete it;
  status = db->Get({}, "head", &value);
  REQUIRE(number == 0 ? status.IsNotFound() : value == NumberKey(number));
  Report(number);
  rocksdb::WriteOptions options;
  options.sync = sync;
  for (;;) {
    ++number;
    rocksdb::WriteBatch batch;
    batch.Put(NumberKey(number),
              std::string(500 + number % 500, static_cast<char>('a' + number % 26)));
    batch.Put("head", NumberKey(number));
    batch.Put("row" + std::to_string(number % 50), std::string(1000, 'r'));
    REQUIRE(db->Write(options, &batch).ok());
    Report(number);
  }
}

// --- what it costs
// ---------------------------------------------------------------------------------------

double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

void BenchSync() {  // 7.5 KB and a sync, over and over
  int fd = Open("bench", O_WRONLY | O_CREAT);
  const std::string bytes(7500, 'x');
  uint64_t syncs = 0;
  auto start = Clock::now();
  while (Seconds(start) < 3) {
    Put(fd, bytes);
    REQUIRE(fdatasync(fd) == 0);
    ++syncs;
  }
  fprintf(stderr, "%.0f syncs/s\n", static_cast<double>(syncs) / Seconds(start));
  _exit(0);
}

void BenchWrite() {  // the page cache only
  int fd = Open("bench", O_WRONLY | O_CREAT);
  const std::string bytes(4096, 'x');
  uint64_t writes = 0;
  auto start = Clock::now();
  while (Seconds(start) < 3) {
    PutAt(fd, bytes, static_cast<off_t>(writes % 1024 * 4096));
    ++writes;
  }
  fprintf(stderr, "%.0f writes/s\n", static_cast<double>(writes) / Seconds(start));
  _exit(0);
}

void BenchRocksdb() {  // four writers, every write synced, small memtables
  rocksdb::Options options = StoreOptions();
  options.write_buffer_size = 4 << 20;
  options.target_file_size_base = 4 << 20;
  rocksdb::DB* db = nullptr;
  REQUIRE(rocksdb::DB::Open(options, At("store"), &db).ok());
  std::atomic<uint64_t> writes = 0;
  std::vector<std::thread> threads;
  auto start = Clock::now();
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      rocksdb::WriteOptions sync;
      sync.sync = true;
      for (uint64_t i = 0; Seconds(start) < 3; ++i) {
        std::string key = NumberKey((i * 4 + static_cast<uint64_t>(t)) * 7919 % 1'000'003);
        REQUIRE(db->Put(sync, key, std::string(4000, 'v')).ok());
        ++writes;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  fprintf(stderr, "%.0f writes/s\n", static_cast<double>(writes) / Seconds(start));
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<void()>> scenarios = {
      {"append-unsynced", AppendUnsynced},
      {"append-sync-append", AppendSyncAppend},
      {"overwrite", Overwrite},
      {"overwrite-sync-overwrite", OverwriteSyncOverwrite},
      {"mark-file", MarkFile},
      {"shrink", Shrink},
      {"stdio", Stdio},
      {"dsync-writes", DsyncWrites},
      {"write-during-sync", WriteDuringSync},
      {"create-without-dir-sync", CreateWithoutDirSync},
      {"rename-over", [] { RenameOver(false); }},
      {"rename-over-synced", [] { RenameOver(true); }},
      {"rename-unsynced-file", RenameUnsyncedFile},
      {"unlink", [] { Unlink(false); }},
      {"unlink-synced", [] { Unlink(true); }},
      {"reuse-of-names", ReuseOfNames},
      {"sync-through-opendir", SyncThroughOpendir},
      {"directories", Directories},
      {"checkpoint", [] { Checkpoint(false); }},
      {"checkpoint-synced", [] { Checkpoint(true); }},
      {"rename-across", RenameAcross},
      {"many-names", ManyNames},
      {"syncfs", SyncFs},
      {"idle", Idle},
      {"try-forever", TryForever},
      {"fill-disk", FillDisk},
      {"mapped", Mapped},
      {"concurrent", Concurrent},
      {"rocksdb-sync", [] { Rocksdb(true); }},
      {"rocksdb-nosync", [] { Rocksdb(false); }},
      {"bench-sync", BenchSync},
      {"bench-write", BenchWrite},
      {"bench-rocksdb", BenchRocksdb},
  };
  auto found = argc == 3 ? scenarios.find(argv[1]) : scenarios.end();
  if (found == scenarios.end()) {
    fprintf(stderr, "usage: fault_victim SCENARIO DIR; scenarios:");
    for (const auto& [name, run] : scenarios) fprintf(stderr, " %s", name.c_str());
    fprintf(stderr, "\n");
    return 2;
  }
  dir = argv[2];
  found->second();
  Report(UINT64_MAX);
  for (;;) pause();
}
