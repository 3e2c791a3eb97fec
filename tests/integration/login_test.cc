#include <memory>
#include <string>
#include <vector>

#include "raw_client.h"
#include "tests/doctest_last.h"

namespace hongyan::integration {
namespace {

// A server with one user who has a password.
struct ServerWithAnna {
  ServerWithAnna() { server.AdminOk({"user", "add", "anna", "--password-file", "-"}, "right\n"); }
  SpawnedServer server;
};

TEST_CASE_FIXTURE(ServerWithAnna, "a password login gives a token, and the token logs in again") {
  std::string token;
  int64_t user = 0;
  {
    RawClient client(server);
    client.Hello();
    const auto answer = client.LogIn("anna", "right", Device(1));
    REQUIRE(answer.ok);
    CHECK(answer.reply.user_name() == "anna");
    CHECK(answer.reply.head() == 0);
    CHECK(answer.reply.server_time_ms() > 0);
    CHECK(answer.reply.token_expires_ms() > answer.reply.server_time_ms());
    token = answer.reply.token();
    user = answer.reply.user_id();
    REQUIRE(!token.empty());
  }
  RawClient client(server);
  client.Hello();
  const auto again = client.LogInByToken(token, Device(1));
  REQUIRE(again.ok);
  CHECK(again.reply.user_id() == user);
  CHECK(again.reply.token().empty());  // young: no new one
}

TEST_CASE_FIXTURE(ServerWithAnna, "a wrong password and an unknown user get the same answer") {
  RawClient client(server);
  client.Hello();
  const auto wrong = client.LogIn("anna", "wrong", Device(1));
  const auto unknown = client.LogIn("nobody", "wrong", Device(1));
  CHECK_FALSE(wrong.ok);
  CHECK(wrong.error.reason() == v1::BAD_CREDENTIALS);
  CHECK(wrong.error.SerializeAsString() == unknown.error.SerializeAsString());
  // The right one is still accepted on the same connection.
  CHECK(client.LogIn("anna", "right", Device(1)).ok);
}

TEST_CASE_FIXTURE(ServerWithAnna, "a device's class is a short label that can be shown as it is") {
  RawClient client(server);
  client.Hello();
  for (const std::string& label :
       {std::string(33, 'x'), std::string("a\x1b[2J"), std::string("a\nb")}) {
    CHECK(client.LogIn("anna", "right", Device(1), label).error.code() == v1::INVALID_ARGUMENT);
  }
  CHECK(client.LogIn("anna", "right", Device(1), "t\xc3\xa9l\xc3\xa9phone").ok);
}

TEST_CASE_FIXTURE(ServerWithAnna, "after five failed logins the connection is closed") {
  RawClient client(server);
  client.Hello();
  for (int i = 0; i < 5; ++i) CHECK_FALSE(client.LogIn("anna", "wrong", Device(1)).ok);
  CHECK(client.ClosedByServer());
}

TEST_CASE("a user may be tried so often, then a pause is asked for") {
  SpawnedServer server("[login]\nper_user_burst = 2\nper_user_per_minute = 1\n");
  server.AdminOk({"user", "add", "anna", "--password-file", "-"}, "right\n");
  RawClient client(server);
  client.Hello();
  CHECK(client.LogIn("anna", "wrong", Device(1)).error.reason() == v1::BAD_CREDENTIALS);
  CHECK(client.LogIn("anna", "wrong", Device(1)).error.reason() == v1::BAD_CREDENTIALS);
  const auto limited = client.LogIn("anna", "right", Device(1));
  CHECK(limited.error.reason() == v1::BUSY);
  CHECK(limited.error.retry_after_ms() > 1000);
}

TEST_CASE_FIXTURE(ServerWithAnna, "a second login of the same device replaces the first") {
  RawClient first(server);
  first.Hello();
  const auto answer = first.LogIn("anna", "right", Device(1));
  REQUIRE(answer.ok);
  RawClient other_device(server);
  other_device.Hello();
  REQUIRE(other_device.LogIn("anna", "right", Device(2)).ok);
  RawClient second(server);
  second.Hello();
  const auto later = second.LogInByToken(answer.reply.token(), Device(1));
  REQUIRE(later.ok);
  CHECK(later.reply.session_number() > answer.reply.session_number());
  CHECK(first.EndedBecause(v1::END_REPLACED));
  CHECK(second.Heartbeat() == 0);
  CHECK(other_device.Heartbeat() == 0);
}

TEST_CASE_FIXTURE(ServerWithAnna, "a revoked token ends its session and logs in no more") {
  RawClient client(server);
  client.Hello();
  const auto answer = client.LogIn("anna", "right", Device(1));
  REQUIRE(answer.ok);
  server.AdminOk({"token", "revoke", "anna"});
  CHECK(client.EndedBecause(v1::END_REVOKED));
  RawClient again(server);
  again.Hello();
  CHECK(again.LogInByToken(answer.reply.token(), Device(1)).error.reason() == v1::TOKEN_REVOKED);
  CHECK(again.LogIn("anna", "right", Device(1)).ok);
}

TEST_CASE_FIXTURE(ServerWithAnna,
                  "disabling ends all sessions, and enabling lets the user in again") {
  RawClient phone(server);
  phone.Hello();
  const auto answer = phone.LogIn("anna", "right", Device(1));
  REQUIRE(answer.ok);
  RawClient desktop(server);
  desktop.Hello();
  REQUIRE(desktop.LogIn("anna", "right", Device(2)).ok);
  server.AdminOk({"user", "disable", "anna"});
  CHECK(phone.EndedBecause(v1::END_DISABLED));
  CHECK(desktop.EndedBecause(v1::END_DISABLED));
  RawClient again(server);
  again.Hello();
  CHECK(again.LogIn("anna", "right", Device(1)).error.reason() == v1::USER_DISABLED);
  CHECK(again.LogInByToken(answer.reply.token(), Device(1)).error.reason() == v1::USER_DISABLED);
  server.AdminOk({"user", "enable", "anna"});
  CHECK(again.LogInByToken(answer.reply.token(), Device(1)).ok);
}

TEST_CASE_FIXTURE(ServerWithAnna, "logging out revokes the device's token and no other") {
  RawClient phone(server);
  phone.Hello();
  const auto answer = phone.LogIn("anna", "right", Device(1));
  RawClient desktop(server);
  desktop.Hello();
  const auto other = desktop.LogIn("anna", "right", Device(2));
  REQUIRE(answer.ok);
  REQUIRE(other.ok);
  CHECK(phone.Ask<v1::LogoutReply>(v1::LOGOUT, v1::Logout()).ok);
  CHECK_FALSE(phone.NextPush().has_value());  // closed, without another word
  CHECK(desktop.Heartbeat() == 0);
  RawClient again(server);
  again.Hello();
  CHECK(again.LogInByToken(answer.reply.token(), Device(1)).error.reason() == v1::TOKEN_REVOKED);
  CHECK(again.LogInByToken(other.reply.token(), Device(2)).ok);
}

TEST_CASE_FIXTURE(ServerWithAnna, "a token belongs to its device, and must be whole") {
  RawClient client(server);
  client.Hello();
  auto answer = client.LogIn("anna", "right", Device(1));
  REQUIRE(answer.ok);
  RawClient thief(server);
  thief.Hello();
  CHECK(thief.LogInByToken(answer.reply.token(), Device(2)).error.reason() == v1::BAD_CREDENTIALS);
  std::string broken = answer.reply.token();
  broken[40] = static_cast<char>(broken[40] ^ 1);
  CHECK(thief.LogInByToken(broken, Device(1)).error.reason() == v1::BAD_CREDENTIALS);
  CHECK(thief.LogInByToken("", Device(1)).error.reason() == v1::BAD_CREDENTIALS);
  CHECK(client.Heartbeat() == 0);  // and the true session goes on
}

// More passwords than are hashed before a login must be through.
constexpr int kFlood = 250;

std::unique_ptr<RawClient> TryPassword(const SpawnedServer& server, const std::string& name,
                                       const std::string& password) {
  auto client = std::make_unique<RawClient>(server);
  client->Hello();
  v1::Login login;
  login.set_user_name(name);
  login.set_password(password);
  login.set_device_id(Device(1));
  client->Send(v1::LOGIN, login);
  return client;
}

TEST_CASE("a login that is not reached in time is told so, with a pause, before it is closed") {
  SpawnedServer server(
      "[limits]\nlogin_timeout_s = 1\n[login]\nper_address_burst = 1000\nper_user_burst = 1000\n");
  std::vector<std::unique_ptr<RawClient>> flood;
  for (int i = 0; i < kFlood; ++i) flood.push_back(TryPassword(server, "nobody", "guess"));
  int late = 0;
  for (auto& client : flood) {
    const auto frame = client->Next();
    REQUIRE(frame.has_value());
    const auto answer = RawClient::Decode<v1::LoginReply>(*frame);
    REQUIRE_FALSE(answer.ok);
    if (answer.error.reason() == v1::BAD_CREDENTIALS) continue;
    ++late;
    CHECK(answer.error.reason() == v1::BUSY);
    CHECK(answer.error.retry_after_ms() > 0);
    CHECK(client->ClosedByServer());
  }
  CHECK(late > 0);
}

TEST_CASE("passwords of connections that have gone are not hashed while others wait") {
  SpawnedServer server(
      "[limits]\nlogin_timeout_s = 4\n[login]\nper_address_burst = 1000\nper_user_burst = 1000\n");
  server.AdminOk({"user", "add", "anna", "--password-file", "-"}, "right\n");
  for (int i = 0; i < kFlood; ++i) TryPassword(server, "nobody", "guess").reset();
  const auto frame = TryPassword(server, "anna", "right")->Next();
  REQUIRE(frame.has_value());
  CHECK(RawClient::Decode<v1::LoginReply>(*frame).ok);
}

}  // namespace
}  // namespace hongyan::integration
