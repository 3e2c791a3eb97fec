#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "raw_client.h"
#include "tests/doctest_last.h"

namespace hongyan::integration {
namespace {

using nlohmann::json;

TEST_CASE("ten thousand users are imported, and again without change") {
  SpawnedServer server;
  std::string names;
  for (int i = 0; i < 10'000; ++i) names += "user" + std::to_string(i) + "\r\n\n";
  const auto first = json::parse(server.AdminOk({"--json", "user", "import", "-"}, names));
  CHECK(first.at("created") == 10'000);
  CHECK(first.at("refused") == 0);
  server.Kill();
  server.Start();
  const auto again = json::parse(server.AdminOk({"--json", "user", "import", "-"}, names));
  CHECK(again.at("created") == 0);
  CHECK(again.at("existed") == 10'000);
  const auto listed = json::parse(server.AdminOk({"--json", "user", "list"}));
  CHECK(listed.size() == 10'000);
  CHECK(json::parse(server.AdminOk({"--json", "user", "list", "--limit", "7"})).size() == 7);
}

TEST_CASE("names that are no names are refused one by one, the others are created") {
  SpawnedServer server;
  const Outcome outcome = server.Admin({"user", "import", "-"},
                                       "good\n" + std::string(65, 'x') + "\n\x01\nalso good\n");
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.out.find("created 2, existed 0, refused 2") != std::string::npos);
  CHECK(outcome.err.find("line 2: ") != std::string::npos);
  CHECK(outcome.err.find("at most 64 bytes") != std::string::npos);
}

TEST_CASE("a file that holds no names is refused whole, with the line that is wrong") {
  SpawnedServer server;
  const Outcome directory = server.Admin({"user", "import", server.data()});
  CHECK(directory.exit_code == 1);
  CHECK(directory.err.find("is a directory") != std::string::npos);
  const Outcome unreadable = server.Admin({"user", "import", "/proc/self/mem"});
  CHECK(unreadable.exit_code == 1);
  CHECK(unreadable.err.find("reading /proc/self/mem failed") != std::string::npos);
  const Outcome latin = server.Admin({"user", "import", "-"}, "good\n\nM\xfcller\n");
  CHECK(latin.exit_code == 1);
  CHECK(latin.err.find("line 3 of standard input is not UTF-8") != std::string::npos);
  const Outcome huge = server.Admin({"user", "import", "-"}, std::string(10 << 20, 'x'));
  CHECK(huge.exit_code == 1);
  CHECK(huge.err.find("line 1 of standard input has 10485760 bytes") != std::string::npos);
  CHECK(huge.err.size() < 200);
  CHECK(json::parse(server.AdminOk({"--json", "user", "list"})).empty());
  // A refused name is said with its line in the file, empty lines counted.
  const Outcome refused = server.Admin({"user", "import", "-"}, "\n\n" + std::string(2000, 'x'));
  CHECK(refused.err.find("line 3: 'xxx") != std::string::npos);
  CHECK(refused.err.size() < 600);
}

TEST_CASE("words of the command line that make no sense are refused, short and harmless") {
  SpawnedServer server;
  const std::string huge(100'000, 'x');
  struct Case {
    std::vector<std::string> words;
    int exit_code;
    const char* says;
  };
  for (const Case& c : {Case{{}, 2, "the commands are user, token"},
                        {{"user", "nope"}, 2, "no 'user nope'; after user comes one of add"},
                        {{"user", "show", ""}, 2, "is empty"},
                        {{"user", "show", "\xff"}, 2, "'\\xff' is not UTF-8"},
                        {{"user", "show", "\x1b[31m\xc2\x9b"}, 1, "'\\x1b[31m\\x9b'"},
                        {{"user", "show", huge}, 1, "there is no user"},
                        {{"user", "list", "--after", "-5"}, 2, "is no id"},
                        {{"user", "list", "--limit", "99999999999999999999"}, 2, "whole number"},
                        {{"group", "show", "0"}, 2, "is no id"},
                        {{"group", "add", "99999999999999999999", "anna"}, 2, "is no id"},
                        {{"channel", "parked", "--limit", "-1"}, 2, "whole number"},
                        {{"token", "issue", "anna", "--class", huge}, 1, "at most 32 bytes"},
                        {{"stats", huge}, 2, "not expected"}}) {
    const Outcome outcome = server.Admin(c.words);
    INFO(outcome.err);
    CHECK(outcome.exit_code == c.exit_code);
    CHECK(outcome.err.find(c.says) != std::string::npos);
    CHECK(outcome.err.find('\x1b') == std::string::npos);
    CHECK(outcome.err.size() < 600);
    CHECK(outcome.out.empty());
  }
}

TEST_CASE("output that cannot be written is a failure") {
  SpawnedServer server;
  const Outcome outcome =
      Run({"/bin/sh", "-c", HONGYAN_ADMIN " --data '" + server.data() + "' stats > /dev/full"});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.err.find("standard output cannot be written") != std::string::npos);
}

TEST_CASE("store accept leaves nothing behind in a directory that holds no store") {
  SpawnedServer server;
  const std::string mistyped = server.data() + "/mistyped";
  const Outcome outcome = Run({HONGYAN_ADMIN, "--data", mistyped, "store", "accept"});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.err.find("there is no store in " + mistyped) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(mistyped));
}

TEST_CASE("a user's life at the administrator's hands") {
  SpawnedServer server;
  CHECK(server.AdminOk({"user", "add", "anna", "--password-file", "-"}, "secret\n")
            .find("added anna") != std::string::npos);
  const Outcome twice = server.Admin({"user", "add", "anna", "--no-password"});
  CHECK(twice.exit_code == 1);
  CHECK(twice.err.find("exists already") != std::string::npos);
  auto shown = json::parse(server.AdminOk({"--json", "user", "show", "anna"}));
  CHECK(shown.at("has_password") == true);
  const std::string id = shown.at("user_id");
  CHECK(json::parse(server.AdminOk({"--json", "user", "show", "--id", id})) == shown);
  CHECK(server.Admin({"user", "show", "--id", "7"}).err.find("there is no user 7") !=
        std::string::npos);
  CHECK(server.Admin({"user", "show"}).exit_code == 2);
  CHECK(server.Admin({"user", "show", "anna", "--id", id}).exit_code == 2);
  CHECK(shown.at("devices").empty());

  RawClient client(server);
  client.Hello();
  REQUIRE(client.LogIn("anna", "secret", Device(1)).ok);
  shown = json::parse(server.AdminOk({"--json", "user", "show", "anna"}));
  REQUIRE(shown.at("devices").size() == 1);
  CHECK(shown.at("devices")[0].at("online") == true);
  CHECK(shown.at("devices")[0].at("class") == "test");

  server.AdminOk({"user", "passwd", "anna", "--password-file", "-"}, "other\n");
  CHECK(client.Heartbeat() == 0);  // sessions stay; revoking ends them
  RawClient again(server);
  again.Hello();
  CHECK(again.LogIn("anna", "secret", Device(2)).error.reason() == v1::BAD_CREDENTIALS);
  CHECK(again.LogIn("anna", "other", Device(2)).ok);
  server.AdminOk({"user", "passwd", "anna", "--no-password"});
  RawClient third(server);
  third.Hello();
  CHECK(third.LogIn("anna", "other", Device(3)).error.reason() == v1::BAD_CREDENTIALS);

  for (const auto& command : {std::vector<std::string>{"user", "show", "nobody"},
                              {"user", "disable", "nobody"},
                              {"user", "passwd", "nobody", "--no-password"},
                              {"token", "revoke", "nobody"},
                              {"token", "issue", "nobody"}}) {
    const Outcome outcome = server.Admin(command);
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.err.find("there is no") != std::string::npos);
  }
}

TEST_CASE("what only does something says so as a document too, for programs") {
  SpawnedServer server;
  server.AdminOk({"user", "import", "-"}, "anna\nbert\n");
  server.AdminOk({"wallet", "deposit", "anna", "1", "--id", "1", "--reason", "start"});
  const auto group =
      json::parse(server.AdminOk({"--json", "group", "create", "Team", "--owner", "anna"}))
          .at("group_id")
          .get<std::string>();
  const json issued = json::parse(server.AdminOk({"--json", "token", "issue", "anna"})).at(0);
  const std::string device = issued.at("device_id");
  const struct {
    std::vector<std::string> words;
    json document;
  } commands[] = {
      {{"user", "passwd", "anna", "--no-password"}, {{"name", "anna"}, {"has_password", false}}},
      {{"user", "disable", "anna"}, {{"name", "anna"}, {"disabled", true}}},
      {{"user", "enable", "anna"}, {{"name", "anna"}, {"disabled", false}}},
      {{"token", "revoke", "anna", "--device", device}, {{"name", "anna"}, {"device_id", device}}},
      {{"token", "revoke", "anna"}, {{"name", "anna"}}},
      {{"group", "add", group, "bert"}, {{"group_id", group}, {"changed", true}}},
      {{"group", "add", group, "bert"}, {{"group_id", group}, {"changed", false}}},
      {{"group", "remove", group, "bert"}, {{"group_id", group}, {"changed", true}}},
      {{"wallet", "freeze", "anna"}, {{"name", "anna"}, {"frozen", true}}},
      {{"wallet", "unfreeze", "anna"}, {{"name", "anna"}, {"frozen", false}}},
      {{"money", "quarantine", "list"}, {{"packet_ids", json::array()}, {"more", false}}},
      {{"channel", "parked"}, json::array()},
  };
  for (const auto& command : commands) {
    std::vector<std::string> words = command.words;
    words.insert(words.begin(), "--json");
    const std::string out = server.AdminOk(words);
    INFO(out);
    CHECK(json::parse(out, nullptr, false) == command.document);
  }
  const Outcome refused = server.Admin({"--json", "wallet", "freeze", "nobody"});
  CHECK(refused.exit_code == 1);
  CHECK(refused.out.empty());
}

TEST_CASE("tokens for many devices, and one device's token revoked") {
  SpawnedServer server;
  server.AdminOk({"user", "import", "-"}, "bot\nhelper\n");
  const auto issued = json::parse(
      server.AdminOk({"--json", "token", "issue", "--file", "-"}, "bot\nhelper\nbot\n"));
  REQUIRE(issued.size() == 3);
  CHECK(issued[0].at("user_id") == issued[2].at("user_id"));
  CHECK(issued[0].at("device_id") != issued[2].at("device_id"));
  for (const std::string& label : {std::string(33, 'x'), std::string("a\x1b[2J")}) {
    const Outcome refused = server.Admin({"token", "issue", "bot", "--class", label});
    CHECK(refused.exit_code == 1);
    CHECK(refused.err.find("a device class is a label") != std::string::npos);
  }
  server.AdminOk({"token", "issue", "bot", "--class", std::string(32, 'x')});
  const std::string device = issued[0].at("device_id");
  server.AdminOk({"token", "revoke", "bot", "--device", device});
  const Outcome strange =
      server.Admin({"token", "revoke", "bot", "--device", std::string(32, 'e')});
  CHECK(strange.exit_code == 1);
  CHECK(strange.out.empty());
  CHECK(strange.err.find("no such device") != std::string::npos);
  const Outcome bad = server.Admin({"token", "revoke", "bot", "--device", "xyz"});
  CHECK(bad.exit_code == 1);
  CHECK(bad.err.find("32 hexadecimal digits") != std::string::npos);
}

TEST_CASE("groups at the administrator's hands, with their announcements in the members' inboxes") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  const Account bert = NewUser(server, "bert");
  server.AdminOk({"user", "import", "-"}, "carl\n");
  RawClient b(server);
  Enter(b, bert);
  const auto created = json::parse(server.AdminOk(
      {"--json", "group", "create", "Team", "--owner", "anna", "--members-file", "-"}, "bert\n"));
  const std::string group = created.at("group_id");
  b.Notified();
  CHECK(b.Sync(0).entries(0).message().kind() == v1::BODY_SYSTEM);
  CHECK(server.AdminOk({"group", "add", group, "carl"}) == "added\n");
  CHECK(server.AdminOk({"group", "add", group, "carl"}) == "nothing changed\n");
  CHECK(server.AdminOk({"group", "remove", group, "bert"}) == "removed\n");
  const auto shown = json::parse(server.AdminOk({"--json", "group", "show", group}));
  CHECK(shown.at("name") == "Team");
  CHECK(shown.at("member_count") == 2);
  CHECK(shown.at("owner") == std::to_string(anna.id));
  const Outcome unknown = server.Admin({"group", "add", group, "nobody"});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.err.find("there is no user 'nobody'") != std::string::npos);
  CHECK(server.Admin({"group", "show", "12345"}).exit_code == 1);
}

TEST_CASE("a group of ten thousand is created in one command") {
  SpawnedServer server;
  std::string names;
  for (int i = 0; i < 9'999; ++i) names += "user" + std::to_string(i) + "\n";
  server.AdminOk({"user", "import", "-"}, names + "owner\n");
  const auto created = json::parse(server.AdminOk(
      {"--json", "group", "create", "All", "--owner", "owner", "--members-file", "-"}, names));
  const auto shown = json::parse(
      server.AdminOk({"--json", "group", "show", created.at("group_id").get<std::string>()}));
  CHECK(shown.at("member_count") == 10'000);
  CHECK(shown.at("members").size() == 10'000);
}

TEST_CASE("figures and channels are shown, for people and for programs") {
  SpawnedServer server;
  const auto stats = json::parse(server.AdminOk({"--json", "stats"}));
  CHECK(stats.at("hongyan_sessions") == 0);
  CHECK(stats.contains("hongyan_store_syncs_total{store=\"messages\"}"));
  CHECK(server.AdminOk({"stats"}).find("sessions logged in") != std::string::npos);
  const auto channels = json::parse(server.AdminOk({"--json", "channels"}));
  CHECK(channels.size() >= 4);
  CHECK(channels[0].at("state") == "live");
  CHECK(server.AdminOk({"channel", "parked"}) == "nothing is parked\n");
  CHECK(server.AdminOk({"channel", "retry", "0", "1"}) == "retried 0, applied 0\n");
  const Outcome wrong = server.Admin({"channel", "retry", "0", "99"});
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.out.empty());
  CHECK(wrong.err.find("numbered from 0 to 3") != std::string::npos);
}

TEST_CASE("connections that say nothing keep no administrator out for long") {
  SpawnedServer server;
  std::vector<int> silent;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (server.data() + "/admin.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  for (int i = 0; i < 64; ++i) {
    silent.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(silent.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
  }
  CHECK(server.Admin({"stats"}).exit_code == 0);
  for (const int fd : silent) ::close(fd);
}

TEST_CASE("hongyan-admin says what to do when it cannot do it") {
  const Outcome help = Run({HONGYAN_ADMIN, "--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.out.find("Examples:") != std::string::npos);
  CHECK(Run({HONGYAN_ADMIN, "--version"}).out.rfind("hongyan-admin ", 0) == 0);
  CHECK(Run({HONGYAN_ADMIN}).exit_code == 2);
  CHECK(Run({HONGYAN_ADMIN, "user", "nonsense"}).exit_code == 2);
  const Outcome nobody = Run({HONGYAN_ADMIN, "--socket", "/nonexistent.sock", "stats"});
  CHECK(nobody.exit_code == 1);
  CHECK(nobody.err.find("is hongyand running?") != std::string::npos);
  const Outcome no_terminal = Run({HONGYAN_ADMIN, "user", "add", "anna"});
  CHECK(no_terminal.exit_code == 1);
  CHECK(no_terminal.err.find("--password-file") != std::string::npos);
}

TEST_CASE("a running server's store cannot be accepted, a healthy one at rest is") {
  SpawnedServer server;
  const Account anna = NewUser(server, "anna");
  const Outcome running = server.Admin({"store", "accept"});
  CHECK(running.exit_code == 1);
  CHECK(running.err.find("hongyan-admin: ") == 0);
  server.Terminate();
  CHECK(server.Wait() == 0);
  CHECK(server.AdminOk({"store", "accept"}).find("generation is 1") != std::string::npos);
  server.Start();
  RawClient client(server);
  CHECK(Enter(client, anna).head() == int64_t{1} << 40);  // no seq is ever given twice
}

}  // namespace
}  // namespace hongyan::integration
