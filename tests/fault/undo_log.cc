#include "fault/undo_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace hongyan::fault {
namespace {

struct Header {
  uint32_t kind;
  uint32_t zero;
  uint64_t offset;
  uint64_t length;
};

bool ReadAll(int fd, uint64_t from, char* out, uint64_t length) {
  while (length > 0) {
    ssize_t done = pread(fd, out, length, static_cast<off_t>(from));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) {
      if (done == 0) errno = EIO;
      return false;
    }
    out += done;
    from += static_cast<uint64_t>(done);
    length -= static_cast<uint64_t>(done);
  }
  return true;
}

}  // namespace

bool AppendUndo(int fd, uint64_t& end, UndoKind kind, uint64_t offset, const char* bytes,
                uint64_t length) {
  Header header{static_cast<uint32_t>(kind), 0, offset, length};
  iovec parts[2] = {{&header, sizeof(header)}, {const_cast<char*>(bytes), length}};
  ssize_t done = pwritev(fd, parts, 2, static_cast<off_t>(end));
  if (done < 0) return false;
  if (static_cast<uint64_t>(done) != sizeof(header) + length) {
    errno = ENOSPC;
    return false;
  }
  end += static_cast<uint64_t>(done);
  return true;
}

bool ReadUndo(const std::string& path, uint64_t from, std::vector<UndoRecord>& records,
              uint64_t& end) {
  end = from;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno != ENOENT) return false;
    end = 0;
    return true;
  }
  struct stat info {};
  bool good = fstat(fd, &info) == 0;
  auto size = static_cast<uint64_t>(info.st_size);
  // A log that was emptied, and whose slot was not told before the kill, holds nothing to undo.
  if (size < from) end = size;
  Header header{};
  while (good && end + sizeof(header) <= size) {
    good = ReadAll(fd, end, reinterpret_cast<char*>(&header), sizeof(header));
    if (!good) break;
    if (header.kind != static_cast<uint32_t>(UndoKind::kBefore) &&
        header.kind != static_cast<uint32_t>(UndoKind::kDurable)) {
      errno = EILSEQ;
      good = false;
      break;
    }
    if (header.length > size - end - sizeof(header)) break;  // torn: its write never began
    UndoRecord record{static_cast<UndoKind>(header.kind), header.offset,
                      std::string(header.length, '\0')};
    good = ReadAll(fd, end + sizeof(header), record.bytes.data(), header.length);
    end += sizeof(header) + header.length;
    records.push_back(std::move(record));
  }
  int error = errno;
  close(fd);
  errno = error;
  return good;
}

}  // namespace hongyan::fault
