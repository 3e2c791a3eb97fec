#include "outcome.h"

#include <unistd.h>

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace hongyan::bench {
namespace {

using Json = nlohmann::ordered_json;

double Rounded(double v, double to) { return std::round(v * to) / to; }

void Line(const char* name, const std::string& value) {
  std::printf("  %-20s %s\n", name, value.c_str());
}

template <class... Args>
std::string Text(const char* format, Args... args) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, format, args...);
  return buffer;
}

std::string Latencies(const Histogram& h) {
  if (h.count() == 0) return "not measured";
  return Text("p50 %.3f   p99 %.3f   p999 %.3f   max %.3f", h.PercentileMs(50), h.PercentileMs(99),
              h.PercentileMs(99.9), h.MaxMs());
}

// To millionths: enough for every figure, and no 2.5500000000000003.
void RoundAll(Json& json) {
  for (Json& value : json) {
    if (value.is_structured()) {
      RoundAll(value);
    } else if (value.is_number_float()) {
      value = Rounded(value.get<double>(), 1e6);
    }
  }
}

void PrintMore(const Json& more, const std::string& prefix) {
  for (const auto& [key, value] : more.items()) {
    const std::string name = prefix + key;
    if (value.is_object()) {
      PrintMore(value, name + ".");
    } else {
      Line(name.c_str(), value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

void PrintFailures(const Outcome& o) {
  for (const std::string& failure : o.failures) std::printf("  FAILURE: %s\n", failure.c_str());
  std::fflush(stdout);
}

}  // namespace

Usage UsageOf(int pid) {
  const std::string folder = pid == 0 ? "/proc/self" : "/proc/" + std::to_string(pid);
  Usage usage;
  std::ifstream stat(folder + "/stat");
  std::string text;
  std::getline(stat, text);
  const size_t name_end = text.rfind(')');  // the name may contain anything
  if (name_end == std::string::npos) return usage;
  std::istringstream fields(text.substr(name_end + 2));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  usage.cpu_s = (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  int64_t size = 0;
  int64_t resident = 0;
  std::ifstream(folder + "/statm") >> size >> resident;
  usage.rss_bytes = resident * sysconf(_SC_PAGESIZE);
  return usage;
}

void Outcome::Add(const Tally& tally) {
  duplicated += tally.duplicated;
  out_of_order += tally.out_of_order;
  gaps += tally.gaps;
  for (std::string& failure : tally.failures()) failures.push_back(std::move(failure));
  if (tally.resent > 0) more["resent"] = tally.resent.load();
  if (tally.reconnects > 0) more["reconnects"] = tally.reconnects.load();
  if (tally.impatient > 0) more["impatient"] = tally.impatient.load();
  if (tally.busy > 0) {
    more["busy"] = tally.busy.load();
    more["last_refusal"] = tally.last_refusal();
  }
}

Json PercentilesMs(const Histogram& h) {
  if (h.count() == 0) return {{"p50", nullptr}, {"p99", nullptr}, {"p999", nullptr}};
  return {{"p50", h.PercentileMs(50)}, {"p99", h.PercentileMs(99)}, {"p999", h.PercentileMs(99.9)}};
}

Json ToJson(const Outcome& o) {
  Json json{{"mode", o.mode},
            {"ok", o.ok()},
            {"sent", o.sent},
            {"acked", o.acked},
            {"delivered", o.delivered},
            {"entries_per_s", Rounded(o.entries_per_s, 10)},
            {"lost", o.lost},
            {"duplicated", o.duplicated},
            {"out_of_order", o.out_of_order},
            {"gaps", o.gaps},
            {"kills", o.kills},
            {"in_flight_at_kill", o.in_flight_at_kill},
            {"seconds", Rounded(o.seconds, 1000)},
            {"rate_per_s", Rounded(o.rate_per_s, 10)},
            {"ack_ms", PercentilesMs(o.ack)},
            {"deliver_ms", PercentilesMs(o.deliver)},
            {"server", {{"cpu_s", nullptr}, {"rss_bytes", nullptr}}},
            {"tool", {{"cpu_s", Rounded(o.tool.cpu_s, 100)}}},
            {"seed", o.seed},
            {"failures", o.failures}};
  if (o.server_known) {
    json["server"] = {{"cpu_s", Rounded(o.server.cpu_s, 100)}, {"rss_bytes", o.server.rss_bytes}};
  }
  for (const auto& [key, value] : o.more.items()) json[key] = value;
  RoundAll(json);
  return json;
}

void PrintTable(const Outcome& o) {
  std::printf("\n%s: %s\n", o.mode.c_str(), o.ok() ? "ok" : "FAILED");
  if (o.seconds <= 0 && !o.ok()) return PrintFailures(o);  // it never got as far as a figure
  Line("seconds", Text("%.2f", o.seconds));
  Line("sent, acked", Text("%" PRId64 ", %" PRId64, o.sent, o.acked));
  Line("delivered", Text("%" PRId64, o.delivered));
  Line("rate_per_s", Text("%.0f", o.rate_per_s));
  if (o.entries_per_s > 0) Line("entries_per_s", Text("%.0f", o.entries_per_s));
  Line("ack_ms", Latencies(o.ack));
  Line("deliver_ms", Latencies(o.deliver));
  Line("lost", Text("%" PRId64, o.lost));
  Line("duplicated", Text("%" PRId64, o.duplicated));
  Line("out_of_order", Text("%" PRId64, o.out_of_order));
  Line("gaps", Text("%" PRId64, o.gaps));
  if (o.kills > 0) {
    Line("kills", Text("%" PRId64 ", %" PRId64 " of them with a send in flight", o.kills,
                       o.in_flight_at_kill));
  }
  if (o.server_known) {
    Line("server", Text("%.2f s of CPU, %.1f MiB resident", o.server.cpu_s,
                        static_cast<double>(o.server.rss_bytes) / (1 << 20)));
  }
  Line("tool", Text("%.2f s of CPU", o.tool.cpu_s));
  if (o.rate_per_s > 0 && o.seconds > 0 && o.delivered > 0) {
    const double per = 1e6 / (o.rate_per_s * o.seconds);
    Line("CPU a delivery",
         Text("server %.1f us, tool %.1f us", o.server.cpu_s * per, o.tool.cpu_s * per));
  }
  Json more = o.more;
  RoundAll(more);
  PrintMore(more, "");
  Line("seed", Text("%" PRIu64, o.seed));
  for (const std::string& note : o.notes) std::printf("  note: %s\n", note.c_str());
  PrintFailures(o);
}

bool WriteJson(const Outcome& outcome, const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  // A name of a file may hold any bytes; JSON may not.
  file << ToJson(outcome).dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  file.close();
  if (file) return true;
  std::fprintf(stderr, "hongyan-bench: cannot write %s: is its folder there and writable?\n",
               path.c_str());
  return false;
}

}  // namespace hongyan::bench
