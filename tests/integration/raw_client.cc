#include "raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/doctest_last.h"

namespace hongyan::integration {
namespace {

constexpr int kPatienceMs = 10'000;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

}  // namespace

RawClient::RawClient(int port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

RawClient::~RawClient() { ::close(fd_); }

void RawClient::SendBytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) return;  // the server has closed: the next read says so
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

uint32_t RawClient::Send(uint16_t command, const google::protobuf::MessageLite& message) {
  return SendPayload(command, message.SerializeAsString());
}

uint32_t RawClient::SendPayload(uint16_t command, std::string_view payload) {
  std::string bytes;
  proto::FrameHeader header;
  header.command = command;
  header.request_id = ++last_id_;
  proto::AppendFrame(bytes, header, payload);
  SendBytes(bytes);
  return last_id_;
}

bool RawClient::Readable(int wait_ms) {
  pollfd poll{fd_, POLLIN, 0};
  return ::poll(&poll, 1, wait_ms) > 0;
}

bool RawClient::ReadExactly(void* to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    REQUIRE_MESSAGE(Readable(kPatienceMs), "the server said nothing for ten seconds");
    const ssize_t n = ::recv(fd_, static_cast<char*>(to) + done, bytes - done, 0);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

std::optional<Received> RawClient::Next() {
  std::array<char, proto::kFrameHeaderBytes> bytes;
  if (!ReadExactly(bytes.data(), bytes.size())) return std::nullopt;
  Received frame;
  frame.header = proto::ReadFrameHeader(bytes.data());
  REQUIRE(frame.header.length < (8u << 20));
  frame.payload.resize(frame.header.length);
  if (!ReadExactly(frame.payload.data(), frame.payload.size())) return std::nullopt;
  return frame;
}

std::optional<Received> RawClient::NextPush() {
  if (!pushes_.empty()) {
    Received push = std::move(pushes_.front());
    pushes_.pop_front();
    return push;
  }
  auto frame = Next();
  if (frame) CHECK(frame->header.request_id == 0);
  return frame;
}

Received RawClient::AnswerTo(uint32_t request_id) {
  while (true) {
    auto frame = Next();
    REQUIRE_MESSAGE(frame.has_value(), "the server closed instead of answering");
    if (frame->header.request_id == request_id) return std::move(*frame);
    REQUIRE_MESSAGE(frame->header.request_id == 0, "an answer to another request came first");
    pushes_.push_back(std::move(*frame));
  }
}

std::string RawClient::ReadToEnd() {
  std::string bytes;
  for (char byte = 0; ReadExactly(&byte, 1);) bytes.push_back(byte);
  return bytes;
}

bool RawClient::ClosedByServer() {
  ReadToEnd();
  return true;
}

void RawClient::Hello() {
  v1::Hello hello;
  hello.set_version(1);
  hello.set_client("integration test");
  const auto answer = Ask<v1::HelloReply>(v1::HELLO, hello);
  REQUIRE(answer.ok);
  CHECK(answer.reply.version() == 1);
}

Answer<v1::LoginReply> RawClient::LogIn(const std::string& name, const std::string& password,
                                        const std::string& device,
                                        const std::string& device_class) {
  v1::Login login;
  login.set_user_name(name);
  login.set_password(password);
  login.set_device_id(device);
  login.set_device_class(device_class);
  return Ask<v1::LoginReply>(v1::LOGIN, login);
}

Answer<v1::LoginReply> RawClient::LogInByToken(const std::string& token,
                                               const std::string& device) {
  v1::LoginToken login;
  login.set_token(token);
  login.set_device_id(device);
  return Ask<v1::LoginReply>(v1::LOGIN_TOKEN, login);
}

Answer<v1::SendMessageReply> RawClient::SendText(const v1::ConversationId& to,
                                                 const std::string& text,
                                                 const std::string& client_msg_id) {
  v1::SendMessage send;
  *send.mutable_conversation() = to;
  send.set_client_msg_id(client_msg_id.empty() ? NewRequestId() : client_msg_id);
  send.set_body(TextBody(text));
  return Ask<v1::SendMessageReply>(v1::SEND_MESSAGE, send);
}

v1::SyncReply RawClient::Sync(int64_t cursor) {
  v1::Sync sync;
  sync.set_cursor(cursor);
  const auto answer = Ask<v1::SyncReply>(v1::SYNC, sync);
  INFO(answer.error.text());
  REQUIRE(answer.ok);
  return answer.reply;
}

int64_t RawClient::Heartbeat() {
  const auto answer = Decode<v1::HeartbeatReply>(AnswerTo(SendPayload(v1::HEARTBEAT, "")));
  REQUIRE(answer.ok);
  return answer.reply.head();
}

int64_t RawClient::Notified() {
  const auto push = NextPush();
  REQUIRE(push.has_value());
  REQUIRE(push->header.command == v1::NOTIFY);
  v1::Notify notify;
  notify.ParseFromString(push->payload);
  return notify.head();
}

bool RawClient::EndedBecause(v1::EndReason reason) {
  const auto push = NextPush();
  REQUIRE(push.has_value());
  REQUIRE(push->header.command == v1::SESSION_ENDED);
  v1::SessionEnded ended;
  ended.ParseFromString(push->payload);
  CHECK(ended.reason() == reason);
  return ended.reason() == reason && ClosedByServer();
}

std::string Device(int n) {
  std::string id(16, '\x5a');
  id[0] = static_cast<char>(n);
  id[1] = static_cast<char>(n >> 8);
  return id;
}

std::string NewRequestId(int64_t ahead_ms) {
  static std::mt19937_64 random(std::random_device{}());
  std::string id(16, '\0');
  for (char& byte : id) byte = static_cast<char>(random());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count() + ahead_ms;
  for (size_t i = 6; i-- > 0; ms >>= 8) id[i] = static_cast<char>(ms & 0xff);
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x70);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

v1::ConversationId Direct(int64_t a, int64_t b) {
  v1::ConversationId id;
  id.set_a(std::min(a, b));
  id.set_b(std::max(a, b));
  return id;
}

v1::ConversationId Group(int64_t group) {
  v1::ConversationId id;
  id.set_b(group);
  return id;
}

std::string TextBody(const std::string& text) {
  v1::Body body;
  body.mutable_text()->set_text(text);
  return body.SerializeAsString();
}

Account NewUser(const SpawnedServer& server, const std::string& name) {
  server.AdminOk({"user", "import", "-"}, name + "\n");
  const auto issued = nlohmann::json::parse(server.AdminOk({"--json", "token", "issue", name}));
  Account account;
  account.id = std::stoll(issued.at(0).at("user_id").get<std::string>());
  account.device = FromHex(issued.at(0).at("device_id").get<std::string>());
  account.token = FromHex(issued.at(0).at("token").get<std::string>());
  return account;
}

v1::LoginReply Enter(RawClient& client, const Account& account) {
  client.Hello();
  const auto answer = client.LogInByToken(account.token, account.device);
  INFO(answer.error.text());
  REQUIRE(answer.ok);
  CHECK(answer.reply.user_id() == account.id);
  return answer.reply;
}

}  // namespace hongyan::integration
