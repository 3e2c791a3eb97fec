#pragma once

// A child process to be killed: fault_victim under the watch of the preloaded library.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "fault/power_cut.h"

namespace hongyan::fault {

// A fresh directory with `data` and `journal` in it; removed with everything below at the end.
class ScratchDir {
 public:
  explicit ScratchDir(const std::string& parent = {});
  ~ScratchDir();
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  std::filesystem::path data() const { return dir_ / "data"; }
  std::filesystem::path journal() const { return dir_ / "journal"; }

 private:
  std::filesystem::path dir_;
};

// One life of fault_victim. Killed at the latest when the object goes.
class Victim {
 public:
  Victim(const ScratchDir& scratch, const std::string& scenario,
         const FaultInjection& injection = {});
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  // The next number the victim reported; none when it ended, or said nothing for 20 s.
  std::optional<uint64_t> Next();
  // SIGKILL and reap. What it had reported before can still be read with Next.
  void Kill();

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
};

// fault_victim reports this once its scenario is done; then it waits for its end.
inline constexpr uint64_t kVictimDone = UINT64_MAX;
inline constexpr uint64_t kVictimFailed = UINT64_MAX - 1;

}  // namespace hongyan::fault
