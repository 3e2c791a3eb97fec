#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "adapters.h"
#include "base/bytes.h"
#include "model/reason.h"
#include "storage/rocksdb/small_files.h"
#include "tests/doctest_last.h"

// What the embedded store does when its files are not as it left them. A log is damaged by changing
// the file; a kill is imitated by copying the directory of an open store.

namespace hongyan::storage {

namespace {

namespace fs = std::filesystem;

constexpr size_t kLogBlockBytes =
    32 << 10;  // records never span a block without a header of their own

model::User NumberedUser(int64_t number) {
  model::User user;
  user.id = model::UserId(number);
  user.name = "user" + std::to_string(number);
  user.password_hash = std::string(300, static_cast<char>('a' + number % 26));
  return user;
}

// What the disk holds at this moment is what a kill leaves. The living store still tidies up: a
// copy that lost a file on its way begins anew.
void CopyLiving(const std::string& from, const std::string& to) {
  std::error_code lost;
  for (int tries = 0; tries == 0 || (lost && tries < 100); ++tries) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive, lost);
  }
  REQUIRE_FALSE(lost);
}

// A store that is killed after some commits, each with a head and a user of the same number.
class KilledStore {
 public:
  explicit KilledStore(int64_t commits, size_t write_buffer_bytes = 64 << 20)
      : write_buffer_bytes_(write_buffer_bytes) {
    RocksdbOptions first = options();
    first.path = living_.path();
    auto store = *RocksdbMessageStore::Open(first);
    for (int64_t number = 1; number <= commits; ++number) {
      const auto outcome = Commit(*store, [&](Batch& batch) {
        ShardHead head;
        head.batch = number;
        store->channels().PutHead(batch, 0, head);
        store->accounts().PutUser(batch, NumberedUser(number));
        if (number > 1) return;
        // It stays in memory, and so in the first log, while the users' table is written out.
        model::Message message;
        message.seq = model::ConvSeq(1);
        store->conversations().AppendMessage(batch, {1, 2}, message, 0);
      });
      CHECK(outcome == CommitOutcome::kCommitted);
    }
    WaitForMark(commits);
    while (write_buffer_bytes < (1 << 20) && FilesIn(living_.path() + "/db", ".sst").empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    CopyLiving(living_.path(), killed_.path());
  }

  RocksdbOptions options() const {
    RocksdbOptions options;
    options.path = killed_.path();
    options.clock = &clock_;
    options.disk_reserve_bytes = 0;
    options.block_cache_bytes = 8 << 20;
    options.write_buffer_bytes = write_buffer_bytes_;
    return options;
  }
  const std::string& path() const { return killed_.path(); }

  // In the order of their names, which is that of their making.
  static std::vector<std::string> FilesIn(const std::string& directory, const char* extension) {
    std::vector<std::string> files;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(directory, gone)) {
      if (entry.path().extension() == extension) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  std::vector<std::string> logs() const { return FilesIn(path() + "/db", ".log"); }

  // The log with the records of the commits.
  std::string log() const {
    std::string largest;
    uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(killed_.path() + "/db")) {
      if (entry.path().extension() != ".log" || entry.file_size() <= bytes) continue;
      largest = entry.path().string();
      bytes = entry.file_size();
    }
    return largest;
  }

  base::Result<std::unique_ptr<RocksdbMessageStore>> Open() const {
    return RocksdbMessageStore::Open(options());
  }
  // The text of the refusal; empty = it opened.
  std::string Refusal() const {
    auto opened = Open();
    return opened ? "" : opened.error().text;
  }

 private:
  void WaitForMark(int64_t batch) const {
    // The mark's first shard lies at byte 28 of a slot, big-endian. Waits for the helper, not for a
    // time.
    for (;;) {
      std::ifstream mark(living_.path() + "/MARK", std::ios::binary);
      std::string bytes(8192, '\0');
      mark.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      const auto newest =
          std::max(base::ReadBe64(bytes.data() + 28), base::ReadBe64(bytes.data() + 4096 + 28));
      if (newest == static_cast<uint64_t>(batch)) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  const size_t write_buffer_bytes_;
  base::ManualClock clock_{1'790'000'000'000};
  TemporaryDirectory living_;
  TemporaryDirectory killed_;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void FlipByte(const std::string& path, size_t at) {
  std::string bytes = ReadAll(path);
  REQUIRE(at < bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
  WriteAll(path, bytes);
}

bool Mentions(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

// Where the records of a log end: checksum 4, length 2 (little-endian), type 1, payload.
std::vector<size_t> RecordEnds(const std::string& log) {
  constexpr size_t kHeader = 7;
  std::vector<size_t> ends;
  for (size_t at = 0; at + kHeader <= log.size();) {
    const size_t left = kLogBlockBytes - at % kLogBlockBytes;
    if (left < kHeader) {
      at += left;
      continue;
    }
    const auto type = static_cast<uint8_t>(log[at + 6]);
    if (type == 0) break;
    const size_t length = static_cast<uint8_t>(log[at + 4]) | static_cast<uint8_t>(log[at + 5])
                                                                  << 8;
    at += kHeader + length;
    constexpr uint8_t kFull = 1;
    constexpr uint8_t kLast = 4;
    if (type == kFull || type == kLast) ends.push_back(at);
  }
  return ends;
}

}  // namespace

TEST_CASE("a killed store comes back with everything it acknowledged") {
  KilledStore killed(200);
  auto store = *killed.Open();
  CHECK(store->channels().ReadHead(0)->batch == 200);
  for (int64_t number = 1; number <= 200; ++number) {
    CHECK(store->accounts().FindUser(model::UserId(number))->has_value());
  }
}

// A store in lives that are killed so soon that no compaction ends: whoever compacts in the
// background waits at its first file until the life is over.
class ShortLives {
 public:
  ShortLives() {
    files_->on_table = [this, opens = std::this_thread::get_id()] {
      if (std::this_thread::get_id() != opens) alive_.wait(true);
    };
  }

  std::unique_ptr<RocksdbMessageStore> Open() {
    RocksdbOptions options;
    options.path = directory_->path();
    options.clock = &clock_;
    options.disk_reserve_bytes = 0;
    options.env = env_.get();
    auto store = RocksdbMessageStore::Open(options);
    REQUIRE_MESSAGE(store.ok(), store.error().text);
    return *std::move(store);
  }
  // A life of one commit.
  void Live(const std::function<void(RocksdbMessageStore&, Batch&)>& fill) {
    alive_ = true;
    auto store = Open();
    const auto outcome = Commit(*store, [&](Batch& batch) { fill(*store, batch); });
    REQUIRE(outcome == CommitOutcome::kCommitted);
    auto next = std::make_unique<TemporaryDirectory>();
    CopyLiving(directory_->path(), next->path());
    alive_ = false;
    alive_.notify_all();
    store.reset();
    directory_ = std::move(next);
  }

  size_t tables() const { return KilledStore::FilesIn(directory_->path() + "/db", ".sst").size(); }
  FaultyFileSystem& files() { return *files_; }

 private:
  std::atomic<bool> alive_ = false;
  std::shared_ptr<FaultyFileSystem> files_ = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(files_);
  base::ManualClock clock_{1'790'000'000'000};
  std::unique_ptr<TemporaryDirectory> directory_ = std::make_unique<TemporaryDirectory>();
};

TEST_CASE("a store whose lives are too short to compact keeps few files, and every row") {
  constexpr int64_t kLives = 60;  // at 80 files in a table writes would stop
  constexpr storage::ChannelId kChannel{1, 2};
  ShortLives lives;
  // A large file lies below the small ones, with rows that they delete.
  lives.Live([&](RocksdbMessageStore& store, Batch& batch) {
    std::mt19937_64 random(1);
    for (int64_t number = 1; number <= kLives; ++number) {
      std::string item(100'000, '\0');
      for (char& byte : item) byte = static_cast<char>(random());
      store.channels().Park(batch, {kChannel, number, {}, 5, "failed", item, 0, 0});
    }
  });
  size_t most_tables = 0;
  for (int64_t number = 1; number <= kLives; ++number) {
    lives.Live([&](RocksdbMessageStore& store, Batch& batch) {
      ShardHead head;
      head.batch = number;
      store.channels().PutHead(batch, 0, head);
      store.accounts().PutUser(batch, NumberedUser(number));
      const InboxStore::Recipient recipient{model::UserId(7), model::Seq(number)};
      store.inboxes().Append(batch, {&recipient, 1}, {});
      store.channels().Unpark(batch, kChannel, number);
    });
    most_tables = std::max(most_tables, lives.tables());
  }
  constexpr size_t kTables = 5;
  CHECK(most_tables <= kTables * kManySmallFiles);
  auto store = lives.Open();
  for (int64_t number = 1; number <= kLives; ++number) {
    CHECK((*store->accounts().FindUser(model::UserId(number))).has_value());
  }
  CHECK(*store->inboxes().LastSeq(model::UserId(7), Reach::kDisk) == model::Seq(kLives));
  CHECK(store->channels().ListParked(kChannel.target, {}, 10)->empty());
}

TEST_CASE("files that are too many are made one at an opening, however large they are") {
  ShortLives lives;
  std::mt19937_64 random(1);
  int64_t number = 0;
  const auto live = [&](size_t bytes) {
    std::string item(bytes, '\0');
    for (char& byte : item) byte = static_cast<char>(random());
    lives.Live([&](RocksdbMessageStore& store, Batch& batch) {
      store.channels().Park(batch, {{1, 2}, ++number, {}, 5, "failed", item, 0, 0});
      ShardHead head;  // in each file: none can be moved down as it is
      head.batch = number;
      store.channels().PutHead(batch, 0, head);
    });
  };
  // On each few small ones lies a large one: never are there many small ones on top.
  constexpr auto kLives = static_cast<int64_t>(kTooManyFiles);
  while (number < kLives) live(number % kManySmallFiles == 7 ? 5 << 20 : 100);
  REQUIRE(lives.tables() == kTooManyFiles - 1);
  live(100);
  CHECK(lives.tables() == 1);
  CHECK(lives.Open()->channels().ListParked(2, {}, 100)->size() == kTooManyFiles + 1);
}

TEST_CASE("small files that cannot be merged are no reason to refuse the store") {
  ShortLives lives;
  const auto user = [](int64_t number) {
    return [number](RocksdbMessageStore& store, Batch& batch) {
      store.accounts().PutUser(batch, NumberedUser(number));
      ShardHead head;  // in each file: none can be moved down as it is
      head.batch = number;
      store.channels().PutHead(batch, 0, head);
    };
  };
  constexpr auto kLives = static_cast<int64_t>(kManySmallFiles);
  for (int64_t number = 1; number <= kLives; ++number) lives.Live(user(number));
  REQUIRE(lives.tables() == kManySmallFiles - 1);
  lives.files().on_table = [&lives, made = 0, opens = std::this_thread::get_id()]() mutable {
    // The first is of what the log holds, the second would be all in one.
    if (std::this_thread::get_id() == opens && ++made == 2) lives.files().fail_next_table = true;
  };
  auto store = lives.Open();
  CHECK(lives.files().failed_tables.load() == 1);
  CHECK(Commit(*store, [&](Batch& batch) { user(kLives + 1)(*store, batch); }) ==
        CommitOutcome::kCommitted);
  for (int64_t number = 1; number <= kLives + 1; ++number) {
    CHECK((*store->accounts().FindUser(model::UserId(number))).has_value());
  }
}

TEST_CASE("a log that ends in a torn record opens without that record") {
  KilledStore killed(200);
  const std::string log = ReadAll(killed.log());
  // A record that began to be written: header and half of the payload of a copy of the last one.
  const auto ends = RecordEnds(log);
  REQUIRE(ends.size() > 2);
  const size_t begin = ends[ends.size() - 2];
  WriteAll(killed.log(), log + log.substr(begin, (ends.back() - begin) / 2));
  auto store = killed.Open();
  REQUIRE_MESSAGE(store.ok(), killed.Refusal());
  CHECK((*store)->channels().ReadHead(0)->batch == 200);
}

TEST_CASE("a byte flipped anywhere in the middle of a log is refused, and nothing is changed") {
  KilledStore killed(200);
  const std::string log = killed.log();
  const std::string good = ReadAll(log);
  const auto ends = RecordEnds(good);
  REQUIRE(good.size() > 2 * kLogBlockBytes);
  // In the first record, at the end of a block, in checksum, length, type and payload of a middle
  // one.
  const size_t middle = ends[ends.size() / 2];
  for (const size_t at : {size_t{0}, size_t{20}, kLogBlockBytes - 3, middle, middle + 4, middle + 5,
                          middle + 6, middle + 40}) {
    CAPTURE(at);
    FlipByte(log, at);
    const std::string text = killed.Refusal();
    CHECK(Mentions(text, "is damaged"));
    CHECK(Mentions(text, "hongyan-admin store accept"));
    FlipByte(log, at);
    REQUIRE(ReadAll(log) == good);
  }
  auto store = *killed.Open();
  CHECK(store->channels().ReadHead(0)->batch == 200);
}

TEST_CASE("a log cut at the border of a record below the mark is refused because of the mark") {
  KilledStore killed(200);
  const std::string log = ReadAll(killed.log());
  const auto ends = RecordEnds(log);
  REQUIRE(ends.size() >= 200);
  WriteAll(killed.log(), log.substr(0, ends[ends.size() - 2]));
  const auto refused = killed.Open();
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == base::Code::kDataLoss);
  CHECK(Mentions(refused.error().text, "ends at batch 199, but 200 was known durable"));
  CHECK(Mentions(refused.error().text, "hongyan-admin store accept"));
}

TEST_CASE("a store whose log is gone is refused") {
  KilledStore killed(200);
  fs::remove(killed.log());
  CHECK(Mentions(killed.Refusal(), "hongyan-admin store accept"));
}

TEST_CASE("records missing between two logs are refused though each log is whole in itself") {
  KilledStore killed(200);
  // The last record goes to a log of its own, and the one before it is cut off.
  const std::string log = ReadAll(killed.log());
  const auto ends = RecordEnds(log);
  const size_t cut = ends[ends.size() - 3];
  const size_t last = ends[ends.size() - 2];
  const auto number = std::stoi(fs::path(killed.log()).stem().string());
  char next[32];
  std::snprintf(next, sizeof next, "/db/%06d.log", number + 100);
  // A record may not be moved out of its block unless it is whole: it is, it has one fragment.
  REQUIRE(last / kLogBlockBytes == (ends.back() - 1) / kLogBlockBytes);
  WriteAll(killed.path() + next, log.substr(last));
  WriteAll(killed.log(), log.substr(0, cut));
  for (int time = 0; time < 2; ++time) CHECK(Mentions(killed.Refusal(), "is damaged"));
}

TEST_CASE("a store without a mark, or with a broken one, is refused") {
  KilledStore killed(3);
  const std::string mark = killed.path() + "/MARK";
  const std::string good = ReadAll(mark);
  REQUIRE(good.size() == 8192);

  fs::remove(mark);
  CHECK(Mentions(killed.Refusal(), "hongyan-admin store accept"));
  WriteAll(mark, std::string(good.size(), '\0'));
  CHECK(Mentions(killed.Refusal(), "hongyan-admin store accept"));
  WriteAll(mark, good);
  CHECK(killed.Refusal().empty());
}

TEST_CASE("a mark torn in one slot still protects through the other one") {
  KilledStore killed(3);
  const std::string mark = killed.path() + "/MARK";
  const std::string good = ReadAll(mark);
  for (const size_t slot : {0, 4096}) {
    std::string torn = good;
    torn.replace(slot + 2000, 2096, 2096, '\7');
    WriteAll(mark, torn);
    CHECK(killed.Refusal().empty());
  }
}

TEST_CASE("accepting a damaged store keeps what is readable and raises the generation") {
  KilledStore killed(200);
  const auto ends = RecordEnds(ReadAll(killed.log()));
  FlipByte(killed.log(), ends[99] + 30);  // the 101st commit and all after it are lost
  CHECK_FALSE(killed.Refusal().empty());

  const auto accepted = AcceptStore(killed.options());
  REQUIRE_MESSAGE(accepted.ok(), accepted.error().text);
  CHECK(accepted->generation == 1);
  auto store = *killed.Open();
  CHECK(store->identity().generation == 1);
  const int64_t kept = store->channels().ReadHead(0)->batch;
  CHECK(kept >= 98);
  CHECK(kept <= 101);
  CHECK(store->accounts().FindUser(model::UserId(kept))->has_value());
  CHECK_FALSE(store->accounts().FindUser(model::UserId(kept + 1))->has_value());
}

TEST_CASE("accepting a store with a cut log raises the generation, and its identity stays") {
  KilledStore killed(10);
  const StoreIdentity before = (*killed.Open())->identity();
  const std::string mark = killed.path() + "/MARK";
  fs::remove(mark);
  REQUIRE(AcceptStore(killed.options()).ok());
  auto store = *killed.Open();
  CHECK(store->identity().generation == before.generation + 1);
  CHECK(store->identity().incarnation == before.incarnation);
  CHECK(store->identity().id_key == before.id_key);
  CHECK(store->identity().slots == before.slots);
  CHECK(store->channels().ReadHead(0)->batch == 10);
}

TEST_CASE("a log damaged before what the tables hold cannot be accepted, and says so") {
  KilledStore killed(2000, 128 << 10);
  const auto logs = killed.logs();
  REQUIRE(logs.size() > 1);
  FlipByte(logs.front(), 30);
  CHECK(Mentions(killed.Refusal(), "hongyan-admin store accept"));
  for (int time = 0; time < 2; ++time) {
    const auto accepted = AcceptStore(killed.options());
    REQUIRE_FALSE(accepted.ok());
    CHECK(accepted.error().code == base::Code::kDataLoss);
    CHECK(Mentions(accepted.error().text, "cannot be accepted"));
    CHECK(Mentions(accepted.error().text, "restore a backup"));
    CHECK_FALSE(Mentions(accepted.error().text, "hongyan-admin store accept"));
  }
  // Nothing was changed: mended, the log is read again.
  FlipByte(logs.front(), 30);
  auto store = killed.Open();
  REQUIRE_MESSAGE(store.ok(), killed.Refusal());
  CHECK((*store)->channels().ReadHead(0)->batch == 2000);
}

TEST_CASE("a data directory in use is refused, naming the process that holds it") {
  KilledStore killed(1);
  auto store = killed.Open();
  REQUIRE(store.ok());
  const auto second = killed.Open();
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().code == base::Code::kFailedPrecondition);
  CHECK(Mentions(second.error().text, "in use by process " + std::to_string(::getpid())));
  CHECK_FALSE(AcceptStore(killed.options()).ok());
}

TEST_CASE("a store of a newer format is refused and not touched") {
  KilledStore killed(1);
  const std::string log = ReadAll(killed.log());
  WriteAll(killed.path() + "/FORMAT", "hongyan-message-store 2\n");
  const std::string text = killed.Refusal();
  CHECK(Mentions(text, "has format 2, newer than this program's 1"));
  CHECK(ReadAll(killed.log()) == log);
}

TEST_CASE("a directory that holds something else is refused and not touched") {
  TemporaryDirectory directory;
  WriteAll(directory.path() + "/letters.txt", "dear anna");
  base::ManualClock clock(1'790'000'000'000);
  RocksdbOptions options;
  options.path = directory.path();
  options.clock = &clock;
  const auto opened = RocksdbMessageStore::Open(options);
  REQUIRE_FALSE(opened.ok());
  CHECK(Mentions(opened.error().text, "not empty and not a store of messages"));
  CHECK(ReadAll(directory.path() + "/letters.txt") == "dear anna");
  CHECK_FALSE(fs::exists(directory.path() + "/db"));
}

TEST_CASE("a damaged identity is refused") {
  KilledStore killed(1);
  FlipByte(killed.path() + "/IDENTITY", 30);
  CHECK(Mentions(killed.Refusal(), "IDENTITY is missing or damaged"));
}

TEST_CASE("a creation that was cut short starts over") {
  KilledStore killed(0);
  WriteAll(killed.path() + "/CREATING", "");
  fs::remove(killed.path() + "/FORMAT");
  fs::remove(killed.path() + "/IDENTITY");
  CHECK(killed.Refusal().empty());
  CHECK(fs::exists(killed.path() + "/FORMAT"));
  CHECK_FALSE(fs::exists(killed.path() + "/CREATING"));
}

TEST_CASE("a directory that an ordinary user may not write is refused with what to do") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root to become an ordinary user");
    return;
  }
  KilledStore killed(1);
  constexpr uid_t kNobody = 65534;
  ::chmod(killed.path().c_str(), 0555);
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text = "cannot become nobody";
    if (::setgid(kNobody) == 0 && ::setuid(kNobody) == 0) text = killed.Refusal();
    (void)!::write(pipe_ends[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  std::string text(4096, '\0');
  const ssize_t n = ::read(pipe_ends[0], text.data(), text.size());
  ::close(pipe_ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  ::chmod(killed.path().c_str(), 0755);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  CAPTURE(text);
  CHECK(Mentions(text, "Permission denied"));
  CHECK(Mentions(text, "uid 65534"));
}

}  // namespace hongyan::storage
