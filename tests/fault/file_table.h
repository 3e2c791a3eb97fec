#pragma once

// Per inode: how much of it a power cut would leave. Kept in a shared mapping, because what a
// process has stored into one survives its SIGKILL without any system call on the way.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace hongyan::fault {

// What is durable of one file. Bytes of [0, synced_len) overwritten since are in the undo log, in
// the records from byte `undo_from` on; the records before it are covered by a sync.
struct Durable {
  uint64_t synced_len = 0;
  uint64_t undo_from = 0;
  // Bytes a failed sync has lost: the kernel marks such pages clean, so a later sync that succeeds
  // does not write them. Empty when equal. Only the tail beyond synced_len is tracked.
  uint64_t lost_from = 0;
  uint64_t lost_end = 0;

  bool HasLost() const { return lost_from < lost_end; }
};

// Two versions and the index of the valid one: a kill between two stores leaves the old or the new.
struct Slot {
  std::atomic<uint64_t> inode;  // 0: free
  std::atomic<uint32_t> valid;
  Durable versions[2];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// Thread: calls that take or free slots need the caller's lock; Get and Set of one slot need the
// lock of that file. Failure: Open returns false with errno; Add returns nullptr when all slots are
// taken.
class FileTable {
 public:
  static constexpr size_t kSlots = 1 << 16;

  FileTable() = default;
  FileTable(const FileTable&) = delete;
  FileTable& operator=(const FileTable&) = delete;
  ~FileTable();

  // Maps the table, creating it when missing.
  bool Open(const std::string& path);

  Slot* Find(uint64_t inode);
  Slot* Add(uint64_t inode, const Durable& durable);
  void Drop(Slot* slot);

  static Durable Get(const Slot& slot);
  static void Set(Slot& slot, const Durable& durable);

 private:
  Slot* slots_ = nullptr;
  std::unordered_map<uint64_t, size_t> by_inode_;
  std::vector<uint32_t> free_;
};

}  // namespace hongyan::fault
