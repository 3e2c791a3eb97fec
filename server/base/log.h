#pragma once

#include <spdlog/spdlog.h>

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

}  // namespace hongyan::base
