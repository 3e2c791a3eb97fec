#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "adapters.h"
#include "base/bytes.h"
#include "tests/doctest_last.h"

// A disk that is really full: a file system in memory with room for little.

namespace hongyan::storage {

namespace {

class SmallDisk {
 public:
  SmallDisk() {
    mounted_ = ::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, "size=48m") == 0;
    if (!mounted_) why_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& why() const { return why_; }
  const std::string& path() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  bool mounted_ = false;
  std::string why_;
};

// One message of 64 KiB that nothing compresses.
CommitOutcome CommitMessage(MessageStore& store, int64_t seq) {
  return Commit(store, [&](Batch& batch) {
    ShardHead head;
    head.batch = seq;
    store.channels().PutHead(batch, 0, head);
    model::Message message;
    message.seq = model::ConvSeq(seq);
    message.kind = model::BodyKind::kCustom;
    uint64_t noise = static_cast<uint64_t>(seq);
    while (message.body.size() < (64 << 10)) {
      noise = noise * 6364136223846793005 + 1442695040888963407;
      base::AppendBe64(message.body, noise);
    }
    store.conversations().AppendMessage(batch, {1, 2}, message, 0);
  });
}

}  // namespace

TEST_CASE("a full disk loses nothing acknowledged, and the store goes on once there is space") {
  SmallDisk disk;
  if (!disk.mounted()) {
    MESSAGE("skipped: cannot mount a small file system (" << disk.why() << ")");
    return;
  }
  const std::string filler = disk.path() + "/filler";
  std::ofstream(filler, std::ios::binary) << std::string(24 << 20, 'f');
  base::ManualClock clock(1'790'000'000'000);
  RocksdbOptions options;
  options.path = disk.path() + "/store";
  options.clock = &clock;
  options.disk_reserve_bytes = 1 << 20;
  options.block_cache_bytes = 1 << 20;
  options.write_buffer_bytes = 2 << 20;
  auto store = *RocksdbMessageStore::Open(options);

  int64_t acknowledged = 0;
  int64_t next = 1;
  int refusals = 0;
  for (int tries = 0; tries < 2000 && refusals < 5; ++tries) {
    if (CommitMessage(*store, next) == CommitOutcome::kCommitted) {
      acknowledged = next++;
      continue;
    }
    const auto reopened = store->Reopen();
    if (!reopened.ok()) {
      ++refusals;
      CAPTURE(reopened.error().text);
      CHECK(reopened.error().text.find("space") != std::string::npos);
      continue;
    }
    // It opened although space is short: what was unknown is now decided.
    next = store->channels().ReadHead(0)->batch + 1;
    CHECK(next > acknowledged);
    acknowledged = next - 1;
  }
  CHECK(refusals == 5);
  CHECK(acknowledged > 20);

  std::filesystem::remove(filler);
  const auto reopened = store->Reopen();
  REQUIRE_MESSAGE(reopened.ok(), reopened.error().text);
  next = store->channels().ReadHead(0)->batch + 1;
  CHECK(next > acknowledged);
  const auto range = *store->conversations().ReadRange(
      {1, 2}, model::ConvSeq(1), model::ConvSeq(next), ConversationStore::Order::kOldestFirst,
      100'000, SIZE_MAX, Reach::kDisk);
  const auto& messages = range.messages;
  REQUIRE(messages.size() == static_cast<size_t>(next - 1));
  for (size_t i = 0; i < messages.size(); ++i) {
    CHECK(messages[i].seq == model::ConvSeq(static_cast<int64_t>(i) + 1));
  }
  CHECK(CommitMessage(*store, next) == CommitOutcome::kCommitted);
}

}  // namespace hongyan::storage
