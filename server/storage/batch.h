#pragma once

#include <cstddef>

namespace hongyan::storage {

// Writes staged for one atomic commit. Made by a store, filled through its ports, handed back to
// its Commit. Lives no longer than its store. Shard thread.
class Batch {
 public:
  virtual ~Batch() = default;

  // What the batch would write so far: the executor bounds batches by it.
  virtual size_t records() const = 0;
  virtual size_t bytes() const = 0;
};

// A commit of more is rejected before anything is written. Far above what an executor fills a batch
// with.
constexpr size_t kMaxBatchBytes = 64 << 20;

// How a commit ends.
enum class CommitOutcome {
  kCommitted,   // durable: fsync returned
  kRejected,    // refused before anything was written; nothing will ever show
  kGuardFired,  // the store is not what our memory says; nothing was written
  kUnknown,     // the write or its sync failed after it began: only recovery can tell
};

// How far a read may go. Beside the writer, loops ask kMemory first and hand what is not there (an
// Error with code kUnavailable and no reason) to the reader pool, which asks kDisk. An Error with
// reason kStoreStopped would meet them there too.
enum class Reach { kMemory, kDisk };

}  // namespace hongyan::storage
