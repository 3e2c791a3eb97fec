#include "admin/exposition.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <map>
#include <utility>

namespace hongyan::admin {
namespace {

// A connection holds a thread until it has asked, so those that never ask must not have it for
// long.
constexpr const char* kThreads = "4";
constexpr const char* kRequestTimeoutMs = "2000";

// key="value",key="value"
std::vector<prometheus::ClientMetric::Label> ReadLabels(const std::string& text) {
  std::vector<prometheus::ClientMetric::Label> labels;
  size_t at = 0;
  while (at < text.size()) {
    const size_t equals = text.find("=\"", at);
    const size_t end = equals == std::string::npos ? equals : text.find('"', equals + 2);
    if (end == std::string::npos) break;
    labels.push_back({text.substr(at, equals - at), text.substr(equals + 2, end - equals - 2)});
    at = end + 2;  // the quote and a comma
  }
  return labels;
}

class Collector final : public prometheus::Collectable {
 public:
  explicit Collector(Stats stats) : stats_(std::move(stats)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::map<std::string, prometheus::MetricFamily> families;
    for (const Stat& stat : stats_()) {
      prometheus::MetricFamily& family = families[stat.name];
      family.name = stat.name;
      family.help = stat.help;
      family.type = stat.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      prometheus::ClientMetric& metric = family.metric.emplace_back();
      metric.label = ReadLabels(stat.labels);
      if (stat.counter) {
        metric.counter.value = stat.value;
      } else {
        metric.gauge.value = stat.value;
      }
    }
    std::vector<prometheus::MetricFamily> all;
    for (auto& [name, family] : families) all.push_back(std::move(family));
    return all;
  }

 private:
  const Stats stats_;
};

}  // namespace

struct Exposition::Impl {
  Impl(const std::string& address, Stats stats)
      : collector(std::make_shared<Collector>(std::move(stats))),
        exposer({"listening_ports", address, "num_threads", kThreads, "request_timeout_ms",
                 kRequestTimeoutMs}) {
    exposer.RegisterCollectable(collector);
  }
  std::shared_ptr<Collector> collector;
  prometheus::Exposer exposer;
};

base::Result<std::unique_ptr<Exposition>> Exposition::Open(const std::string& address,
                                                           Stats stats) {
  try {
    return std::unique_ptr<Exposition>(
        new Exposition(std::make_unique<Impl>(address, std::move(stats))));
  } catch (const std::exception& failed) {
    return base::Error(base::Code::kUnavailable,
                       "cannot serve metrics on " + address + " (" + failed.what() +
                           "): choose another metrics.listen, or leave it empty for none");
  }
}

Exposition::Exposition(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Exposition::~Exposition() = default;

}  // namespace hongyan::admin
