#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using model::Reason;
using Texts = std::vector<std::string>;

std::string Joined(const Texts& texts) {
  std::string joined;
  for (const auto& text : texts) joined += text + " ";
  return joined;
}

std::vector<std::string> People(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("user" + std::to_string(i));
  return names;
}

}  // namespace

TEST_CASE("a 1:1 message reaches both inboxes in the order of the conversation") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(House::ConvSeq(house.Send("anna", talk, "hello")) == 1);
  CHECK(House::ConvSeq(house.Send("bert", talk, "hi")) == 2);
  CHECK(house.Inbox("anna") == Texts{"hello", "hi"});
  CHECK(house.Inbox("bert") == Texts{"hello", "hi"});
}

TEST_CASE("a full queue takes none of what is handed over, and the refused are counted") {
  House::Options options;
  options.limits.queue_commands = 4;
  House house(options);
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto hand_over = [&](int count) {
    std::vector<model::Command> commands(static_cast<size_t>(count));
    for (auto& command : commands) {
      command.shard = house.router().ShardOf(talk);
      command.body = house.MakeSend("anna", talk, "text");
    }
    return house.executor().SubmitAll(std::move(commands));
  };
  const auto refused = [&house] {
    house.executor().Tick();
    return house.executor().report().refused_busy;
  };
  CHECK(hand_over(3).ok());
  CHECK(refused() == 0);
  CHECK(hand_over(2).error().reason == static_cast<uint16_t>(Reason::kBusy));
  CHECK(refused() == 2);
  house.Run();
  CHECK(hand_over(4).ok());
  house.Run();
  CHECK(refused() == 2);
  CHECK(house.Inbox("bert").size() == 7);
}

TEST_CASE("a message to oneself is one entry") {
  House house;
  const auto notes = House::Direct(house.User("anna"), house.User("anna"));
  CHECK(house.Send("anna", notes, "buy milk").ok());
  CHECK(house.Inbox("anna") == Texts{"buy milk"});
}

TEST_CASE("only the sender's own entry carries the client message id") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto id = house.NewId();
  CHECK(house.Send("anna", talk, "hello", id).ok());
  CHECK(house.Entries("anna").front().entry.client_msg_id == id);
  CHECK(house.Entries("bert").front().entry.client_msg_id.is_zero());
}

TEST_CASE("a repeated client_msg_id returns the first answer and stores nothing") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto id = house.NewId();
  CHECK(House::ConvSeq(house.Send("anna", talk, "once", id)) == 1);
  CHECK(House::ConvSeq(house.Send("anna", talk, "two")) == 2);
  CHECK(House::ConvSeq(house.Send("anna", talk, "once", id)) == 1);
  house.Restart();
  CHECK(House::ConvSeq(house.Send("anna", talk, "once", id)) == 1);
  CHECK(house.Inbox("bert") == Texts{"once", "two"});
}

TEST_CASE("repeats inside one batch find each other") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto id = house.NewId();
  const auto shard = house.router().ShardOf(talk);
  const auto first = house.Submit(shard, house.MakeSend("anna", talk, "once", id));
  const auto second = house.Submit(shard, house.MakeSend("anna", talk, "once", id));
  house.Run();
  CHECK(House::ConvSeq(*house.Take(first)) == 1);
  CHECK(House::ConvSeq(*house.Take(second)) == 1);
  CHECK(house.Inbox("bert") == Texts{"once"});
}

TEST_CASE("the same id with another body is a conflict") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto id = house.NewId();
  CHECK(house.Send("anna", talk, "one", id).ok());
  CHECK(House::Why(house.Send("anna", talk, "another", id)) == Reason::kConflict);
  CHECK(house.Inbox("bert") == Texts{"one"});
}

TEST_CASE("the age of an id is bounded on both sides") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  constexpr int64_t kDay = 24 * 3600 * 1000;
  CHECK(house.Send("anna", talk, "nearly 7 days", house.NewId(7 * kDay - 1000)).ok());
  CHECK(House::Why(house.Send("anna", talk, "7 days", house.NewId(7 * kDay + 1000))) ==
        Reason::kStaleId);
  CHECK(house.Send("anna", talk, "4 min ahead", house.NewId(-240'000)).ok());
  CHECK(House::Why(house.Send("anna", talk, "6 min ahead", house.NewId(-360'000))) ==
        Reason::kStaleId);
  model::RequestId no_uuid = house.NewId();
  no_uuid.bytes[6] = 0x40;
  CHECK(House::Why(house.Send("anna", talk, "v4", no_uuid)) == Reason::kStaleId);
}

TEST_CASE("a repeat gets its first answer although its id has become too old for anything new") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto send_id = house.NewId();
  const auto create_id = house.NewId();
  const auto change_id = house.NewId();
  CHECK(House::ConvSeq(house.Send("anna", talk, "one", send_id)) == 1);
  const auto group = House::Group(house.Create("anna", "friends", {"bert"}, create_id));
  CHECK(house.Change("anna", group, {"carl"}, {}, change_id).ok());
  house.clock.Advance(int64_t{7} * 24 * 3600 * 1000 + 3'600'000);
  house.Run();
  CHECK(House::ConvSeq(house.Send("anna", talk, "one", send_id)) == 1);
  CHECK(House::Why(house.Send("anna", talk, "two", send_id)) == Reason::kConflict);
  CHECK(House::Group(house.Create("anna", "friends", {"bert"}, create_id)) == group);
  CHECK(house.Change("anna", group, {"carl"}, {}, change_id).ok());
  CHECK(House::Why(house.Change("anna", group, {"dora"}, {}, create_id)) == Reason::kConflict);
  CHECK(house.Inbox("bert") == Texts{"one", "*", "*"});
}

TEST_CASE("who joins again and again sees the newest hundred of its times in the group") {
  House house;
  const auto group = House::Group(house.Create("anna", "friends", {"bert"}));
  const auto talk = model::ConversationId::Group(group);
  CHECK(house.Send("anna", talk, "the first time").ok());
  for (size_t i = 0; i < model::kMaxVisibleRanges; ++i) {
    CHECK(house.Change("anna", group, {}, {"bert"}).ok());
    CHECK(house.Send("anna", talk, "while he is away").ok());
    CHECK(house.Change("anna", group, {"bert"}, {}).ok());
  }
  const auto& row = house.state->members.at({group, house.User("bert")});
  CHECK(row.visible.size() == model::kMaxVisibleRanges);
  CHECK_FALSE(row.visible.back().to);
  const conversation::Reader reader(house.store().conversations());
  conversation::Reader::HistoryQuery query;
  query.conversation = talk;
  query.limit = 1000;
  const auto page = reader.History(house.User("bert"), query, storage::Reach::kDisk);
  REQUIRE(page.ok());
  for (const auto& message : page->messages) {
    CHECK(message.seq > model::ConvSeq(2));  // the first time has fallen out
    CHECK(message.kind == model::BodyKind::kSystem);
  }
}

TEST_CASE("a send that names an unaccepted predecessor is refused") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto first = house.NewId();
  const auto second = house.NewId();
  CHECK(House::Why(house.Send("anna", talk, "2", second, first)) == Reason::kAfterNotAccepted);
  CHECK(house.Send("anna", talk, "1", first).ok());
  CHECK(house.Send("anna", talk, "2", second, first).ok());
  CHECK(house.Inbox("bert") == Texts{"1", "2"});
}

TEST_CASE("a conversation of others is closed to a sender") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(House::Why(house.Send("carl", talk, "me too")) == Reason::kNotAMember);
  CHECK(house.Inbox("anna").empty());
}

TEST_CASE("a group message is one entry per member") {
  House house;
  auto members = People(20);
  const auto created = house.Create("anna", "friends", members);
  const auto group = model::ConversationId::Group(House::Group(created));
  CHECK(House::ConvSeq(created) == 1);
  CHECK(House::ConvSeq(house.Send("user3", group, "hello all")) == 2);
  members.push_back("anna");
  for (const auto& name : members) CHECK(house.Inbox(name) == Texts{"*", "hello all"});
  CHECK(House::Why(house.Send("outsider", group, "x")) == Reason::kNotAMember);
}

TEST_CASE("joining and leaving bound what a member gets") {
  House house;
  const auto group_id = House::Group(house.Create("anna", "g", {"bert"}));
  const auto group = model::ConversationId::Group(group_id);
  CHECK(house.Send("anna", group, "before").ok());
  CHECK(house.Change("anna", group_id, {"carl"}, {}).ok());
  CHECK(house.Send("anna", group, "with carl").ok());
  CHECK(house.Change("carl", group_id, {}, {"carl"}).ok());
  CHECK(house.Send("anna", group, "after").ok());
  // The change is told to members before and after it.
  CHECK(house.Inbox("carl") == Texts{"*", "with carl", "*"});
  CHECK(house.Inbox("bert") == Texts{"*", "before", "*", "with carl", "*", "after"});
  CHECK(House::Why(house.Send("carl", group, "x")) == Reason::kNotAMember);
  // And back again.
  CHECK(house.Change("bert", group_id, {"carl"}, {}).ok());
  CHECK(house.Send("carl", group, "back").ok());
  CHECK(house.Inbox("carl") == Texts{"*", "with carl", "*", "*", "back"});

  conversation::Reader reader(house.store().conversations());
  conversation::Reader::HistoryQuery query;
  query.conversation = group;
  query.forward = true;
  auto page = reader.History(house.User("carl"), query, storage::Reach::kDisk);
  REQUIRE(page.ok());
  std::vector<int64_t> seen;
  for (const auto& message : page->messages) seen.push_back(message.seq.value);
  CHECK(seen == std::vector<int64_t>{3, 4, 5, 7, 8});
  query.forward = false;
  query.limit = 3;
  page = reader.History(house.User("carl"), query, storage::Reach::kDisk);
  seen.clear();
  for (const auto& message : page->messages) seen.push_back(message.seq.value);
  CHECK(seen == std::vector<int64_t>{8, 7, 5});
  CHECK(page->more);
}

TEST_CASE("adding a member twice and removing a stranger change nothing") {
  House house;
  const auto group_id = House::Group(house.Create("anna", "g", {"bert"}));
  CHECK(House::ConvSeq(house.Change("anna", group_id, {"bert"}, {"stranger"})) == 0);
  CHECK(house.Inbox("bert") == Texts{"*"});
  const auto id = house.NewId();
  CHECK(House::ConvSeq(house.Change("anna", group_id, {"carl"}, {}, id)) == 2);
  CHECK(House::ConvSeq(house.Change("anna", group_id, {"carl"}, {}, id)) == 2);
  CHECK(House::Why(house.Change("anna", group_id, {"dora"}, {}, id)) == Reason::kConflict);
}

TEST_CASE("a group's name cannot steer a terminal") {
  House house;
  for (const char* name : {"\x1b[2J", "a\nb", "del\x7f", "c1\xc2\x9b", "\xff", ""}) {
    CHECK(House::Why(house.Create("anna", name, {"bert"})) == Reason::kBodyInvalid);
  }
  CHECK(house.Create("anna", "wild geese \xe9\xb8\xbf", {"bert"}).ok());
}

TEST_CASE("who may change a group") {
  House house;
  const auto group_id = House::Group(house.Create("anna", "g", {"bert", "carl"}));
  CHECK(House::Why(house.Change("bert", group_id, {}, {"carl"})) == Reason::kNotAllowed);
  CHECK(House::Why(house.Change("stranger", group_id, {"stranger"}, {})) == Reason::kNoSuchGroup);
  CHECK(house.Change("bert", group_id, {"dora"}, {}).ok());
  CHECK(house.Change("anna", group_id, {}, {"carl"}).ok());
  CHECK(house.Change("", group_id, {}, {"dora"}).ok());  // the administrator
}

TEST_CASE("an owner who leaves hands the group to its longest-standing member") {
  House house;
  const auto group_id = House::Group(house.Create("anna", "g", {"bert"}));
  house.clock.Advance(1000);
  CHECK(house.Change("anna", group_id, {"carl"}, {}).ok());
  CHECK(house.Change("anna", group_id, {}, {"anna"}).ok());
  CHECK(house.Change("bert", group_id, {}, {"carl"}).ok());
  CHECK(house.Change("bert", group_id, {}, {"bert"}).ok());
  CHECK(House::Why(house.Send("bert", model::ConversationId::Group(group_id), "x")) ==
        Reason::kNotAMember);
}

TEST_CASE("a repeated creation finds itself; other content under the id is a conflict") {
  House house;
  const auto id = house.NewId();
  const auto first = house.Create("anna", "g", {"bert"}, id);
  const auto again = house.Create("anna", "g", {"bert"}, id);
  CHECK(House::Group(first) == House::Group(again));
  CHECK(House::ConvSeq(again) == 1);
  CHECK(House::Why(house.Create("anna", "g", {"carl"}, id)) == Reason::kConflict);
  CHECK(house.Inbox("bert") == Texts{"*"});
}

TEST_CASE("a large creation shows nothing and answers nothing before its last slice") {
  House::Options options;
  options.limits.batch_records = 50;
  options.group_limits.create_at_once = 10;
  House house(options);
  auto members = People(300);
  model::CreateGroup create;
  create.creator = house.User("anna");
  create.request_id = house.NewId();
  create.id = house.router().GroupIdOf(create.creator, create.request_id);
  create.name = "big";
  for (const auto& name : members) create.members.push_back(house.User(name));
  const auto shard = house.router().ShardOf(create.id);
  const auto group = model::ConversationId::Group(create.id);
  const auto ticket = house.Submit(shard, create);
  conversation::Reader reader(house.store().conversations());
  int batches_before = 0;
  while (!reader.FindGroup(create.id).ok()) {
    CHECK_FALSE(house.Take(ticket).has_value());
    CHECK(house.Inbox("user0").empty());
    const auto early = house.Submit(shard, house.MakeSend("user0", group, "early"));
    house.RunOnce();
    if (auto reply = house.Take(early); reply && !reader.FindGroup(create.id).ok()) {
      CHECK(House::Why(*reply) == Reason::kNotAMember);
    }
    REQUIRE(++batches_before < 1000);
  }
  CHECK(batches_before > 4);
  house.Run();
  CHECK(House::Group(*house.Take(ticket)) == create.id);
  CHECK(house.Send("user7", group, "hello").ok());
  for (const auto& name : members) CHECK(house.Inbox(name).back() == "hello");
  CHECK(house.Inbox("anna").front() == "*");
}

TEST_CASE("a large creation survives a crash at every batch") {
  for (int crash_after = 1; crash_after < 30; ++crash_after) {
    House::Options options;
    options.limits.batch_records = 40;
    options.group_limits.create_at_once = 10;
    House house(options);
    auto members = People(100);
    const auto id = house.NewId();
    model::CreateGroup create;
    create.creator = house.User("anna");
    create.request_id = id;
    create.id = house.router().GroupIdOf(create.creator, id);
    create.name = "big";
    for (const auto& name : members) create.members.push_back(house.User(name));
    house.Submit(house.router().ShardOf(create.id), create);
    for (int i = 0; i < crash_after; ++i) house.RunOnce();
    house.Restart();
    CHECK(House::Group(house.Create("anna", "big", members, id)) == create.id);
    CHECK(house.Send("user7", model::ConversationId::Group(create.id), "hello").ok());
    for (const auto& name : members) CHECK(house.Inbox(name) == Texts{"*", "hello"});
  }
}

TEST_CASE("fan-outs in slices lose, double and reorder nothing over crashes") {
  for (int crash_after = 1; crash_after < 24; ++crash_after) {
    House::Options options;
    options.limits.batch_records = 30;
    options.limits.shortcut_entries = 4;
    House house(options);
    const auto members = People(150);
    const auto group_id = House::Group(house.Create("anna", "g", members));
    const auto group = model::ConversationId::Group(group_id);
    const auto shard = house.router().ShardOf(group_id);
    Texts expected{"*"};
    std::vector<model::RequestId> ids;
    const auto send_all = [&] {
      for (size_t i = 0; i < 5; ++i) {
        if (ids.size() == i) ids.push_back(house.NewId());
        if (expected.size() == i + 1) expected.push_back("m" + std::to_string(i));
        house.Submit(shard,
                     house.MakeSend("user" + std::to_string(i), group, expected[i + 1], ids[i]));
      }
    };
    send_all();
    for (int i = 0; i < crash_after; ++i) house.RunOnce();
    house.Restart();
    send_all();  // as the SDK does with what was not acknowledged: the same ids, the same bytes
    house.Run();
    CAPTURE(crash_after);
    for (const auto& name : members) CHECK(Joined(house.Inbox(name)) == Joined(expected));
  }
}

TEST_CASE("a message ordinal counts what unread counts") {
  House house;
  const auto group_id = House::Group(house.Create("anna", "g", {"bert"}));
  const auto group = model::ConversationId::Group(group_id);
  CHECK(house.Send("anna", group, "one").ok());
  CHECK(house.Change("anna", group_id, {"carl"}, {}).ok());
  CHECK(house.Send("anna", group, "two").ok());
  auto messages = house.store().conversations().ReadRange(
      group, model::ConvSeq(1), model::ConvSeq(9), storage::ConversationStore::Order::kOldestFirst,
      10, 1 << 20, storage::Reach::kDisk);
  REQUIRE(messages.ok());
  std::vector<int64_t> ordinals;
  for (const auto& message : messages->messages) ordinals.push_back(message.ordinal);
  CHECK(ordinals == std::vector<int64_t>{0, 1, 1, 2});
}

TEST_CASE("message time never falls in a conversation, whatever the clock does") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.Send("anna", talk, "1").ok());
  house.clock.StepWall(-120'000);
  house.clock.Advance(10);
  CHECK(house.Send("anna", talk, "2").ok());
  house.Restart();
  CHECK(house.Send("anna", talk, "3").ok());
  const auto entries = house.Entries("bert");
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].entry.time_ms <= entries[1].entry.time_ms);
  CHECK(entries[1].entry.time_ms <= entries[2].entry.time_ms);
}

TEST_CASE("a raised generation goes on above every old number and keeps old cursors valid") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.Send("anna", talk, "1").ok());
  CHECK(house.Send("anna", talk, "2").ok());
  house.Kill();
  house.state->identity.generation += 1;
  house.Start();
  CHECK(house.Send("anna", talk, "3").ok());
  const auto entries = house.Entries("bert");
  REQUIRE(entries.size() == 3);
  CHECK(entries[1].seq.value == 2);
  CHECK(entries[2].seq.value == (int64_t{1} << 40) + 1);
}

TEST_CASE("after a raised generation no conv_seq is given twice, and history spans the gap") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const auto group_id = House::Group(house.Create("anna", "g", {"bert"}));
  const auto group = model::ConversationId::Group(group_id);
  CHECK(house.Send("anna", talk, "1").ok());
  CHECK(house.Send("anna", group, "one").ok());
  const storage::MemoryState before = *house.state;
  CHECK(House::ConvSeq(house.Send("anna", talk, "lost")) == 2);
  house.Kill();
  *house.state = before;  // what `store accept` takes: the log without its end
  house.state->identity.generation += 1;
  house.Start();

  constexpr int64_t kSecond = int64_t{1} << model::kGenerationShift;
  CHECK(House::ConvSeq(house.Send("anna", talk, "2")) == kSecond + 1);
  CHECK(House::ConvSeq(house.Send("bert", talk, "3")) == kSecond + 2);
  CHECK(House::ConvSeq(house.Send("bert", group, "two")) == kSecond + 1);
  // It may have had messages too, all of them lost.
  const auto fresh = House::Direct(house.User("anna"), house.User("carl"));
  CHECK(House::ConvSeq(house.Send("anna", fresh, "hello")) == kSecond + 1);
  CHECK(House::ConvSeq(house.Change("anna", group_id, {"carl"}, {})) == kSecond + 2);
  CHECK(house.Inbox("bert") == Texts{"*", "1", "one", "2", "3", "two", "*"});
  house.Restart();
  CHECK(House::ConvSeq(house.Send("anna", talk, "4")) == kSecond + 3);

  conversation::Reader reader(house.store().conversations());
  for (const bool forward : {false, true}) {
    std::vector<int64_t> seen;
    conversation::Reader::HistoryQuery query;
    query.conversation = talk;
    query.forward = forward;
    query.limit = 2;
    for (bool more = true; more;) {
      const auto page = reader.History(house.User("bert"), query, storage::Reach::kDisk);
      REQUIRE(page.ok());
      REQUIRE_FALSE(page->messages.empty());
      for (const auto& message : page->messages) seen.push_back(message.seq.value);
      (forward ? query.after : query.before) = page->messages.back().seq;
      more = page->more;
    }
    std::vector<int64_t> expected{1, kSecond + 1, kSecond + 2, kSecond + 3};
    if (!forward) std::reverse(expected.begin(), expected.end());
    CHECK(seen == expected);
  }
}

TEST_CASE("a page of history holds 256 KiB of bodies from either end, and at least one message") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  for (const size_t kib : {100, 100, 100, 300, 10}) {
    CHECK(house.Send("anna", talk, std::string(kib << 10, 'x')).ok());
  }
  conversation::Reader reader(house.store().conversations());
  const auto pages = [&](bool forward) {
    std::vector<size_t> sizes;
    conversation::Reader::HistoryQuery query;
    query.conversation = talk;
    query.forward = forward;
    for (bool more = true; more && sizes.size() < 9;) {
      const auto page = *reader.History(house.User("bert"), query, storage::Reach::kDisk);
      sizes.push_back(page.messages.size());
      (forward ? query.after : query.before) = page.messages.back().seq;
      more = page.more;
    }
    return sizes;
  };
  CHECK(pages(true) == std::vector<size_t>{2, 1, 1, 1});
  CHECK(pages(false) == std::vector<size_t>{1, 1, 2, 1});
}

TEST_CASE("a cursor above the head is an error, not a page") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.Send("anna", talk, "1").ok());
  inbox::Reader reader(house.store().inboxes(), house.online, 0);
  auto page = reader.ReadPage(house.User("bert"), model::Seq(2), 10, storage::Reach::kDisk);
  REQUIRE_FALSE(page.ok());
  CHECK(static_cast<Reason>(page.error().reason) == Reason::kCursorAhead);
}

TEST_CASE("a head that could not be read when a session began is published by the next read") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.Send("anna", talk, "1").ok());
  bool in_memory = false;
  house.faults.not_in_memory = [&in_memory] { return !in_memory; };
  house.Restart();
  const auto bert = house.User("bert");
  house.online.Register(bert);
  inbox::Reader reader(house.store().inboxes(), house.online, 0);
  // A loop thread asks memory only, for the floor and the last entry too.
  CHECK_FALSE(reader.Head(bert, storage::Reach::kMemory).ok());
  CHECK_FALSE(reader.ReadPage(bert, model::Seq(0), 10, storage::Reach::kMemory).ok());
  CHECK_FALSE(house.online.Head(bert).has_value());
  CHECK(reader.ReadPage(bert, model::Seq(1), 10, storage::Reach::kDisk).ok());
  CHECK(house.online.Head(bert) == model::Seq(1));
  // Nobody asks for a user without a session.
  CHECK(reader.Head(house.User("anna"), storage::Reach::kDisk).ok());
  CHECK_FALSE(house.online.Head(house.User("anna")).has_value());
}

TEST_CASE("effects are made for users with a session only, and name the device that sent") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.Send("anna", talk, "1").ok());
  CHECK(house.effects.empty());
  house.online.Register(house.User("anna"));
  model::SendMessage send = house.MakeSend("anna", talk, "2");
  send.sender_device.bytes[0] = 9;
  house.Submit(house.router().ShardOf(talk), send);
  house.Run();
  REQUIRE(house.effects.size() == 1);
  const auto& moved = std::get<model::HeadMoved>(house.effects.front());
  CHECK(moved.user == house.User("anna"));
  CHECK(moved.head.value == 2);
  CHECK(moved.first_new.value == 2);
  CHECK(moved.all_from == send.sender_device);
  CHECK(house.online.Head(house.User("anna"))->value == 2);
}

// schema/rocksdb/README.md: a 1:1 message at most 4 records where its shards commit together, at
// most 9 otherwise; per batch one head per shard touched and one mark per channel touched.
TEST_CASE("the record budget of a 1:1 message holds") {
  for (const int executors : {1, 4}) {
    House::Options options;
    options.executors = executors;
    House house(options);
    // Two people of two shards and a conversation of a third, so that nothing coincides.
    std::string anna = "anna0";
    std::string bert = "bert0";
    const auto shard_of = [&](const std::string& name) {
      return house.router().ShardOf(house.User(name));
    };
    for (int i = 0;; ++i) {
      bert = "bert" + std::to_string(i);
      const auto talk = House::Direct(house.User(anna), house.User(bert));
      const std::set<model::ShardId> shards{shard_of(anna), shard_of(bert),
                                            house.router().ShardOf(talk)};
      if (shards.size() == 3) break;
    }
    const auto talk = House::Direct(house.User(anna), house.User(bert));
    CHECK(house.Send(anna, talk, "warm").ok());
    constexpr int kMessages = 100;
    const auto before = house.store().stats();
    for (int i = 0; i < kMessages; ++i) {
      house.Submit(house.router().ShardOf(talk), house.MakeSend(anna, talk, std::to_string(i)));
    }
    house.Run();
    const auto after = house.store().stats();
    const int64_t commits = after.commits - before.commits;
    const int64_t per_batch = executors == 1 ? 3 + 2 : 3 + 2 + 2;  // heads, marks, outbox rows
    const int64_t per_message = executors == 1 ? 4 : 9;
    CHECK(commits <= 3);
    CHECK(after.records - before.records <= kMessages * per_message + commits * per_batch);
    CHECK(after.records - before.records >= kMessages * 4);
  }
}

TEST_CASE("below the disk reserve chat is refused, and goes on when there is room again") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  bool low = true;
  house.faults.below_disk_reserve = [&low] { return low; };
  house.Restart();
  const auto refused = house.Send("anna", talk, "1");
  CHECK(House::Why(refused) == Reason::kDiskReserve);
  low = false;
  CHECK(house.Send("anna", talk, "1").ok());
}

}  // namespace hongyan::testing
