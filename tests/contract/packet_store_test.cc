#include <set>
#include <string>

#include "money_adapters.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

using model::PacketId;
using model::PacketState;
using model::UserId;

// Day 20717 + `day`, the rest a number.
PacketId MakeId(int64_t day, int64_t number) {
  return PacketId((20'717 + day) * 100'000'000'000'000 + number);
}

model::Packet MakePacket(PacketId id, int64_t expires_ms = 1'790'086'400'000) {
  model::Packet packet;
  packet.header.id = id;
  packet.header.terms.kind = model::PacketKind::kLucky;
  packet.header.terms.conversation = {0, 77};
  packet.header.terms.sender = UserId(12);
  packet.header.terms.request_id.bytes.fill(0xfe);
  packet.header.terms.named = UserId(13);
  packet.header.terms.total_fen = 20'000;
  packet.header.terms.shares = 100;
  packet.header.terms.share_cap_fen = 20'000;
  packet.header.terms.greeting = std::string("gr\0eeting \xff", 12);
  packet.header.created_ms = 1'790'000'000'000;
  packet.header.expires_ms = expires_ms;
  packet.header.split_version = 1;
  packet.header.secret_number = 3;
  packet.status.state = PacketState::kCreated;
  packet.status.left = 100;
  packet.status.left_fen = 20'000;
  return packet;
}

void Insert(MoneyStore& store, const model::Packet& packet, model::ShardId shard = kShard) {
  CHECK(Commit(store, [&](Batch& batch) { store.packets().InsertPacket(batch, shard, packet); }) ==
        CommitOutcome::kCommitted);
}

void Put(MoneyStore& store, const model::Packet& packet) {
  CHECK(Commit(store, [&](Batch& batch) {
          store.packets().PutStatus(batch, kShard, packet.header, packet.status);
        }) == CommitOutcome::kCommitted);
}

std::vector<int64_t> DueIds(MoneyStore& store, PacketStore::Expiry after, int64_t until_ms,
                            size_t limit = 100) {
  std::vector<int64_t> ids;
  const auto due = store.packets().Due(kShard, after, until_ms, limit);
  REQUIRE(due.ok());
  for (const auto& expiry : *due) ids.push_back(expiry.packet.value % 1000);
  return ids;
}

}  // namespace

TEST_CASE_TEMPLATE("a packet is as it was inserted", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  const PacketId id = MakeId(0, 1);
  CHECK_FALSE(adapter.store().packets().FindPacket(kShard, id)->has_value());
  Commit(adapter.store(), [&](Batch& batch) {
    adapter.store().packets().InsertPacket(batch, kShard, MakePacket(id));
    CHECK(batch.records() == 3);  // header, status, expiry key
  });
  adapter.Restart();
  CHECK_FALSE(adapter.store().packets().FindPacket(kOtherShard, id)->has_value());
  CHECK_FALSE(adapter.store().packets().FindPacket(kShard, MakeId(0, 2))->has_value());
  const auto found = *adapter.store().packets().FindPacket(kShard, id);
  REQUIRE(found.has_value());
  const model::Packet wanted = MakePacket(id);
  CHECK(found->header.id == id);
  CHECK(found->header.terms.kind == wanted.header.terms.kind);
  CHECK(found->header.terms.conversation == wanted.header.terms.conversation);
  CHECK(found->header.terms.sender == wanted.header.terms.sender);
  CHECK(found->header.terms.request_id == wanted.header.terms.request_id);
  CHECK(found->header.terms.named == wanted.header.terms.named);
  CHECK(found->header.terms.total_fen == wanted.header.terms.total_fen);
  CHECK(found->header.terms.shares == wanted.header.terms.shares);
  CHECK(found->header.terms.share_cap_fen == wanted.header.terms.share_cap_fen);
  CHECK(found->header.terms.greeting == wanted.header.terms.greeting);
  CHECK(found->header.created_ms == wanted.header.created_ms);
  CHECK(found->header.expires_ms == wanted.header.expires_ms);
  CHECK(found->header.split_version == wanted.header.split_version);
  CHECK(found->header.secret_number == wanted.header.secret_number);
  CHECK(found->status.state == PacketState::kCreated);
  CHECK(found->status.left == 100);
  CHECK(found->status.left_fen == 20'000);
}

TEST_CASE_TEMPLATE("a status is as it was last put, and many in a batch cost one record", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  model::Packet packet = MakePacket(MakeId(0, 1));
  Insert(adapter.store(), packet);
  Commit(adapter.store(), [&](Batch& batch) {
    for (int32_t left = 99; left >= 40; --left) {
      packet.status.state = PacketState::kOpen;
      packet.status.left = left;
      packet.status.left_fen = left * 200;
      adapter.store().packets().PutStatus(batch, kShard, packet.header, packet.status);
    }
    CHECK(batch.records() == 1);
  });
  packet.status = {
      PacketState::kExpired, 40, 0, 8'000, 1'790'086'400'001, 17, 900, true, 8'000, true};
  adapter.Restart();
  CHECK((*adapter.store().packets().FindPacket(kShard, packet.header.id))->status.left == 40);
  CHECK_FALSE((*adapter.store().packets().FindPacket(kShard, packet.header.id))->status.announced);
  Put(adapter.store(), packet);
  adapter.Restart();
  const auto found = *adapter.store().packets().FindPacket(kShard, packet.header.id);
  REQUIRE(found.has_value());
  CHECK(found->status.state == PacketState::kExpired);
  CHECK(found->status.left == 40);
  CHECK(found->status.left_fen == 0);
  CHECK(found->status.refund_fen == 8'000);
  CHECK(found->status.closed_ms == 1'790'086'400'001);
  CHECK(found->status.best_ordinal == 17);
  CHECK(found->status.best_fen == 900);
  CHECK(found->status.quarantined);
  CHECK(found->status.held_fen == 8'000);
  CHECK(found->status.announced);
  CHECK(found->header.terms.total_fen == 20'000);
}

TEST_CASE_TEMPLATE("a status of the batch that inserts the packet is the packet's", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  model::Packet packet = MakePacket(MakeId(0, 1), 500);
  Commit(adapter.store(), [&](Batch& batch) {
    adapter.store().packets().InsertPacket(batch, kShard, packet);
    packet.status.state = PacketState::kRefused;
    packet.status.refund_fen = 20'000;
    adapter.store().packets().PutStatus(batch, kShard, packet.header, packet.status);
  });
  CHECK((*adapter.store().packets().FindPacket(kShard, packet.header.id))->status.state ==
        PacketState::kRefused);
  CHECK(DueIds(adapter.store(), {}, 1000).empty());
}

TEST_CASE_TEMPLATE("claims are found by user and listed by ordinal", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  const PacketId id = MakeId(0, 1);
  Commit(adapter.store(), [&](Batch& batch) {
    PacketStore& packets = adapter.store().packets();
    for (int32_t ordinal = 1; ordinal <= 300; ++ordinal) {
      packets.InsertClaim(
          batch, kShard, id,
          {UserId(1000 - ordinal), ordinal, 100 + ordinal, 1'790'000'000'000 + ordinal, 7});
    }
    packets.InsertClaim(batch, kShard, MakeId(0, 2), {UserId(5), 1, 9, 9, 9});
    packets.InsertClaim(batch, kOtherShard, id, {UserId(5), 1, 9, 9, 9});
    CHECK(batch.records() == 302);
  });
  adapter.Restart();
  PacketStore& packets = adapter.store().packets();
  const auto claim = *packets.FindClaim(kShard, id, UserId(998));
  REQUIRE(claim.has_value());
  CHECK(claim->user == UserId(998));
  CHECK(claim->ordinal == 2);
  CHECK(claim->amount_fen == 102);
  CHECK(claim->time_ms == 1'790'000'000'002);
  CHECK(claim->member_version == 7);
  CHECK_FALSE(packets.FindClaim(kShard, id, UserId(5))->has_value());
  const auto claims = *packets.ListClaims(kShard, id);
  REQUIRE(claims.size() == 300);
  for (int32_t i = 0; i < 300; ++i) {
    CHECK(claims[static_cast<size_t>(i)].ordinal == i + 1);
    CHECK(claims[static_cast<size_t>(i)].user == UserId(999 - i));
  }
  CHECK(packets.ListClaims(kShard, MakeId(0, 3))->empty());
}

TEST_CASE_TEMPLATE("packets fall due in order of expiry, and closed ones never again", Adapter,
                   MONEY_ADAPTERS) {
  Adapter adapter;
  MoneyStore& store = adapter.store();
  Insert(store, MakePacket(MakeId(0, 3), 300));
  Insert(store, MakePacket(MakeId(0, 1), 300));
  Insert(store, MakePacket(MakeId(1, 2), 256));
  Insert(store, MakePacket(MakeId(0, 4), 255));
  Insert(store, MakePacket(MakeId(0, 5), 10), kOtherShard);
  CHECK(DueIds(store, {}, 254).empty());
  CHECK(DueIds(store, {}, 255) == std::vector<int64_t>{4});
  CHECK(DueIds(store, {}, 1000) == std::vector<int64_t>{4, 2, 1, 3});
  CHECK(DueIds(store, {}, 1000, 2) == std::vector<int64_t>{4, 2});
  CHECK(DueIds(store, {256, MakeId(1, 2)}, 1000) == std::vector<int64_t>{1, 3});
  CHECK(DueIds(store, {300, MakeId(0, 1)}, 1000) == std::vector<int64_t>{3});

  model::Packet closed = MakePacket(MakeId(1, 2), 256);
  closed.status.state = PacketState::kOpen;
  Put(store, closed);
  CHECK(DueIds(store, {}, 256) == std::vector<int64_t>{4, 2});
  closed.status.state = PacketState::kExpired;
  Put(store, closed);
  adapter.Restart();
  CHECK(DueIds(adapter.store(), {}, 1000) == std::vector<int64_t>{4, 1, 3});
}

TEST_CASE_TEMPLATE("packets are listed by id, days in order, and over the wrap of their slots",
                   Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  MoneyStore& store = adapter.store();
  // 40 days: the slots of the first eight are used twice.
  for (int64_t day = 39; day >= 0; --day) {
    Insert(store, MakePacket(MakeId(day, 2)));
    Insert(store, MakePacket(MakeId(day, 1)));
  }
  Insert(store, MakePacket(MakeId(0, 9)), kOtherShard);
  const auto list = [&](PacketId after, size_t limit) {
    std::vector<PacketId> ids;
    const auto packets = store.packets().ListPackets(kShard, after, limit);
    for (const auto& packet : *packets) ids.push_back(packet.header.id);
    return ids;
  };
  std::vector<PacketId> all;
  for (int64_t day = 0; day < 40; ++day) {
    all.push_back(MakeId(day, 1));
    all.push_back(MakeId(day, 2));
  }
  CHECK(list(PacketId(0), 1000) == all);
  // In pages, as the audit and the archive walk.
  std::vector<PacketId> paged;
  for (PacketId after(0);;) {
    const auto page = list(after, 7);
    if (page.empty()) break;
    paged.insert(paged.end(), page.begin(), page.end());
    after = page.back();
  }
  CHECK(paged == all);
  CHECK(list(MakeId(31, 2), 1) == std::vector<PacketId>{MakeId(32, 1)});
  CHECK(list(MakeId(39, 2), 1).empty());
  CHECK(store.packets().FindPacket(kShard, MakeId(33, 1))->has_value());
}

TEST_CASE_TEMPLATE("quarantined packets are found", Adapter, MONEY_ADAPTERS) {
  Adapter adapter;
  MoneyStore& store = adapter.store();
  for (int64_t number = 1; number <= 4; ++number) {
    Insert(store, MakePacket(MakeId(number, number)));
  }
  const auto set = [&](int64_t number, bool quarantined) {
    model::Packet packet = MakePacket(MakeId(number, number));
    packet.status.quarantined = quarantined;
    Put(store, packet);
  };
  CHECK(store.packets().ListQuarantined(kShard, 10)->empty());
  set(3, true);
  set(2, true);
  CHECK(*store.packets().ListQuarantined(kShard, 10) ==
        std::vector<PacketId>{MakeId(2, 2), MakeId(3, 3)});
  CHECK(store.packets().ListQuarantined(kShard, 1)->size() == 1);
  CHECK(store.packets().ListQuarantined(kOtherShard, 10)->empty());
  set(2, false);
  CHECK(*store.packets().ListQuarantined(kShard, 10) == std::vector<PacketId>{MakeId(3, 3)});
}

}  // namespace hongyan::storage
