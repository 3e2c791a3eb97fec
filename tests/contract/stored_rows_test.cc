#include <random>

#include "storage/rocksdb/hot_rows.h"
#include "storage/rocksdb/money_rows.h"
#include "storage/rocksdb/rows.h"
#include "tests/doctest_last.h"

// Rows as they lie in the embedded store: whatever bytes are found there, decoding ends with a
// verdict.

namespace hongyan::storage {

namespace {

std::string EntryValue(const EntryRow& row) {
  std::string value;
  AppendVarint32(&value, row.count());
  return value + row.entries();
}

model::Entry RandomEntry(std::mt19937_64& random) {
  model::Entry entry;
  entry.kind = static_cast<model::EntryKind>(random() % 5);
  entry.time_ms = static_cast<int64_t>(random() >> (random() % 64));
  // Often the conversation of the entry before.
  entry.conversation = {static_cast<int64_t>(random() % 2), static_cast<int64_t>(random() % 2)};
  entry.conv_seq = model::ConvSeq(static_cast<int64_t>(random() >> (random() % 64)));
  if (random() % 2 == 0) entry.client_msg_id.bytes[random() % 16] = 0xa5;
  if (random() % 4 == 0) {
    entry.packet = model::PacketId(1 + static_cast<int64_t>(random() >> 1));
    entry.returned_fen = static_cast<int64_t>(random() >> (1 + random() % 63));
    entry.reason = static_cast<uint8_t>(random() % 7);
  }
  return entry;
}

// Decodes as every kind of row; whether it succeeds is not the question.
void DecodeAll(const std::string& bytes) {
  std::vector<InboxStore::NumberedEntry> entries;
  model::Message message;
  model::SendReceipt receipt;
  model::User user;
  model::Device device;
  model::Group group;
  model::Member member;
  model::FollowerSlice slice;
  model::Follower follower;
  ShardHead head;
  ChannelMark mark;
  OutboxRow outbox;
  ParkedItem parked;
  StoreIdentity identity;
  MoneyIdentity money;
  model::Wallet wallet;
  model::StatementRow statement;
  model::SendOutcome send;
  model::MoveOutcome move;
  model::Books books;
  model::PacketHeader header;
  model::PacketStatus status;
  model::Claim claim;
  (void)DecodeWallet(bytes, &wallet);
  (void)DecodeStatement(bytes, &statement);
  (void)DecodeSend(bytes, &send);
  (void)DecodeMove(bytes, &move);
  (void)DecodeBooks(bytes, &books);
  (void)DecodePacket(bytes, &header);
  (void)DecodeStatus(bytes, &status);
  (void)DecodeClaim(bytes, &claim);
  (void)DecodeCells(bytes, identity, &money);
  (void)DecodeSecrets(bytes, &money);
  (void)DecodeEntryRow(bytes, model::Seq(1000), &entries);
  (void)DecodeMessage(bytes, model::ConvSeq(1), Body::kWith, &message);
  (void)DecodeReceipt(bytes, &receipt);
  (void)DecodeUser(bytes, &user);
  (void)DecodeDevice(bytes, &device);
  (void)DecodeGroup(bytes, &group);
  (void)DecodeMember(bytes, &member);
  (void)DecodeSlice(bytes, &slice);
  (void)DecodeFollower(bytes, &follower);
  (void)DecodeHead(bytes, &head);
  (void)DecodeMark(bytes, &mark);
  (void)DecodeOutboxRow(bytes, 7, &outbox);
  (void)DecodeParked(bytes, &parked);
  (void)DecodeIdentity(bytes, &identity);
}

}  // namespace

TEST_CASE("entries of a row come back as they went in, whatever their numbers") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    const int64_t first = 1 + static_cast<int64_t>(random() % 100'000);
    const auto count = static_cast<int64_t>(1 + random() % 200);
    EntryRow row{model::UserId(5)};
    std::vector<model::Entry> expected;
    for (int64_t i = 0; i < count; ++i) {
      expected.push_back(RandomEntry(random));
      CHECK(row.Append(model::Seq(first + i), expected.back()));
    }
    CHECK_FALSE(row.Append(model::Seq(first + count + 1), expected.back()));
    CHECK_FALSE(row.Append(model::Seq(first + count - 1), expected.back()));

    std::vector<InboxStore::NumberedEntry> found;
    REQUIRE(DecodeEntryRow(EntryValue(row), row.last(), &found));
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      REQUIRE(found[i].seq == model::Seq(first + static_cast<int64_t>(i)));
      REQUIRE(found[i].entry.kind == expected[i].kind);
      REQUIRE(found[i].entry.time_ms == expected[i].time_ms);
      REQUIRE(found[i].entry.conversation == expected[i].conversation);
      REQUIRE(found[i].entry.conv_seq == expected[i].conv_seq);
      REQUIRE(found[i].entry.client_msg_id == expected[i].client_msg_id);
      REQUIRE(found[i].entry.packet == expected[i].packet);
      REQUIRE(found[i].entry.returned_fen == expected[i].returned_fen);
      REQUIRE(found[i].entry.reason == expected[i].reason);
    }
  }
}

TEST_CASE("an entry row that is cut short, or too long, is broken") {
  std::mt19937_64 random(2);
  EntryRow row{model::UserId(5)};
  for (int64_t seq = 1; seq <= 20; ++seq) row.Append(model::Seq(seq), RandomEntry(random));
  const std::string good = EntryValue(row);
  std::vector<InboxStore::NumberedEntry> entries;
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(DecodeEntryRow(rocksdb::Slice(good.data(), size), row.last(), &entries));
  }
  CHECK_FALSE(DecodeEntryRow(good + "x", row.last(), &entries));
  CHECK_FALSE(DecodeEntryRow(good, model::Seq(19), &entries));  // more entries than numbers
}

TEST_CASE("a message that is cut short before its body is broken") {
  model::Message message;
  message.seq = model::ConvSeq(3);
  message.sender = model::UserId(9);
  message.kind = model::BodyKind::kCustom;
  message.time_ms = 1'790'000'000'000;
  message.ordinal = 300;
  const std::string head = EncodeMessageHead(message);
  model::Message found;
  for (size_t size = 0; size < head.size(); ++size) {
    CHECK_FALSE(DecodeMessage(rocksdb::Slice(head.data(), size), message.seq, Body::kWith, &found));
  }
  CHECK(DecodeMessage(head, message.seq, Body::kWith, &found));
  CHECK(found.ordinal == 300);
}

TEST_CASE("an outbox row whose items do not fit its numbers is broken") {
  OutboxRow row;
  row.first = 5;
  row.last = 7;
  row.items = {"a", "b", "c"};
  OutboxRow found;
  CHECK(DecodeOutboxRow(EncodeOutboxRow(row), 7, &found));
  CHECK(found.items == row.items);
  CHECK_FALSE(DecodeOutboxRow(EncodeOutboxRow(row), 8, &found));
  row.items.clear();
  CHECK_FALSE(DecodeOutboxRow(EncodeOutboxRow(row), 4, &found));
}

TEST_CASE("no bytes crash a decoder") {
  std::mt19937_64 random(3);
  std::string bytes;
  for (int round = 0; round < 20'000; ++round) {
    bytes.resize(random() % 80);
    for (char& c : bytes) c = static_cast<char>(random() % (round % 2 == 0 ? 256 : 12));
    DecodeAll(bytes);
  }
}

}  // namespace hongyan::storage
