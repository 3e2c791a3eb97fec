#include "adapters.h"
#include "model/reason.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

using model::GroupId;
using model::Seq;
using model::UserId;

constexpr int64_t kGeneration = int64_t{1} << 40;
const UserId kAnna(5000);

model::Entry MakeEntry(int64_t conv_seq) {
  model::Entry entry;
  entry.kind = model::EntryKind::kMessage;
  entry.time_ms = 1'790'000'000'000 - conv_seq * 1000;  // falling, to be awkward
  entry.conversation = {conv_seq % 3 == 0 ? 0 : 17, 5000};
  entry.conv_seq = model::ConvSeq(conv_seq);
  if (conv_seq % 2 == 0) entry.client_msg_id.bytes.fill(static_cast<uint8_t>(conv_seq));
  if (conv_seq % 5 == 4) {
    entry.kind = model::EntryKind::kPacketReturned;
    entry.conv_seq = {};
    entry.packet = model::PacketId(2'017'800'000'000'000'000 + conv_seq);
    entry.returned_fen = conv_seq * conv_seq * 1000;
    entry.reason = static_cast<uint8_t>(1 + conv_seq % 6);
  }
  return entry;
}

bool Same(const model::Entry& a, const model::Entry& b) {
  return a.kind == b.kind && a.time_ms == b.time_ms && a.conversation == b.conversation &&
         a.conv_seq == b.conv_seq && a.client_msg_id == b.client_msg_id && a.packet == b.packet &&
         a.returned_fen == b.returned_fen && a.reason == b.reason;
}

void AppendOne(MessageStore& store, Batch& batch, UserId user, int64_t seq) {
  const InboxStore::Recipient recipient{user, Seq(seq)};
  store.inboxes().Append(batch, {&recipient, 1}, MakeEntry(seq % kGeneration));
}

// Entries first..last of a user, `per_batch` of them in each commit.
void Fill(MessageStore& store, UserId user, int64_t first, int64_t last, int64_t per_batch) {
  for (int64_t begin = first; begin <= last; begin += per_batch) {
    Commit(store, [&](Batch& batch) {
      for (int64_t seq = begin; seq <= std::min(last, begin + per_batch - 1); ++seq) {
        AppendOne(store, batch, user, seq);
      }
    });
  }
}

std::vector<int64_t> Read(MessageStore& store, UserId user, int64_t after, int64_t upto,
                          size_t limit) {
  std::vector<int64_t> seqs;
  const auto entries =
      store.inboxes().ReadEntries(user, Seq(after), Seq(upto), limit, Reach::kMemory);
  REQUIRE_MESSAGE(entries.ok(), entries.error().text);
  for (const auto& [seq, entry] : *entries) {
    CHECK(Same(entry, MakeEntry(seq.value % kGeneration)));
    seqs.push_back(seq.value);
  }
  return seqs;
}

std::vector<int64_t> Numbers(int64_t first, int64_t last) {
  std::vector<int64_t> numbers;
  for (int64_t n = first; n <= last; ++n) numbers.push_back(n);
  return numbers;
}

}  // namespace

TEST_CASE_TEMPLATE("what was just written is read as it is read after a restart, from every cursor",
                   Adapter, ADAPTERS) {
  Adapter adapter;
  int64_t last = 0;
  for (const int64_t batch : {1, 4, 2, 7, 1}) {
    Fill(adapter.store(), kAnna, last + 1, last + batch, batch);
    last += batch;
    for (int64_t after = 0; after < last; ++after) {
      CHECK(Read(adapter.store(), kAnna, after, last, 100) == Numbers(after + 1, last));
      CHECK(Read(adapter.store(), kAnna, after, last, 2) ==
            Numbers(after + 1, std::min(last, after + 2)));
    }
  }
  // A jump of generation: the newest row begins above every old cursor.
  const int64_t jumped = 3 * kGeneration;
  Fill(adapter.store(), kAnna, jumped + 1, jumped + 2, 2);
  const auto fresh = Read(adapter.store(), kAnna, last - 1, jumped + 2, 100);
  CHECK(fresh == std::vector<int64_t>{last, jumped + 1, jumped + 2});
  adapter.Restart();
  const auto again = adapter.store().inboxes().ReadEntries(kAnna, Seq(last - 1), Seq(jumped + 2),
                                                           100, Reach::kDisk);
  REQUIRE(again.ok());
  REQUIRE(again->size() == fresh.size());
  for (size_t i = 0; i < fresh.size(); ++i) CHECK((*again)[i].seq == Seq(fresh[i]));
}

TEST_CASE_TEMPLATE("entries are read above the cursor, up to the head and to the limit", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  Fill(store, UserId(4999), 1, 20, 3);
  Fill(store, UserId(5001), 1, 20, 3);
  // Many to a batch and one to a batch: where rows end must not show.
  Fill(store, kAnna, 1, 300, 7);
  Fill(store, kAnna, 301, 310, 1);

  CHECK(Read(store, kAnna, 0, 310, 1000) == Numbers(1, 310));
  CHECK(Read(store, kAnna, 0, 310, 5) == Numbers(1, 5));
  CHECK(Read(store, kAnna, 3, 310, 10) == Numbers(4, 13));
  CHECK(Read(store, kAnna, 255, 258, 1000) == Numbers(256, 258));
  CHECK(Read(store, kAnna, 309, 310, 1000) == Numbers(310, 310));
  CHECK(Read(store, kAnna, 310, 310, 1000).empty());
  CHECK(Read(store, kAnna, 310, 999, 1000).empty());
  CHECK(Read(store, kAnna, 4, 3, 1000).empty());
  CHECK(Read(store, kAnna, 0, 310, 0).empty());
  CHECK(Read(store, UserId(5002), 0, 310, 10).empty());
}

TEST_CASE_TEMPLATE("the last seq is that of the newest entry, 0 where there is none", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  CHECK(*store.inboxes().LastSeq(kAnna, Reach::kDisk) == Seq(0));
  Fill(store, UserId(4999), 1, 400, 50);
  Fill(store, UserId(5001), 1, 400, 50);
  CHECK(*store.inboxes().LastSeq(kAnna, Reach::kDisk) == Seq(0));
  Fill(store, kAnna, 1, 257, 10);
  CHECK(*store.inboxes().LastSeq(kAnna, Reach::kDisk) == Seq(257));
  adapter.Restart();
  CHECK(*adapter.store().inboxes().LastSeq(kAnna, Reach::kDisk) == Seq(257));
  CHECK(*adapter.store().inboxes().Floor(kAnna, Reach::kDisk) == Seq(0));
}

TEST_CASE_TEMPLATE("one entry goes to many users under a seq of each", Adapter, ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  std::vector<InboxStore::Recipient> recipients;
  for (int64_t i = 0; i < 100; ++i) recipients.push_back({UserId(9000 - i * 7), Seq(1)});
  CHECK(Commit(store, [&](Batch& batch) {
          store.inboxes().Append(batch, recipients, MakeEntry(1));
          CHECK(batch.records() == 100);
        }) == CommitOutcome::kCommitted);
  for (const auto& recipient : recipients) {
    CHECK(Read(store, recipient.user, 0, 1, 10) == Numbers(1, 1));
  }
}

TEST_CASE_TEMPLATE("a new generation may follow in the same batch", Adapter, ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  Commit(store, [&](Batch& batch) {
    AppendOne(store, batch, kAnna, 1);
    AppendOne(store, batch, kAnna, 2);
    AppendOne(store, batch, kAnna, kGeneration + 1);
    AppendOne(store, batch, kAnna, kGeneration + 2);
  });
  const std::vector<int64_t> all = {1, 2, kGeneration + 1, kGeneration + 2};
  CHECK(Read(store, kAnna, 0, kGeneration + 2, 10) == all);
  CHECK(Read(store, kAnna, 1, kGeneration + 2, 10) ==
        std::vector<int64_t>(all.begin() + 1, all.end()));
  // A cursor above what restore brought back is answered by the next generation.
  CHECK(Read(store, kAnna, 900, kGeneration + 2, 10) ==
        std::vector<int64_t>(all.begin() + 2, all.end()));
  CHECK(*store.inboxes().LastSeq(kAnna, Reach::kDisk) == Seq(kGeneration + 2));
}

TEST_CASE_TEMPLATE("a missing entry is an error, not a shorter list", Adapter, ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  Fill(store, kAnna, 1, 3, 3);
  Fill(store, kAnna, 5, 6, 2);
  Fill(store, kAnna, kGeneration + 2, kGeneration + 2, 1);
  const auto across = [&](int64_t after, int64_t upto) {
    return store.inboxes().ReadEntries(kAnna, Seq(after), Seq(upto), 100, Reach::kDisk);
  };
  for (const int64_t after : {0, 2, 3}) {
    const auto entries = across(after, 6);
    REQUIRE_FALSE(entries.ok());
    CHECK(entries.error().code == base::Code::kDataLoss);
    CHECK(entries.error().reason == static_cast<uint16_t>(model::Reason::kBroken));
  }
  CHECK_FALSE(across(4, kGeneration + 2).ok());
  CHECK(Read(store, kAnna, 0, 3, 100) == Numbers(1, 3));
  CHECK(Read(store, kAnna, 4, 6, 100) == Numbers(5, 6));
}

TEST_CASE_TEMPLATE("a slice is stored whole, per shard and group", Adapter, ADAPTERS) {
  Adapter adapter;
  InboxStore& inboxes = adapter.store().inboxes();
  model::FollowerSlice slice;
  slice.version = 3;
  slice.conv_seq = model::ConvSeq(9);
  slice.count = 2;
  slice.awaiting_snapshot = true;
  Commit(adapter.store(), [&](Batch& batch) { inboxes.PutSlice(batch, 1, GroupId(7), slice); });
  const auto found = **inboxes.FindSlice(1, GroupId(7));
  CHECK(found.version == 3);
  CHECK(found.conv_seq == model::ConvSeq(9));
  CHECK(found.count == 2);
  CHECK(found.awaiting_snapshot);
  CHECK_FALSE(inboxes.FindSlice(2, GroupId(7))->has_value());
  CHECK_FALSE(inboxes.FindSlice(1, GroupId(8))->has_value());
}

TEST_CASE_TEMPLATE("followers are listed by group and shard, groups by user", Adapter, ADAPTERS) {
  Adapter adapter;
  const auto put = [&](Batch& batch, model::ShardId shard, int64_t group, int64_t user) {
    adapter.store().inboxes().PutFollower(batch, shard, GroupId(group),
                                          {UserId(user), model::ConvSeq(user % 1000 * 10), {}});
  };
  Commit(adapter.store(), [&](Batch& batch) {
    put(batch, 1, 256, 3);
    put(batch, 1, 256, 300);
    put(batch, 1, 256, INT64_MAX);
    put(batch, 2, 256, 4);
    put(batch, 1, 255, 3);
    put(batch, 1, INT64_MAX, 3);
    put(batch, 1, 257, 2);
    CHECK(batch.records() == 14);
  });
  adapter.Restart();
  InboxStore& inboxes = adapter.store().inboxes();
  const auto followers = *inboxes.ListFollowers(1, GroupId(256));
  REQUIRE(followers.size() == 3);
  CHECK(followers[0].user == UserId(3));
  CHECK(followers[0].since == model::ConvSeq(30));
  CHECK(followers[1].user == UserId(300));
  CHECK(followers[2].user == UserId(INT64_MAX));
  const std::vector<GroupId> groups = {GroupId(255), GroupId(256), GroupId(INT64_MAX)};
  CHECK(*inboxes.ListGroups(UserId(3), GroupId(0), 10) == groups);
  CHECK(*inboxes.ListGroups(UserId(3), GroupId(0), 2) ==
        std::vector<GroupId>(groups.begin(), groups.begin() + 2));
  CHECK(*inboxes.ListGroups(UserId(3), GroupId(255), 10) ==
        std::vector<GroupId>(groups.begin() + 1, groups.end()));
  CHECK(inboxes.ListGroups(UserId(5), GroupId(0), 10)->empty());
}

TEST_CASE_TEMPLATE("who no longer follows is in neither list, and may come back", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  InboxStore& inboxes = adapter.store().inboxes();
  const GroupId group(256);
  const auto put = [&](int64_t user, int64_t since) {
    Commit(adapter.store(), [&](Batch& batch) {
      inboxes.PutFollower(batch, 1, group, {UserId(user), model::ConvSeq(since), {}});
    });
  };
  put(3, 1);
  put(4, 1);
  Commit(adapter.store(), [&](Batch& batch) { inboxes.EraseFollower(batch, 1, group, UserId(3)); });
  CHECK(inboxes.ListFollowers(1, group)->size() == 1);
  CHECK(inboxes.ListGroups(UserId(3), GroupId(0), 10)->empty());
  put(3, 8);
  CHECK((*inboxes.ListFollowers(1, group))[0].since == model::ConvSeq(8));
  CHECK(inboxes.ListGroups(UserId(3), GroupId(0), 10)->size() == 1);
}

TEST_CASE("many messages of one batch for the same users are one record per user") {
  RocksdbAdapter adapter;
  MessageStore& store = adapter.store();
  auto batch = store.NewBatch();
  for (int64_t seq = 1; seq <= 16; ++seq) {
    std::vector<InboxStore::Recipient> members;
    for (int64_t user = 1; user <= 500; ++user) members.push_back({UserId(user * 31), Seq(seq)});
    store.inboxes().Append(*batch, members, MakeEntry(seq));
  }
  CHECK(batch->records() == 500);
  CHECK(store.Commit(std::move(batch)) == CommitOutcome::kCommitted);
  CHECK(store.stats().records == 500);
  for (const int64_t user : {1, 250, 500}) {
    CHECK(Read(store, UserId(user * 31), 0, 16, 100) == Numbers(1, 16));
    CHECK(Read(store, UserId(user * 31), 7, 9, 100) == Numbers(8, 9));
  }
}

TEST_CASE("the last seq and the floor are not fetched from disk for who asks memory") {
  RocksdbAdapter adapter;
  for (int64_t seq = 1; seq <= 3; ++seq) {
    Commit(adapter.store(), [&](Batch& batch) {
      const InboxStore::Recipient to{kAnna, Seq(seq)};
      adapter.store().inboxes().Append(batch, {&to, 1}, model::Entry{});
    });
  }
  REQUIRE(adapter.rocksdb_store().Compact().ok());
  adapter.Restart();  // nothing is in memory now
  const auto last = adapter.store().inboxes().LastSeq(kAnna, Reach::kMemory);
  REQUIRE_FALSE(last.ok());
  CHECK(last.error().code == base::Code::kUnavailable);
  CHECK(last.error().reason == 0);
  CHECK(*adapter.store().inboxes().LastSeq(kAnna, Reach::kDisk) == Seq(3));
  CHECK(*adapter.store().inboxes().LastSeq(kAnna, Reach::kMemory) == Seq(3));
  CHECK(*adapter.store().inboxes().Floor(kAnna, Reach::kMemory) == Seq(0));
}

}  // namespace hongyan::storage
