#include "config.h"

#include <fstream>
#include <sstream>
#include <string>

#include "tests/doctest_last.h"

namespace hongyan {
namespace {

// The text of the error, or "ok".
std::string Outcome(const std::string& text) {
  const auto config = ParseConfig(text, "f.toml");
  return config.ok() ? "ok" : config.error().text;
}

std::string ReadExample() {
  std::ifstream file(HONGYAN_EXAMPLE_CONFIG);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("an empty file is a valid configuration with the defaults") {
  const auto config = ParseConfig("", "f.toml");
  REQUIRE(config.ok());
  CHECK(config->listen == "127.0.0.1:7460");
  CHECK(config->storage.disk_reserve == int64_t{512} << 20);
  CHECK_FALSE(config->storage.unsafe_no_sync);
}

TEST_CASE("values are read from their sections") {
  const auto config = ParseConfig(
      "listen = \"0.0.0.0:1\"\nshards = 8\n[storage]\nunsafe_no_sync = true\n"
      "disk_reserve = \"2 GiB\"\n[limits]\nbody_bytes = 1000\n",
      "f.toml");
  REQUIRE(config.ok());
  CHECK(config->listen == "0.0.0.0:1");
  CHECK(config->shards == 8);
  CHECK(config->storage.unsafe_no_sync);
  CHECK(config->storage.disk_reserve == int64_t{2} << 30);
  CHECK(config->limits.body_bytes == 1000);
}

TEST_CASE("what is wrong is named with its file, line and key, and what is expected") {
  CHECK(Outcome("\nshard = 4\n") == "f.toml:2: unknown key 'shard'; did you mean 'shards'?");
  CHECK(Outcome("[storage]\ndisk_reserv = 1\n") ==
        "f.toml:2: unknown key 'storage.disk_reserv'; did you mean 'storage.disk_reserve'?");
  CHECK(Outcome("[wallet]\nx = 1\n") == "f.toml:1: unknown key 'wallet'");
  CHECK(Outcome("shards = 0\n") == "f.toml:1: shards must be a whole number from 1 to 64");
  CHECK(Outcome("shards = \"4\"\n") == "f.toml:1: shards must be a whole number from 1 to 64");
  CHECK(Outcome("limits = 3\n") ==
        "f.toml:1: limits is a section, not a value: write [limits] on a line of its own, and its "
        "keys below it");
  CHECK(Outcome("[[limits]]\n").find("limits is a section, not a value") != std::string::npos);
  CHECK(Outcome("[listen]\nx = 1\n") == "f.toml:1: listen must be a string in quotes");
  CHECK(Outcome("listen = 7460\n") == "f.toml:1: listen must be a string in quotes");
  CHECK(Outcome("[storage]\nunsafe_no_sync = 1\n") ==
        "f.toml:2: storage.unsafe_no_sync must be true or false");
  CHECK(Outcome("[storage]\ndisk_reserve = \"2 TB\"\n").find("or a string like \"64 KiB\"") !=
        std::string::npos);
  CHECK(Outcome("[log]\nlevel = \"loud\"\n") ==
        "f.toml: log.level must be \"debug\", \"info\", \"warn\" or \"error\"");
  CHECK(Outcome("[limits]\nbody_bytes = 8192\nframe_bytes = 8192\n").find("1024 more") !=
        std::string::npos);
  CHECK(Outcome("a = = 1\n").rfind("f.toml:1: not TOML: ", 0) == 0);
}

TEST_CASE("addresses that cannot be opened are refused, with the key and what to write") {
  for (const char* key : {"listen", "metrics.listen"}) {
    for (const char* address :
         {"7460", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http",
          "127.0.0.1:80,127.0.0.1:81", "127.0.0.1:80s", "1.2.3.400:80", ":80", "a b:80", "[::1:80",
          "[::g]:80", "[]:80", "::1:80", "127.0.0.1:80\\u0000", "a\\u0000b:80", "a\\nb:80"}) {
      CAPTURE(address);
      const std::string outcome = Outcome(std::string(key) + " = \"" + address + "\"\n");
      CHECK(outcome.starts_with("f.toml: " + std::string(key) + ": "));
      CHECK(outcome.find("write") != std::string::npos);
      CHECK(outcome.find('\0') == std::string::npos);
    }
    for (const char* address : {"127.0.0.1:0", "0.0.0.0:65535", "localhost:7460", "[::]:7460",
                                "[fe80::1%eth0]:7460", "chat-1.example.org:7460"}) {
      CAPTURE(address);
      CHECK(Outcome(std::string(key) + " = \"" + address + "\"\n") == "ok");
    }
  }
  CHECK(Outcome("listen = \"unix:/run/hongyan.sock\"\n") == "ok");
  CHECK(Outcome("listen = \"unix:\"\n").find("needs a path") != std::string::npos);
  CHECK(Outcome("metrics.listen = \"unix:/run/m.sock\"\n").find("must be \"host:port\"") !=
        std::string::npos);
}

TEST_CASE("an administrator's socket that cannot be one is refused, wherever its path comes from") {
  const std::string fits(107, 'x');
  CHECK(Outcome("admin = \"" + fits + "\"\n") == "ok");
  CHECK(Outcome("admin = \"" + fits + "x\"\n").find("has 108 bytes, the system allows 107") !=
        std::string::npos);
  CHECK(Outcome("admin = \"a\\u0000b\"\n") == "f.toml: admin: a socket path has no NUL bytes");
  Config config;
  CHECK(*AdminSocket(config, "data") == "data/admin.sock");
  const auto too_long = AdminSocket(config, fits);
  REQUIRE(!too_long.ok());
  CHECK(too_long.error().text.find("a shorter --data or by the key admin") != std::string::npos);
  config.admin = "elsewhere";
  CHECK(*AdminSocket(config, fits) == "elsewhere");
}

TEST_CASE("a configuration that cannot be read is an error that names it and says why") {
  const auto why = [](const std::string& path) {
    const auto config = LoadConfig(path);
    return config.ok() ? "ok" : config.error().text;
  };
  CHECK(why("/nonexistent/hongyand.toml").find("\"/nonexistent/hongyand.toml\": No such file") !=
        std::string::npos);
  CHECK(why("/").find("\"/\": it is a directory") != std::string::npos);
  CHECK(why("").find("\"\": No such file") != std::string::npos);
  CHECK(why("/dev/null") == "ok");
}

TEST_CASE("the example names only known keys and shows the defaults") {
  const auto example = ParseConfig(ReadExample(), "example");
  REQUIRE(example.ok());
  const Config defaults;
  CHECK(example->listen == defaults.listen);
  CHECK(example->loops == defaults.loops);
  CHECK(example->shards == defaults.shards);
  CHECK(example->limits.frame_bytes == defaults.limits.frame_bytes);
  CHECK(example->limits.body_bytes == defaults.limits.body_bytes);
  CHECK(example->limits.requests_in_flight == defaults.limits.requests_in_flight);
  CHECK(example->limits.idle_timeout_s == defaults.limits.idle_timeout_s);
  CHECK(example->limits.group_members == defaults.limits.group_members);
  CHECK(example->limits.groups_per_user == defaults.limits.groups_per_user);
  CHECK(example->login.token_days == defaults.login.token_days);
  CHECK(example->login.hash_threads == defaults.login.hash_threads);
  CHECK(example->login.per_address_per_minute == defaults.login.per_address_per_minute);
  CHECK(example->login.per_user_per_minute == defaults.login.per_user_per_minute);
  CHECK(example->storage.disk_reserve == defaults.storage.disk_reserve);
  CHECK(example->overload.queue_ms == defaults.overload.queue_ms);
  CHECK(example->shutdown.timeout_s == defaults.shutdown.timeout_s);
}

TEST_CASE("the example shows every key") {
  // Each line of the form `key = value` taken out of its section must be a known key; and their
  // number is that of the settings, so that a new one cannot be forgotten.
  std::istringstream lines(ReadExample());
  int keys = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line[0] != '#' && line[0] != '[') ++keys;
  }
  CHECK(keys == ConfigKeys());
}

}  // namespace
}  // namespace hongyan
