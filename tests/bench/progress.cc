#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace hongyan::bench {

Progress::Progress(bool wanted) : on_(wanted && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Clear(); }

void Progress::Show(const std::string& what, double done, const std::string& detail) {
  if (!on_) return;
  dirty_ = true;
  if (done < 0) {
    std::fprintf(stderr, "\r\033[K%s %s", what.c_str(), detail.c_str());
    std::fflush(stderr);
    return;
  }
  constexpr int kWidth = 30;
  const int full = std::clamp(static_cast<int>(done * kWidth), 0, kWidth);
  const std::string bar = std::string(static_cast<size_t>(full), '#') +
                          std::string(static_cast<size_t>(kWidth - full), '.');
  std::fprintf(stderr, "\r\033[K%-12s [%s] %3d %%  %s", what.c_str(), bar.c_str(),
               static_cast<int>(std::clamp(done, 0.0, 1.0) * 100), detail.c_str());
  std::fflush(stderr);
}

void Progress::Clear() {
  if (!dirty_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  dirty_ = false;
}

}  // namespace hongyan::bench
