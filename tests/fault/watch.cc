#include "fault/watch.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace hongyan::fault {
namespace {

constexpr int kMaxFd = 1 << 20;

thread_local int layer_depth = 0;
std::atomic<bool> forked = false;
std::atomic<OpenFile*> tracked[kMaxFd];

// Everything the watch keeps is left to the kernel at exit: other threads may still be writing.
[[noreturn]] void Die(const std::string& why) {
  std::string line = "libhongyan_fault: " + why + "\n";
  [[maybe_unused]] ssize_t done = write(STDERR_FILENO, line.data(), line.size());
  abort();
}

std::string RealPath(const std::string& path) {
  char real[PATH_MAX];
  if (realpath(path.c_str(), real) != nullptr) return real;
  // The last component may be about to be created by the program.
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  size_t slash = trimmed.rfind('/');
  std::string parent = slash == std::string::npos ? "." : trimmed.substr(0, slash + 1);
  if (realpath(parent.c_str(), real) == nullptr) return trimmed;
  return std::string(real) + "/" + trimmed.substr(slash + 1);
}

std::string PathOfFd(int fd) {
  char link[64];
  char path[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof(path));
  return length < 0 ? std::string() : std::string(path, static_cast<size_t>(length));
}

}  // namespace

bool InLayer() { return layer_depth > 0; }
LayerScope::LayerScope() { ++layer_depth; }
LayerScope::~LayerScope() { --layer_depth; }

OpenFile* Watch::Tracked(int fd) {
  if (fd < 0 || fd >= kMaxFd || InLayer() || forked.load(std::memory_order_relaxed)) return nullptr;
  return tracked[fd].load(std::memory_order_acquire);
}

Watch* Watch::Get() {
  static std::once_flag once;
  static Watch* watch = nullptr;
  if (InLayer()) return nullptr;
  std::call_once(once, [] {
    LayerScope scope;
    const char* dir = std::getenv(kEnvDir);
    const char* journal = std::getenv(kEnvJournal);
    if (dir == nullptr || *dir == '\0') return;
    if (journal == nullptr || *journal == '\0') Die(std::string(kEnvJournal) + " is not set");
    watch = new Watch(RealPath(dir), RealPath(journal));
    if (watch->Inside(watch->journal_.dir)) Die("the journal lies inside the watched directory");
    pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
  });
  return forked.load(std::memory_order_relaxed) ? nullptr : watch;
}

Watch::Watch(std::string dir, std::string journal)
    : dir_(std::move(dir)), journal_{std::move(journal)}, inject_(journal_) {}

bool Watch::Ready() {
  std::call_once(ready_once_, [this] {
    mkdir(journal_.dir.c_str(), 0700);
    int lock = open(journal_.Lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) Die("cannot open " + journal_.Lock() + ": " + strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
      Unsupported("a second process works below the watched directory at the same time");
      return;
    }
    mkdir(journal_.UndoDir().c_str(), 0700);
    mkdir(journal_.GraveDir().c_str(), 0700);
    if (!table_.Open(journal_.Files()) || !names_.Open(journal_.Names(), true)) {
      Die("cannot read the journal in " + journal_.dir + ": " + strerror(errno));
    }
    FinishInterrupted();
    ready_ = true;
  });
  return ready_;
}

// A process before this one was killed in the middle of an operation, and its journal not yet used.
void Watch::FinishInterrupted() {
  const NameOp* op = names_.Unfinished();
  if (op == nullptr) return;
  NameOp copy = *op;
  bool happened = HappenedOnDisk(copy, dir_);
  if (!happened) unlink(journal_.Grave(copy.id).c_str());
  if (!names_.End(happened, copy.inode)) Unsupported(kNameLogBroken);
}

void Watch::Unsupported(const std::string& what) {
  LayerScope scope;
  int error = errno;
  mkdir(journal_.dir.c_str(), 0700);
  int fd = open(journal_.Unsupported().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  std::string line = what + "\n";
  if (fd < 0 || write(fd, line.data(), line.size()) < 0) Die(what);
  close(fd);
  errno = error;
}

std::optional<std::string> Watch::Inside(const std::string& absolute) const {
  if (absolute.size() <= dir_.size() || !absolute.starts_with(dir_)) return std::nullopt;
  if (absolute[dir_.size()] != '/') return std::nullopt;
  return absolute.substr(dir_.size() + 1);
}

bool Watch::OnWatchedFilesystem(int fd) const {
  struct stat own {};
  struct stat other {};
  return stat(dir_.c_str(), &own) == 0 && fstat(fd, &other) == 0 && own.st_dev == other.st_dev;
}

Watch::Place Watch::Resolve(int dirfd, const char* path) const {
  Place place;
  std::string text = path == nullptr ? "" : path;
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  size_t slash = text.rfind('/');
  std::string base = text.substr(slash + 1);
  if (base.empty() || base == "." || base == "..") return place;
  std::string parent = slash == std::string::npos ? "." : text.substr(0, slash + 1);
  int error = errno;
  int fd = openat(dirfd, parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    struct stat info {};
    std::string absolute = PathOfFd(fd) + "/" + base;
    if (auto relative = Inside(absolute); relative && fstat(fd, &info) == 0) {
      place = {Entry{info.st_ino, *relative}, true};
    }
    close(fd);
  }
  errno = error;
  return place;
}

FileState* Watch::FindOrAdd(uint64_t inode, uint64_t size, bool created) {
  auto& file = files_[inode];
  if (file == nullptr) {
    file = std::make_unique<FileState>();
    file->inode = inode;
    file->slot = table_.Find(inode);
    if (file->slot != nullptr && !created) {
      Durable durable = FileTable::Get(*file->slot);
      std::vector<UndoRecord> records;
      if (!ReadUndo(journal_.Undo(inode), durable.undo_from, records, file->undo_end)) {
        Unsupported("an undo log of an earlier process cannot be read");
      }
      durable.undo_from = std::min(durable.undo_from, file->undo_end);
      FileTable::Set(*file->slot, durable);
      file->protect_len = durable.synced_len;
      return file.get();
    }
  } else if (!created) {
    return file.get();
  }
  // A file first seen as it is was durable before; a created one has nothing durable, whatever the
  // file had that owned this inode number before it.
  Durable durable;
  durable.synced_len = created ? 0 : size;
  file->protect_len = durable.synced_len;
  file->undo_end = 0;
  file->saved.clear();
  if (file->undo_fd >= 0) close(std::exchange(file->undo_fd, -1));
  if (file->read_fd >= 0) close(std::exchange(file->read_fd, -1));
  unlink(journal_.Undo(inode).c_str());
  if (file->slot != nullptr) {
    FileTable::Set(*file->slot, durable);
  } else {
    file->slot = table_.Add(inode, durable);
    if (file->slot == nullptr) Die("more files at once than the journal has slots");
  }
  return file.get();
}

void Watch::Adopt(int fd, int flags, bool created) {
  int error = errno;
  struct stat info {};
  bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if ((regular || S_ISDIR(info.st_mode)) && (flags & O_PATH) == 0) {
    std::string path = PathOfFd(fd);
    if ((Inside(path) || path == dir_) && Ready()) {
      if (fd >= kMaxFd) {
        Unsupported("a watched file has a descriptor above " + std::to_string(kMaxFd));
      } else {
        auto* open = new OpenFile;
        open->flags = flags;
        open->dir = info.st_ino;
        if (regular) {
          std::lock_guard lock(files_mutex_);
          open->file = FindOrAdd(info.st_ino, static_cast<uint64_t>(info.st_size), created);
          ++open->file->opens;
        }
        OpenFile* old = tracked[fd].exchange(open);
        if (old != nullptr) Release(old, -1);
      }
    }
  }
  errno = error;
}

OpenFile* Watch::AdoptLate(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fd >= kMaxFd) return nullptr;
  Adopt(fd, flags, false);
  return tracked[fd].load(std::memory_order_acquire);
}

void Watch::Close(int fd) {
  if (fd < 0 || fd >= kMaxFd) return;
  OpenFile* open = tracked[fd].exchange(nullptr);
  if (open == nullptr) return;
  LayerScope scope;
  int error = errno;
  Release(open, fd);
  errno = error;
}

void Watch::Duplicated(int fd, int copy) {
  if (copy < 0 || copy >= kMaxFd || fd == copy) return;
  OpenFile* open = tracked[fd].load(std::memory_order_acquire);
  if (open != nullptr) open->refs.fetch_add(1);
  OpenFile* old = tracked[copy].exchange(open);
  if (old != nullptr) {
    LayerScope scope;
    Release(old, -1);
  }
}

// `fd` is still open, or -1 when it is not: then the file stays known, which is right and only
// costs memory.
void Watch::Release(OpenFile* open, int fd) {
  if (open->refs.fetch_sub(1) != 1) return;
  FileState* file = open->file;
  delete open;
  if (file == nullptr) return;
  std::lock_guard files(files_mutex_);
  if (--file->opens > 0 || fd < 0) return;
  bool forget = false;
  {
    std::lock_guard lock(file->mutex);
    struct stat info {};
    Durable durable = FileTable::Get(*file->slot);
    bool known = fstat(fd, &info) == 0;
    bool clean = static_cast<uint64_t>(info.st_size) == durable.synced_len &&
                 file->undo_end == durable.undo_from && !durable.HasLost() &&
                 file->syncs_running == 0;
    forget = known && (clean || info.st_nlink == 0);
    if (file->undo_fd >= 0) close(std::exchange(file->undo_fd, -1));
    if (file->read_fd >= 0) close(std::exchange(file->read_fd, -1));
  }
  if (forget) Forget(file);
}

void Watch::Forget(FileState* file) {
  uint64_t inode = file->inode;
  table_.Drop(file->slot);
  unlink(journal_.Undo(inode).c_str());
  files_.erase(inode);
}

int Watch::Open(int dirfd, const char* path, int flags, mode_t mode) {
  LayerScope scope;
  bool temporary = (flags & O_TMPFILE) == O_TMPFILE;
  if ((flags & (O_CREAT | O_TRUNC)) == 0 || temporary) {
    int fd = openat(dirfd, path, flags, mode);
    if (fd >= 0) Adopt(fd, flags, temporary);
    return fd;
  }
  Place place = Resolve(dirfd, path);
  if (!place.inside || !Ready()) {
    int fd = openat(dirfd, path, flags, mode);
    if (fd >= 0) Adopt(fd, flags, false);  // a symbolic link may lead below the watched directory
    return fd;
  }

  std::lock_guard lock(names_mutex_);
  struct stat info {};
  int before = errno;
  bool absent = fstatat(dirfd, path, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
  errno = before;
  if (absent && (flags & O_CREAT) != 0) {
    return WithCreation(
        place, NameOpKind::kCreate, [&] { return openat(dirfd, path, flags, mode); },
        [&](int fd) -> uint64_t {
          struct stat made {};
          fstat(fd, &made);
          Adopt(fd, flags, true);
          return made.st_ino;
        });
  }
  // The old content has to be saved before it is cut off, so the cut is done here.
  int fd = openat(dirfd, path, flags & ~O_TRUNC, mode);
  if (fd < 0) return fd;
  Adopt(fd, flags, false);
  OpenFile* open = fd < kMaxFd ? tracked[fd].load() : nullptr;
  if ((flags & O_TRUNC) == 0 || open == nullptr || open->file == nullptr) return fd;
  if (Truncate(*open, fd, 0) != 0) Unsupported("O_TRUNC on a descriptor that cannot be truncated");
  return fd;
}

int Watch::OpenInside(const char* path, bool creates, bool truncates, int flags,
                      const RealCall& real) {
  LayerScope scope;
  Place place = creates ? Resolve(AT_FDCWD, path) : Place{};
  if (!place.inside || !Ready()) {
    int fd = real();
    if (fd >= 0) Adopt(fd, flags, false);
    return fd;
  }
  std::lock_guard lock(names_mutex_);
  struct stat info {};
  int before = errno;
  bool absent = lstat(path, &info) != 0 && errno == ENOENT;
  errno = before;
  if (absent) {
    return WithCreation(place, NameOpKind::kCreate, real, [&](int fd) -> uint64_t {
      struct stat made {};
      fstat(fd, &made);
      Adopt(fd, flags, true);
      return made.st_ino;
    });
  }
  if (truncates) {
    int own = open(path, O_WRONLY | O_CLOEXEC);
    if (own >= 0) {
      Adopt(own, O_WRONLY, false);
      OpenFile* open = own < kMaxFd ? tracked[own].load() : nullptr;
      if (open != nullptr && open->file != nullptr) Truncate(*open, own, 0);
      if (open != nullptr) Release(tracked[own].exchange(nullptr), own);
      close(own);
    }
  }
  int fd = real();
  if (fd >= 0) Adopt(fd, flags, false);
  return fd;
}

// mkstemp chooses the name inside the libc: the creation is known only once it has happened.
void Watch::AdoptTemporary(int fd, int flags) {
  LayerScope scope;
  Place place = Resolve(AT_FDCWD, PathOfFd(fd).c_str());
  if (!place.inside || !Ready()) return;
  std::lock_guard lock(names_mutex_);
  WithCreation(
      place, NameOpKind::kCreate, [fd] { return fd; },
      [&](int made) -> uint64_t {
        struct stat info {};
        fstat(made, &info);
        Adopt(made, flags, true);
        return info.st_ino;
      });
}

int Watch::TruncatePath(const char* path, off_t length) {
  LayerScope scope;
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  Adopt(fd, O_WRONLY, false);
  OpenFile* open = fd < kMaxFd ? tracked[fd].exchange(nullptr) : nullptr;
  int result = open != nullptr && open->file != nullptr ? Truncate(*open, fd, length)
                                                        : ftruncate(fd, length);
  int error = errno;
  if (open != nullptr) Release(open, fd);
  close(fd);
  errno = error;
  return result;
}

}  // namespace hongyan::fault
