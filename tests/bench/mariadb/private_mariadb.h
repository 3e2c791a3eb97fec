#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"

namespace hongyan::bench {

// A mariadbd of our own: a fresh data directory in a temporary folder, a socket in it and no port,
// every commit flushed. Ends with this object, by its process id, and with this process, whatever
// happens to it. One thread: the one that made it.
class PrivateMariadb {
 public:
  // `parent`: the folder for the temporary one; empty = the system's. Returns when it answers.
  static base::Result<std::unique_ptr<PrivateMariadb>> Start(const std::string& parent);
  ~PrivateMariadb();
  PrivateMariadb(const PrivateMariadb&) = delete;
  PrivateMariadb& operator=(const PrivateMariadb&) = delete;

  // Where clients connect, as root without a password.
  const std::string& socket() const { return socket_; }
  pid_t pid() const { return pid_; }

 private:
  PrivateMariadb() = default;
  base::Result<void> MakeFolder(const std::string& parent);
  base::Result<void> MakeTables();
  base::Result<void> Launch();
  base::Result<void> AwaitReady();
  std::string LastWords() const;

  std::filesystem::path folder_;
  std::string socket_;
  pid_t pid_ = 0;
};

}  // namespace hongyan::bench
