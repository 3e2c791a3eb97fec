#pragma once

// The watching side of the fault layer, inside the watched process: every call that the preloaded
// library intercepts comes here with the real function to call. What a power cut would leave is
// kept in the journal so that it survives SIGKILL at any instruction.
//
// Any thread. Locks, outermost first: names, files, one file. A lock of a file is held over a write
// to it, as the kernel does itself, never over a sync: a write beside a running sync is not counted
// as covered. Failure: what cannot be recorded or modelled is written to the journal's
// `unsupported`, and CutPower then refuses to make a claim.

#include <fcntl.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fault/file_table.h"
#include "fault/inject.h"
#include "fault/journal.h"
#include "fault/name_log.h"
#include "fault/undo_log.h"

namespace hongyan::fault {

// True while this thread runs code of the layer: its own file calls pass through unwatched.
bool InLayer();
class LayerScope {
 public:
  LayerScope();
  ~LayerScope();
  LayerScope(const LayerScope&) = delete;
  LayerScope& operator=(const LayerScope&) = delete;
};

struct FileState {
  std::mutex mutex;
  uint64_t inode = 0;
  Slot* slot = nullptr;
  int opens = 0;             // guarded by the files lock
  uint64_t protect_len = 0;  // bytes below are durable, or a running sync may make them so
  uint64_t undo_end = 0;
  int undo_fd = -1;
  int read_fd = -1;  // the descriptor of the program may be write-only
  uint64_t syncs_called = 0;
  uint64_t sync_recorded = 0;  // number of the newest sync that is in the slot
  int syncs_running = 0;
  // Ranges [key, value) put in the undo log since the last sync was called.
  std::map<uint64_t, uint64_t> saved;
};

// One open file description; descriptors made by dup share it.
struct OpenFile {
  std::atomic<int> refs = 1;
  std::atomic<int> flags = 0;
  FileState* file = nullptr;  // nullptr: a directory
  uint64_t dir = 0;           // inode of the directory
};

class Watch {
 public:
  // The watch of this process; nullptr inside the layer, in a forked child, and when the
  // environment asks for none.
  static Watch* Get();
  // What `fd` refers to when it is watched and the call does not come from the layer itself. Never
  // blocks.
  static OpenFile* Tracked(int fd);

  using RealWrite = std::function<ssize_t(size_t allowed)>;
  using RealCall = std::function<int()>;

  int Open(int dirfd, const char* path, int flags, mode_t mode);
  // A stream: the libc opens the file by itself in `real`, which returns the descriptor or -1.
  int OpenInside(const char* path, bool creates, bool truncates, int flags, const RealCall& real);
  // Watches an open descriptor when it refers to something below the directory.
  void Adopt(int fd, int flags, bool created);
  void AdoptTemporary(int fd, int flags);
  void Close(int fd);
  void Duplicated(int fd, int copy);

  // `at` is missing for calls that use the file position; `durable` is RWF_DSYNC. `real` writes the
  // first `allowed` bytes, fewer than asked for when the disk is made full.
  ssize_t Write(OpenFile& open, int fd, size_t length, std::optional<off_t> at, bool durable,
                const RealWrite& real);
  int Truncate(OpenFile& open, int fd, off_t length);
  int TruncatePath(const char* path, off_t length);
  int Allocate(OpenFile& open, int fd, int mode, off_t offset, off_t length, const RealCall& real);
  int Sync(int fd, const RealCall& real);
  int SyncEverything(const RealCall& real);

  // Each calls `real`, under the lock of names, and returns its result.
  int Unlink(int dirfd, const char* path, int flags, const RealCall& real);
  int Link(int to_dirfd, const char* to, const RealCall& real);
  int Mkdir(int dirfd, const char* path, const RealCall& real);
  int Rename(int from_dirfd, const char* from, int to_dirfd, const char* to, unsigned flags,
             const RealCall& real);
  void Symlink(int dirfd, const char* path);

  // Tells CutPower that no claim can be made about this life.
  void Unsupported(const std::string& what);
  bool OnWatchedFilesystem(int fd) const;

 private:
  struct Place {
    Entry entry;
    bool inside = false;
  };
  struct Snapshot {
    FileState* file;
    uint64_t size;
    uint64_t undo_end;
    uint64_t number;
  };

  static constexpr char kNameLogBroken[] = "the name log cannot be written";

  Watch(std::string dir, std::string journal);

  bool Ready();  // opens the journal at the first watched call
  std::optional<std::string> Inside(const std::string& absolute) const;
  Place Resolve(int dirfd, const char* path) const;
  int WithCreation(const Place& place, NameOpKind kind, const RealCall& real,
                   const std::function<uint64_t(int result)>& inode_of);

  FileState* FindOrAdd(uint64_t inode, uint64_t size, bool created);
  void Release(OpenFile* open, int fd);
  void Forget(FileState* file);
  void SaveBefore(FileState& file, int fd, uint64_t offset, uint64_t length);
  bool OpenUndo(FileState& file, int fd);
  void WroteDurably(FileState& file, uint64_t offset, uint64_t length, uint64_t undo_before);
  static void EmptyUndo(FileState& file);
  static void Rewritten(FileState& file, uint64_t offset, uint64_t length);
  static void LoseTail(FileState& file, uint64_t size);
  int SyncOne(OpenFile& open, int fd, const RealCall& real);
  Snapshot BeginSync(FileState& file, uint64_t size);
  void EndSync(const Snapshot& snapshot, bool synced);
  void SyncDirectory(uint64_t dir, uint64_t upto);
  void DropGraves(const std::vector<NameOp>& durable);
  void FinishInterrupted();
  OpenFile* AdoptLate(int fd);

  const std::string dir_;  // without symbolic links
  const JournalPaths journal_;
  std::once_flag ready_once_;
  bool ready_ = false;
  Inject inject_;

  std::mutex names_mutex_;
  NameLog names_;

  std::mutex files_mutex_;
  FileTable table_;
  std::unordered_map<uint64_t, std::unique_ptr<FileState>> files_;
};

}  // namespace hongyan::fault
