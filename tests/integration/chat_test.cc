#include <map>
#include <set>
#include <string>
#include <vector>

#include "raw_client.h"
#include "tests/doctest_last.h"

namespace hongyan::integration {
namespace {

struct TwoUsers {
  SpawnedServer server;
  Account anna = NewUser(server, "anna");
  Account bert = NewUser(server, "bert");
};

std::string TextOf(const v1::Message& message) {
  v1::Body body;
  body.ParseFromString(message.body());
  return body.text().text();
}

TEST_CASE_FIXTURE(TwoUsers, "send, ack, notify, sync: a message reaches the other user") {
  RawClient a(server);
  RawClient b(server);
  Enter(a, anna);
  Enter(b, bert);
  const std::string id = NewRequestId();
  const auto sent = a.SendText(Direct(anna.id, bert.id), "hello", id);
  REQUIRE(sent.ok);
  CHECK(sent.reply.conv_seq() == 1);

  const int64_t head = b.Notified();
  const auto pulled = b.Sync(0);
  REQUIRE(pulled.entries_size() == 1);
  CHECK(pulled.head() == head);
  CHECK(pulled.entries(0).seq() == head);
  CHECK(pulled.entries(0).kind() == v1::ENTRY_MESSAGE);
  CHECK(pulled.entries(0).conv_seq() == 1);
  CHECK(pulled.entries(0).client_msg_id().empty());  // not the receiver's own
  CHECK(pulled.entries(0).message().sender() == anna.id);
  CHECK(pulled.entries(0).message().body() == TextBody("hello"));
  CHECK(b.Heartbeat() == head);
  CHECK(b.Sync(head).entries_size() == 0);

  // The sender's own copy carries its id, so that it knows after a crash what was accepted.
  const auto own = a.Sync(0);
  REQUIRE(own.entries_size() == 1);
  CHECK(own.entries(0).client_msg_id() == id);
}

TEST_CASE_FIXTURE(TwoUsers, "the device that sent gets no notify, the user's other device does") {
  server.AdminOk({"user", "passwd", "anna", "--password-file", "-"}, "pw\n");
  RawClient phone(server);
  Enter(phone, anna);
  RawClient desktop(server);
  desktop.Hello();
  REQUIRE(desktop.LogIn("anna", "pw", Device(9)).ok);
  REQUIRE(phone.SendText(Direct(anna.id, bert.id), "from the phone").ok);
  const int64_t head = desktop.Notified();
  // A heartbeat's answer comes after any notify that was due before it: the phone's first frame is
  // that answer.
  CHECK(phone.Heartbeat() == head);
  CHECK_FALSE(phone.Readable(0));
  CHECK(TextOf(desktop.Sync(0).entries(0).message()) == "from the phone");
}

TEST_CASE_FIXTURE(TwoUsers,
                  "a repeated send has one answer and one message; other bytes conflict") {
  RawClient a(server);
  Enter(a, anna);
  const auto to = Direct(anna.id, bert.id);
  const std::string id = NewRequestId();
  const auto first = a.SendText(to, "once", id);
  const auto again = a.SendText(to, "once", id);
  REQUIRE(first.ok);
  REQUIRE(again.ok);
  CHECK(first.reply.conv_seq() == again.reply.conv_seq());
  CHECK(first.reply.time_ms() == again.reply.time_ms());
  CHECK(a.SendText(to, "other", id).error.reason() == v1::CONFLICT);
  CHECK(a.Sync(0).entries_size() == 1);
}

TEST_CASE_FIXTURE(TwoUsers, "a burst to one device costs one notify until it syncs") {
  RawClient a(server);
  RawClient b(server);
  Enter(a, anna);
  Enter(b, bert);
  const auto to = Direct(anna.id, bert.id);
  for (int i = 0; i < 20; ++i) REQUIRE(a.SendText(to, std::to_string(i)).ok);
  b.Notified();
  // All twenty are committed and only one notify has come: a heartbeat's answer is the next frame.
  CHECK(b.Heartbeat() == b.Sync(0).head());
  CHECK_FALSE(b.Readable(0));
  const auto pulled = b.Sync(0);
  REQUIRE(pulled.entries_size() == 20);
  for (int i = 0; i < 20; ++i) CHECK(TextOf(pulled.entries(i).message()) == std::to_string(i));
}

TEST_CASE_FIXTURE(TwoUsers, "two hundred sends on their way at once are all answered") {
  RawClient a(server);
  Enter(a, anna);
  std::set<uint32_t> ids;
  for (int i = 0; i < 200; ++i) {
    v1::SendMessage send;
    *send.mutable_conversation() = Direct(anna.id, bert.id);
    send.set_client_msg_id(NewRequestId());
    send.set_body(TextBody(std::to_string(i)));
    ids.insert(a.Send(v1::SEND_MESSAGE, send));
  }
  std::set<int64_t> seqs;
  while (!ids.empty()) {
    const auto frame = a.Next();
    REQUIRE(frame.has_value());
    const auto answer = RawClient::Decode<v1::SendMessageReply>(*frame);
    REQUIRE(answer.ok);
    CHECK(ids.erase(frame->header.request_id) == 1);
    seqs.insert(answer.reply.conv_seq());
  }
  CHECK(seqs.size() == 200);
  CHECK(*seqs.rbegin() == 200);
}

TEST_CASE_FIXTURE(TwoUsers, "what is offline is pulled at the next login, in pages") {
  {
    RawClient a(server);
    Enter(a, anna);
    for (int i = 0; i < 250; ++i) {
      REQUIRE(a.SendText(Direct(anna.id, bert.id), std::to_string(i)).ok);
    }
  }
  RawClient b(server);
  const auto login = Enter(b, bert);
  CHECK(login.head() == 250);
  int64_t cursor = 0;
  int next = 0;
  while (cursor < login.head()) {
    const auto page = b.Sync(cursor);
    REQUIRE(page.entries_size() > 0);
    CHECK(page.entries_size() <= 100);
    for (const auto& entry : page.entries()) {
      CHECK(entry.seq() == cursor + 1);
      cursor = entry.seq();
      CHECK(TextOf(entry.message()) == std::to_string(next++));
    }
    CHECK(page.more() == (cursor < login.head()));
  }
  CHECK(next == 250);
}

TEST_CASE_FIXTURE(TwoUsers, "a reply is bounded by its bytes, and one large entry always fits") {
  RawClient a(server);
  Enter(a, anna);
  for (int i = 0; i < 12; ++i) {
    REQUIRE(a.SendText(Direct(anna.id, bert.id), std::string(60'000, 'x')).ok);
  }
  RawClient b(server);
  Enter(b, bert);
  int64_t cursor = 0;
  int entries = 0;
  int pages = 0;
  while (cursor < 12) {
    const auto page = b.Sync(cursor);
    REQUIRE(page.entries_size() > 0);
    CHECK(page.ByteSizeLong() < (256 << 10) + 70'000);
    entries += page.entries_size();
    ++pages;
    cursor = page.entries(page.entries_size() - 1).seq();
  }
  CHECK(entries == 12);
  CHECK(pages >= 3);
}

TEST_CASE_FIXTURE(TwoUsers, "a cursor above the head is an error and changes nothing") {
  RawClient a(server);
  Enter(a, anna);
  v1::Sync sync;
  sync.set_cursor(1000);
  CHECK(a.Ask<v1::SyncReply>(v1::SYNC, sync).error.reason() == v1::CURSOR_AHEAD);
  sync.set_cursor(-1);
  CHECK(a.Ask<v1::SyncReply>(v1::SYNC, sync).error.code() == v1::INVALID_ARGUMENT);
  CHECK(a.Sync(0).entries_size() == 0);
}

TEST_CASE_FIXTURE(TwoUsers, "who does not exist cannot be written to") {
  RawClient a(server);
  Enter(a, anna);
  CHECK(a.SendText(Direct(anna.id, anna.id + 1), "x").error.reason() == v1::NO_SUCH_USER);
  CHECK(a.SendText(Direct(bert.id, bert.id), "x").error.reason() == v1::NOT_A_MEMBER);
  CHECK(a.SendText(Direct(anna.id, anna.id), "to myself").ok);
}

TEST_CASE_FIXTURE(TwoUsers, "a group: created, talked in, listed, read back, left") {
  const Account carl = NewUser(server, "carl");
  RawClient a(server);
  RawClient b(server);
  Enter(a, anna);
  Enter(b, bert);
  v1::CreateGroup create;
  create.set_request_id(NewRequestId());
  create.set_name("Team");
  create.add_members(bert.id);
  create.add_members(bert.id);  // twice is once
  const auto created = a.Ask<v1::GroupReply>(v1::CREATE_GROUP, create);
  REQUIRE(created.ok);
  const int64_t group = created.reply.group_id();
  const auto repeated = a.Ask<v1::GroupReply>(v1::CREATE_GROUP, create);
  REQUIRE(repeated.ok);
  CHECK(repeated.reply.group_id() == group);

  REQUIRE(a.SendText(Group(group), "welcome").ok);
  b.Notified();
  const auto pulled = b.Sync(0);
  REQUIRE(pulled.entries_size() >= 1);

  v1::ChangeMembers change;
  change.set_request_id(NewRequestId());
  change.set_group_id(group);
  change.add_add(carl.id);
  CHECK(b.Ask<v1::GroupReply>(v1::CHANGE_MEMBERS, change).ok);

  v1::ListMembers list;
  list.set_group_id(group);
  const auto members = b.Ask<v1::ListMembersReply>(v1::LIST_MEMBERS, list);
  REQUIRE(members.ok);
  std::map<std::string, v1::Role> roles;
  for (const auto& member : members.reply.members()) roles[member.name()] = member.role();
  CHECK(roles == std::map<std::string, v1::Role>{{"anna", v1::ROLE_OWNER},
                                                 {"bert", v1::ROLE_MEMBER},
                                                 {"carl", v1::ROLE_MEMBER}});

  v1::History history;
  *history.mutable_conversation() = Group(group);
  history.set_forward(true);
  const auto read = b.Ask<v1::HistoryReply>(v1::HISTORY, history);
  REQUIRE(read.ok);
  REQUIRE(read.reply.messages_size() == 3);
  CHECK(read.reply.messages(0).kind() == v1::BODY_SYSTEM);
  CHECK(TextOf(read.reply.messages(1)) == "welcome");

  v1::LeaveGroup leave;
  leave.set_request_id(NewRequestId());
  leave.set_group_id(group);
  CHECK(b.Ask<v1::GroupReply>(v1::LEAVE_GROUP, leave).ok);
  CHECK(b.SendText(Group(group), "too late").error.reason() == v1::NOT_A_MEMBER);
  CHECK_FALSE(b.Ask<v1::HistoryReply>(v1::HISTORY, history).ok);
  v1::GetGroup get;
  get.set_group_id(group);
  CHECK(b.Ask<v1::GetGroupReply>(v1::GET_GROUP, get).error.reason() == v1::NO_SUCH_GROUP);
  const auto mine = a.Ask<v1::ListGroupsReply>(v1::LIST_GROUPS, v1::ListGroups());
  REQUIRE(mine.ok);
  REQUIRE(mine.reply.groups_size() == 1);
  CHECK(mine.reply.groups(0).members() == 2);
}

TEST_CASE_FIXTURE(TwoUsers, "a group with somebody who does not exist is refused whole") {
  RawClient a(server);
  Enter(a, anna);
  v1::CreateGroup create;
  create.set_request_id(NewRequestId());
  create.set_name("Team");
  create.add_members(bert.id);
  create.add_members(anna.id + 1);
  CHECK(a.Ask<v1::GroupReply>(v1::CREATE_GROUP, create).error.reason() == v1::NO_SUCH_USER);
  CHECK(a.Ask<v1::ListGroupsReply>(v1::LIST_GROUPS, v1::ListGroups()).reply.groups_size() == 0);
}

v1::CreateGroup NewGroup(const std::vector<int64_t>& members) {
  v1::CreateGroup create;
  create.set_request_id(NewRequestId());
  create.set_name("Team");
  for (const int64_t member : members) create.add_members(member);
  return create;
}

TEST_CASE(
    "who is in as many groups of their own making as allowed makes no more, until one is left") {
  SpawnedServer server("[limits]\ngroups_per_user = 2\n");
  const Account anna = NewUser(server, "anna");
  RawClient a(server);
  Enter(a, anna);
  const auto create = [&a](const v1::CreateGroup& group) {
    return a.Ask<v1::GroupReply>(v1::CREATE_GROUP, group);
  };
  const auto first = create(NewGroup({}));
  const v1::CreateGroup last = NewGroup({});
  REQUIRE(first.ok);
  REQUIRE(create(last).ok);
  CHECK(create(NewGroup({})).error.reason() == v1::LIMIT_REACHED);
  CHECK(create(last).ok);  // a repeat makes no new one
  v1::LeaveGroup leave;
  leave.set_request_id(NewRequestId());
  leave.set_group_id(first.reply.group_id());
  REQUIRE(a.Ask<v1::GroupReply>(v1::LEAVE_GROUP, leave).ok);
  CHECK(create(NewGroup({})).ok);
}

TEST_CASE("creations sent all at once do not overrun the limit of groups") {
  SpawnedServer server("[limits]\ngroups_per_user = 2\n");
  const Account anna = NewUser(server, "anna");
  RawClient a(server);
  Enter(a, anna);
  std::vector<uint32_t> requests;
  for (int i = 0; i < 40; ++i) requests.push_back(a.Send(v1::CREATE_GROUP, NewGroup({})));
  int made = 0;
  for (const uint32_t id : requests) {
    const auto answer = RawClient::Decode<v1::GroupReply>(a.AnswerTo(id));
    made += answer.ok ? 1 : 0;
    if (!answer.ok) CHECK(answer.error.reason() == v1::LIMIT_REACHED);
  }
  CHECK(made == 2);
}

TEST_CASE("nobody can use up another's groups by putting them into groups") {
  SpawnedServer small("[limits]\ngroups_per_user = 2\n");
  const Account attacker = NewUser(small, "attacker");
  const Account victim = NewUser(small, "victim");
  const Account friendly = NewUser(small, "friend");
  RawClient a(small);
  Enter(a, attacker);
  RawClient f(small);
  Enter(f, friendly);
  RawClient v(small);
  Enter(v, victim);
  for (int i = 0; i < 6; ++i) {
    // Having made it, the attacker leaves: the victim owns it now.
    const auto made = a.Ask<v1::GroupReply>(v1::CREATE_GROUP, NewGroup({victim.id}));
    REQUIRE(made.ok);
    v1::LeaveGroup leave;
    leave.set_request_id(NewRequestId());
    leave.set_group_id(made.reply.group_id());
    REQUIRE(a.Ask<v1::GroupReply>(v1::LEAVE_GROUP, leave).ok);
  }
  CHECK(f.Ask<v1::GroupReply>(v1::CREATE_GROUP, NewGroup({victim.id})).ok);
  for (int i = 0; i < 3; ++i) {
    CHECK(v.Ask<v1::GroupReply>(v1::CREATE_GROUP, NewGroup({})).ok == (i < 2));
  }
}

TEST_CASE_FIXTURE(TwoUsers, "a request that names too many users is refused for that, unread") {
  RawClient a(server);
  Enter(a, anna);
  const auto group = a.Ask<v1::GroupReply>(v1::CREATE_GROUP, NewGroup({bert.id}));
  REQUIRE(group.ok);
  v1::ChangeMembers change;
  change.set_request_id(NewRequestId());
  change.set_group_id(group.reply.group_id());
  for (int64_t nobody = 1; nobody <= 201; ++nobody) change.add_add(nobody);
  CHECK(a.Ask<v1::GroupReply>(v1::CHANGE_MEMBERS, change).error.reason() == v1::LIMIT_REACHED);
  change.mutable_add()->RemoveLast();
  CHECK(a.Ask<v1::GroupReply>(v1::CHANGE_MEMBERS, change).error.reason() == v1::NO_SUCH_USER);
  // As often as a frame has room for it: one user, but nobody asks for that by mistake.
  CHECK(a.Ask<v1::GroupReply>(v1::CREATE_GROUP, NewGroup(std::vector<int64_t>(100'000, bert.id)))
            .error.reason() == v1::LIMIT_REACHED);
}

TEST_CASE_FIXTURE(TwoUsers, "users are found by name and by id") {
  RawClient a(server);
  Enter(a, anna);
  v1::FindUser find;
  find.set_name("bert");
  const auto by_name = a.Ask<v1::FindUserReply>(v1::FIND_USER, find);
  REQUIRE(by_name.ok);
  CHECK(by_name.reply.user_id() == bert.id);
  find.clear_name();
  find.set_user_id(bert.id);
  CHECK(a.Ask<v1::FindUserReply>(v1::FIND_USER, find).reply.name() == "bert");
  find.set_name("Bert");
  CHECK(a.Ask<v1::FindUserReply>(v1::FIND_USER, find).error.reason() == v1::NO_SUCH_USER);
}

TEST_CASE_FIXTURE(TwoUsers, "what was acknowledged outlives kill -9, and so do tokens and heads") {
  const auto to = Direct(anna.id, bert.id);
  for (int life = 0; life < 3; ++life) {
    RawClient a(server);
    CHECK(Enter(a, anna).head() == life * 10);
    for (int i = 0; i < 10; ++i) REQUIRE(a.SendText(to, std::to_string(life * 10 + i)).ok);
    server.Kill();
    server.Start();
  }
  RawClient b(server);
  CHECK(Enter(b, bert).head() == 30);
  const auto pulled = b.Sync(0);
  REQUIRE(pulled.entries_size() == 30);
  for (int i = 0; i < 30; ++i) CHECK(TextOf(pulled.entries(i).message()) == std::to_string(i));
}

}  // namespace
}  // namespace hongyan::integration
