#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <functional>
#include <map>

#include "echo_server.h"
#include "modes.h"
#include "options.h"

namespace {

using namespace hongyan::bench;

// Thousands of connections need descriptors; the spawned server inherits the limit.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

Outcome Failure(const Options& options, const hongyan::base::Error& error) {
  Outcome outcome;
  outcome.mode = options.mode;
  outcome.seed = options.seed;
  outcome.failures.push_back(error.text);
  return outcome;
}

Outcome RunMode(const Options& options) {
  if (options.mode == "echo") return RunEcho(options);
  static const std::map<std::string, std::function<Outcome(Stage&)>> kModes{
      {"send", RunSend},     {"group", RunGroup},         {"mix", RunMix},
      {"idle", RunIdle},     {"reconnect", RunReconnect}, {"heartbeat", RunHeartbeat},
      {"replay", RunReplay}, {"redpacket", RunRedpacket},
  };
  Options chosen = options;
  // The yardstick has as many threads as the server, so both are told.
  if ((chosen.mode == "heartbeat" || chosen.measure == "grabs") && chosen.server_threads == 0) {
    chosen.server_threads = 1;
  }
  // So that packets expire while we watch; what --config-set says stands after it, and wins.
  if (chosen.mode == "redpacket" && chosen.measure.empty() && chosen.spawn && chosen.life_s > 0) {
    chosen.config_set.insert(chosen.config_set.begin(),
                             "money.life_s=" + std::to_string(chosen.life_s));
  }
  auto stage = Stage::Open(chosen);
  if (!stage.ok()) return Failure(options, stage.error());
  return kModes.at(options.mode)(**stage);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int exit_code = kExitOk;
  if (!ParseOptions(argc, argv, &options, &exit_code)) return exit_code;
  RaiseDescriptorLimit();
  signal(SIGPIPE, SIG_IGN);
  if (options.serve_only) {
    return ServeEcho(std::max(1, options.server_threads), static_cast<size_t>(options.reply_bytes));
  }
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    action.sa_handler = [](int) { Stage::Interrupt(); };
    action.sa_flags = SA_RESETHAND | SA_RESTART;  // the second one ends us at once
    sigaction(number, &action, nullptr);
  }
  const Outcome outcome = RunMode(options);
  PrintTable(outcome);
  if (!options.json.empty() && !WriteJson(outcome, options.json)) return kExitFailed;
  return outcome.ok() ? kExitOk : kExitFailed;
}
