#include "adapters.h"
#include "storage/rocksdb/database.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

constexpr ChannelId kChannel{1, 2};

OutboxRow MakeRow(int64_t first, int64_t last) {
  OutboxRow row;
  row.first = first;
  row.last = last;
  for (int64_t n = first; n <= last; ++n) {
    row.items.push_back("item " + std::to_string(n));
    if (first % 2 == 1) row.fen.push_back(n * 100);  // other rows carry no money
  }
  row.total_before_fen = first * 1'000'000;
  return row;
}

void PutRow(MessageStore& store, ChannelId channel, int64_t first, int64_t last) {
  CHECK(Commit(store, [&](Batch& batch) {
          store.channels().PutOutbox(batch, channel, MakeRow(first, last));
        }) == CommitOutcome::kCommitted);
}

// The numbers of the rows' last items; checks what the rows hold.
std::vector<int64_t> Read(MessageStore& store, ChannelId channel, int64_t number,
                          size_t max_items = 1000, size_t max_bytes = 1 << 20) {
  std::vector<int64_t> lasts;
  const auto rows = store.channels().ReadOutbox(channel, number, max_items, max_bytes);
  REQUIRE(rows.ok());
  for (const OutboxRow& row : *rows) {
    const OutboxRow wanted = MakeRow(row.first, row.last);
    CHECK(row.items == wanted.items);
    CHECK(row.fen == wanted.fen);
    CHECK(row.total_before_fen == wanted.total_before_fen);
    lasts.push_back(row.last);
  }
  return lasts;
}

}  // namespace

TEST_CASE_TEMPLATE("heads and marks are empty at first and then as they were written", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  CHECK(adapter.store().channels().ReadHead(3)->batch == 0);
  CHECK(*adapter.store().channels().ReadMark(kChannel) == ChannelMark());

  ShardHead head;
  head.batch = 12;
  head.time_ms = 1'790'000'000'000;
  head.emitted = {{0, {5, 0}}, {3, {70'000, -1, {{69'990, -8}}}}};
  const ChannelMark mark{0xffff'ffff'ffff'fff0, 9, 44, 2};
  Commit(adapter.store(), [&](Batch& batch) {
    adapter.store().channels().PutHead(batch, 3, head);
    adapter.store().channels().PutMark(batch, kChannel, mark);
    CHECK(batch.records() == 2);
  });
  adapter.Restart();
  ChannelStore& channels = adapter.store().channels();
  CHECK(channels.ReadHead(3)->batch == 12);
  CHECK(channels.ReadHead(3)->time_ms == head.time_ms);
  CHECK(channels.ReadHead(3)->emitted == head.emitted);
  CHECK(channels.ReadHead(2)->batch == 0);
  CHECK(*channels.ReadMark(kChannel) == mark);
  CHECK(*channels.ReadMark({2, 1}) == ChannelMark());
}

TEST_CASE_TEMPLATE("the outbox is read from the row that holds a number, within limits", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  PutRow(store, {1, 1}, 1, 500);
  PutRow(store, {1, 3}, 1, 500);
  CHECK(Read(store, kChannel, 1).empty());
  PutRow(store, kChannel, 1, 3);
  PutRow(store, kChannel, 4, 4);
  PutRow(store, kChannel, 5, 300);
  PutRow(store, kChannel, 301, 310);

  CHECK(Read(store, kChannel, 1) == std::vector<int64_t>{3, 4, 300, 310});
  CHECK(Read(store, kChannel, 3) == std::vector<int64_t>{3, 4, 300, 310});
  CHECK(Read(store, kChannel, 4) == std::vector<int64_t>{4, 300, 310});
  CHECK(Read(store, kChannel, 302) == std::vector<int64_t>{310});
  CHECK(Read(store, kChannel, 311).empty());
  CHECK(Read(store, kChannel, 1, 4) == std::vector<int64_t>{3, 4});
  CHECK(Read(store, kChannel, 1, 3) == std::vector<int64_t>{3});
  CHECK(Read(store, kChannel, 5, 1, 1) == std::vector<int64_t>{300});  // one row always fits
}

TEST_CASE_TEMPLATE("trimmed rows are gone, the others stay, and trimming less changes nothing",
                   Adapter, ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  CHECK_FALSE(store.channels().OldestKept(kChannel)->has_value());
  for (int64_t n = 1; n <= 30; n += 3) PutRow(store, kChannel, n, n + 2);
  PutRow(store, {1, 1}, 1, 1);
  CHECK(*store.channels().OldestKept(kChannel) == 1);

  CHECK(store.channels().TrimOutbox(kChannel, 7).ok());  // in the middle of a row: it stays
  CHECK(*store.channels().OldestKept(kChannel) == 7);
  CHECK(Read(store, kChannel, 1).front() == 9);
  CHECK(store.channels().TrimOutbox(kChannel, 3).ok());
  CHECK(*store.channels().OldestKept(kChannel) == 7);
  CHECK(*store.channels().OldestKept({1, 1}) == 1);

  CHECK(store.channels().TrimOutbox(kChannel, 30).ok());
  CHECK_FALSE(store.channels().OldestKept(kChannel)->has_value());
  CHECK(Read(store, kChannel, 1).empty());
  PutRow(store, kChannel, 31, 31);
  CHECK(*store.channels().OldestKept(kChannel) == 31);
  CHECK(Read(store, kChannel, 1) == std::vector<int64_t>{31});
}

TEST_CASE_TEMPLATE("a trim is durable with the next commit", Adapter, ADAPTERS) {
  Adapter adapter;
  PutRow(adapter.store(), kChannel, 1, 3);
  PutRow(adapter.store(), kChannel, 4, 6);
  CHECK(adapter.store().channels().TrimOutbox(kChannel, 3).ok());
  PutRow(adapter.store(), kChannel, 7, 7);
  adapter.Restart();
  CHECK(*adapter.store().channels().OldestKept(kChannel) == 4);
  CHECK(Read(adapter.store(), kChannel, 1) == std::vector<int64_t>{6, 7});
}

TEST_CASE_TEMPLATE("parked items are kept whole, listed by target, and can be taken back", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  const auto make = [](ChannelId channel, int64_t number) {
    ParkedItem item;
    item.channel = channel;
    item.number = number;
    item.conversation = {0, 77};
    item.parked_ms = 5;
    item.position = -7;
    item.why = "waits for a slice";
    item.item = std::string("\0\1", 2);
    item.fen = 700;
    return item;
  };
  Commit(adapter.store(), [&](Batch& batch) {
    ChannelStore& channels = adapter.store().channels();
    channels.Park(batch, make({3, 2}, 1));
    channels.Park(batch, make({1, 2}, 300));
    channels.Park(batch, make({1, 2}, 255));
    channels.Park(batch, make({1, 3}, 1));
  });
  adapter.Restart();
  ChannelStore& channels = adapter.store().channels();
  auto parked = *channels.ListParked(2, {}, 10);
  REQUIRE(parked.size() == 3);
  CHECK(parked[0].channel == ChannelId{1, 2});
  CHECK(parked[0].number == 255);
  CHECK(parked[1].number == 300);
  CHECK(parked[2].channel == ChannelId{3, 2});
  CHECK(parked[0].conversation == model::ConversationId{0, 77});
  CHECK(parked[0].parked_ms == 5);
  CHECK(parked[0].position == -7);
  CHECK(parked[0].why == "waits for a slice");
  CHECK(parked[0].fen == 700);
  CHECK(parked[0].item == std::string("\0\1", 2));
  CHECK(channels.ListParked(2, {}, 2)->size() == 2);
  const auto behind = [&](model::ShardId source, int64_t number) {
    std::vector<int64_t> numbers;
    const auto items = channels.ListParked(2, {source, number}, 10);
    for (const auto& item : *items) {
      numbers.push_back(item.number);
    }
    return numbers;
  };
  CHECK(behind(1, 254) == std::vector<int64_t>{255, 300, 1});
  CHECK(behind(1, 255) == std::vector<int64_t>{300, 1});
  CHECK(behind(1, 300) == std::vector<int64_t>{1});
  CHECK(behind(3, 1).empty());

  Commit(adapter.store(), [&](Batch& batch) { channels.Unpark(batch, {1, 2}, 255); });
  CHECK(channels.ListParked(2, {}, 10)->size() == 2);
  CHECK(channels.ListParked(0, {}, 10)->empty());
}

TEST_CASE("a parked row that cannot be read is told by its place, and the others are listed") {
  RocksdbAdapter adapter;
  Commit(adapter.store(), [&](Batch& batch) {
    for (const int64_t number : {1, 2, 3}) {
      adapter.store().channels().Park(batch, {{1, 2}, number, {}, 5, "failed", "item", 0, 7});
    }
  });
  adapter.Close();
  {
    DatabaseOptions options;
    options.path = adapter.path() + "/db";
    Database database(options);
    REQUIRE(database.Open(IfMissing::kRefuse, Recovery::kStrict).ok());
    const Key second = ParkedKey({1, 2}, 2);
    rocksdb::PinnableSlice row;
    REQUIRE(*database.Get(Table::kRest, second, Reach::kDisk, &row));
    rocksdb::WriteBatch changed;
    REQUIRE(changed.Put(database.name(Table::kRest), second.slice(), "\xff").ok());
    REQUIRE(database.Write(&changed).ok());
  }
  adapter.Restart();
  const auto parked = adapter.store().channels().ListParked(2, {}, 10);
  REQUIRE_MESSAGE(parked.ok(), parked.error().text);
  REQUIRE(parked->size() == 3);
  for (const ParkedItem& item : *parked) {
    CHECK(item.channel == ChannelId{1, 2});
    CHECK(item.broken == (item.number == 2));
    CHECK((item.fen == 7) != item.broken);
  }
}

TEST_CASE("a memory store gives back what was trimmed after the last commit, if it crashes") {
  auto state = MemoryState::Create(1, 4);
  {
    MemoryMessageStore store(state);
    PutRow(store, kChannel, 1, 3);
    CHECK(store.channels().TrimOutbox(kChannel, 3).ok());
    CHECK_FALSE(store.channels().OldestKept(kChannel)->has_value());
  }
  state->Crash();
  MemoryMessageStore store(state);
  CHECK(*store.channels().OldestKept(kChannel) == 1);
}

}  // namespace hongyan::storage
