#include <algorithm>
#include <optional>

#include "beat.h"
#include "crowd.h"
#include "hongyan/v1/command.pb.h"
#include "measured_beat.h"
#include "modes.h"
#include "window.h"

// The modes in which nobody says much: idle, reconnect, heartbeat, echo.

namespace hongyan::bench {
namespace {

Outcome Failed(Stage& stage, Outcome outcome, const base::Error& error) {
  stage.Conclude(outcome);
  outcome.failures.push_back(error.text);
  return outcome;
}

}  // namespace

// ---- idle ----

Outcome RunIdle(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  const auto count = static_cast<size_t>(options.connections);
  const auto users = stage.MakeUsers("i", count, count);
  if (!users.ok()) return Failed(stage, outcome, users.error());
  // What making the users left behind must not hide what the connections need.
  if (stage.spawned() && !stage.RestartServer(true)) {
    stage.Conclude(outcome);
    return outcome;
  }
  (void)stage.WaitSeconds("settling", 2);
  const int64_t empty = stage.ServerUsage().rss_bytes;
  Crowd crowd(stage, *users);
  const int64_t start_ns = NowNs();
  if (crowd.Connect()) {
    const double connect_s = static_cast<double>(NowNs() - start_ns) / 1e9;
    (void)stage.WaitSeconds("idle", 2);
    const int64_t logged_in = stage.ServerUsage().rss_bytes;
    const Window window(stage);
    bool ok = stage.WaitSeconds("idle", options.seconds);
    window.Close(outcome);
    const int64_t full = stage.ServerUsage().rss_bytes;
    const int64_t answered = ok ? crowd.Heartbeats() : 0;
    outcome.delivered = answered;
    outcome.lost = static_cast<int64_t>(count) - answered;
    const auto each = [&](int64_t rss) {
      return outcome.server_known ? static_cast<double>(rss - empty) / static_cast<double>(count)
                                  : 0;
    };
    outcome.more["connections"] = options.connections;
    outcome.more["connect_s"] = connect_s;
    outcome.more["rss_empty_bytes"] = empty;
    outcome.more["rss_logged_in_bytes"] = logged_in;
    outcome.more["rss_idle_bytes"] = full;
    outcome.more["bytes_per_connection"] = each(std::max(full, logged_in));
    outcome.more["heartbeats_answered"] = answered;
    if (stage.tally().reconnects > 0) outcome.failures.push_back("idle connections were lost");
  }
  outcome.notes.push_back(
      "bytes_per_connection = (server RSS with all logged in - RSS with none) / connections; "
      "a spawned server is restarted between making the users and the first look");
  stage.Conclude(outcome);
  return outcome;
}

// ---- reconnect ----

Outcome RunReconnect(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  const size_t talking =
      std::min(2 * static_cast<size_t>(options.talking), static_cast<size_t>(options.connections));
  const size_t count = static_cast<size_t>(options.connections) - talking;
  const auto idle = stage.MakeUsers("i", count, count);
  if (!idle.ok()) return Failed(stage, outcome, idle.error());
  const auto pairs = stage.MakeUsers("p", talking, talking);
  if (!pairs.ok()) return Failed(stage, outcome, pairs.error());
  Crowd crowd(stage, *idle);
  Traffic traffic(stage, static_cast<size_t>(options.bytes));
  for (size_t i = 0; i + 1 < talking; i += 2) {
    const Account& x = (*pairs)[i];
    const Account& y = (*pairs)[i + 1];
    const size_t talk = traffic.AddConversation(
        {std::min(x.user_id, y.user_id), std::max(x.user_id, y.user_id)}, 2);
    traffic.AddClient(talk, x, Traffic::kWrites, stage.SourceOf(i, talking));
    traffic.AddClient(talk, y, Traffic::kReads, stage.SourceOf(i + 1, talking));
  }
  bool ok = crowd.Connect() && traffic.Connect("who talks is logged in");
  stage.Run([&] {
    traffic.StartOpen(options.rate_per_s > 0 ? options.rate_per_s : 10.0 * options.talking);
    traffic.BeginWindow();
  });
  const Window window(stage);
  double slowest_s = 0;
  nlohmann::ordered_json each = nlohmann::ordered_json::array();
  for (int i = 0; ok && i < options.restarts; ++i) {
    ok = stage.WaitSeconds("talking", 2);
    if (!ok) break;
    const int64_t start_ns = NowNs();
    ok = stage.RestartServer(options.signal == "TERM");
    const int64_t ready_ns = NowNs();
    const auto everybody = static_cast<int64_t>(count + talking);
    ok = ok && stage.WaitUntil("everybody is back", [&] {
      return stage.tally().online == everybody && crowd.AllOnline();
    });
    const double all_s = static_cast<double>(NowNs() - start_ns) / 1e9;
    slowest_s = std::max(slowest_s, all_s);
    each.push_back(
        {{"server_down_s", static_cast<double>(ready_ns - start_ns) / 1e9}, {"all_back_s", all_s}});
  }
  (void)(ok && stage.WaitSeconds("talking", 2));
  window.Close(outcome);
  TakeCounts(stage, traffic, outcome);
  if (traffic.Drain("every message")) {
    (void)traffic.CheckOwnCopies();
    const int64_t answered = crowd.Heartbeats();
    outcome.lost += static_cast<int64_t>(count) - answered;
  }
  outcome.more["connections"] = options.connections;
  outcome.more["restarts"] = each;
  outcome.more["all_back_s"] = slowest_s;
  TakeFaults(stage, traffic, outcome);
  outcome.notes.push_back("all_back_s = from SIG" + options.signal +
                          " to the server until the last of all connections is logged in again");
  stage.Conclude(outcome);
  return outcome;
}

// ---- heartbeat and echo ----

Outcome RunHeartbeat(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  const auto count = static_cast<size_t>(options.connections);
  const auto users = stage.MakeUsers("h", count, count);
  if (!users.ok()) return Failed(stage, outcome, users.error());
  std::optional<Beat> beat;  // outlives the connections that call back into it
  Crowd crowd(stage, *users);
  if (!crowd.Connect()) {
    stage.Conclude(outcome);
    return outcome;
  }
  Runtime& runtime = stage.thread().runtime;
  std::vector<sdk::Link*> links;
  for (const auto& client : crowd.clients()) links.push_back(client->link());
  beat.emplace(stage.tally(), links, std::vector<Beat::Request>{{v1::HEARTBEAT, ""}},
               Beat::Answered);
  MeasureBeat(
      runtime, stage.tally(), *beat, stage.progress(), "heartbeat", options.warmup_s,
      options.seconds, [&stage] { return stage.ServerUsage(); }, outcome);
  Outcome echo;
  if (!stage.tally().failed()) {
    MeasureEcho(runtime, stage.tally(), stage.progress(), options, {0, beat->reply_bytes()}, echo);
  }
  CompareWithEcho(options, {0, beat->reply_bytes()}, echo, outcome);
  stage.Conclude(outcome);
  return outcome;
}

Outcome RunEcho(const Options& options) {
  Outcome outcome;
  outcome.mode = options.mode;
  outcome.seed = options.seed;
  Tally tally;
  Progress progress(!options.quiet);
  Runtime runtime;
  MeasureEcho(runtime, tally, progress, options, {0, static_cast<size_t>(options.reply_bytes)},
              outcome);
  outcome.more["threads"] = EchoThreads(options);
  outcome.more["connections"] = options.connections;
  outcome.Add(tally);
  return outcome;
}

}  // namespace hongyan::bench
