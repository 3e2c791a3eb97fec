#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "raw_client.h"
#include "tests/doctest_last.h"

namespace hongyan::integration {
namespace {

std::string HelloPayload() {
  v1::Hello hello;
  hello.set_version(1);
  return hello.SerializeAsString();
}

TEST_CASE(
    "before login, what is out of order or no frame at all is refused, and the server goes on") {
  SpawnedServer server;
  struct Row {
    std::string what;
    std::string bytes;
  };
  const auto frame = [](uint16_t command, std::string_view payload, uint16_t flags = 0,
                        uint32_t request_id = 1) {
    std::string bytes;
    proto::FrameHeader header;
    header.command = command;
    header.flags = flags;
    header.request_id = request_id;
    proto::AppendFrame(bytes, header, payload);
    return bytes;
  };
  std::string five_loginless;
  five_loginless = frame(v1::HELLO, HelloPayload());
  for (int i = 0; i < 5; ++i) five_loginless += frame(v1::SYNC, "");
  v1::Hello old;
  const std::vector<Row> rows{
      {"an HTTP request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00", 12)},
      {"bytes of 255", std::string(1000, '\xff')},
      {"zeros", std::string(1000, '\0')},
      {"a login before Hello", frame(v1::LOGIN, "")},
      {"a sync before Hello", frame(v1::SYNC, "")},
      {"an unknown command before Hello, five times",
       frame(999, "") + frame(999, "") + frame(999, "") + frame(999, "") + frame(999, "")},
      {"a Hello of no known version", frame(v1::HELLO, old.SerializeAsString())},
      {"five requests without a login", five_loginless},
      {"an answer", frame(v1::HELLO, HelloPayload(), proto::kFlagAnswer)},
      {"a request id of 0", frame(v1::HELLO, HelloPayload(), 0, 0)},
      {"a frame larger than 4 KiB", frame(v1::HELLO, std::string(5000, 'x'))},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    RawClient client(server);
    client.SendBytes(row.bytes);
    CHECK(client.ClosedByServer());
  }
  RawClient good(server);
  good.Hello();
}

TEST_CASE("a frame too large is named before the connection ends") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  {
    RawClient client(server);
    const auto answer = RawClient::Decode<v1::HelloReply>(
        client.AnswerTo(client.SendPayload(v1::HELLO, std::string(5000, 'x'))));
    CHECK(answer.error.reason() == v1::TOO_LARGE);
    CHECK(client.ClosedByServer());
  }
  RawClient client(server);
  Enter(client, anna);
  CHECK(client.AnswerTo(client.SendPayload(v1::SYNC, std::string(100'000, '\xff')))
            .header.is_error());  // large, but allowed now: only its content is wrong
  const auto answer = RawClient::Decode<v1::SyncReply>(
      client.AnswerTo(client.SendPayload(v1::SYNC, std::string((1 << 20) + 1, 'x'))));
  CHECK(answer.error.reason() == v1::TOO_LARGE);
  CHECK(client.ClosedByServer());
}

TEST_CASE("after login, what cannot be done is answered with an error and the session goes on") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  const Account bert = NewUser(server, "bert");
  RawClient client(server);
  Enter(client, anna);
  const auto code = [&client](uint16_t command, std::string_view payload) {
    return RawClient::Decode<v1::Hello>(client.AnswerTo(client.SendPayload(command, payload)))
        .error.code();
  };
  CHECK(code(999, "") == v1::UNIMPLEMENTED);
  CHECK(code(65535, "") == v1::UNIMPLEMENTED);
  CHECK(code(v1::ADMIN, "") == v1::UNIMPLEMENTED);
  CHECK(code(v1::NOTIFY, "") == v1::UNIMPLEMENTED);
  CHECK(code(v1::HELLO, HelloPayload()) == v1::FAILED_PRECONDITION);
  CHECK(code(v1::LOGIN, "") == v1::FAILED_PRECONDITION);
  for (const uint16_t command :
       {v1::SEND_MESSAGE, v1::SYNC, v1::HISTORY, v1::FIND_USER, v1::CREATE_GROUP,
        v1::CHANGE_MEMBERS, v1::LEAVE_GROUP, v1::LIST_GROUPS, v1::GET_GROUP, v1::LIST_MEMBERS}) {
    CAPTURE(command);
    CHECK(code(command, "\xff\xff\xff") == v1::INVALID_ARGUMENT);
  }
  for (const uint16_t command : {v1::SEND_MESSAGE, v1::HISTORY, v1::FIND_USER, v1::CREATE_GROUP,
                                 v1::CHANGE_MEMBERS, v1::LEAVE_GROUP}) {
    CAPTURE(command);
    CHECK(code(command, "") == v1::INVALID_ARGUMENT);
  }
  v1::SendMessage send;
  *send.mutable_conversation() = Direct(anna.id, bert.id);
  send.set_client_msg_id(NewRequestId());
  const auto refusal = [&client](const v1::SendMessage& message) {
    return client.Ask<v1::SendMessageReply>(v1::SEND_MESSAGE, message).error.reason();
  };
  v1::Body system;
  system.mutable_system()->mutable_group_created()->set_name("forged");
  send.set_body(system.SerializeAsString());
  CHECK(refusal(send) == v1::BODY_INVALID);
  send.set_body(TextBody(std::string(70'000, 'x')));
  CHECK(refusal(send) == v1::TOO_LARGE);
  send.set_body(TextBody("fine"));
  send.set_client_msg_id(std::string(16, '\x01'));  // no UUIDv7
  CHECK(refusal(send) == v1::STALE_ID);
  send.set_client_msg_id(NewRequestId(-8 * 24 * 3600 * 1000));
  CHECK(refusal(send) == v1::STALE_ID);
  send.set_client_msg_id(NewRequestId(6 * 60 * 1000));
  CHECK(refusal(send) == v1::STALE_ID);
  send.set_client_msg_id(NewRequestId());
  send.mutable_conversation()->set_a(send.conversation().b() + 1);  // higher before lower
  CHECK(client.Ask<v1::SendMessageReply>(v1::SEND_MESSAGE, send).error.code() ==
        v1::INVALID_ARGUMENT);
  CHECK(client.Heartbeat() == 0);
}

TEST_CASE(
    "whatever bytes a logged in client sends, each request is answered and the server goes on") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  const Account bert = NewUser(server, "bert");
  const Account witness = NewUser(server, "witness");
  RawClient good(server);
  Enter(good, witness);
  RawClient client(server);
  Enter(client, anna);
  std::mt19937 random(20'260'101);  // NOLINT: the same bytes in each run
  const auto pick = [&random](size_t below) { return static_cast<size_t>(random() % below); };

  v1::SendMessage send;
  *send.mutable_conversation() = Direct(anna.id, bert.id);
  send.set_body(TextBody("some text"));
  send.set_after(NewRequestId());
  v1::CreateGroup create;
  create.set_name("name");
  create.add_members(bert.id);
  v1::History history;
  *history.mutable_conversation() = Direct(anna.id, bert.id);
  history.set_limit(7);
  v1::Sync sync;
  sync.set_cursor(3);
  for (int i = 0; i < 3000; ++i) {
    send.set_client_msg_id(NewRequestId());
    create.set_request_id(NewRequestId());
    const std::vector<std::pair<uint16_t, std::string>> seeds{
        {v1::SEND_MESSAGE, send.SerializeAsString()},
        {v1::CREATE_GROUP, create.SerializeAsString()},
        {v1::HISTORY, history.SerializeAsString()},
        {v1::SYNC, sync.SerializeAsString()},
        {v1::CHANGE_MEMBERS, create.SerializeAsString()},
        {v1::FIND_USER, create.SerializeAsString()},
        {v1::LIST_GROUPS, sync.SerializeAsString()},
        {v1::LIST_MEMBERS, sync.SerializeAsString()},
        {v1::LEAVE_GROUP, create.SerializeAsString()},
        {v1::GET_GROUP, sync.SerializeAsString()},
        {v1::HEARTBEAT, send.SerializeAsString()},
        {static_cast<uint16_t>(random() | 256), "x"}};
    auto [command, payload] = seeds[pick(seeds.size())];
    for (size_t changes = pick(4); changes > 0 && !payload.empty(); --changes) {
      switch (pick(3)) {
        case 0:
          payload[pick(payload.size())] = static_cast<char>(random());
          break;
        case 1:
          payload.resize(pick(payload.size() + 1));
          break;
        default:
          payload.insert(pick(payload.size() + 1), 1, static_cast<char>(random()));
          break;
      }
    }
    const auto answer = client.AnswerTo(client.SendPayload(command, payload));
    CHECK(answer.header.command == command);
  }
  CHECK(client.Heartbeat() >= 0);
  CHECK(good.Heartbeat() >= 0);
}

TEST_CASE("a frame may come byte by byte, and half a frame keeps nobody else waiting") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  RawClient slow(server);
  std::string bytes;
  proto::FrameHeader header;
  header.command = v1::HELLO;
  header.request_id = 1;
  proto::AppendFrame(bytes, header, HelloPayload());
  for (const char byte : bytes.substr(0, bytes.size() - 1)) slow.SendBytes({&byte, 1});
  RawClient quick(server);
  Enter(quick, anna);
  slow.SendBytes({&bytes.back(), 1});
  CHECK(slow.AnswerTo(1).header.command == v1::HELLO);
}

TEST_CASE("who says nothing, or does not log in, is closed in time") {
  SpawnedServer server("[limits]\nhello_timeout_s = 1\nlogin_timeout_s = 1\n");
  RawClient silent(server);
  RawClient greeted(server);
  greeted.Hello();
  CHECK(silent.ClosedByServer());
  CHECK(greeted.ClosedByServer());
}

TEST_CASE("who is idle for too long is told so and closed; a heartbeat is a sign of life") {
  SpawnedServer server("[limits]\nidle_timeout_s = 2\n");
  const Account anna = NewUser(server, "anna");
  const Account bert = NewUser(server, "bert");
  RawClient idle(server);
  Enter(idle, anna);
  RawClient alive(server);
  Enter(alive, bert);
  while (!idle.Readable(300)) alive.Heartbeat();
  CHECK(idle.EndedBecause(v1::END_IDLE));
  CHECK(alive.Heartbeat() == 0);
}

TEST_CASE("a flood of connections that do not log in keeps out neither sessions nor later logins") {
  SpawnedServer server("[limits]\nconnections = 300\nlogin_timeout_s = 2\nhello_timeout_s = 2\n");
  const Account anna = NewUser(server, "anna");
  RawClient before(server);
  Enter(before, anna);
  const Account bert = NewUser(server, "bert");
  std::vector<std::unique_ptr<RawClient>> flood;
  for (int i = 0; i < 200; ++i) flood.push_back(std::make_unique<RawClient>(server));
  CHECK(before.Heartbeat() == 0);
  // It waits in the backlog, at the latest until the flood's time is over.
  RawClient after(server);
  Enter(after, bert);
  CHECK(after.Heartbeat() == 0);
}

}  // namespace
}  // namespace hongyan::integration
