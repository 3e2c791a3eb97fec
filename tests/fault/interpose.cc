// The libc calls that change files, in front of the libc's own (LD_PRELOAD). Each asks the watch;
// calls on anything that is not below the watched directory go straight through.

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstring>
#include <string>
#include <vector>

#include "fault/watch.h"

using hongyan::fault::InLayer;
using hongyan::fault::OpenFile;
using hongyan::fault::Watch;

static_assert(sizeof(off_t) == 8, "open and open64 are one here");

#define HY_EXPORT extern "C" __attribute__((visibility("default")))
// The libc's function of the same name. Looked up once.
#define HY_REAL(name) \
  static auto* const real_##name = reinterpret_cast<decltype(&::name)>(dlsym(RTLD_NEXT, #name))

namespace {

mode_t ModeOf(int flags, va_list arguments) {
  bool wanted = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return wanted ? va_arg(arguments, mode_t) : 0;
}

int OpenAny(int dirfd, const char* path, int flags, mode_t mode) {
  HY_REAL(openat);
  Watch* watch = Watch::Get();
  return watch != nullptr ? watch->Open(dirfd, path, flags, mode)
                          : real_openat(dirfd, path, flags, mode);
}

// A file written by position or at one.
OpenFile* TrackedFile(int fd) {
  OpenFile* open = Watch::Tracked(fd);
  return open != nullptr && open->file != nullptr ? open : nullptr;
}

size_t TotalOf(const iovec* parts, int count) {
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += parts[i].iov_len;
  return total;
}

// The first `allowed` bytes of `parts`.
std::vector<iovec> Shortened(const iovec* parts, int count, size_t allowed) {
  std::vector<iovec> out(parts, parts + count);
  for (iovec& part : out) {
    part.iov_len = std::min(part.iov_len, allowed);
    allowed -= part.iov_len;
  }
  return out;
}

// fopen's mode as flags of open.
int FlagsOf(const char* mode) {
  bool update = std::strchr(mode, '+') != nullptr;
  switch (mode[0]) {
    case 'w':
      return (update ? O_RDWR : O_WRONLY) | O_CREAT | O_TRUNC;
    case 'a':
      return (update ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
    default:
      return update ? O_RDWR : O_RDONLY;
  }
}

template <typename Real>
FILE* OpenStream(Watch& watch, const char* path, const char* mode, Real real) {
  int flags = FlagsOf(mode);
  FILE* stream = nullptr;
  int fd = watch.OpenInside(path, (flags & O_CREAT) != 0, (flags & O_TRUNC) != 0,
                            flags & ~(O_CREAT | O_TRUNC), [&] {
                              stream = real();
                              return stream == nullptr ? -1 : fileno(stream);
                            });
  // stdio writes past this library; appended bytes are seen by the size of the file, others not at
  // all.
  if (mode[0] == 'r' && flags == O_RDWR && TrackedFile(fd) != nullptr) {
    watch.Unsupported(std::string("fopen for update (r+) of ") + path);
  }
  return stream;
}

}  // namespace

// --- open, close, dup
// ------------------------------------------------------------------------------------

HY_EXPORT int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAny(AT_FDCWD, path, flags, mode);
}
HY_EXPORT int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAny(AT_FDCWD, path, flags, mode);
}
HY_EXPORT int openat(int dirfd, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAny(dirfd, path, flags, mode);
}
HY_EXPORT int openat64(int dirfd, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAny(dirfd, path, flags, mode);
}
HY_EXPORT int creat(const char* path, mode_t mode) {
  return OpenAny(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
HY_EXPORT int creat64(const char* path, mode_t mode) { return creat(path, mode); }
// Fortified calls with flags the compiler could not see; the libc aborts when a mode was needed.
HY_EXPORT int __open_2(const char* path, int flags) { return OpenAny(AT_FDCWD, path, flags, 0); }
HY_EXPORT int __open64_2(const char* path, int flags) { return OpenAny(AT_FDCWD, path, flags, 0); }
HY_EXPORT int __openat_2(int dirfd, const char* path, int flags) {
  return OpenAny(dirfd, path, flags, 0);
}
HY_EXPORT int __openat64_2(int dirfd, const char* path, int flags) {
  return OpenAny(dirfd, path, flags, 0);
}

HY_EXPORT FILE* fopen(const char* path, const char* mode) {
  HY_REAL(fopen);
  Watch* watch = Watch::Get();
  if (watch == nullptr) return real_fopen(path, mode);
  return OpenStream(*watch, path, mode, [&] { return real_fopen(path, mode); });
}
HY_EXPORT FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }
HY_EXPORT FILE* freopen(const char* path, const char* mode, FILE* stream) {
  HY_REAL(freopen);
  Watch* watch = Watch::Get();
  if (watch == nullptr) return real_freopen(path, mode, stream);
  watch->Close(fileno(stream));
  if (path == nullptr) return real_freopen(path, mode, stream);
  return OpenStream(*watch, path, mode, [&] { return real_freopen(path, mode, stream); });
}
HY_EXPORT FILE* freopen64(const char* path, const char* mode, FILE* stream) {
  return freopen(path, mode, stream);
}
HY_EXPORT int fclose(FILE* stream) {
  HY_REAL(fclose);
  Watch* watch = Watch::Get();
  if (watch != nullptr && stream != nullptr && fileno(stream) >= 0) {
    fflush(stream);  // what the close would write counts into the size the watch looks at
    watch->Close(fileno(stream));
  }
  return real_fclose(stream);
}

HY_EXPORT int close(int fd) {
  HY_REAL(close);
  if (Watch* watch = Watch::Get()) watch->Close(fd);
  return real_close(fd);
}
HY_EXPORT int close_range(unsigned first, unsigned last, int flags) noexcept {
  HY_REAL(close_range);
  Watch* watch = Watch::Get();
  if (watch != nullptr && (flags & 4 /* CLOSE_RANGE_CLOEXEC */) == 0) {
    for (unsigned fd = first; fd <= last && fd < (1u << 20); ++fd) {
      watch->Close(static_cast<int>(fd));
    }
  }
  return real_close_range(first, last, flags);
}
HY_EXPORT void closefrom(int first) noexcept {
  close_range(static_cast<unsigned>(first), UINT_MAX, 0);
}

HY_EXPORT int dup(int fd) noexcept {
  HY_REAL(dup);
  int copy = real_dup(fd);
  if (Watch* watch = Watch::Get()) watch->Duplicated(fd, copy);
  return copy;
}
HY_EXPORT int dup2(int fd, int copy) noexcept {
  HY_REAL(dup2);
  int result = real_dup2(fd, copy);
  if (Watch* watch = Watch::Get()) watch->Duplicated(fd, result);
  return result;
}
HY_EXPORT int dup3(int fd, int copy, int flags) noexcept {
  HY_REAL(dup3);
  int result = real_dup3(fd, copy, flags);
  if (Watch* watch = Watch::Get()) watch->Duplicated(fd, result);
  return result;
}
namespace {
int Fcntl(int fd, int command, void* argument) {
  HY_REAL(fcntl);
  int result = real_fcntl(fd, command, argument);
  if (command != F_DUPFD && command != F_DUPFD_CLOEXEC && command != F_SETFL) return result;
  Watch* watch = Watch::Get();
  if (watch == nullptr || result < 0) return result;
  if (command != F_SETFL) {
    watch->Duplicated(fd, result);
  } else if (OpenFile* open = Watch::Tracked(fd)) {
    auto flags = static_cast<int>(reinterpret_cast<intptr_t>(argument));
    open->flags = (open->flags & ~O_APPEND) | (flags & O_APPEND);
  }
  return result;
}
}  // namespace
HY_EXPORT int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return Fcntl(fd, command, argument);
}
HY_EXPORT int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return Fcntl(fd, command, argument);
}

#define HY_MKSTEMP(name, parameters, arguments, open_flags)                            \
  HY_EXPORT int name parameters {                                                      \
    HY_REAL(name);                                                                     \
    int fd = real_##name arguments;                                                    \
    Watch* watch = Watch::Get();                                                       \
    if (watch != nullptr && fd >= 0) watch->AdoptTemporary(fd, (open_flags) | O_RDWR); \
    return fd;                                                                         \
  }
HY_MKSTEMP(mkstemp, (char* name), (name), 0)
HY_MKSTEMP(mkstemp64, (char* name), (name), 0)
HY_MKSTEMP(mkstemps, (char* name, int tail), (name, tail), 0)
HY_MKSTEMP(mkstemps64, (char* name, int tail), (name, tail), 0)
HY_MKSTEMP(mkostemp, (char* name, int flags), (name, flags), flags)
HY_MKSTEMP(mkostemp64, (char* name, int flags), (name, flags), flags)
HY_MKSTEMP(mkostemps, (char* name, int tail, int flags), (name, tail, flags), flags)
HY_MKSTEMP(mkostemps64, (char* name, int tail, int flags), (name, tail, flags), flags)

// --- writes
// ----------------------------------------------------------------------------------------------

HY_EXPORT ssize_t write(int fd, const void* bytes, size_t length) {
  HY_REAL(write);
  OpenFile* open = TrackedFile(fd);
  if (open == nullptr) return real_write(fd, bytes, length);
  return Watch::Get()->Write(*open, fd, length, std::nullopt, false,
                             [&](size_t allowed) { return real_write(fd, bytes, allowed); });
}
HY_EXPORT ssize_t pwrite(int fd, const void* bytes, size_t length, off_t at) {
  HY_REAL(pwrite);
  OpenFile* open = TrackedFile(fd);
  if (open == nullptr) return real_pwrite(fd, bytes, length, at);
  return Watch::Get()->Write(*open, fd, length, at, false,
                             [&](size_t allowed) { return real_pwrite(fd, bytes, allowed, at); });
}
HY_EXPORT ssize_t pwrite64(int fd, const void* bytes, size_t length, off_t at) {
  return pwrite(fd, bytes, length, at);
}
HY_EXPORT ssize_t writev(int fd, const iovec* parts, int count) {
  HY_REAL(writev);
  OpenFile* open = TrackedFile(fd);
  if (open == nullptr || count <= 0) return real_writev(fd, parts, count);
  return Watch::Get()->Write(*open, fd, TotalOf(parts, count), std::nullopt, false,
                             [&](size_t allowed) {
                               auto shortened = Shortened(parts, count, allowed);
                               return real_writev(fd, shortened.data(), count);
                             });
}
HY_EXPORT ssize_t pwritev2(int fd, const iovec* parts, int count, off_t at, int flags) {
  HY_REAL(pwritev2);
  OpenFile* open = TrackedFile(fd);
  if (open == nullptr || count <= 0) return real_pwritev2(fd, parts, count, at, flags);
  std::optional<off_t> position;
  if ((flags & RWF_APPEND) != 0) {
    struct stat info {};
    if (fstat(fd, &info) == 0) position = info.st_size;
  } else if (at != -1) {
    position = at;
  }
  bool durable = (flags & (RWF_DSYNC | RWF_SYNC)) != 0;
  return Watch::Get()->Write(*open, fd, TotalOf(parts, count), position, durable,
                             [&](size_t allowed) {
                               auto shortened = Shortened(parts, count, allowed);
                               return real_pwritev2(fd, shortened.data(), count, at, flags);
                             });
}
HY_EXPORT ssize_t pwritev64v2(int fd, const iovec* parts, int count, off_t at, int flags) {
  return pwritev2(fd, parts, count, at, flags);
}
HY_EXPORT ssize_t pwritev(int fd, const iovec* parts, int count, off_t at) {
  HY_REAL(pwritev);
  OpenFile* open = TrackedFile(fd);
  if (open == nullptr || count <= 0) return real_pwritev(fd, parts, count, at);
  return Watch::Get()->Write(*open, fd, TotalOf(parts, count), at, false, [&](size_t allowed) {
    auto shortened = Shortened(parts, count, allowed);
    return real_pwritev(fd, shortened.data(), count, at);
  });
}
HY_EXPORT ssize_t pwritev64(int fd, const iovec* parts, int count, off_t at) {
  return pwritev(fd, parts, count, at);
}
HY_EXPORT ssize_t sendfile(int out, int in, off_t* at, size_t length) noexcept {
  HY_REAL(sendfile);
  OpenFile* open = TrackedFile(out);
  if (open == nullptr) return real_sendfile(out, in, at, length);
  return Watch::Get()->Write(*open, out, length, std::nullopt, false,
                             [&](size_t allowed) { return real_sendfile(out, in, at, allowed); });
}
HY_EXPORT ssize_t sendfile64(int out, int in, off_t* at, size_t length) noexcept {
  return sendfile(out, in, at, length);
}
HY_EXPORT ssize_t copy_file_range(int in, off_t* in_at, int out, off_t* out_at, size_t length,
                                  unsigned flags) {
  HY_REAL(copy_file_range);
  OpenFile* open = TrackedFile(out);
  if (open == nullptr) return real_copy_file_range(in, in_at, out, out_at, length, flags);
  std::optional<off_t> at;
  if (out_at != nullptr) at = *out_at;
  return Watch::Get()->Write(*open, out, length, at, false, [&](size_t allowed) {
    return real_copy_file_range(in, in_at, out, out_at, allowed, flags);
  });
}
HY_EXPORT ssize_t splice(int in, off_t* in_at, int out, off_t* out_at, size_t length,
                         unsigned flags) {
  HY_REAL(splice);
  OpenFile* open = TrackedFile(out);
  if (open == nullptr) return real_splice(in, in_at, out, out_at, length, flags);
  std::optional<off_t> at;
  if (out_at != nullptr) at = *out_at;
  return Watch::Get()->Write(*open, out, length, at, false, [&](size_t allowed) {
    return real_splice(in, in_at, out, out_at, allowed, flags);
  });
}

HY_EXPORT int ftruncate(int fd, off_t length) noexcept {
  HY_REAL(ftruncate);
  OpenFile* open = TrackedFile(fd);
  return open == nullptr ? real_ftruncate(fd, length) : Watch::Get()->Truncate(*open, fd, length);
}
HY_EXPORT int ftruncate64(int fd, off_t length) noexcept { return ftruncate(fd, length); }
HY_EXPORT int truncate(const char* path, off_t length) noexcept {
  HY_REAL(truncate);
  Watch* watch = Watch::Get();
  return watch == nullptr ? real_truncate(path, length) : watch->TruncatePath(path, length);
}
HY_EXPORT int truncate64(const char* path, off_t length) noexcept { return truncate(path, length); }

HY_EXPORT int fallocate(int fd, int mode, off_t offset, off_t length) {
  HY_REAL(fallocate);
  OpenFile* open = TrackedFile(fd);
  if (open == nullptr) return real_fallocate(fd, mode, offset, length);
  return Watch::Get()->Allocate(*open, fd, mode, offset, length,
                                [&] { return real_fallocate(fd, mode, offset, length); });
}
HY_EXPORT int fallocate64(int fd, int mode, off_t offset, off_t length) {
  return fallocate(fd, mode, offset, length);
}
// Returns the error instead of setting errno.
HY_EXPORT int posix_fallocate(int fd, off_t offset, off_t length) {
  HY_REAL(posix_fallocate);
  OpenFile* open = TrackedFile(fd);
  if (open == nullptr) return real_posix_fallocate(fd, offset, length);
  int before = errno;
  int result = Watch::Get()->Allocate(*open, fd, 0, offset, length,
                                      [&] { return real_posix_fallocate(fd, offset, length); });
  if (result == -1) result = errno;
  errno = before;
  return result;
}
HY_EXPORT int posix_fallocate64(int fd, off_t offset, off_t length) {
  return posix_fallocate(fd, offset, length);
}

// The dynamic linker and malloc are busy when the first mappings are made: no lookup here.
HY_EXPORT void* mmap(void* address, size_t length, int protection, int flags, int fd,
                     off_t offset) noexcept {
  if (fd >= 0 && (flags & MAP_TYPE) != MAP_PRIVATE && (protection & PROT_WRITE) != 0 &&
      TrackedFile(fd) != nullptr) {
    Watch::Get()->Unsupported("a watched file mapped shared and writable");
  }
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}
HY_EXPORT void* mmap64(void* address, size_t length, int protection, int flags, int fd,
                       off_t offset) noexcept {
  return mmap(address, length, protection, flags, fd, offset);
}

// --- syncs. sync_file_range is not here: it promises nothing after a power cut.
// --------------------------

HY_EXPORT int fsync(int fd) {
  HY_REAL(fsync);
  Watch* watch = Watch::Get();
  return watch == nullptr ? real_fsync(fd) : watch->Sync(fd, [&] { return real_fsync(fd); });
}
HY_EXPORT int fdatasync(int fd) {
  HY_REAL(fdatasync);
  Watch* watch = Watch::Get();
  return watch == nullptr ? real_fdatasync(fd)
                          : watch->Sync(fd, [&] { return real_fdatasync(fd); });
}
HY_EXPORT int syncfs(int fd) noexcept {
  HY_REAL(syncfs);
  Watch* watch = Watch::Get();
  if (watch == nullptr || !watch->OnWatchedFilesystem(fd)) return real_syncfs(fd);
  return watch->SyncEverything([&] { return real_syncfs(fd); });
}
HY_EXPORT void sync() noexcept {
  HY_REAL(sync);
  Watch* watch = Watch::Get();
  if (watch == nullptr) {
    real_sync();
    return;
  }
  watch->SyncEverything([&] {
    real_sync();
    return 0;
  });
}

// --- names
// -----------------------------------------------------------------------------------------------

HY_EXPORT int unlinkat(int dirfd, const char* path, int flags) noexcept {
  HY_REAL(unlinkat);
  Watch* watch = Watch::Get();
  if (watch == nullptr) return real_unlinkat(dirfd, path, flags);
  return watch->Unlink(dirfd, path, flags, [&] { return real_unlinkat(dirfd, path, flags); });
}
HY_EXPORT int unlink(const char* path) noexcept { return unlinkat(AT_FDCWD, path, 0); }
HY_EXPORT int rmdir(const char* path) noexcept { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
HY_EXPORT int remove(const char* path) noexcept {
  int result = unlink(path);
  return result != 0 && errno == EISDIR ? rmdir(path) : result;
}

HY_EXPORT int renameat2(int from_dirfd, const char* from, int to_dirfd, const char* to,
                        unsigned flags) noexcept {
  HY_REAL(renameat2);
  Watch* watch = Watch::Get();
  if (watch == nullptr) return real_renameat2(from_dirfd, from, to_dirfd, to, flags);
  return watch->Rename(from_dirfd, from, to_dirfd, to, flags,
                       [&] { return real_renameat2(from_dirfd, from, to_dirfd, to, flags); });
}
HY_EXPORT int renameat(int from_dirfd, const char* from, int to_dirfd, const char* to) noexcept {
  return renameat2(from_dirfd, from, to_dirfd, to, 0);
}
HY_EXPORT int rename(const char* from, const char* to) noexcept {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

HY_EXPORT int linkat(int from_dirfd, const char* from, int to_dirfd, const char* to,
                     int flags) noexcept {
  HY_REAL(linkat);
  Watch* watch = Watch::Get();
  if (watch == nullptr) return real_linkat(from_dirfd, from, to_dirfd, to, flags);
  return watch->Link(to_dirfd, to,
                     [&] { return real_linkat(from_dirfd, from, to_dirfd, to, flags); });
}
HY_EXPORT int link(const char* from, const char* to) noexcept {
  return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

HY_EXPORT int mkdirat(int dirfd, const char* path, mode_t mode) noexcept {
  HY_REAL(mkdirat);
  Watch* watch = Watch::Get();
  if (watch == nullptr) return real_mkdirat(dirfd, path, mode);
  return watch->Mkdir(dirfd, path, [&] { return real_mkdirat(dirfd, path, mode); });
}
HY_EXPORT int mkdir(const char* path, mode_t mode) noexcept {
  return mkdirat(AT_FDCWD, path, mode);
}

HY_EXPORT int symlinkat(const char* target, int dirfd, const char* path) noexcept {
  HY_REAL(symlinkat);
  if (Watch* watch = Watch::Get()) watch->Symlink(dirfd, path);
  return real_symlinkat(target, dirfd, path);
}
HY_EXPORT int symlink(const char* target, const char* path) noexcept {
  return symlinkat(target, AT_FDCWD, path);
}
