#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace hongyan::bench {

struct ServerProcessOptions {
  std::string binary;                   // hongyand; empty = beside this program
  std::string parent;                   // the folder for the temporary one; empty = the system's
  std::vector<std::string> config_set;  // section.key=value
  int loops = 0;                        // 0 = the server's default
  bool keep = false;                    // leave the folder at the end
  bool watch_syncs = false;             // under the fault layer: LoseUnsynced may be asked for
};

// A private hongyand on a temporary data directory and a free port: started, killed, started again
// on the same data and port, ended and removed. Its log goes to a file beside the data. Ends with
// this process, whatever happens to it. One thread: the one that made it.
class ServerProcess {
 public:
  static base::Result<std::unique_ptr<ServerProcess>> Make(const ServerProcessOptions& options);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Returns when the server says that it is ready. An error carries the server's own last words.
  base::Result<void> Start(double timeout_s);

  // SIGKILL, or SIGTERM and as long as it takes (then SIGKILL, an error). Reaps.
  base::Result<void> Kill();
  base::Result<void> Terminate(double timeout_s);

  // REQUIRES a killed server, made with watch_syncs: takes away what no sync had covered.
  base::Result<void> LoseUnsynced();

  // True, and reaped, if it ended by itself; `how` says how, with its last words.
  bool EndedByItself(std::string* how);

  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  const std::string& address() const { return address_; }
  const std::string& admin_path() const { return admin_path_; }
  const std::filesystem::path& folder() const { return folder_; }
  // CPU of all lives that are over.
  double past_cpu_s() const { return past_cpu_s_; }

 private:
  explicit ServerProcess(const ServerProcessOptions& options) : options_(options) {}

  base::Result<void> WriteConfig();
  base::Result<void> Launch();
  base::Result<void> AwaitReady(double timeout_s);
  // Waits for the end; false when it takes longer. REQUIRES running.
  bool Reap(double timeout_s, int* status);
  std::string LogSince(int64_t offset) const;
  std::string LastWords() const;

  const ServerProcessOptions options_;
  std::filesystem::path folder_;
  std::string address_;
  std::string admin_path_;
  int port_ = 0;
  pid_t pid_ = 0;
  int64_t log_start_ = 0;  // where the log of the present life begins
  double past_cpu_s_ = 0;
};

// The folder of this program, with links resolved.
std::filesystem::path ProgramFolder();

}  // namespace hongyan::bench
