#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hongyan::bench {

// What the command line asked for. Values of options that a mode does not have are ignored by it.
struct Options {
  std::string mode;

  // where
  std::string server;  // HOST:PORT of a running server; else spawn
  std::string admin;   // its admin socket
  int server_pid = 0;  // of a running server, for its CPU and memory; 0 = not reported
  bool spawn = false;
  std::string hongyand;                 // the binary to spawn; empty = beside this one
  std::vector<std::string> config_set;  // section.key=value, TOML values
  std::string work_dir;                 // the temporary data directory is made in it
  bool keep = false;
  int server_threads = 0;  // loops of a spawned server and of echo; 0 = the server's default
  double kill_every_s = 0;
  bool lose_unsynced = false;
  int source_addresses = 0;  // 0 = as many as the connections need

  // how
  uint64_t seed = 0;
  double warmup_s = 10;
  double seconds = 30;
  double rate_per_s = 0;   // 0 = closed loop
  double deadline_s = 30;  // give up when nothing has moved for so long
  std::string json;
  bool quiet = false;

  // load
  int bytes = 100;
  int pairs = 1000;
  bool both = false;
  int groups = 1;
  int members = 500;
  int online = 50;
  int senders = 16;
  int group_members = 10'000;
  int group_online = 50;
  double group_rate_per_s = 1;
  double alone_s = -1;  // mix: how long without the group first; -1 = as `seconds`
  int connections = 15'000;
  int talking = 100;  // reconnect: pairs that keep talking
  int restarts = 1;
  std::string signal = "TERM";

  // replay
  std::vector<std::string> logs;
  int replay_members = 200;
  int min_kills = 0;

  // redpacket
  std::string measure;         // empty = the rush with all troubles
  int packets = 30;            // rush: of each group; opens: opened at a time
  int life_s = 3;              // of a packet of a spawned server; 0 = the server's own
  int64_t wallets = 0;         // that exist in all
  int64_t prepare = 0;         // opens that packets are made for; 0 = more than can be needed
  double chat_rate_per_s = 0;  // 1:1 messages beside the opens

  // echo
  bool serve_only = false;
  int reply_bytes = 10;
};

// Exit codes of the tool.
constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;  // lost, doubled, out of order, or the run could not be finished
constexpr int kExitUsage = 2;

// Parses the command line. Answers true and fills `options` if there is something to run; else the
// process should end with `exit_code` (help and errors have been printed).
bool ParseOptions(int argc, char** argv, Options* options, int* exit_code);

}  // namespace hongyan::bench
