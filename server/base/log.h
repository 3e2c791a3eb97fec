#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

// One line per event: `event key=value ...`, with ids, never message bodies, tokens or passwords.
// warn = somebody should look; error = we lost something. Any thread.
//
//   LOG_INFO("store_opened path={} shards={}", path, shards);
#define LOG_DEBUG(...) SPDLOG_DEBUG(__VA_ARGS__)
#define LOG_INFO(...) ::spdlog::info(__VA_ARGS__)
#define LOG_WARN(...) ::spdlog::warn(__VA_ARGS__)
#define LOG_ERROR(...) ::spdlog::error(__VA_ARGS__)

namespace hongyan::base {

// Log to standard error in the form `2026-01-31T10:11:12.123Z info event ...`. Level is one of
// debug, info, warn, error; anything else is answered false and changes nothing. Call once, before
// threads start.
bool InitLog(const std::string& level);

// Keeps what fails again and again, as on a full disk, from filling the log: lets `lines` lines
// through in each `window`, and tells at the next one how many it held back. Any thread.
class LogPace {
 public:
  LogPace(std::string what, int64_t lines, std::chrono::milliseconds window);

  // Whether a line may be written now. Ask once per line, write it if so.
  bool May();

 private:
  const std::string what_;
  const int64_t lines_;
  const std::chrono::milliseconds window_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point begins_;
  int64_t asked_ = 0;  // since then
};

}  // namespace hongyan::base
