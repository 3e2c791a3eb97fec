#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fault/watch.h"

namespace hongyan::fault {

void Watch::SyncDirectory(uint64_t dir, uint64_t upto) {
  int error = errno;
  std::lock_guard lock(names_mutex_);
  std::vector<NameOp> durable;
  if (!names_.SyncDirectory(dir, upto, durable)) Unsupported(kNameLogBroken);
  DropGraves(durable);
  errno = error;
}

// With the last link the inode dies and its number becomes free for another file.
void Watch::DropGraves(const std::vector<NameOp>& durable) {
  for (const NameOp& op : durable) {
    uint64_t inode = op.kind == NameOpKind::kUnlink   ? op.inode
                     : op.kind == NameOpKind::kRename ? op.replaced_inode
                                                      : 0;
    if (inode == 0) continue;
    std::string grave = journal_.Grave(op.id);
    struct stat info {};
    if (lstat(grave.c_str(), &info) != 0) continue;
    std::lock_guard files(files_mutex_);
    unlink(grave.c_str());
    if (info.st_nlink > 1) continue;
    auto file = files_.find(inode);
    if (file != files_.end()) {
      if (file->second->opens == 0) Forget(file->second.get());
    } else if (Slot* slot = table_.Find(inode); slot != nullptr) {
      table_.Drop(slot);
      unlink(journal_.Undo(inode).c_str());
    }
  }
}

int Watch::WithCreation(const Place& place, NameOpKind kind, const RealCall& real,
                        const std::function<uint64_t(int result)>& inode_of) {
  NameOp op;
  op.kind = kind;
  op.is_dir = kind == NameOpKind::kMkdir;
  op.from = place.entry;
  if (names_.Begin(op) == 0) Unsupported(kNameLogBroken);
  int result = real();
  int error = errno;
  if (!names_.End(result >= 0, result >= 0 ? inode_of(result) : 0)) {
    Unsupported(kNameLogBroken);
  }
  errno = error;
  return result;
}

int Watch::Unlink(int dirfd, const char* path, int flags, const RealCall& real) {
  LayerScope scope;
  Place place = Resolve(dirfd, path);
  if (!place.inside || !Ready()) return real();
  std::lock_guard lock(names_mutex_);
  struct stat info {};
  if (fstatat(dirfd, path, &info, AT_SYMLINK_NOFOLLOW) != 0) return real();
  NameOp op;
  op.kind = (flags & AT_REMOVEDIR) != 0 ? NameOpKind::kRmdir : NameOpKind::kUnlink;
  op.is_dir = S_ISDIR(info.st_mode);
  op.mode = info.st_mode & 07777;
  op.inode = info.st_ino;
  op.from = place.entry;
  uint64_t id = names_.Begin(op);
  if (id == 0) Unsupported(kNameLogBroken);
  if (op.kind == NameOpKind::kUnlink && !op.is_dir &&
      linkat(dirfd, path, AT_FDCWD, journal_.Grave(id).c_str(), 0) != 0) {
    Unsupported(std::string("cannot keep an unlinked file: ") + strerror(errno));
  }
  int result = real();
  int error = errno;
  if (result != 0) unlink(journal_.Grave(id).c_str());
  if (!names_.End(result == 0, 0)) Unsupported(kNameLogBroken);
  errno = error;
  return result;
}

int Watch::Link(int to_dirfd, const char* to, const RealCall& real) {
  LayerScope scope;
  Place place = Resolve(to_dirfd, to);
  if (!place.inside || !Ready()) return real();
  std::lock_guard lock(names_mutex_);
  struct stat info {};
  if (fstatat(to_dirfd, to, &info, AT_SYMLINK_NOFOLLOW) == 0) return real();  // EEXIST
  return WithCreation(place, NameOpKind::kLink, real, [&](int) -> uint64_t {
    struct stat made {};
    fstatat(to_dirfd, to, &made, AT_SYMLINK_NOFOLLOW);
    return made.st_ino;
  });
}

int Watch::Mkdir(int dirfd, const char* path, const RealCall& real) {
  LayerScope scope;
  Place place = Resolve(dirfd, path);
  if (!place.inside || !Ready()) return real();
  std::lock_guard lock(names_mutex_);
  struct stat info {};
  if (fstatat(dirfd, path, &info, AT_SYMLINK_NOFOLLOW) == 0) return real();  // EEXIST
  return WithCreation(place, NameOpKind::kMkdir, real, [&](int) -> uint64_t {
    struct stat made {};
    fstatat(dirfd, path, &made, AT_SYMLINK_NOFOLLOW);
    return made.st_ino;
  });
}

int Watch::Rename(int from_dirfd, const char* from, int to_dirfd, const char* to, unsigned flags,
                  const RealCall& real) {
  LayerScope scope;
  Place source = Resolve(from_dirfd, from);
  Place target = Resolve(to_dirfd, to);
  if ((!source.inside && !target.inside) || !Ready()) return real();
  if (source.inside != target.inside) {
    Unsupported("rename across the border of the watched directory");
    return real();
  }
  if ((flags & (RENAME_EXCHANGE | RENAME_WHITEOUT)) != 0) {
    Unsupported("renameat2 with RENAME_EXCHANGE or RENAME_WHITEOUT");
    return real();
  }
  std::lock_guard lock(names_mutex_);
  struct stat moved {};
  struct stat replaced {};
  if (fstatat(from_dirfd, from, &moved, AT_SYMLINK_NOFOLLOW) != 0) return real();
  bool replaces = fstatat(to_dirfd, to, &replaced, AT_SYMLINK_NOFOLLOW) == 0;
  if (replaces && replaced.st_ino == moved.st_ino)
    return real();  // two links to one file: no effect
  NameOp op;
  op.kind = NameOpKind::kRename;
  op.is_dir = S_ISDIR(moved.st_mode);
  op.inode = moved.st_ino;
  op.from = source.entry;
  op.to = target.entry;
  if (replaces) {
    op.replaced_inode = replaced.st_ino;
    op.replaced_is_dir = S_ISDIR(replaced.st_mode);
    op.mode = replaced.st_mode & 07777;
  }
  uint64_t id = names_.Begin(op);
  if (id == 0) Unsupported(kNameLogBroken);
  if (replaces && !op.replaced_is_dir &&
      linkat(to_dirfd, to, AT_FDCWD, journal_.Grave(id).c_str(), 0) != 0) {
    Unsupported(std::string("cannot keep a replaced file: ") + strerror(errno));
  }
  int result = real();
  int error = errno;
  if (result != 0) unlink(journal_.Grave(id).c_str());
  if (!names_.End(result == 0, 0)) Unsupported(kNameLogBroken);
  errno = error;
  return result;
}

void Watch::Symlink(int dirfd, const char* path) {
  LayerScope scope;
  if (Resolve(dirfd, path).inside) Unsupported("a symbolic link below the watched directory");
}

}  // namespace hongyan::fault
