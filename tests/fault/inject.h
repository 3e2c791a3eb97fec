#pragma once

// Faults a test asks for: syncs that fail, a disk that is full. Each is a control file in the
// journal directory, so that a test turns it on and off while the process runs; the environment
// variables only say when the library creates that file itself.
//
// Any thread. The files are looked for once per sync, and at most every few milliseconds for
// writes.

#include <atomic>
#include <cstdint>

#include "fault/journal.h"

namespace hongyan::fault {

class Inject {
 public:
  explicit Inject(const JournalPaths& journal);

  // True when the sync being called now shall fail.
  bool SyncFails();
  // How many of `length` bytes may be written of which `growth` lie beyond the end of the file. A
  // full disk still takes bytes into blocks the file already has.
  uint64_t Room(uint64_t length, uint64_t growth);
  // False while no limit is set and the disk is not full: Room need not be asked.
  bool LimitsWrites();
  void Wrote(uint64_t length) { written_.fetch_add(length, std::memory_order_relaxed); }

 private:
  static void Touch(const std::string& path);
  bool DiskFull();

  const std::string fail_sync_;
  const std::string enospc_;
  uint64_t fail_sync_after_ = 0;  // 0: never
  uint64_t enospc_after_ = UINT64_MAX;
  std::atomic<uint64_t> syncs_ = 0;
  std::atomic<uint64_t> written_ = 0;
  std::atomic<bool> limit_reached_ = false;
  std::atomic<bool> full_ = false;
  std::atomic<int64_t> looked_at_ms_ = INT64_MIN / 2;
};

}  // namespace hongyan::fault
