#pragma once

// Takes away from a killed process what an honest power cut would have taken. SIGKILL alone keeps
// the page cache and proves nothing about fsync.
//
//   FaultPaths paths{data_dir, journal_dir, FindFaultLibrary()};
//   child = spawn hongyand with ChildEnvironment(paths)
//   kill(child, SIGKILL); waitpid(child, ...)
//   CutReport report = CutPower(data_dir, journal_dir);   // then start the server again
//
// The model, what is durable when, and what this cannot show: README.md beside this file.
//
// Any thread; the watched process must be dead and reaped. Tests and the bench only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hongyan::fault {

struct FaultPaths {
  std::string data_dir;
  // Created when missing. Outside data_dir and on the same filesystem: unlinked files are kept
  // there as hard links.
  std::string journal_dir;
  std::string library;  // libhongyan_fault.so
};

// Faults that can be asked for from the start, beside the control files (README.md).
struct FaultInjection {
  std::optional<uint64_t>
      fail_sync_after;  // this sync and all later ones fail with EIO; counted from 1
  std::optional<uint64_t> enospc_after_bytes;  // the disk is full once this many bytes were written
};

// The environment of this process with what the watch needs put in, ready for execve or
// posix_spawn.
[[nodiscard]] std::vector<std::string> ChildEnvironment(const FaultPaths& paths,
                                                        const FaultInjection& injection = {});

// libhongyan_fault.so of the build tree this program runs from: beside the program, or in ../lib of
// it. Empty when there is none (it is not installed, and not built with sanitizers).
[[nodiscard]] std::string FindFaultLibrary();

struct CutOptions {
  // Without: everything unsynced is gone. With: a random part of each file's unsynced tail stays,
  // as when the kernel had begun to write it back by itself; this tears records in two.
  std::optional<uint64_t> torn_tail_seed;
};

struct CutReport {
  uint64_t files_cut = 0;   // files that lost an unsynced tail
  uint64_t bytes_lost = 0;  // in those tails and in files that vanished
  uint64_t overwrites_restored =
      0;                        // ranges that hold their synced bytes again, truncations included
  uint64_t creates_undone = 0;  // files, directories and hard links
  uint64_t renames_undone = 0;
  uint64_t unlinks_undone = 0;  // removed directories included
  // Not empty: no claim can be made about the state of data_dir, and the text says why. Then the
  // journal is left as it is.
  std::string error;

  bool ok() const { return error.empty(); }
};

// Puts data_dir in the state a power cut at the moment of the kill could have left, and empties the
// journal for the next life of the process (control files included).
[[nodiscard]] CutReport CutPower(const std::string& data_dir, const std::string& journal_dir,
                                 const CutOptions& options = {});

}  // namespace hongyan::fault
