#include "measured_beat.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "echo_server.h"
#include "hongyan/v1/command.pb.h"
#include "load_client.h"

namespace hongyan::bench {

int EchoThreads(const Options& options) {
  if (options.server_threads > 0) return options.server_threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void MeasureBeat(Runtime& runtime, Tally& tally, Beat& beat, Progress& progress,
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

namespace {

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

}  // namespace

void MeasureEcho(Runtime& runtime, Tally& tally, Progress& progress, const Options& options,
                 const FrameSizes& sizes, Outcome& outcome) {
  auto server = EchoProcess::Start(EchoThreads(options), sizes.reply_bytes);
  if (!server.ok()) return outcome.failures.push_back(server.error().text);
  std::optional<Beat> beat;  // outlives the links that call back into it
  EchoLinks links(runtime, tally, (*server)->address(), options.connections);
  if (!links.AwaitUp(tally))
    return outcome.failures.push_back("the echo server did not take all connections");
  beat.emplace(tally, links.all(),
               std::vector<Beat::Request>{{v1::HEARTBEAT, std::string(sizes.request_bytes, 'e')}},
               Beat::Answered);
  outcome.server_known = true;
  const int pid = (*server)->pid();
  MeasureBeat(
      runtime, tally, *beat, progress, "echo", options.warmup_s, options.seconds,
      [pid] { return UsageOf(pid); }, outcome);
}

void CompareWithEcho(const Options& options, const FrameSizes& sizes, Outcome& echo,
                     Outcome& outcome) {
  outcome.more["echo"] = {{"rate_per_s", echo.rate_per_s},
                          {"answer_ms", PercentilesMs(echo.ack)},
                          {"server_cpu_s", echo.server.cpu_s},
                          {"tool_cpu_s", echo.tool.cpu_s},
                          {"request_payload_bytes", sizes.request_bytes},
                          {"reply_payload_bytes", sizes.reply_bytes},
                          {"threads", EchoThreads(options)}};
  if (echo.rate_per_s > 0) outcome.more["of_echo"] = outcome.rate_per_s / echo.rate_per_s;
  for (std::string& failure : echo.failures) outcome.failures.push_back(std::move(failure));
}

}  // namespace hongyan::bench
