#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>
#include <utility>

namespace hongyan::base {

bool InitLog(const std::string& level) {
  const auto parsed = spdlog::level::from_str(level == "warn" ? "warning" : level);
  if (parsed == spdlog::level::off && level != "off") return false;
  auto logger = std::make_shared<spdlog::logger>("hongyan",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
  logger->set_level(parsed);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return true;
}

LogPace::LogPace(std::string what, int64_t lines, std::chrono::milliseconds window)
    : what_(std::move(what)), lines_(lines), window_(window) {}

bool LogPace::May() {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  if (asked_ == 0 || now - begins_ >= window_) {
    if (asked_ > lines_) LOG_WARN("lines_held_back of={} count={}", what_, asked_ - lines_);
    begins_ = now;
    asked_ = 0;
  }
  return ++asked_ <= lines_;
}

}  // namespace hongyan::base
