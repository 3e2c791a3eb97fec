#pragma once

// Creations, renames and unlinks below the watched directory that no directory sync has covered
// yet, so that they can be undone. An append-only file of records; each operation is begun before
// the system call and ended after it, so a kill in between leaves at most one operation open (the
// callers hold one lock around all of it), and whether that one happened is read from the disk.
//
// One record is
//
//   length u32 | type u32 | op u64 | kind u32 | flags u32 | mode u32 | 0 u32 |
//   inode u64 | replaced_inode u64 | from.dir u64 | to.dir u64 | from length u32 | to length u32 |
//   from | to

#include <cstdint>
#include <string>
#include <vector>

namespace hongyan::fault {

enum class NameOpKind : uint32_t { kCreate = 1, kMkdir, kLink, kUnlink, kRmdir, kRename };

// A directory entry: the inode of the directory and the path relative to the watched directory.
struct Entry {
  uint64_t dir = 0;
  std::string path;
};

// Every kind but kRename uses `from` alone: the entry that appears or disappears.
struct NameOp {
  uint64_t id = 0;
  NameOpKind kind = NameOpKind::kCreate;
  bool is_dir = false;           // kRename: the moved object is a directory
  bool replaced_is_dir = false;  // kRename: the replaced one was an (empty) directory
  bool ended = false;
  uint32_t mode = 0;            // of the directory that goes away
  uint64_t inode = 0;           // of the object
  uint64_t replaced_inode = 0;  // kRename: of the object that stood at `to`, 0 for none
  Entry from;
  Entry to;
};

// Thread: the caller's lock. Failure: false with errno; the log is then not to be trusted.
class NameLog {
 public:
  NameLog() = default;
  NameLog(const NameLog&) = delete;
  NameLog& operator=(const NameLog&) = delete;
  ~NameLog();

  // Reads the log, a torn last record left out, and opens it for appending when `append`. A missing
  // log is an empty one.
  [[nodiscard]] bool Open(const std::string& path, bool append);

  // Announces `op`; its id is returned, 0 on failure.
  [[nodiscard]] uint64_t Begin(NameOp op);
  // Tells how the last begun operation ended; `inode` is that of a created object.
  [[nodiscard]] bool End(bool happened, uint64_t inode);
  // The begun operation a kill left open, or nullptr.
  const NameOp* Unfinished() const;

  // A sync of the directory `dir` called when `last_id()` was `upto` has succeeded: the operations
  // on its entries, and all that they stand on, are durable. They leave the log and are returned.
  [[nodiscard]] bool SyncDirectory(uint64_t dir, uint64_t upto, std::vector<NameOp>& durable);
  // The same for all directories at once: sync and syncfs.
  [[nodiscard]] bool SyncAll(uint64_t upto, std::vector<NameOp>& durable);

  uint64_t last_id() const { return last_id_; }
  const std::vector<NameOp>& pending() const { return pending_; }
  // Where the entry recorded as `path` by operation `id` is today: durable renames of directories
  // moved it.
  std::string Today(uint64_t id, const std::string& path) const;

 private:
  bool Keep(std::vector<bool> chosen, std::vector<NameOp>& durable);
  void ApplyEnd(bool happened, uint64_t inode);
  void ApplyKeep(size_t index);
  bool Write(const std::string& bytes);
  bool CompactIfLarge();

  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  uint64_t last_id_ = 0;
  std::vector<NameOp> pending_;  // oldest first
  std::vector<NameOp>
      kept_renames_;  // of directories, oldest first, as long as older operations wait
};

// Whether an operation that a kill left open has happened, by what lies below `root` now. Fills in
// the inode of a created object.
bool HappenedOnDisk(NameOp& op, const std::string& root);

}  // namespace hongyan::fault
