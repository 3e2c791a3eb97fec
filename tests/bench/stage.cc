#include "stage.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

namespace hongyan::bench {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr double kStartTimeoutS = 60;
constexpr double kDrainTimeoutS = 30;
// After a failure: how long what can still move may take, so that the counts say how much is
// missing.
constexpr double kQuietAfterFailureS = 2;
constexpr double kLongestAfterFailureS = 15;
constexpr size_t kConnectionsPerAddress = 12'000;  // of the some 28,000 ports an address has

volatile std::sig_atomic_t interrupted = 0;

double SecondsSince(int64_t ns) { return static_cast<double>(NowNs() - ns) / 1e9; }

// Who listens on a unix socket, as the kernel knows it; 0 if it cannot be asked.
int PidBehind(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return 0;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  ucred peer{};
  socklen_t size = sizeof peer;
  const bool known = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                     getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  close(fd);
  return known ? peer.pid : 0;
}

}  // namespace

Stage::Stage(const Options& options)
    : options_(options), random_(options.seed), progress_(!options.quiet) {
  char text[32];
  std::snprintf(text, sizeof text, "b%06x.",
                static_cast<unsigned>(std::random_device()() & 0xffffff));
  prefix_ = text;
}

Stage::~Stage() {
  admin_.reset();
  thread_.reset();
  runtime_.reset();
  if (server_ && server_->running() && !tally_.failed()) {
    // A server that cannot end cleanly after all this is worth a word; it is ended in any case.
    if (const auto ended = server_->Terminate(kDrainTimeoutS); !ended.ok()) {
      std::fprintf(stderr, "hongyan-bench: %s\n", ended.error().text.c_str());
    }
  }
}

Result<std::unique_ptr<Stage>> Stage::Open(const Options& options) {
  std::unique_ptr<Stage> stage(new Stage(options));
  if (const auto found = stage->FindServer(); !found.ok()) return found.error();
  stage->runtime_ = std::make_unique<Runtime>();
  stage->thread_ =
      std::make_unique<LoadThread>(*stage->runtime_, stage->tally_, options.seed ^ 0x10ad);
  stage->thread_->address = stage->server_ ? stage->server_->address() : options.server;
  if (options.kill_every_s > 0)
    stage->kill_schedule_.emplace(options.seed ^ 0x6b111, options.kill_every_s);
  return stage;
}

Result<void> Stage::FindServer() {
  if (!options_.spawn) {
    admin_ = std::make_unique<AdminSocket>(options_.admin);
    running_pid_ = options_.server_pid > 0 ? options_.server_pid : PidBehind(options_.admin);
    return {};
  }
  ServerProcessOptions wanted;
  wanted.binary = options_.hongyand;
  wanted.parent = options_.work_dir;
  wanted.config_set = options_.config_set;
  wanted.loops = options_.server_threads;
  wanted.keep = options_.keep;
  wanted.watch_syncs = options_.lose_unsynced;
  auto made = ServerProcess::Make(wanted);
  if (!made.ok()) return made.error();
  server_ = std::move(*made);
  struct statfs about {};
  constexpr int kTmpfs = 0x01021994;
  if (statfs(server_->folder().c_str(), &about) == 0 && about.f_type == kTmpfs) {
    std::fprintf(
        stderr,
        "hongyan-bench: %s is in memory (tmpfs): nothing is durable there and figures mean "
        "little; use --work-dir\n",
        server_->folder().c_str());
  }
  if (const auto started = server_->Start(kStartTimeoutS); !started.ok()) return started;
  admin_ = std::make_unique<AdminSocket>(server_->admin_path());
  return {};
}

Result<std::vector<Account>> Stage::MakeUsers(const std::string& kind, size_t count,
                                              size_t with_tokens) {
  progress_.Show("making " + std::to_string(count) + " users", -1);
  std::vector<std::string> names;
  names.reserve(count);
  for (size_t i = 0; i < count; ++i) names.push_back(prefix_ + kind + std::to_string(i));
  auto accounts = admin_->MakeUsers(names);
  if (!accounts.ok()) return accounts;
  if (const auto issued = admin_->IssueTokens(*accounts, 0, with_tokens, random_); !issued.ok()) {
    return issued.error();
  }
  return accounts;
}

Result<void> Stage::IssueTokens(std::vector<Account>& accounts) {
  return admin_->IssueTokens(accounts, 0, accounts.size(), random_);
}

std::string Stage::SourceOf(size_t i, size_t total) const {
  if (!thread_->address.starts_with("127.")) return {};
  const size_t wanted = options_.source_addresses > 0
                            ? static_cast<size_t>(options_.source_addresses)
                            : 1 + total / kConnectionsPerAddress;
  if (wanted <= 1) return {};
  const size_t n = i % wanted;
  return "127.0." + std::to_string(1 + n / 250) + "." + std::to_string(1 + n % 250);
}

// ---- waiting and killing ----

void Stage::AllowKills(bool allow) {
  if (!kill_schedule_.has_value() || allow == kills_allowed_) return;
  kills_allowed_ = allow;
  if (!allow) {
    until_kill_ns_ = next_kill_ns_ - NowNs();  // goes on where kills may come again
    return;
  }
  if (until_kill_ns_ <= 0) until_kill_ns_ = static_cast<int64_t>(kill_schedule_->NextS() * 1e9);
  next_kill_ns_ = NowNs() + until_kill_ns_;
}

bool Stage::KillNow() {
  ++kills_;
  if (tally_.unacked > 0) ++in_flight_at_kill_;
  auto done = server_->Kill();
  if (done.ok() && options_.lose_unsynced) done = server_->LoseUnsynced();
  if (done.ok()) done = server_->Start(kStartTimeoutS);
  admin_->Disconnect();
  moved_ns_ = NowNs();
  if (!done.ok()) {
    tally_.Fail("after kill " + std::to_string(kills_) + ": " + done.error().text);
    return false;
  }
  next_kill_ns_ = NowNs() + static_cast<int64_t>(kill_schedule_->NextS() * 1e9);
  return true;
}

bool Stage::RestartServer(bool cleanly) {
  auto done = cleanly ? server_->Terminate(kDrainTimeoutS) : server_->Kill();
  if (done.ok() && !cleanly && options_.lose_unsynced) done = server_->LoseUnsynced();
  if (done.ok()) done = server_->Start(kStartTimeoutS);
  admin_->Disconnect();
  if (!done.ok()) tally_.Fail(done.error().text);
  return done.ok();
}

void Stage::Interrupt() { interrupted = 1; }

bool Stage::Step(int sleep_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms));
  if (interrupted != 0) {
    if (!tally_.failed()) tally_.Fail("interrupted");
    return false;
  }
  if (server_ == nullptr) return true;
  std::string how;
  if (server_->EndedByItself(&how)) tally_.Fail("the server ended by itself: " + how);
  if (!server_->running()) return false;
  // After a failure the rest is only counted.
  if (kills_allowed_ && !tally_.failed() && NowNs() >= next_kill_ns_) return KillNow();
  return true;
}

bool Stage::Alive(const std::string& what) {
  const int64_t moved = tally_.moved;
  if (moved != moved_) {
    moved_ = moved;
    moved_ns_ = NowNs();
  }
  if (tally_.failed()) {
    if (failed_ns_ == 0) failed_ns_ = NowNs();
    return SecondsSince(moved_ns_) < std::min(kQuietAfterFailureS, options_.deadline_s) &&
           SecondsSince(failed_ns_) < kLongestAfterFailureS;
  }
  if (SecondsSince(moved_ns_) < options_.deadline_s) return true;
  char text[64];
  std::snprintf(text, sizeof text, "%g", options_.deadline_s);
  const std::string refusal = tally_.last_refusal();
  tally_.Fail("nothing moved for " + std::string(text) + " s while waiting until " + what +
              (refusal.empty() ? "" : "; the server's last refusal was " + refusal));
  return false;
}

bool Stage::WaitUntil(const std::string& what, const std::function<bool()>& done,
                      const std::function<std::string()>& detail) {
  moved_ns_ = NowNs();
  while (!Run(done)) {
    if (!Step() || !Alive(what)) return false;
    progress_.Show(what, -1, detail ? detail() : std::string());
  }
  return true;
}

bool Stage::WaitSeconds(const std::string& what, double seconds,
                        const std::function<std::string()>& detail) {
  const int64_t start_ns = NowNs();
  while (SecondsSince(start_ns) < seconds) {
    if (!Step() || tally_.failed()) return false;
    progress_.Show(what, SecondsSince(start_ns) / seconds, detail ? detail() : std::string());
  }
  return true;
}

// ---- results ----

Usage Stage::ServerUsage() const {
  if (server_ == nullptr) return running_pid_ > 0 ? UsageOf(running_pid_) : Usage{};
  Usage usage = server_->running() ? UsageOf(server_->pid()) : Usage{};
  usage.cpu_s += server_->past_cpu_s();
  return usage;
}

Outcome Stage::NewOutcome() const {
  Outcome outcome;
  outcome.mode = options_.mode;
  outcome.seed = options_.seed;
  outcome.server_known = server_known();
  return outcome;
}

void Stage::Conclude(Outcome& outcome) const {
  outcome.Add(tally_);
  outcome.kills = kills_;
  outcome.in_flight_at_kill = in_flight_at_kill_;
}

}  // namespace hongyan::bench
