#pragma once

// The bytes of one file that a power cut would bring back. One record is
//
//   kind u32 | 0 u32 | offset u64 | length u64 | bytes
//
// written before the file itself is touched; a record torn by a kill is shorter than its length
// says, and then the write it announced never began.

#include <cstdint>
#include <string>
#include <vector>

namespace hongyan::fault {

enum class UndoKind : uint32_t {
  kBefore = 1,  // these bytes stood here before a write or a truncation
  kDurable =
      2,  // these bytes were written with O_DSYNC while older bytes of the file were not durable
};

struct UndoRecord {
  UndoKind kind;
  uint64_t offset;
  std::string bytes;
};

// Appends one record at `end` of the log open as `fd` and moves `end`; false with errno on failure.
[[nodiscard]] bool AppendUndo(int fd, uint64_t& end, UndoKind kind, uint64_t offset,
                              const char* bytes, uint64_t length);

// Whole records from byte `from` on, oldest first; `end` becomes the end of the last whole one. A
// missing log is an empty one; false with errno when it cannot be read or is not a log.
[[nodiscard]] bool ReadUndo(const std::string& path, uint64_t from,
                            std::vector<UndoRecord>& records, uint64_t& end);

}  // namespace hongyan::fault
