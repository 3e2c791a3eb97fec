#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace hongyan::bench {

// Answers every request with its header, marked as an answer, and `reply_bytes` of payload: a bare
// libuv server with one loop a thread and nothing behind it. Serves until standard input ends; says
// `listen=HOST:PORT` on standard output first. Answers the exit code.
int ServeEcho(int threads, size_t reply_bytes);

// The same in a process of its own, as the server it is compared with has one.
class EchoProcess {
 public:
  static base::Result<std::unique_ptr<EchoProcess>> Start(int threads, size_t reply_bytes);
  ~EchoProcess();
  EchoProcess(const EchoProcess&) = delete;
  EchoProcess& operator=(const EchoProcess&) = delete;

  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }

 private:
  EchoProcess() = default;
  std::string address_;
  pid_t pid_ = 0;
  int stdin_fd_ = -1;  // its end tells the process to go
};

}  // namespace hongyan::bench
