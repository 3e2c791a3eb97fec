#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace hongyan {

// What an operator can set, with its defaults. The one table in config.cc names every key with its
// type and range; hongyand.example.toml shows them all, and a test compares the three.
struct Config {
  std::string listen = "127.0.0.1:7460";
  std::string admin;  // a unix socket's path; empty = DATA/admin.sock
  int64_t loops = 0;  // 0 = one per core, at most 4; 1 on up to 2 cores
  int64_t shards = 4;

  struct Limits {
    int64_t connections = 0;  // 0 = what the descriptor limit allows
    int64_t frame_bytes = 1 << 20;
    int64_t body_bytes = 64 << 10;
    int64_t requests_in_flight = 64;
    int64_t hello_timeout_s = 10;
    int64_t login_timeout_s = 10;
    int64_t idle_timeout_s = 660;
    int64_t group_members = 10'000;
    int64_t groups_per_user = 5000;
  } limits;

  struct Login {
    int64_t token_days = 90;
    int64_t hash_threads = 1;
    int64_t per_address_burst = 100;
    int64_t per_address_per_minute = 1200;
    int64_t per_user_burst = 10;
    int64_t per_user_per_minute = 12;
  } login;

  struct Money {
    int64_t shards = 2;
    int64_t total_fen = 10'000'000;
    int64_t share_fen = 20'000;
    int64_t shares = 500;
    int64_t transfer_fen = 20'000'000;
    int64_t greeting_bytes = 120;
    int64_t life_s = 86'400;
  } money;

  struct Storage {
    int64_t disk_reserve = int64_t{512} << 20;
    bool unsafe_no_sync = false;
  } storage;

  struct Overload {
    int64_t queue_ms = 100;
  } overload;

  struct Log {
    std::string level = "info";
  } log;

  struct Metrics {
    std::string listen;  // "host:port"; empty = none
  } metrics;

  struct Shutdown {
    int64_t timeout_s = 10;
    int64_t retry_spread_s = 5;
  } shutdown;
};

// Reads a TOML file. Unknown keys, wrong types and values out of range are errors that name the
// key, the file and the line, and say what is expected. Any thread.
base::Result<Config> LoadConfig(const std::string& path);

// The same from text; `name` stands for the file in errors.
base::Result<Config> ParseConfig(const std::string& text, const std::string& name);

// Where the administrator's socket is, with this data directory. The error, where a path is no path
// for a socket, says what to set.
base::Result<std::string> AdminSocket(const Config& config, const std::string& data);

// How many keys there are.
int ConfigKeys();

}  // namespace hongyan
