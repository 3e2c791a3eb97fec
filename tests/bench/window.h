#pragma once

#include "outcome.h"
#include "stage.h"
#include "traffic.h"

namespace hongyan::bench {

// The measured part of a run: what server and tool spent in it, and how long it was. Main thread.
class Window {
 public:
  explicit Window(Stage& stage)
      : stage_(stage), server_(stage.ServerUsage()), tool_(UsageOf(0)), start_ns_(NowNs()) {}

  double seconds() const { return static_cast<double>(NowNs() - start_ns_) / 1e9; }

  // Fills seconds, server and tool.
  void Close(Outcome& outcome) const {
    outcome.seconds = seconds();
    outcome.server = stage_.ServerUsage();
    outcome.server.cpu_s -= server_.cpu_s;
    outcome.tool = UsageOf(0);
    outcome.tool.cpu_s -= tool_.cpu_s;
  }

 private:
  Stage& stage_;
  const Usage server_;
  const Usage tool_;
  const int64_t start_ns_;
};

// Counts and latencies of the window that ends now. Main thread.
inline void TakeCounts(Stage& stage, const Traffic& traffic, Outcome& outcome) {
  stage.Run([&] {
    const Traffic::Counts counts = traffic.counts();
    outcome.sent = counts.sent;
    outcome.acked = counts.acked;
    outcome.delivered = counts.delivered;
    outcome.ack = traffic.ack();
    outcome.deliver = traffic.deliver();
    if (outcome.seconds <= 0) return;
    outcome.rate_per_s = static_cast<double>(counts.delivered) / outcome.seconds;
    outcome.entries_per_s = static_cast<double>(counts.entries) / outcome.seconds;
  });
}

// What the whole run found wrong, warm-up and drain included. Main thread, after Drain.
inline void TakeFaults(Stage& stage, const Traffic& traffic, Outcome& outcome) {
  const Traffic::Counts total = stage.Run([&] {
    outcome.lost += traffic.lost();
    outcome.duplicated += traffic.content_duplicated();
    outcome.out_of_order += traffic.content_out_of_order();
    return traffic.total();
  });
  outcome.more["total"] = {
      {"sent", total.sent}, {"acked", total.acked}, {"delivered", total.delivered}};
}

}  // namespace hongyan::bench
