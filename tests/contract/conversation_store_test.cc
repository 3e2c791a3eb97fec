#include "adapters.h"
#include "model/reason.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

using model::ConversationId;
using model::ConvSeq;
using model::GroupId;
using model::UserId;

const ConversationId kAnnaBert = ConversationId::Direct(UserId(41), UserId(42));

model::RequestId MakeRequestId(int64_t created_ms, uint8_t tail) {
  model::RequestId id;
  for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(created_ms >> (40 - 8 * i));
  id.bytes[6] = 0x70;
  id.bytes[15] = tail;
  return id;
}

model::Message MakeMessage(int64_t seq, const std::string& body) {
  model::Message message;
  message.seq = ConvSeq(seq);
  message.sender = UserId(41);
  message.kind = model::BodyKind::kText;
  message.time_ms = 1'790'000'000'000 + seq;
  message.ordinal = seq;
  message.client_msg_id = MakeRequestId(message.time_ms, static_cast<uint8_t>(seq));
  message.body = body;
  return message;
}

bool Same(const model::Message& a, const model::Message& b) {
  return a.seq == b.seq && a.sender == b.sender && a.kind == b.kind && a.time_ms == b.time_ms &&
         a.ordinal == b.ordinal && a.client_msg_id == b.client_msg_id && a.recalled == b.recalled &&
         a.body == b.body;
}

// Commits messages first..last with bodies of `bytes` bytes.
void Fill(MessageStore& store, ConversationId conversation, int64_t first, int64_t last,
          size_t bytes = 10) {
  Commit(store, [&](Batch& batch) {
    for (int64_t seq = first; seq <= last; ++seq) {
      store.conversations().AppendMessage(
          batch, conversation, MakeMessage(seq, std::string(bytes, static_cast<char>(seq))), 7);
    }
  });
}

std::vector<int64_t> SeqsOf(const std::vector<model::Message>& messages) {
  std::vector<int64_t> seqs;
  for (const model::Message& message : messages) seqs.push_back(message.seq.value);
  return seqs;
}

}  // namespace

TEST_CASE_TEMPLATE("a message is read back as it was stored, any bytes in its body", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  ConversationStore& conversations = adapter.store().conversations();
  model::Message plain = MakeMessage(1, std::string("\0\xff\x80 body", 8));
  model::Message odd = MakeMessage(2, "");
  odd.recalled = true;
  odd.kind = model::BodyKind::kSystem;
  odd.client_msg_id = {};
  odd.sender = UserId(INT64_MAX);
  odd.time_ms = INT64_MAX;
  odd.ordinal = 0;
  Commit(adapter.store(), [&](Batch& batch) {
    conversations.AppendMessage(batch, kAnnaBert, plain, 1);
    conversations.AppendMessage(batch, kAnnaBert, odd, 2);
  });
  for (const Reach reach : {Reach::kMemory, Reach::kDisk}) {
    const std::vector<ConversationStore::MessageKey> keys = {
        {kAnnaBert, ConvSeq(2)}, {kAnnaBert, ConvSeq(3)}, {kAnnaBert, ConvSeq(1)}};
    const auto found = *conversations.ReadMessages(keys, reach);
    REQUIRE(found.size() == 3);
    CHECK(Same(*found[0], odd));
    CHECK_FALSE(found[1].has_value());
    CHECK(Same(*found[2], plain));
  }
  CHECK(conversations.ReadMessages({}, Reach::kDisk)->empty());
}

TEST_CASE_TEMPLATE("a message costs a body and a receipt, one without a client id only a body",
                   Adapter, ADAPTERS) {
  Adapter adapter;
  auto batch = adapter.store().NewBatch();
  CHECK(batch->records() == 0);
  model::Message message = MakeMessage(1, std::string(1000, 'x'));
  adapter.store().conversations().AppendMessage(*batch, kAnnaBert, message, 1);
  CHECK(batch->records() == 2);
  CHECK(batch->bytes() >= 1000);
  CHECK(batch->bytes() < 1400);
  message.seq = ConvSeq(2);
  message.client_msg_id = {};
  adapter.store().conversations().AppendMessage(*batch, kAnnaBert, message, 1);
  CHECK(batch->records() == 3);
}

TEST_CASE_TEMPLATE("the last message of a conversation comes without its body", Adapter, ADAPTERS) {
  Adapter adapter;
  ConversationStore& conversations = adapter.store().conversations();
  CHECK_FALSE(conversations.LastMessage(kAnnaBert)->has_value());
  // Neighbours on both sides, so that a bound that is off by one finds theirs.
  Fill(adapter.store(), ConversationId::Direct(UserId(41), UserId(41)), 1, 900);
  Fill(adapter.store(), ConversationId::Direct(UserId(41), UserId(43)), 1, 3);
  CHECK_FALSE(conversations.LastMessage(kAnnaBert)->has_value());
  Fill(adapter.store(), kAnnaBert, 1, 300);

  model::Message expected = MakeMessage(300, "");
  CHECK(Same(**conversations.LastMessage(kAnnaBert), expected));
  adapter.Restart();
  CHECK(Same(**adapter.store().conversations().LastMessage(kAnnaBert), expected));
}

TEST_CASE_TEMPLATE("a range of messages is read from either end, inside its bounds", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  ConversationStore& conversations = adapter.store().conversations();
  Fill(adapter.store(), ConversationId::Direct(UserId(41), UserId(41)), 1, 3);
  Fill(adapter.store(), ConversationId::Direct(UserId(41), UserId(43)), 1, 3);
  Fill(adapter.store(), kAnnaBert, 254, 258);
  struct Range {
    int64_t first, last;
    size_t limit, max_bytes;
    std::vector<int64_t> oldest_first, newest_first;
    bool more = false;
  };
  const Range ranges[] = {
      {1, INT64_MAX, 100, 1 << 20, {254, 255, 256, 257, 258}, {258, 257, 256, 255, 254}},
      {255, 257, 100, 1 << 20, {255, 256, 257}, {257, 256, 255}},
      {0, 255, 100, 1 << 20, {254, 255}, {255, 254}},
      {254, 258, 2, 1 << 20, {254, 255}, {258, 257}, true},
      {254, 258, 5, 50, {254, 255, 256, 257, 258}, {258, 257, 256, 255, 254}},
      {254, 258, 100, 29, {254, 255}, {258, 257}, true},
      {254, 258, 100, 30, {254, 255, 256}, {258, 257, 256}, true},
      {254, 258, 100, 1, {254}, {258}, true},  // one always fits
      {259, 300, 100, 1 << 20, {}, {}},
      {257, 256, 100, 1 << 20, {}, {}},
  };
  for (const Range& range : ranges) {
    CAPTURE(range.first);
    CAPTURE(range.max_bytes);
    const auto read = [&](ConversationStore::Order order) {
      return *conversations.ReadRange(kAnnaBert, ConvSeq(range.first), ConvSeq(range.last), order,
                                      range.limit, range.max_bytes, Reach::kMemory);
    };
    const auto up = read(ConversationStore::Order::kOldestFirst);
    CHECK(SeqsOf(up.messages) == range.oldest_first);
    CHECK(up.more == range.more);
    const auto down = read(ConversationStore::Order::kNewestFirst);
    CHECK(SeqsOf(down.messages) == range.newest_first);
    CHECK(down.more == range.more);
  }
}

TEST_CASE_TEMPLATE("a range is read across numbers that were never given", Adapter, ADAPTERS) {
  Adapter adapter;
  ConversationStore& conversations = adapter.store().conversations();
  constexpr int64_t kSecond = int64_t{1} << model::kGenerationShift;
  Fill(adapter.store(), kAnnaBert, 1, 3);
  Fill(adapter.store(), kAnnaBert, kSecond + 1, kSecond + 2);
  const auto read = [&](ConvSeq first, ConvSeq last, ConversationStore::Order order) {
    const auto range =
        *conversations.ReadRange(kAnnaBert, first, last, order, 4, 1 << 20, Reach::kMemory);
    CHECK(range.more);
    return SeqsOf(range.messages);
  };
  CHECK(read(ConvSeq(1), ConvSeq(INT64_MAX), ConversationStore::Order::kOldestFirst) ==
        std::vector<int64_t>{1, 2, 3, kSecond + 1});
  CHECK(read(ConvSeq(1), ConvSeq(kSecond + 2), ConversationStore::Order::kNewestFirst) ==
        std::vector<int64_t>{kSecond + 2, kSecond + 1, 3, 2});
}

TEST_CASE_TEMPLATE("a receipt is found by conversation, sender and client id, all three", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  ConversationStore& conversations = adapter.store().conversations();
  const model::Message message = MakeMessage(5, "hello");
  Commit(adapter.store(), [&](Batch& batch) {
    conversations.AppendMessage(batch, kAnnaBert, message, 0xfedc'ba98'7654'3210);
  });
  const auto receipt = *conversations.FindReceipt(kAnnaBert, message.sender, message.client_msg_id);
  REQUIRE(receipt.has_value());
  CHECK(receipt->seq == message.seq);
  CHECK(receipt->time_ms == message.time_ms);
  CHECK(receipt->body_hash == 0xfedc'ba98'7654'3210);

  const auto group = ConversationId::Group(GroupId(42));
  const auto other = MakeRequestId(message.time_ms, 99);
  CHECK_FALSE(conversations.FindReceipt(group, message.sender, message.client_msg_id)->has_value());
  CHECK_FALSE(conversations.FindReceipt(kAnnaBert, UserId(42), message.client_msg_id)->has_value());
  CHECK_FALSE(conversations.FindReceipt(kAnnaBert, message.sender, other)->has_value());
}

TEST_CASE_TEMPLATE("a group and its members are stored whole and listed in pages", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  ConversationStore& conversations = adapter.store().conversations();
  model::Group group;
  group.id = GroupId(77);
  group.state = model::GroupState::kCreating;
  group.owner = UserId(41);
  group.name = "walkers";
  group.created_ms = 123;
  group.created_by = MakeRequestId(5, 6);
  group.version = 8;
  group.member_count = {1, 0, 2, 300};
  model::Member gone;
  gone.user = UserId(256);
  gone.role = model::Role::kNone;
  gone.joined_ms = 4;
  gone.muted_until_ms = 5;
  gone.read_ordinal = 6;
  gone.visible = {{ConvSeq(1), ConvSeq(4)}, {ConvSeq(9), ConvSeq(0)}};
  const std::vector<int64_t> users = {1, 255, 256, 70'000, INT64_MAX};
  Commit(adapter.store(), [&](Batch& batch) {
    conversations.PutGroup(batch, group);
    for (const int64_t user : users) {
      model::Member member;
      member.user = UserId(user);
      member.role = model::Role::kMember;
      conversations.PutMember(batch, group.id, user == 256 ? gone : member);
      conversations.PutMember(batch, GroupId(76), member);
      conversations.PutMember(batch, GroupId(78), member);
    }
  });
  adapter.Restart();
  ConversationStore& after_restart = adapter.store().conversations();

  const auto found = **after_restart.FindGroup(group.id, Reach::kDisk);
  CHECK(found.state == group.state);
  CHECK(found.owner == group.owner);
  CHECK(found.name == group.name);
  CHECK(found.created_ms == group.created_ms);
  CHECK(found.created_by == group.created_by);
  CHECK(found.version == group.version);
  CHECK(found.member_count == group.member_count);
  CHECK_FALSE(after_restart.FindGroup(GroupId(79), Reach::kDisk)->has_value());

  const auto member = **after_restart.FindMember(group.id, gone.user, Reach::kDisk);
  CHECK(member.role == gone.role);
  CHECK(member.joined_ms == gone.joined_ms);
  CHECK(member.muted_until_ms == gone.muted_until_ms);
  CHECK(member.read_ordinal == gone.read_ordinal);
  REQUIRE(member.visible.size() == 2);
  CHECK(member.visible[0].to == ConvSeq(4));
  CHECK(member.visible[1].from == ConvSeq(9));
  CHECK_FALSE(after_restart.FindMember(group.id, UserId(2), Reach::kDisk)->has_value());

  std::vector<int64_t> listed;
  UserId after;
  for (auto page = *after_restart.ListMembers(group.id, after, 2); !page.empty();
       page = *after_restart.ListMembers(group.id, after, 2)) {
    CHECK(page.size() <= 2);
    for (const model::Member& row : page) listed.push_back(row.user.value);
    after = page.back().user;
  }
  CHECK(listed == users);
}

TEST_CASE_TEMPLATE("a group and a member that were read before are as the last commit left them",
                   Adapter, ADAPTERS) {
  Adapter adapter;
  model::Group group;
  group.id = GroupId(77);
  group.state = model::GroupState::kActive;
  model::Member member;
  member.user = UserId(1);
  for (group.version = 1; group.version < 4; ++group.version) {
    member.muted_until_ms = 10 * group.version;
    Commit(adapter.store(), [&](Batch& batch) {
      adapter.store().conversations().PutGroup(batch, group);
      adapter.store().conversations().PutMember(batch, group.id, member);
    });
    if (group.version == 2) adapter.Restart();
    const ConversationStore& conversations = adapter.store().conversations();
    for (const Reach reach : {Reach::kDisk, Reach::kMemory}) {
      CHECK((*conversations.FindGroup(group.id, reach))->version == group.version);
      CHECK((*conversations.FindMember(group.id, member.user, reach))->muted_until_ms ==
            10 * group.version);
    }
  }
}

TEST_CASE("an expired receipt falls out in compaction, a younger one and every body stay") {
  constexpr int64_t kDayMs = 24 * 60 * 60 * 1000;
  RocksdbAdapter adapter;
  ConversationStore& conversations = adapter.store().conversations();
  const int64_t now_ms = adapter.clock().WallMs();
  model::Message old_message = MakeMessage(1, "old");
  old_message.client_msg_id = MakeRequestId(now_ms - 8 * kDayMs - 1, 1);
  model::Message young = MakeMessage(2, "young");
  young.client_msg_id = MakeRequestId(now_ms - 8 * kDayMs + 60'000, 2);
  const auto commit_at = [&](int64_t time_ms, int64_t number) {
    Commit(adapter.store(), [&](Batch& batch) {
      ShardHead head;
      head.batch = number;
      head.time_ms = time_ms;
      adapter.store().channels().PutHead(batch, 0, head);
      if (number > 1) return;
      conversations.AppendMessage(batch, kAnnaBert, old_message, 1);
      conversations.AppendMessage(batch, kAnnaBert, young, 1);
    });
  };
  const auto remembers = [&](const model::Message& message) {
    return conversations.FindReceipt(kAnnaBert, message.sender, message.client_msg_id)->has_value();
  };

  // The shard time must say so too: a wall clock that leaps ahead expires nothing.
  commit_at(now_ms - kDayMs, 1);
  REQUIRE(adapter.rocksdb_store().Compact().ok());
  CHECK(remembers(old_message));
  CHECK(remembers(young));

  commit_at(now_ms, 2);
  REQUIRE(adapter.rocksdb_store().Compact().ok());
  CHECK_FALSE(remembers(old_message));
  CHECK(remembers(young));

  // And a shard time that leaps ahead of the wall clock neither.
  commit_at(now_ms + 30 * kDayMs, 3);
  REQUIRE(adapter.rocksdb_store().Compact().ok());
  CHECK(remembers(young));
  CHECK((*conversations.LastMessage(kAnnaBert))->seq == ConvSeq(2));
}

TEST_CASE("a read that would need the disk says so to those who ask memory only") {
  RocksdbAdapter adapter;
  Fill(adapter.store(), kAnnaBert, 1, 50, 2000);
  REQUIRE(adapter.rocksdb_store().Compact().ok());
  adapter.Restart();  // nothing is in memory now
  ConversationStore& conversations = adapter.store().conversations();
  const std::vector<ConversationStore::MessageKey> keys = {{kAnnaBert, ConvSeq(20)}};

  const auto in_memory = conversations.ReadMessages(keys, Reach::kMemory);
  REQUIRE_FALSE(in_memory.ok());
  CHECK(in_memory.error().code == base::Code::kUnavailable);
  CHECK(in_memory.error().reason == static_cast<uint16_t>(model::Reason::kNone));
  for (const auto order :
       {ConversationStore::Order::kOldestFirst, ConversationStore::Order::kNewestFirst}) {
    const auto range = conversations.ReadRange(kAnnaBert, ConvSeq(20), ConvSeq(21), order, 10,
                                               10'000, Reach::kMemory);
    REQUIRE_FALSE(range.ok());
    CHECK(range.error().code == base::Code::kUnavailable);
  }

  CHECK((*conversations.ReadMessages(keys, Reach::kDisk))[0].has_value());
  CHECK((*conversations.ReadMessages(keys, Reach::kMemory))[0].has_value());
}

}  // namespace hongyan::storage
