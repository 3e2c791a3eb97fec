#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "histogram.h"
#include "tally.h"

namespace hongyan::bench {

// CPU and memory of a process.
struct Usage {
  double cpu_s = 0;
  int64_t rss_bytes = 0;
};
// Of a running process, from /proc; zeros where there is none. `pid` 0 = this one.
Usage UsageOf(int pid);

// What a run found; printed as a table, written as JSON. Counts are of the measured window, but
// lost, duplicated, out_of_order, gaps and kills are of the whole run, warm-up and drain included.
struct Outcome {
  std::string mode;
  int64_t sent = 0;
  int64_t acked = 0;
  int64_t delivered = 0;  // pulled by those it was for
  double entries_per_s = 0;
  int64_t lost = 0;
  int64_t duplicated = 0;
  int64_t out_of_order = 0;
  int64_t gaps = 0;
  int64_t kills = 0;
  int64_t in_flight_at_kill = 0;
  double seconds = 0;
  double rate_per_s = 0;
  Histogram ack;
  Histogram deliver;
  Usage server;
  bool server_known = false;
  Usage tool;
  uint64_t seed = 0;
  std::vector<std::string> failures;
  std::vector<std::string> notes;  // how it was measured, for people
  nlohmann::ordered_json more = nlohmann::ordered_json::object();  // figures of this mode only

  // Takes over what the wire showed.
  void Add(const Tally& tally);

  bool ok() const {
    return lost == 0 && duplicated == 0 && out_of_order == 0 && gaps == 0 && failures.empty();
  }
};

nlohmann::ordered_json PercentilesMs(const Histogram& histogram);
nlohmann::ordered_json ToJson(const Outcome& outcome);

// The table, to standard output.
void PrintTable(const Outcome& outcome);

// False, with a sentence on standard error, where the file cannot be written.
bool WriteJson(const Outcome& outcome, const std::string& path);

}  // namespace hongyan::bench
