#pragma once

#include <functional>
#include <string>
#include <vector>

namespace hongyan::admin {

// One figure of the running server, for `hongyan-admin stats` and for Prometheus.
struct Stat {
  std::string name;    // Prometheus style: hongyan_requests_total
  std::string labels;  // as Prometheus writes them, e.g. channel="0-1"; empty = none
  double value = 0;
  std::string help;
  bool counter = false;  // only rises
};

// Reads all figures anew. Any thread; may read the disk.
using Stats = std::function<std::vector<Stat>()>;

}  // namespace hongyan::admin
