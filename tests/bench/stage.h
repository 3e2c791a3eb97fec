#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin_socket.h"
#include "load_client.h"
#include "options.h"
#include "outcome.h"
#include "progress.h"
#include "schedule.h"
#include "server_process.h"

namespace hongyan::bench {

// What every mode plays on: the server (running or spawned, killed on schedule), its back door, and
// the one thread all clients live on. The mode itself is straight-line code on the main thread and
// reaches the load thread by Run. Main thread.
class Stage {
 public:
  static base::Result<std::unique_ptr<Stage>> Open(const Options& options);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const Options& options() const { return options_; }
  AdminSocket& admin() { return *admin_; }
  Tally& tally() { return tally_; }
  LoadThread& thread() { return *thread_; }
  std::mt19937_64& random() { return random_; }
  Progress& progress() { return progress_; }

  // Runs it on the load thread and waits.
  template <class F>
  auto Run(F work) {
    return runtime_->Run(std::move(work));
  }

  // Users of this run, with tokens for the first `with_tokens` of them.
  base::Result<std::vector<Account>> MakeUsers(const std::string& kind, size_t count,
                                               size_t with_tokens);
  base::Result<void> IssueTokens(std::vector<Account>& accounts);
  // Names of users, groups and messages begin with it, so runs against one server do not meet.
  const std::string& prefix() const { return prefix_; }

  // The address client number i should come from; of `total`, so that none runs out of ports.
  std::string SourceOf(size_t i, size_t total) const;

  // Waits until `done` says so (asked on the load thread); kills the server as scheduled meanwhile.
  // False: nothing moved for the deadline, the server is gone, or a failure was noted and what can
  // still move has. Every false has a failure in the tally.
  bool WaitUntil(const std::string& what, const std::function<bool()>& done,
                 const std::function<std::string()>& detail = {});
  // Lets the load run; false as above.
  bool WaitSeconds(const std::string& what, double seconds,
                   const std::function<std::string()>& detail = {});

  // The next step of any waiting gives up, so that the run ends and cleans up. From a signal
  // handler.
  static void Interrupt();

  // One step of waiting: looks after the server, then sleeps. False = give up.
  bool Step(int sleep_ms = 10);

  // Ends and starts the spawned server; `cleanly` = SIGTERM.
  bool RestartServer(bool cleanly);
  bool spawned() const { return server_ != nullptr; }

  // From now on the schedule of kills runs (if asked for).
  void AllowKills(bool allow);

  Usage ServerUsage() const;
  bool server_known() const { return server_ != nullptr || running_pid_ > 0; }

  int64_t kills() const { return kills_; }
  int64_t kills_in_flight() const { return in_flight_at_kill_; }  // with something unacknowledged
  Outcome NewOutcome() const;
  // What the whole run showed: failures, duplicates, gaps, kills.
  void Conclude(Outcome& outcome) const;

 private:
  explicit Stage(const Options& options);
  base::Result<void> FindServer();
  bool KillNow();
  bool Alive(const std::string& what);

  const Options options_;
  std::string prefix_;
  std::mt19937_64 random_;
  Progress progress_;
  Tally tally_;
  std::unique_ptr<ServerProcess> server_;
  int running_pid_ = 0;
  std::unique_ptr<AdminSocket> admin_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<LoadThread> thread_;
  std::optional<KillSchedule> kill_schedule_;
  bool kills_allowed_ = false;
  int64_t next_kill_ns_ = 0;
  int64_t until_kill_ns_ = 0;
  int64_t kills_ = 0;
  int64_t in_flight_at_kill_ = 0;
  int64_t moved_ = -1;
  int64_t moved_ns_ = 0;
  int64_t failed_ns_ = 0;
};

}  // namespace hongyan::bench
