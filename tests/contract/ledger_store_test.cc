#include <string>

#include "model/reason.h"
#include "money_adapters.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

using model::UserId;

model::Wallet MakeWallet(int64_t user, int64_t balance_fen) {
  model::Wallet wallet;
  wallet.user = UserId(user);
  wallet.balance_fen = balance_fen;
  wallet.account_seq = 3;
  wallet.frozen = true;
  wallet.years[2026] = {1, 200, 30, 4, 5'000'000'000};
  wallet.years[2027].received_fen = 7;
  return wallet;
}

bool Same(const model::Wallet& a, const model::Wallet& b) {
  if (a.years.size() != b.years.size()) return false;
  for (const auto& [year, x] : a.years) {
    const auto found = b.years.find(year);
    if (found == b.years.end()) return false;
    const model::YearTotal& y = found->second;
    if (x.sent_count != y.sent_count || x.sent_fen != y.sent_fen ||
        x.returned_fen != y.returned_fen || x.received_count != y.received_count ||
        x.received_fen != y.received_fen) {
      return false;
    }
  }
  return a.user == b.user && a.balance_fen == b.balance_fen && a.account_seq == b.account_seq &&
         a.frozen == b.frozen;
}

model::StatementRow MakeRow(int64_t account_seq) {
  model::StatementRow row;
  row.account_seq = account_seq;
  row.kind = model::StatementKind::kRefund;
  row.amount_fen = -account_seq;
  row.balance_fen = 1'000'000 - account_seq;
  row.time_ms = 1'790'000'000'000 + account_seq;
  row.packet = model::PacketId(2'071'700'000'000'000'011);
  row.packet_kind = model::PacketKind::kTransfer;
  row.peer = UserId(9);
  row.reason = model::ReturnReason::kRefused;
  row.note = std::string("id\0: a reason \xff", 16);
  return row;
}

model::RequestId MakeRequest(uint8_t number, int64_t created_ms = 1'790'000'000'000) {
  model::RequestId id;
  for (size_t i = 0; i < 6; ++i) {
    id.bytes[i] = static_cast<uint8_t>(created_ms >> (40 - 8 * static_cast<int>(i)));
  }
  id.bytes[15] = number;
  return id;
}

}  // namespace

TEST_CASE_TEMPLATE("a wallet is as it was last put, and belongs to its shard", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  CHECK_FALSE(adapter.store().ledger().FindWallet(kShard, UserId(1))->has_value());
  Commit(adapter.store(), [&](Batch& batch) {
    LedgerStore& ledger = adapter.store().ledger();
    ledger.PutWallet(batch, kShard, MakeWallet(1, 5));
    ledger.PutWallet(batch, kShard, MakeWallet(1, 900'000'000'000));
    ledger.PutWallet(batch, kShard, MakeWallet(1, 17));
    CHECK(batch.records() == 1);  // the last wins, and costs one record
    CHECK(batch.bytes() > 0);
  });
  adapter.Restart();
  LedgerStore& ledger = adapter.store().ledger();
  CHECK(Same(**ledger.FindWallet(kShard, UserId(1)), MakeWallet(1, 17)));
  CHECK_FALSE(ledger.FindWallet(kOtherShard, UserId(1))->has_value());
  CHECK_FALSE(ledger.FindWallet(kShard, UserId(2))->has_value());
}

TEST_CASE_TEMPLATE("wallets are listed by user id, shard by shard", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  Commit(adapter.store(), [&](Batch& batch) {
    for (const int64_t user : {300, 2, 255, 256}) {
      adapter.store().ledger().PutWallet(batch, kShard, MakeWallet(user, user));
    }
    adapter.store().ledger().PutWallet(batch, kOtherShard, MakeWallet(4, 4));
  });
  const auto list = [&](model::ShardId shard, int64_t after, size_t limit) {
    std::vector<int64_t> users;
    const auto wallets = adapter.store().ledger().ListWallets(shard, UserId(after), limit);
    for (const auto& wallet : *wallets) {
      CHECK(wallet.balance_fen == wallet.user.value);
      users.push_back(wallet.user.value);
    }
    return users;
  };
  CHECK(list(kShard, 0, 10) == std::vector<int64_t>{2, 255, 256, 300});
  CHECK(list(kShard, 2, 2) == std::vector<int64_t>{255, 256});
  CHECK(list(kShard, 300, 10).empty());
  CHECK(list(kOtherShard, 0, 10) == std::vector<int64_t>{4});
  CHECK(list(kShard, INT64_MAX, 10).empty());
}

TEST_CASE_TEMPLATE("a statement is read newest first, in pages", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  LedgerStore& ledger = adapter.store().ledger();
  CHECK(ledger.ReadStatement(kShard, UserId(1), 0, 10)->empty());
  for (int64_t seq = 1; seq <= 300; ++seq) {
    Commit(adapter.store(), [&](Batch& batch) {
      ledger.AppendStatement(batch, kShard, UserId(1), MakeRow(seq));
      ledger.AppendStatement(batch, kShard, UserId(2), MakeRow(seq));
    });
  }
  const auto read = [&](int64_t before, size_t limit) {
    std::vector<int64_t> seqs;
    const auto rows = ledger.ReadStatement(kShard, UserId(1), before, limit);
    for (const auto& row : *rows) seqs.push_back(row.account_seq);
    return seqs;
  };
  CHECK(read(0, 3) == std::vector<int64_t>{300, 299, 298});
  CHECK(read(298, 3) == std::vector<int64_t>{297, 296, 295});
  CHECK(read(257, 2) == std::vector<int64_t>{256, 255});
  CHECK(read(2, 10) == std::vector<int64_t>{1});
  CHECK(read(1, 10).empty());
  CHECK(ledger.ReadStatement(kOtherShard, UserId(1), 0, 10)->empty());
}

TEST_CASE_TEMPLATE("a statement row is as it was written", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  Commit(adapter.store(), [&](Batch& batch) {
    adapter.store().ledger().AppendStatement(batch, kShard, UserId(1), MakeRow(5));
    CHECK(batch.records() == 1);
  });
  adapter.Restart();
  const auto rows = adapter.store().ledger().ReadStatement(kShard, UserId(1), 0, 10);
  REQUIRE(rows->size() == 1);
  const model::StatementRow& row = rows->front();
  const model::StatementRow wanted = MakeRow(5);
  CHECK(row.account_seq == wanted.account_seq);
  CHECK(row.kind == wanted.kind);
  CHECK(row.amount_fen == wanted.amount_fen);
  CHECK(row.balance_fen == wanted.balance_fen);
  CHECK(row.time_ms == wanted.time_ms);
  CHECK(row.packet == wanted.packet);
  CHECK(row.packet_kind == wanted.packet_kind);
  CHECK(row.peer == wanted.peer);
  CHECK(row.reason == wanted.reason);
  CHECK(row.note == wanted.note);
}

TEST_CASE_TEMPLATE("the outcome of a send is found by user and request", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  LedgerStore& ledger = adapter.store().ledger();
  const auto request = MakeRequest(1);
  CHECK_FALSE(ledger.FindSend(UserId(1), request)->has_value());
  Commit(adapter.store(), [&](Batch& batch) {
    ledger.PutSend(batch, UserId(1), request,
                   {UINT64_MAX - 5, model::PacketId(2'071'700'000'000'000'011), 0, 1'790,
                    model::ReturnReason::kTooLate});
    ledger.PutSend(batch, UserId(2), request, {7, {}, 71, 1'791, model::ReturnReason::kNone});
  });
  adapter.Restart();
  const auto sent = *adapter.store().ledger().FindSend(UserId(1), request);
  REQUIRE(sent.has_value());
  CHECK(sent->hash == UINT64_MAX - 5);
  CHECK(sent->packet == model::PacketId(2'071'700'000'000'000'011));
  CHECK(sent->rule == 0);
  CHECK(sent->time_ms == 1'790);
  CHECK(sent->returned == model::ReturnReason::kTooLate);
  const auto refused = *adapter.store().ledger().FindSend(UserId(2), request);
  REQUIRE(refused.has_value());
  CHECK(refused->packet == model::PacketId(0));
  CHECK(refused->rule == 71);
  CHECK_FALSE(adapter.store().ledger().FindSend(UserId(1), MakeRequest(2))->has_value());
}

TEST_CASE_TEMPLATE("the outcome of a move is found by user and id", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  const std::string longest(64, '\xff');
  Commit(adapter.store(), [&](Batch& batch) {
    LedgerStore& ledger = adapter.store().ledger();
    ledger.PutMove(batch, UserId(1), "a", {-5, 7, 100, 1'790});
    ledger.PutMove(batch, UserId(1), longest, {6, 8, 106, 1'791});
    CHECK(batch.records() == 2);
  });
  adapter.Restart();
  LedgerStore& ledger = adapter.store().ledger();
  const auto move = *ledger.FindMove(UserId(1), "a");
  REQUIRE(move.has_value());
  CHECK(move->amount_fen == -5);
  CHECK(move->account_seq == 7);
  CHECK(move->balance_fen == 100);
  CHECK(move->time_ms == 1'790);
  CHECK((*ledger.FindMove(UserId(1), longest))->amount_fen == 6);
  CHECK_FALSE(ledger.FindMove(UserId(1), "")->has_value());
  CHECK_FALSE(ledger.FindMove(UserId(1), "aa")->has_value());
  CHECK_FALSE(ledger.FindMove(UserId(2), "a")->has_value());
}

TEST_CASE_TEMPLATE("the books of a shard are one row", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  CHECK(adapter.store().ledger().ReadBooks(kShard)->sum() == 0);
  Commit(adapter.store(), [&](Batch& batch) {
    LedgerStore& ledger = adapter.store().ledger();
    ledger.PutBooks(batch, kShard, {1, 2, 3, -4, 5, 7, 20'717, 99'999'999, 3});
    ledger.PutBooks(batch, kShard, {10, 20, 30, -40, 50, 70, 20'718, 12, 4});
    CHECK(batch.records() == 1);
  });
  adapter.Restart();
  const model::Books books = *adapter.store().ledger().ReadBooks(kShard);
  CHECK(books.wallets_fen == 10);
  CHECK(books.escrow_fen == 20);
  CHECK(books.suspense_fen == 30);
  CHECK(books.world_fen == -40);
  CHECK(books.transit_out_fen == 50);
  CHECK(books.transit_in_fen == 70);
  CHECK(books.id_day == 20'718);
  CHECK(books.id_counter == 12);
  CHECK(books.generation == 4);
  CHECK(books.sum() == 0);
  CHECK(adapter.store().ledger().ReadBooks(kOtherShard)->wallets_fen == 0);
}

TEST_CASE_TEMPLATE("a money store names its shards, its cells and its secrets", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  const StoreIdentity identity = adapter.store().identity();
  const MoneyIdentity money = adapter.store().money_identity();
  CHECK(identity.shards == 2);
  int of_first = 0;
  for (const model::ShardId shard : identity.slots) {
    CHECK((shard == kShard || shard == kOtherShard));
  }
  for (const model::ShardId shard : money.cells) {
    CHECK((shard == kShard || shard == kOtherShard));
    of_first += shard == kShard;
  }
  CHECK(of_first == 50);
  REQUIRE(money.secrets.size() == 1);
  CHECK(money.secrets[0] != std::array<uint8_t, 32>{});
  adapter.Restart();
  CHECK(adapter.store().money_identity().cells == money.cells);
  CHECK(adapter.store().money_identity().secrets == money.secrets);
  CHECK(adapter.store().identity().incarnation == identity.incarnation);
}

TEST_CASE_TEMPLATE("a snapshot of money stays as it was while commits go on", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  MoneyStore& store = adapter.store();
  const auto commit = [&](int64_t number) {
    return Commit(store, [&](Batch& batch) {
      store.ledger().PutWallet(batch, kShard, MakeWallet(number, number));
      model::Packet packet;
      packet.header.id = model::PacketId(number);
      packet.header.terms.conversation = {0, 5};
      store.packets().InsertPacket(batch, kShard, packet);
      ShardHead head;
      head.batch = number;
      store.channels().PutHead(batch, kShard, head);
      store.channels().PutOutbox(batch, {kShard, 0}, {number, number, {"item"}});
    });
  };
  CHECK(commit(1) == CommitOutcome::kCommitted);
  {
    const auto snapshot = std::move(*store.TakeSnapshot());
    CHECK(commit(2) == CommitOutcome::kCommitted);
    CHECK(store.channels().TrimOutbox({kShard, 0}, 1).ok());
    CHECK(snapshot->channels().ReadHead(kShard)->batch == 1);
    CHECK(snapshot->ledger().ListWallets(kShard, UserId(0), 10)->size() == 1);
    CHECK(snapshot->packets().ListPackets(kShard, model::PacketId(0), 10)->size() == 1);
    CHECK_FALSE(snapshot->packets().FindPacket(kShard, model::PacketId(2))->has_value());
    CHECK(snapshot->channels().ReadOutbox({kShard, 0}, 1, 10, 1000)->size() == 1);
  }
  CHECK(store.ledger().ListWallets(kShard, UserId(0), 10)->size() == 2);
}

TEST_CASE_TEMPLATE("a money store answers nothing after an unknown ending until it is opened again",
                   Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  MoneyStore& store = adapter.store();
  const auto put = [&](int64_t user) {
    return Commit(store, [&](Batch& batch) {
      store.ledger().PutWallet(batch, kShard, MakeWallet(user, user));
      ShardHead head;
      head.batch = user;
      store.channels().PutHead(batch, kShard, head);
    });
  };
  CHECK(put(1) == CommitOutcome::kCommitted);
  adapter.Break();
  CHECK(put(2) == CommitOutcome::kUnknown);
  CHECK(put(3) == CommitOutcome::kUnknown);
  const auto stopped = store.ledger().FindWallet(kShard, UserId(1));
  REQUIRE_FALSE(stopped.ok());
  CHECK(stopped.error().reason == static_cast<uint16_t>(model::Reason::kStoreStopped));
  CHECK_FALSE(store.ledger().ReadStatement(kShard, UserId(1), 0, 1).ok());
  CHECK_FALSE(store.packets().Due(kShard, {}, 1, 1).ok());
  CHECK_FALSE(store.TakeSnapshot().ok());
  CHECK_FALSE(store.Reopen().ok());
  adapter.Heal();
  REQUIRE(store.Reopen().ok());
  CHECK(store.ledger().FindWallet(kShard, UserId(1))->has_value());
  CHECK_FALSE(store.ledger().FindWallet(kShard, UserId(3))->has_value());
  CHECK(put(4) == CommitOutcome::kCommitted);
}

TEST_CASE("a memory store fires the guard for what must be new and is there already") {
  MemoryMoneyStore store(MemoryMoneyState::Create(1, 2));
  const auto twice = [&](const std::function<void(Batch&)>& fill) {
    CHECK(Commit(store, fill) == CommitOutcome::kCommitted);
    const int64_t before = store.collisions();
    CHECK(Commit(store, fill) == CommitOutcome::kGuardFired);
    CHECK(store.collisions() == before + 1);
  };
  model::Packet packet;
  packet.header.id = model::PacketId(5);
  twice([&](Batch& b) { store.ledger().AppendStatement(b, kShard, UserId(1), MakeRow(1)); });
  const auto put_send = [&](int64_t number, model::ReturnReason returned) {
    return Commit(store, [&](Batch& b) {
      store.ledger().PutSend(b, UserId(1), MakeRequest(1),
                             {5, model::PacketId(number), 0, 9, returned});
    });
  };
  CHECK(put_send(7, model::ReturnReason::kNone) == CommitOutcome::kCommitted);
  CHECK(put_send(7, model::ReturnReason::kTooLate) == CommitOutcome::kCommitted);
  CHECK(put_send(8, model::ReturnReason::kNone) == CommitOutcome::kGuardFired);
  twice([&](Batch& b) { store.ledger().PutMove(b, UserId(1), "id", {}); });
  twice([&](Batch& b) { store.packets().InsertPacket(b, kShard, packet); });
  twice([&](Batch& b) {
    store.packets().InsertClaim(b, kShard, model::PacketId(5), {UserId(1), 1, 10, 0, 0});
  });
  // The same share given to two people.
  CHECK(Commit(store, [&](Batch& b) {
          store.packets().InsertClaim(b, kShard, model::PacketId(5), {UserId(2), 1, 10, 0, 0});
        }) == CommitOutcome::kGuardFired);
}

}  // namespace hongyan::storage
