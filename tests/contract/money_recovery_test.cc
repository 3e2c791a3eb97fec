#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "money_adapters.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_message_store.h"
#include "tests/doctest_last.h"

// What only the embedded store of money has: its files, its mark, what falls out of it.

namespace hongyan::storage {

namespace {

using model::UserId;

CommitOutcome CommitWallet(MoneyStore& store, int64_t number) {
  return Commit(store, [&](Batch& batch) {
    model::Wallet wallet;
    wallet.user = UserId(number);
    store.ledger().PutWallet(batch, kShard, wallet);
    ShardHead head;
    head.batch = number;
    head.time_ms = 1'790'000'000'000;
    store.channels().PutHead(batch, kShard, head);
  });
}

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Damage(const std::string& path) {
  std::string bytes = Slurp(path);
  bytes.at(bytes.size() / 2) = static_cast<char>(~bytes[bytes.size() / 2]);
  std::ofstream(path, std::ios::binary) << bytes;
}

model::RequestId RequestAt(int64_t ms) {
  model::RequestId id;
  for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  return id;
}

}  // namespace

TEST_CASE("the secrets of a money store lie in a file of their own that only its owner reads") {
  RocksdbMoneyAdapter adapter;
  struct stat found {};
  REQUIRE(::stat((adapter.path() + "/SECRETS").c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  const auto secret = adapter.store().money_identity().secrets.front();
  const std::string bytes(secret.begin(), secret.end());
  CHECK(Slurp(adapter.path() + "/SECRETS").find(bytes) != std::string::npos);
  CHECK(Slurp(adapter.path() + "/IDENTITY").find(bytes) == std::string::npos);
  RocksdbMoneyAdapter other;
  CHECK(other.store().money_identity().secrets.front() != secret);

  // Others can read it now: said, not used.
  adapter.Close();
  REQUIRE(::chmod((adapter.path() + "/SECRETS").c_str(), 0640) == 0);
  const auto open_to_others = RocksdbMoneyStore::Open(adapter.options());
  REQUIRE_FALSE(open_to_others.ok());
  CHECK(open_to_others.error().text.find("chmod 600") != std::string::npos);
  REQUIRE(::chmod((adapter.path() + "/SECRETS").c_str(), 0600) == 0);
  adapter.Restart();
  CHECK(adapter.store().money_identity().secrets.front() == secret);
}

TEST_CASE(
    "a money store without its cells or its secrets does not open, and says what to restore") {
  for (const char* const name : {"CELLS", "SECRETS", "IDENTITY"}) {
    RocksdbMoneyAdapter adapter;
    adapter.Close();
    const std::string path = adapter.path() + "/" + name;
    Damage(path);
    const auto damaged = RocksdbMoneyStore::Open(adapter.options());
    REQUIRE_FALSE(damaged.ok());
    CHECK(damaged.error().text.find(path) != std::string::npos);
    std::filesystem::remove(path);
    CHECK_FALSE(RocksdbMoneyStore::Open(adapter.options()).ok());
  }
}

TEST_CASE("a store of one kind is not opened as the other") {
  RocksdbMoneyAdapter adapter;
  adapter.Close();
  const auto as_messages = RocksdbMessageStore::Open(adapter.options());
  REQUIRE_FALSE(as_messages.ok());
  CHECK(as_messages.error().text.find("FORMAT") != std::string::npos);
}

TEST_CASE("a money store that lost its end is refused, and accepted with a higher generation") {
  RocksdbMoneyAdapter adapter;
  for (int64_t number = 1; number <= 5; ++number) {
    CHECK(CommitWallet(adapter.store(), number) == CommitOutcome::kCommitted);
  }
  const auto secrets = adapter.store().money_identity().secrets;
  adapter.Close();
  // The mark knows of five batches; the logs are gone.
  for (const auto& entry : std::filesystem::directory_iterator(adapter.path() + "/db")) {
    if (entry.path().extension() == ".log") std::filesystem::resize_file(entry.path(), 0);
  }
  const auto refused = RocksdbMoneyStore::Open(adapter.options());
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().text.find("store accept") != std::string::npos);

  const auto accepted = AcceptMoneyStore(adapter.options());
  REQUIRE_MESSAGE(accepted.ok(), accepted.error().text);
  CHECK(accepted->generation == 1);
  auto store = RocksdbMoneyStore::Open(adapter.options());
  REQUIRE_MESSAGE(store.ok(), store.error().text);
  CHECK((*store)->identity().generation == 1);
  CHECK((*store)->money_identity().secrets == secrets);
  CHECK_FALSE((*store)->ledger().FindWallet(kShard, UserId(5))->has_value());
  CHECK(CommitWallet(**store, 6) == CommitOutcome::kCommitted);
}

TEST_CASE(
    "a byte flipped in the middle of a money store's log is refused, and accepted only once") {
  RocksdbMoneyAdapter adapter;
  for (int64_t number = 1; number <= 50; ++number) {
    CHECK(CommitWallet(adapter.store(), number) == CommitOutcome::kCommitted);
  }
  adapter.Close();
  std::string log;
  for (const auto& entry : std::filesystem::directory_iterator(adapter.path() + "/db")) {
    if (entry.path().extension() == ".log" && entry.file_size() > 0) log = entry.path().string();
  }
  REQUIRE_FALSE(log.empty());
  Damage(log);
  const std::string damaged = Slurp(log);
  const auto refused = RocksdbMoneyStore::Open(adapter.options());
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().text.find("store accept --store money") != std::string::npos);
  CHECK(Slurp(log) == damaged);
  REQUIRE(AcceptMoneyStore(adapter.options()).ok());
  const auto store = RocksdbMoneyStore::Open(adapter.options());
  REQUIRE_MESSAGE(store.ok(), store.error().text);
  CHECK((*store)->identity().generation == 1);
  CHECK((*store)->ledger().FindWallet(kShard, UserId(1))->has_value());
  CHECK_FALSE((*store)->ledger().FindWallet(kShard, UserId(50))->has_value());
}

TEST_CASE("a money store in use, or of a newer format, is refused and not touched") {
  RocksdbMoneyAdapter adapter;
  CHECK(CommitWallet(adapter.store(), 1) == CommitOutcome::kCommitted);
  const auto second = RocksdbMoneyStore::Open(adapter.options());
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().text.find("in use by process") != std::string::npos);
  CHECK_FALSE(AcceptMoneyStore(adapter.options()).ok());
  adapter.Close();
  const std::string format = adapter.path() + "/FORMAT";
  CHECK(Slurp(format) == "hongyan-money-store 1\n");
  std::ofstream(format) << "hongyan-money-store 2\n";
  const auto newer = RocksdbMoneyStore::Open(adapter.options());
  REQUIRE_FALSE(newer.ok());
  CHECK(newer.error().text.find("newer") != std::string::npos);
  std::ofstream(format) << "hongyan-money-store 1\n";
  adapter.Restart();
  CHECK(adapter.store().ledger().FindWallet(kShard, UserId(1))->has_value());
}

TEST_CASE("a money store that does not sync still keeps what an orderly end leaves") {
  RocksdbMoneyAdapter adapter;
  adapter.Close();
  RocksdbOptions options = adapter.options();
  options.unsafe_no_sync = true;
  {
    auto store = *RocksdbMoneyStore::Open(options);
    const int syncs = adapter.files().log_syncs;
    CHECK(CommitWallet(*store, 1) == CommitOutcome::kCommitted);
    CHECK(adapter.files().log_syncs == syncs);
    CHECK(store->stats().syncs == 0);
  }
  adapter.Restart();
  CHECK(adapter.store().ledger().FindWallet(kShard, UserId(1))->has_value());
  CHECK(CommitWallet(adapter.store(), 2) == CommitOutcome::kCommitted);
  CHECK(adapter.store().stats().syncs == 1);
}

TEST_CASE("outcomes of sends fall out after eight days by both clocks, moves never") {
  constexpr int64_t kDayMs = 24 * 60 * 60 * 1000;
  RocksdbMoneyAdapter adapter;
  const int64_t now = adapter.clock().WallMs();
  const auto old = RequestAt(now - 7 * kDayMs);
  const auto young = RequestAt(now - 6 * kDayMs);
  const auto commit = [&](int64_t number, int64_t time_ms) {
    Commit(adapter.store(), [&](Batch& batch) {
      LedgerStore& ledger = adapter.store().ledger();
      if (number == 1) {
        ledger.PutSend(batch, UserId(1), old, {1, model::PacketId(1), 0, now, {}});
        ledger.PutSend(batch, UserId(1), young, {2, model::PacketId(2), 0, now, {}});
        ledger.PutMove(batch, UserId(1), "deposit", {1, 1, 1, now});
      }
      ShardHead head;
      head.batch = number;
      head.time_ms = time_ms;
      adapter.store().channels().PutHead(batch, kShard, head);
    });
  };
  const auto there = [&](const model::RequestId& id) {
    return adapter.store().ledger().FindSend(UserId(1), id)->has_value();
  };
  commit(1, now);
  commit(2, now + 30 * kDayMs);  // shard time alone expires nothing
  CHECK(adapter.rocksdb_store().Compact().ok());
  CHECK(there(old));
  adapter.clock().Advance(kDayMs + 1000);
  commit(3, now + 30 * kDayMs);
  CHECK(adapter.rocksdb_store().Compact().ok());
  CHECK_FALSE(there(old));
  CHECK(there(young));
  adapter.clock().Advance(100 * kDayMs);
  commit(4, now + 200 * kDayMs);
  CHECK(adapter.rocksdb_store().Compact().ok());
  CHECK(adapter.store().ledger().FindMove(UserId(1), "deposit")->has_value());
}

TEST_CASE("a snapshot that a reopening ended answers nothing, and harms nothing") {
  RocksdbMoneyAdapter adapter;
  CommitWallet(adapter.store(), 1);
  auto snapshot = *adapter.store().TakeSnapshot();
  adapter.Break();
  CHECK(CommitWallet(adapter.store(), 2) == CommitOutcome::kUnknown);
  CHECK_FALSE(snapshot->ledger().FindWallet(kShard, UserId(1)).ok());
  adapter.Heal();
  REQUIRE(adapter.store().Reopen().ok());
  CHECK_FALSE(snapshot->ledger().FindWallet(kShard, UserId(1)).ok());
  CHECK_FALSE(snapshot->packets().ListPackets(kShard, model::PacketId(0), 1).ok());
  snapshot.reset();
  const auto next = *adapter.store().TakeSnapshot();
  CHECK(next->ledger().FindWallet(kShard, UserId(1))->has_value());
}

TEST_CASE("an open and its credit write four records, and a batch six and two per channel more") {
  RocksdbMoneyAdapter adapter;
  MoneyStore& store = adapter.store();
  model::Packet packet;
  packet.header.id = model::PacketId(2'071'700'000'000'000'011);
  packet.header.terms.conversation = {0, 5};
  packet.header.terms.total_fen = 20'000;
  packet.header.terms.shares = 100;
  packet.status = {model::PacketState::kOpen, 100, 20'000, 0, 0, 0, 0, false, 0};
  Commit(store, [&](Batch& b) { store.packets().InsertPacket(b, kShard, packet); });
  const StoreStats before = store.stats();
  constexpr int64_t kOpens = 100;
  Commit(store, [&](Batch& batch) {
    OutboxRow row{1, kOpens, {}, 0, {}};
    for (int32_t i = 1; i <= kOpens; ++i) {
      const UserId user(1'000'000'000'000 + i);
      store.packets().InsertClaim(batch, kShard, packet.header.id,
                                  {user, i, 200, 1'790'000'000'000, 1});
      packet.status.left = 100 - i;
      packet.status.left_fen = 200 * packet.status.left;
      if (packet.status.left == 0) packet.status.state = model::PacketState::kDone;
      store.packets().PutStatus(batch, kShard, packet.header, packet.status);
      model::Wallet wallet;
      wallet.user = user;
      wallet.balance_fen = 12'345'600;
      wallet.account_seq = 17;
      wallet.years[2026] = {3, 60'000, 0, 14, 2'800};
      store.ledger().PutWallet(batch, kOtherShard, wallet);
      model::StatementRow statement;
      statement.account_seq = 17;
      statement.kind = model::StatementKind::kReceived;
      statement.amount_fen = 200;
      statement.balance_fen = 12'345'600;
      statement.time_ms = 1'790'000'000'000;
      statement.packet = packet.header.id;
      statement.packet_kind = model::PacketKind::kLucky;
      statement.peer = UserId(2'000'000'000'000);
      store.ledger().AppendStatement(batch, kOtherShard, user, statement);
      row.items.emplace_back(48, 'x');  // as large as a credit
      row.fen.push_back(200);
    }
    store.ledger().PutBooks(batch, kShard, {});
    store.ledger().PutBooks(batch, kOtherShard, {});
    store.channels().PutOutbox(batch, {kShard, kOtherShard}, row);
    store.channels().PutMark(batch, {kShard, kOtherShard}, {1, kOpens, 20'000, 0});
    store.channels().PutHead(batch, kShard, {});
    store.channels().PutHead(batch, kOtherShard, {});
  });
  const StoreStats after = store.stats();
  // Claim; statement and wallet: 3 an open, 4 with the status where each is of another packet.
  CHECK(after.records - before.records <= 3 * kOpens + 6 + 2);
  CHECK(after.syncs - before.syncs == 1);
  CHECK((after.bytes - before.bytes) / kOpens <= 300);
}

TEST_CASE("packets whose rows cannot be read are listed with those in quarantine") {
  RocksdbMoneyAdapter adapter;
  MoneyStore& store = adapter.store();
  std::vector<model::PacketId> ids;
  Commit(store, [&](Batch& batch) {
    for (int64_t number = 0; number < 6; ++number) {
      model::Packet packet;
      packet.header.id = model::PacketId((20'717 + number) * 100'000'000'000'000 + number);
      packet.status.state = model::PacketState::kOpen;
      packet.status.quarantined = number == 4;
      store.packets().InsertPacket(batch, kShard, packet);
      ids.push_back(packet.header.id);
    }
  });
  Commit(store, [&](Batch& batch) {
    auto& rows = static_cast<RocksdbBatch&>(batch);
    rows.Replace(Table::kPackets, PacketKey(kShard, ids[1]), "\xff");
    rows.Replace(Table::kStatuses, PacketKey(kShard, ids[2]), "\xff");
    rows.Delete(Table::kStatuses, PacketKey(kShard, ids[5]));
  });
  const std::vector<model::PacketId> listed{ids[1], ids[2], ids[4], ids[5]};
  CHECK(*store.packets().ListQuarantined(kShard, 10) == listed);
  CHECK(store.packets().ListQuarantined(kShard, 2)->size() == 2);
  for (const model::PacketId id : {ids[1], ids[2], ids[5]}) {
    CHECK(store.packets().FindPacket(kShard, id).error().code == base::Code::kDataLoss);
  }
}

}  // namespace hongyan::storage
