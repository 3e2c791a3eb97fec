#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "money_adapters.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/keys.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

using model::PacketId;
using model::PacketState;
using model::UserId;

constexpr int32_t kDay = 20'717;

PacketId MakeId(int32_t day, int64_t number) { return PacketId(BeforeDay(day).value + number); }

// A closed packet of three shares, two of them taken.
model::Packet MakePacket(PacketId id) {
  model::Packet packet;
  packet.header.id = id;
  packet.header.terms.kind = model::PacketKind::kLucky;
  packet.header.terms.conversation = {0, 77};
  packet.header.terms.sender = UserId(12);
  packet.header.terms.total_fen = 300;
  packet.header.terms.shares = 3;
  packet.header.terms.greeting = "greeting";
  packet.header.created_ms = 1'790'000'000'000;
  packet.header.expires_ms = 1'790'086'400'000;
  packet.status = {PacketState::kExpired, 1, 0, 100, 1'790'086'400'001, 1, 100, false, 0};
  return packet;
}

model::Claim MakeClaim(PacketId packet, int32_t ordinal) {
  return {UserId(packet.value % 1000 * 10 + 5 - ordinal), ordinal, 100, 1'790'000'000'007, 3};
}

void InsertDay(MoneyStore& store, int32_t day, int64_t packets, model::ShardId shard = kShard) {
  CHECK(Commit(store, [&](Batch& batch) {
          for (int64_t number = 1; number <= packets; ++number) {
            const PacketId id = MakeId(day, number);
            store.packets().InsertPacket(batch, shard, MakePacket(id));
            store.packets().InsertClaim(batch, shard, id, MakeClaim(id, 1));
            store.packets().InsertClaim(batch, shard, id, MakeClaim(id, 2));
          }
        }) == CommitOutcome::kCommitted);
}

model::ArchivedDay WriteFile(MoneyStore& store, int32_t day, model::ShardId shard = kShard) {
  model::ArchivedDay archived;
  archived.day = day;
  archived.archived_ms = 1'790'300'000'000;
  archived.acknowledged = {{3, 17}, {kOtherShard, 4}};
  auto file = *store.days().NewFile(shard, day);
  const auto packets = *store.packets().ListPackets(shard, BeforeDay(day), 10'000);
  for (const auto& packet : packets) {
    if (DayOfId(packet.header.id) != day) break;
    const auto claims = *store.packets().ListClaims(shard, packet.header.id);
    REQUIRE(file->Add(packet, claims).ok());
    ++archived.totals.packets;
    archived.totals.claims += static_cast<int64_t>(claims.size());
    archived.totals.created_fen += packet.header.terms.total_fen;
  }
  const auto finished = file->Finish(&archived);
  REQUIRE_MESSAGE(finished.ok(), finished.error().text);
  return archived;
}

model::ArchivedDay Archive(MoneyStore& store, int32_t day, model::ShardId shard = kShard) {
  const model::ArchivedDay archived = WriteFile(store, day, shard);
  CHECK(Commit(store, [&](Batch& batch) { store.days().Archive(batch, shard, archived); }) ==
        CommitOutcome::kCommitted);
  return archived;
}

// One slice; nothing where it was the last.
std::optional<PacketId> RestoreSlice(MoneyStore& store, int32_t day, PacketId after,
                                     size_t max_records) {
  DayStore::Restored restored;
  CHECK(Commit(store, [&](Batch& batch) {
          restored = *store.days().Restore(batch, kShard, day, after, max_records);
        }) == CommitOutcome::kCommitted);
  if (restored.done) return std::nullopt;
  return restored.last;
}

void Restore(MoneyStore& store, int32_t day) {
  std::optional<PacketId> after = PacketId(0);
  while (after) after = RestoreSlice(store, day, *after, 10);
}

// Each packet and each claim is where it is looked for, once.
void CheckDay(const PacketStore& packets, int32_t day, int64_t count,
              model::ShardId shard = kShard) {
  for (int64_t number = 1; number <= count; ++number) {
    const PacketId id = MakeId(day, number);
    const auto found = packets.FindPacket(shard, id);
    REQUIRE_MESSAGE(found.ok(), found.error().text);
    REQUIRE(found->has_value());
    const model::Packet wanted = MakePacket(id);
    CHECK((*found)->header.id == id);
    CHECK((*found)->header.terms.total_fen == wanted.header.terms.total_fen);
    CHECK((*found)->header.terms.greeting == wanted.header.terms.greeting);
    CHECK((*found)->header.expires_ms == wanted.header.expires_ms);
    CHECK((*found)->status.state == wanted.status.state);
    CHECK((*found)->status.refund_fen == wanted.status.refund_fen);
    const auto claims = *packets.ListClaims(shard, id);
    REQUIRE(claims.size() == 2);
    for (int32_t ordinal = 1; ordinal <= 2; ++ordinal) {
      const model::Claim claim = MakeClaim(id, ordinal);
      CHECK(claims[static_cast<size_t>(ordinal - 1)].user == claim.user);
      const auto own = *packets.FindClaim(shard, id, claim.user);
      REQUIRE(own.has_value());
      CHECK(own->ordinal == ordinal);
      CHECK(own->amount_fen == claim.amount_fen);
      CHECK(own->time_ms == claim.time_ms);
      CHECK(own->member_version == claim.member_version);
    }
    CHECK_FALSE(packets.FindClaim(shard, id, UserId(1))->has_value());
  }
  CHECK_FALSE(packets.FindPacket(shard, MakeId(day, count + 1))->has_value());
  CHECK(packets.ListClaims(shard, MakeId(day, count + 1))->empty());
}

std::vector<PacketId> ListAll(const PacketStore& packets, size_t page, PacketId after = {}) {
  std::vector<PacketId> ids;
  for (;;) {
    const auto listed = packets.ListPackets(kShard, after, page);
    REQUIRE(listed.ok());
    for (const auto& packet : *listed) ids.push_back(packet.header.id);
    if (listed->size() < page) return ids;
    after = ids.back();
  }
}

std::vector<PacketId> IdsOf(std::initializer_list<int32_t> days, int64_t count) {
  std::vector<PacketId> ids;
  for (const int32_t day : days) {
    for (int64_t number = 1; number <= count; ++number) ids.push_back(MakeId(day, number));
  }
  return ids;
}

}  // namespace

TEST_CASE_TEMPLATE("packets of an archived day are found and listed as before", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  // The third lies in the slot of the second, 32 days on.
  for (const int32_t day : {kDay, kDay + 1, kDay + 33}) InsertDay(adapter.store(), day, 7);
  InsertDay(adapter.store(), kDay + 1, 2, kOtherShard);
  const auto archived = Archive(adapter.store(), kDay + 1);
  CHECK(adapter.store().days().Reclaim(kShard, kDay + 1).ok());
  for (int lives = 0; lives < 2; ++lives) {
    MoneyStore& store = adapter.store();
    for (const int32_t day : {kDay, kDay + 1, kDay + 33}) CheckDay(store.packets(), day, 7);
    CheckDay(store.packets(), kDay + 1, 2, kOtherShard);
    for (const size_t page : {1, 3, 100}) {
      CHECK(ListAll(store.packets(), page) == IdsOf({kDay, kDay + 1, kDay + 33}, 7));
    }
    CHECK(ListAll(store.packets(), 100, MakeId(kDay + 1, 7)) == IdsOf({kDay + 33}, 7));
    const auto days = *store.days().ListDays(kShard);
    REQUIRE(days.size() == 1);
    CHECK(days.front().day == kDay + 1);
    CHECK(days.front().totals == archived.totals);
    CHECK(days.front().archived_ms == archived.archived_ms);
    CHECK(days.front().acknowledged == archived.acknowledged);
    CHECK(days.front().file == archived.file);
    CHECK(days.front().hash == archived.hash);
    CHECK(store.days().Verify(kShard, days.front()).ok());
    CHECK_FALSE(store.days().FindDay(kShard, kDay)->has_value());
    CHECK(store.days().ListDays(kOtherShard)->empty());
    adapter.Restart();
  }
}

TEST_CASE_TEMPLATE("a restored day is in the store again, and can be archived again", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  InsertDay(adapter.store(), kDay, 30);
  InsertDay(adapter.store(), kDay + 1, 3);
  const auto first = Archive(adapter.store(), kDay);
  Restore(adapter.store(), kDay);
  CHECK(adapter.store().days().ListDays(kShard)->empty());
  adapter.Restart();
  CHECK(adapter.store().days().ListDays(kShard)->empty());
  CheckDay(adapter.store().packets(), kDay, 30);
  CheckDay(adapter.store().packets(), kDay + 1, 3);
  CHECK(ListAll(adapter.store().packets(), 100).size() == 33);

  const auto second = Archive(adapter.store(), kDay);
  CHECK(second.hash == first.hash);
  CHECK(second.totals == first.totals);
  CheckDay(adapter.store().packets(), kDay, 30);
  auto batch = adapter.store().NewBatch();
  CHECK(adapter.store().days().Restore(*batch, kShard, kDay + 1, {}, 10).error().code ==
        base::Code::kNotFound);
  CHECK(batch->records() == 0);
}

TEST_CASE_TEMPLATE("a restore that is cut short leaves the day archived and whole", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  InsertDay(adapter.store(), kDay, 20);
  InsertDay(adapter.store(), kDay + 1, 2);
  Archive(adapter.store(), kDay);
  auto after = RestoreSlice(adapter.store(), kDay, {}, 10);
  REQUIRE(after.has_value());
  CHECK(*after < MakeId(kDay, 20));
  RestoreSlice(adapter.store(), kDay, *after, 1);  // one packet at least
  CheckDay(adapter.store().packets(), kDay, 20);
  CHECK(ListAll(adapter.store().packets(), 3).size() == 22);
  adapter.Restart();
  CheckDay(adapter.store().packets(), kDay, 20);
  CHECK(ListAll(adapter.store().packets(), 3).size() == 22);
  CHECK(adapter.store().days().FindDay(kShard, kDay)->has_value());
  // Anew, from the start.
  Restore(adapter.store(), kDay);
  CheckDay(adapter.store().packets(), kDay, 20);
  CHECK(ListAll(adapter.store().packets(), 3).size() == 22);
}

TEST_CASE_TEMPLATE("a file without its commit changes nothing", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  InsertDay(adapter.store(), kDay, 3);
  const auto written = WriteFile(adapter.store(), kDay);
  CHECK(adapter.store().days().ListDays(kShard)->empty());
  adapter.Restart();
  CHECK(adapter.store().days().ListDays(kShard)->empty());
  CheckDay(adapter.store().packets(), kDay, 3);
  // One that is given up, then one in its place.
  { auto file = *adapter.store().days().NewFile(kShard, kDay); }
  CHECK(Archive(adapter.store(), kDay).hash == written.hash);
  CheckDay(adapter.store().packets(), kDay, 3);
}

TEST_CASE_TEMPLATE("a commit that is lost leaves the day in the store", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  InsertDay(adapter.store(), kDay, 3);
  const auto written = WriteFile(adapter.store(), kDay);
  adapter.Break();
  CHECK(Commit(adapter.store(), [&](Batch& batch) {
          adapter.store().days().Archive(batch, kShard, written);
        }) == CommitOutcome::kUnknown);
  adapter.Heal();
  REQUIRE(adapter.store().Reopen().ok());
  CheckDay(adapter.store().packets(), kDay, 3);
  CHECK(adapter.store().days().ListDays(kShard)->empty());
  CHECK(ListAll(adapter.store().packets(), 100).size() == 3);
}

TEST_CASE_TEMPLATE("a snapshot goes on reading a day that is archived or restored meanwhile",
                   Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  InsertDay(adapter.store(), kDay, 5);
  const auto before = *adapter.store().TakeSnapshot();
  Archive(adapter.store(), kDay);
  CHECK(adapter.store().days().Reclaim(kShard, kDay).ok());
  const auto between = *adapter.store().TakeSnapshot();
  Restore(adapter.store(), kDay);
  for (const auto* const snapshot : {before.get(), between.get()}) {
    CheckDay(snapshot->packets(), kDay, 5);
    CHECK(ListAll(snapshot->packets(), 2) == IdsOf({kDay}, 5));
  }
}

// -- what only files have

namespace {

void Damage(const std::string& path) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  REQUIRE(file.is_open());
  file.seekg(40);
  const char byte = static_cast<char>(file.get());
  file.seekp(40);
  file.put(static_cast<char>(~byte));
}

}  // namespace

TEST_CASE("a file of a day that is damaged or gone is named, and nothing else suffers") {
  RocksdbMoneyAdapter adapter;
  InsertDay(adapter.store(), kDay, 500);
  InsertDay(adapter.store(), kDay + 1, 3);
  const auto archived = Archive(adapter.store(), kDay);
  const std::string path = adapter.path() + "/days/" + archived.file;
  Damage(path);
  CHECK_FALSE(adapter.store().days().Verify(kShard, archived).ok());
  adapter.Restart();
  const auto found = adapter.store().packets().FindPacket(kShard, MakeId(kDay, 1));
  REQUIRE_FALSE(found.ok());
  CHECK(found.error().text.find(path) != std::string::npos);
  CHECK_FALSE(adapter.store().packets().ListPackets(kShard, PacketId(0), 1000).ok());
  CheckDay(adapter.store().packets(), kDay + 1, 3);

  std::filesystem::remove(path);
  adapter.Restart();
  const auto gone = adapter.store().packets().FindClaim(kShard, MakeId(kDay, 1), UserId(1));
  REQUIRE_FALSE(gone.ok());
  CHECK(gone.error().text.find("put it back") != std::string::npos);
  auto batch = adapter.store().NewBatch();
  CHECK_FALSE(adapter.store().days().Restore(*batch, kShard, kDay, {}, 10).ok());
  CHECK(batch->records() == 0);
}

TEST_CASE("another day's file in the place of this one's is found out") {
  RocksdbMoneyAdapter adapter;
  InsertDay(adapter.store(), kDay, 3);
  InsertDay(adapter.store(), kDay + 1, 4);
  const auto first = Archive(adapter.store(), kDay);
  const auto second = Archive(adapter.store(), kDay + 1);
  const std::string days = adapter.path() + "/days/";
  std::filesystem::copy_file(days + second.file, days + first.file,
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_FALSE(adapter.store().days().Verify(kShard, first).ok());
  CHECK(adapter.store().days().Verify(kShard, second).ok());
}

TEST_CASE("a day's file that cannot be written leaves nothing behind") {
  RocksdbMoneyAdapter adapter;
  InsertDay(adapter.store(), kDay, 3);
  WriteFile(adapter.store(), kDay);
  adapter.Break();
  CHECK_FALSE(adapter.store().days().NewFile(kShard, kDay + 1).ok());
  adapter.Heal();
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(adapter.path() + "/days")) {
    CHECK(entry.path().filename() == std::to_string(kShard) + "-" + std::to_string(kDay) + ".sst");
    ++files;
  }
  CHECK(files == 1);
}

TEST_CASE(
    "who stops the reclaiming of a day does not wait for it, and its packets stay as they are") {
  std::atomic<bool> stops{false};
  RocksdbMoneyAdapter adapter;
  adapter.files().on_table = [&] {
    if (stops) adapter.store().days().StopReclaiming();
  };
  InsertDay(adapter.store(), kDay, 500);
  Archive(adapter.store(), kDay);
  stops = true;
  CHECK_FALSE(adapter.store().days().Reclaim(kShard, kDay).ok());
  CHECK_FALSE(adapter.store().days().Reclaim(kShard, kDay).ok());
  stops = false;
  CheckDay(adapter.store().packets(), kDay, 500);
  adapter.Restart();
  CHECK(adapter.store().days().Reclaim(kShard, kDay).ok());
  CheckDay(adapter.store().packets(), kDay, 500);
}

TEST_CASE("a database that is to be closed does not wait for what it merges") {
  std::function<void()> close;
  std::atomic<bool> closes{false};
  RocksdbMoneyAdapter adapter;
  adapter.files().on_table = [&] {
    if (closes.exchange(false)) close();
  };
  InsertDay(adapter.store(), kDay, 500);
  adapter.Close();
  DatabaseOptions options;
  options.kind = StoreKind::kMoney;
  options.path = adapter.path() + "/db";
  options.env = adapter.options().env;
  Database database(options);
  REQUIRE(database.Open(IfMissing::kRefuse, Recovery::kStrict).ok());
  std::thread closer;
  close = [&] {
    closer = std::thread([&] { database.Close(); });
    while (!database.failed()) std::this_thread::yield();
  };
  rocksdb::WriteBatch rows;
  const Key key = PacketKey(kShard, MakeId(kDay, 1));
  REQUIRE(rows.Put(database.name(Table::kPackets), key.slice(), "row").ok());
  REQUIRE(database.Write(&rows).ok());
  closes = true;
  CHECK_FALSE(database.Compact(Table::kPackets, key, Key(key).Byte('\0')).ok());
  REQUIRE(closer.joinable());
  closer.join();
}

TEST_CASE("an archived day gives its disk back") {
  RocksdbMoneyAdapter adapter;
  for (int32_t day = kDay; day < kDay + 4; ++day) InsertDay(adapter.store(), day, 5000);
  CHECK(adapter.rocksdb_store().Compact().ok());
  const auto database_bytes = [&] {
    adapter.Restart();  // files that are no longer used go
    uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(adapter.path() + "/db")) {
      if (entry.path().extension() == ".sst") bytes += entry.file_size();
    }
    return bytes;
  };
  const auto before = database_bytes();
  for (int32_t day = kDay; day < kDay + 3; ++day) {
    Archive(adapter.store(), day);
    CHECK(adapter.store().days().Reclaim(kShard, day).ok());
  }
  CHECK(database_bytes() < before / 2);
  CheckDay(adapter.store().packets(), kDay + 1, 5000);
  CheckDay(adapter.store().packets(), kDay + 3, 5000);
}

}  // namespace hongyan::storage
