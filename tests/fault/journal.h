#pragma once

// The record of what a power cut would leave, as it lies in the journal directory. Written by the
// preloaded library inside the watched process, read by CutPower in the parent after the process
// died.
//
//   lock            held (flock) by the one process that watches
//   files           FileTable: one slot per inode, mapped shared, so a SIGKILL loses nothing
//   undo/<inode>    UndoLog: bytes as they were before they were overwritten
//   names           NameLog: creations, renames, unlinks that no directory sync has covered yet
//   graves/<op>     hard links to files whose unlink (or replacement) is not durable yet
//   unsupported     one line per thing the layer saw and cannot model; CutPower then refuses
//   fail-sync       exists: every sync of a watched file fails with EIO
//   enospc          exists: every write that would grow a watched file fails with ENOSPC

#include <cstdint>
#include <string>

namespace hongyan::fault {

struct JournalPaths {
  std::string dir;

  std::string Lock() const { return dir + "/lock"; }
  std::string Files() const { return dir + "/files"; }
  std::string UndoDir() const { return dir + "/undo"; }
  std::string Undo(uint64_t inode) const { return UndoDir() + "/" + std::to_string(inode); }
  std::string Names() const { return dir + "/names"; }
  std::string GraveDir() const { return dir + "/graves"; }
  std::string Grave(uint64_t op) const { return GraveDir() + "/" + std::to_string(op); }
  std::string Unsupported() const { return dir + "/unsupported"; }
  std::string FailSync() const { return dir + "/fail-sync"; }
  std::string Enospc() const { return dir + "/enospc"; }
};

inline constexpr char kEnvDir[] = "HONGYAN_FAULT_DIR";
inline constexpr char kEnvJournal[] = "HONGYAN_FAULT_JOURNAL";
inline constexpr char kEnvFailSyncAfter[] = "HONGYAN_FAULT_FAIL_SYNC_AFTER";
inline constexpr char kEnvEnospcAfterBytes[] = "HONGYAN_FAULT_ENOSPC_AFTER_BYTES";

}  // namespace hongyan::fault
