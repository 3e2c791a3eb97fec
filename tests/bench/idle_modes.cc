#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>

#include "beat.h"
#include "crowd.h"
#include "echo_server.h"
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

int ThreadsOf(const Options& options) {
  if (options.server_threads > 0) return options.server_threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
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

namespace {

// Runs the beat on the load thread: warm-up, window, stop. Fills what heartbeat and echo share.
void Measure(Runtime& runtime, Tally& tally, Beat& beat, Progress& progress,
             const std::string& what, double warmup_s, double seconds,
             const std::function<Usage()>& server, Outcome& outcome) {
  const auto wait = [&](const std::string& name, double s) {
    const int64_t start_ns = NowNs();
    for (double t = 0; t < s && !tally.failed();
         t = static_cast<double>(NowNs() - start_ns) / 1e9) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      progress.Show(name, t / s);
    }
  };
  runtime.Run([&] { beat.Start(); });
  wait("warm-up", warmup_s);
  runtime.Run([&] { beat.BeginWindow(); });
  const Usage server_before = server();
  const Usage tool_before = UsageOf(0);
  const int64_t start_ns = NowNs();
  wait(what, seconds);
  runtime.Run([&] {
    outcome.seconds = static_cast<double>(NowNs() - start_ns) / 1e9;
    outcome.sent = beat.asked();
    outcome.acked = outcome.delivered = beat.answered();
    outcome.ack = beat.latency();
    beat.Stop();
  });
  outcome.rate_per_s = static_cast<double>(outcome.delivered) / outcome.seconds;
  outcome.server = server();
  outcome.server.cpu_s -= server_before.cpu_s;
  outcome.tool = UsageOf(0);
  outcome.tool.cpu_s -= tool_before.cpu_s;
  for (int i = 0; i < 500 && runtime.Run([&] { return beat.waiting(); }) > 0 && !tally.failed();
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  outcome.lost += runtime.Run([&] { return beat.waiting(); });
}

// Links to an echo server; gone with the object.
class EchoLinks {
 public:
  EchoLinks(Runtime& runtime, Tally& tally, const std::string& address, int count)
      : runtime_(runtime), wanted_(count) {
    runtime_.Run([&] {
      for (int i = 0; i < count; ++i) {
        sdk::LinkOptions options;
        options.address = address;
        sdk::Link::Events events;
        events.on_up = [this] { ++up_; };
        events.on_down = [&tally](const sdk::Down& down) { tally.Fail("echo: " + down.text); };
        links_.push_back(
            std::make_unique<sdk::Link>(runtime_, std::move(options), std::move(events)));
      }
    });
  }
  ~EchoLinks() {
    runtime_.Run([this] { links_.clear(); });
  }
  EchoLinks(const EchoLinks&) = delete;
  EchoLinks& operator=(const EchoLinks&) = delete;

  bool AwaitUp(const Tally& tally) {
    for (int i = 0; i < 1000 && !tally.failed(); ++i) {
      if (runtime_.Run([this] { return up_ == wanted_; })) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  std::vector<sdk::Link*> all() {
    std::vector<sdk::Link*> pointers;
    for (const auto& link : links_) pointers.push_back(link.get());
    return pointers;
  }

 private:
  Runtime& runtime_;
  const int wanted_;
  int up_ = 0;
  std::vector<std::unique_ptr<sdk::Link>> links_;
};

// Echo as a mode and as the yardstick of heartbeat: on the load thread it is given.
void RunEchoOn(Runtime& runtime, Tally& tally, Progress& progress, const Options& options,
               size_t reply_bytes, Outcome& outcome) {
  auto server = EchoProcess::Start(ThreadsOf(options), reply_bytes);
  if (!server.ok()) return outcome.failures.push_back(server.error().text);
  std::optional<Beat> beat;  // outlives the links that call back into it
  EchoLinks links(runtime, tally, (*server)->address(), options.connections);
  if (!links.AwaitUp(tally))
    return outcome.failures.push_back("the echo server did not take all connections");
  beat.emplace(tally, links.all());
  outcome.server_known = true;
  const int pid = (*server)->pid();
  Measure(
      runtime, tally, *beat, progress, "echo", options.warmup_s, options.seconds,
      [pid] { return UsageOf(pid); }, outcome);
}

}  // namespace

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
  beat.emplace(stage.tally(), links);
  Measure(
      runtime, stage.tally(), *beat, stage.progress(), "heartbeat", options.warmup_s,
      options.seconds, [&stage] { return stage.ServerUsage(); }, outcome);
  Outcome echo;
  if (!stage.tally().failed()) {
    RunEchoOn(runtime, stage.tally(), stage.progress(), options, beat->reply_bytes(), echo);
  }
  outcome.more["echo"] = {{"rate_per_s", echo.rate_per_s},
                          {"answer_ms", PercentilesMs(echo.ack)},
                          {"server_cpu_s", echo.server.cpu_s},
                          {"tool_cpu_s", echo.tool.cpu_s},
                          {"reply_payload_bytes", beat->reply_bytes()},
                          {"threads", ThreadsOf(options)}};
  if (echo.rate_per_s > 0) outcome.more["of_echo"] = outcome.rate_per_s / echo.rate_per_s;
  for (std::string& failure : echo.failures) outcome.failures.push_back(std::move(failure));
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
  RunEchoOn(runtime, tally, progress, options, static_cast<size_t>(options.reply_bytes), outcome);
  outcome.more["threads"] = ThreadsOf(options);
  outcome.more["connections"] = options.connections;
  outcome.Add(tally);
  return outcome;
}

}  // namespace hongyan::bench
