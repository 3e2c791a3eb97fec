#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace hongyan::integration {

// What a program left behind.
struct Outcome {
  int exit_code = -1;  // 128 + signal where one ended it
  std::string out;
  std::string err;
};

// Runs a program to its end; `input` is its standard input. Fails the test after a minute.
Outcome Run(const std::vector<std::string>& command, const std::string& input = "");

// A real hongyand on a data directory of its own and a free port, ended with the test. Every verb
// fails the test where the server does not do what it should in time. One thread.
class SpawnedServer {
 public:
  // `config`: lines of TOML besides listen. Port 0: a free one, another at each start. Waits until
  // the server is ready.
  explicit SpawnedServer(std::string config = "", int port = 0);
  ~SpawnedServer();
  SpawnedServer(const SpawnedServer&) = delete;
  SpawnedServer& operator=(const SpawnedServer&) = delete;

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  const std::string& data() const { return data_; }
  std::string log() const;  // all lines so far, of all lives

  // SIGKILL; and a start on the same data, on another port unless one was given.
  void Kill();
  void Start();
  // From the next start on its wall clock is so far ahead of the machine's.
  void MoveClock(int64_t ahead_s) { clock_ahead_s_ = ahead_s; }

  // SIGTERM without waiting; then the exit code, at most a minute later.
  void Terminate();
  int Wait();

  // hongyan-admin on this server.
  Outcome Admin(std::vector<std::string> arguments, const std::string& input = "") const;
  // Its standard output; the test fails unless it exits with 0.
  std::string AdminOk(std::vector<std::string> arguments, const std::string& input = "") const;

  // The command line of a second server on the same data.
  std::vector<std::string> CommandLine() const;

 private:
  std::string directory_;  // config, log and data are in it
  std::string data_;
  pid_t pid_ = -1;
  int port_ = 0;
  int64_t clock_ahead_s_ = 0;
};

}  // namespace hongyan::integration
