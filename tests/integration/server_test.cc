#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "raw_client.h"
#include "tests/doctest_last.h"

namespace hongyan::integration {
namespace {

TEST_CASE("SIGTERM: sessions are told to come back, what is in flight is answered, the exit is 0") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  const Account bert = NewUser(server, "bert");
  RawClient a(server);
  Enter(a, anna);
  RawClient greeted(server);
  greeted.Hello();
  v1::SendMessage send;
  *send.mutable_conversation() = Direct(anna.id, bert.id);
  send.set_client_msg_id(NewRequestId());
  send.set_body(TextBody("last words"));
  const uint32_t id = a.Send(v1::SEND_MESSAGE, send);
  const auto sent = RawClient::Decode<v1::SendMessageReply>(a.AnswerTo(id));
  server.Terminate();
  const auto push = a.NextPush();
  REQUIRE(push.has_value());
  REQUIRE(push->header.command == v1::SESSION_ENDED);
  v1::SessionEnded ended;
  ended.ParseFromString(push->payload);
  CHECK(ended.reason() == v1::END_DRAINING);
  CHECK(ended.retry_after_ms() >= 0);
  CHECK(ended.retry_after_ms() <= 5000);
  CHECK(a.ClosedByServer());
  CHECK(greeted.ClosedByServer());
  CHECK(server.Wait() == 0);
  CHECK_FALSE(std::filesystem::exists(server.data() + "/admin.sock"));

  server.Start();
  RawClient b(server);
  Enter(b, bert);
  REQUIRE(sent.ok);
  CHECK(b.Sync(0).entries_size() == 1);
}

TEST_CASE("every acknowledged message of a busy server outlives SIGTERM") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  const Account bert = NewUser(server, "bert");
  RawClient a(server);
  Enter(a, anna);
  for (int i = 0; i < 50; ++i) {
    v1::SendMessage send;
    *send.mutable_conversation() = Direct(anna.id, bert.id);
    send.set_client_msg_id(NewRequestId());
    send.set_body(TextBody(std::to_string(i)));
    a.Send(v1::SEND_MESSAGE, send);
  }
  server.Terminate();
  int acked = 0;
  while (const auto frame = a.Next()) {
    if (frame->header.command == v1::SEND_MESSAGE && !frame->header.is_error()) ++acked;
  }
  CHECK(server.Wait() == 0);
  server.Start();
  RawClient b(server);
  Enter(b, bert);
  CHECK(b.Sync(0).entries_size() >= acked);
}

TEST_CASE("a second server on the same data, or the same address, is refused with a sentence") {
  SpawnedServer server;
  const Outcome same_data = Run(server.CommandLine());
  CHECK(same_data.exit_code == 1);
  CHECK(same_data.err.find("hongyand: ") != std::string::npos);
  CHECK(same_data.err.find(server.data()) != std::string::npos);

  const std::string directory = server.data() + "/../other";
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/c.toml") << "listen = \"127.0.0.1:" << server.port() << "\"\n";
  const Outcome same_port =
      Run({HONGYAND, "--config", directory + "/c.toml", "--data", directory + "/data"});
  CHECK(same_port.exit_code == 1);
  CHECK(same_port.err.find(std::to_string(server.port())) != std::string::npos);
  RawClient client(server);
  client.Hello();
}

TEST_CASE("the server starts only where both stores can be opened, and says which cannot") {
  SpawnedServer server;
  server.Terminate();
  CHECK(server.Wait() == 0);
  for (const std::string store : {"messages", "money"}) {
    const std::string format = server.data() + "/" + store + "/FORMAT";
    std::string text;
    std::getline(std::ifstream(format) >> std::ws, text);
    CHECK(text.rfind("hongyan-", 0) == 0);
    std::ofstream(format) << text.substr(0, text.find(' ')) << " 99\n";
    const Outcome refused = Run(server.CommandLine());
    CHECK(refused.exit_code == 1);
    CHECK(refused.err.find("newer") != std::string::npos);
    CHECK(refused.err.find("/" + store) != std::string::npos);
    CHECK(refused.err.find(" ready ") == std::string::npos);
    std::ofstream(format) << text << '\n';
  }
  server.Start();
  CHECK(server.Admin({"money", "audit"}).exit_code == 0);
}

TEST_CASE("a store that is gone, or another's, is not replaced by an empty one") {
  SpawnedServer server;
  NewUser(server, "anna");
  server.AdminOk({"wallet", "deposit", "anna", "5", "--id", "1", "--reason", "start"});
  server.Terminate();
  CHECK(server.Wait() == 0);
  const std::string money = server.data() + "/money";
  const auto refused = [&server](const char* why) {
    const Outcome outcome = Run(server.CommandLine());
    CHECK(outcome.exit_code == 1);
    CHECK_MESSAGE(outcome.err.find(why) != std::string::npos, outcome.err);
  };
  std::filesystem::rename(money, money + ".away");
  refused("/money is gone");
  CHECK_FALSE(std::filesystem::exists(money));
  {
    SpawnedServer other;
    other.Terminate();
    CHECK(other.Wait() == 0);
    std::filesystem::rename(other.data() + "/money", money);
  }
  refused("have worked together");
  std::filesystem::remove_all(money);
  std::filesystem::rename(money + ".away", money);
  server.Start();
  CHECK(server.AdminOk({"wallet", "show", "anna"}).find("5.00") != std::string::npos);
}

TEST_CASE("the data directory belongs to its owner alone, and so does the socket") {
  SpawnedServer server;
  struct stat status {};
  REQUIRE(::stat(server.data().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  REQUIRE(::stat((server.data() + "/admin.sock").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("an operator sees by its name which thread is busy") {
  const SpawnedServer server;
  std::set<std::string> names;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/" + std::to_string(server.pid()) + "/task")) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm"), name);
    names.insert(name);
  }
  for (const char* name : {"loop-0", "exec-messages", "exec-money", "mark-messages", "mark-money",
                           "hashers", "readers", "auditor"}) {
    CHECK_MESSAGE(names.contains(name), name);
  }
}

TEST_CASE("the command line: help, version, wrong usage, wrong configuration") {
  const Outcome help = Run({HONGYAND, "--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.out.find("Examples:") != std::string::npos);
  CHECK(Run({HONGYAND, "--version"}).out.rfind("hongyand ", 0) == 0);
  CHECK(Run({HONGYAND, "--nonsense"}).exit_code == 2);
  CHECK(Run({HONGYAND, "--config", "/nonexistent.toml"}).exit_code == 2);
  CHECK(Run({HONGYAND, "--check-config"}).exit_code == 0);
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"--config", ""}, {"--config", "/"}, {"--data", std::string(200, 'x')}}) {
    std::vector<std::string> command{HONGYAND, "--check-config"};
    command.insert(command.end(), wrong.begin(), wrong.end());
    const Outcome refused = Run(command);
    CHECK(refused.exit_code == 2);
    CHECK(refused.err.rfind("hongyand: ", 0) == 0);
  }
  CHECK(Run({HONGYAND, "--data", "/dev/null"}).exit_code == 1);
  const Outcome no_parent = Run({HONGYAND, "--data", "/nonexistent/data"});
  CHECK(no_parent.exit_code == 1);
  CHECK(no_parent.err.find("/nonexistent/data") != std::string::npos);
}

TEST_CASE("figures for Prometheus are served where the configuration says so") {
  // A port that is free now; the chance that somebody takes it meanwhile is small.
  SpawnedServer probe;
  const int port = probe.port();
  probe.Terminate();
  CHECK(probe.Wait() == 0);
  SpawnedServer server("[metrics]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n");
  RawClient scraper(port);
  scraper.SendBytes("GET /metrics HTTP/1.0\r\n\r\n");
  const std::string page = scraper.ReadToEnd();
  CHECK(page.find("# TYPE hongyan_sessions gauge\nhongyan_sessions 0") != std::string::npos);
  CHECK(page.find("hongyan_channel_backlog_items{channel=\"0-1\"} 0") != std::string::npos);
}

TEST_CASE("connections that say nothing keep nobody from the figures") {
  SpawnedServer probe;
  const int port = probe.port();
  probe.Terminate();
  CHECK(probe.Wait() == 0);
  SpawnedServer server("[metrics]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n");
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 6; ++i) silent.push_back(std::make_unique<RawClient>(port));
  RawClient scraper(port);
  scraper.SendBytes("GET /metrics HTTP/1.0\r\n\r\n");
  CHECK(scraper.ReadToEnd().find("hongyan_sessions 0") != std::string::npos);
}

}  // namespace
}  // namespace hongyan::integration
