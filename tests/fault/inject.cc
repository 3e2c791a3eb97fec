#include "fault/inject.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace hongyan::fault {
namespace {

constexpr int64_t kLookEveryMs = 4;

int64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

Inject::Inject(const JournalPaths& journal)
    : fail_sync_(journal.FailSync()), enospc_(journal.Enospc()) {
  if (const char* text = std::getenv(kEnvFailSyncAfter)) {
    fail_sync_after_ = std::strtoull(text, nullptr, 10);
  }
  if (const char* text = std::getenv(kEnvEnospcAfterBytes)) {
    enospc_after_ = std::strtoull(text, nullptr, 10);
  }
}

void Inject::Touch(const std::string& path) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
}

bool Inject::SyncFails() {
  if (fail_sync_after_ != 0 && syncs_.fetch_add(1) + 1 == fail_sync_after_) Touch(fail_sync_);
  return access(fail_sync_.c_str(), F_OK) == 0;
}

bool Inject::DiskFull() {
  int64_t now = NowMs();
  int64_t looked = looked_at_ms_.load(std::memory_order_relaxed);
  if (now - looked >= kLookEveryMs &&
      looked_at_ms_.compare_exchange_strong(looked, now, std::memory_order_relaxed)) {
    full_.store(access(enospc_.c_str(), F_OK) == 0, std::memory_order_relaxed);
  }
  return full_.load(std::memory_order_relaxed);
}

bool Inject::LimitsWrites() {
  return (enospc_after_ != UINT64_MAX && !limit_reached_.load(std::memory_order_relaxed)) ||
         DiskFull();
}

uint64_t Inject::Room(uint64_t length, uint64_t growth) {
  growth = std::min(growth, length);
  if (DiskFull()) return length - growth;
  if (enospc_after_ == UINT64_MAX || limit_reached_.load()) return length;
  uint64_t written = written_.load();
  if (written + length <= enospc_after_) return length;
  if (!limit_reached_.exchange(true)) {
    Touch(enospc_);
    full_.store(true);
  }
  uint64_t left = enospc_after_ > written ? enospc_after_ - written : 0;
  return std::max(length - growth, std::min(left, length));
}

}  // namespace hongyan::fault
