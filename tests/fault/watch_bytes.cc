#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "fault/watch.h"

namespace hongyan::fault {
namespace {

constexpr uint64_t kUndoEmptyAt = 1 << 20;
constexpr size_t kUndoChunk = 1 << 20;

int ReopenFd(int fd, int flags) {
  char link[64];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  return open(link, flags | O_CLOEXEC);
}

uint64_t SizeOf(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

}  // namespace

bool Watch::OpenUndo(FileState& file, int fd) {
  if (file.undo_fd < 0) {
    file.undo_fd = open(journal_.Undo(file.inode).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  }
  if (file.read_fd < 0) file.read_fd = ReopenFd(fd, O_RDONLY);
  if (file.undo_fd >= 0 && file.read_fd >= 0) return true;
  Unsupported(std::string("cannot save bytes before they are overwritten: ") + strerror(errno));
  return false;
}

// Saves what stands in [offset, offset + length) as far as it is durable and not saved yet.
void Watch::SaveBefore(FileState& file, int fd, uint64_t offset, uint64_t length) {
  uint64_t end = std::min(offset + length, file.protect_len);
  if (offset >= end) return;
  auto next = file.saved.upper_bound(offset);
  if (next != file.saved.begin() && std::prev(next)->second >= end) return;
  if (!OpenUndo(file, fd)) return;
  std::string bytes;
  for (uint64_t at = offset; at < end;) {
    bytes.resize(std::min<uint64_t>(end - at, kUndoChunk));
    ssize_t got = pread(file.read_fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (got == 0) break;  // cut off earlier, and saved then
    if (got < 0 || !AppendUndo(file.undo_fd, file.undo_end, UndoKind::kBefore, at, bytes.data(),
                               static_cast<uint64_t>(got))) {
      Unsupported(std::string("cannot save bytes before they are overwritten: ") + strerror(errno));
      return;
    }
    at += static_cast<uint64_t>(got);
  }
  // One entry for this range and all it touches.
  uint64_t first = offset;
  auto it = file.saved.upper_bound(offset);
  if (it != file.saved.begin() && std::prev(it)->second >= offset) --it;
  while (it != file.saved.end() && it->first <= end) {
    first = std::min(first, it->first);
    end = std::max(end, it->second);
    it = file.saved.erase(it);
  }
  file.saved[first] = end;
}

// Bytes written anew after a failed sync are dirty again, so the next sync does write them.
void Watch::Rewritten(FileState& file, uint64_t offset, uint64_t length) {
  Durable durable = FileTable::Get(*file.slot);
  if (!durable.HasLost() || offset > durable.lost_from) return;
  durable.lost_from = std::max(durable.lost_from, offset + length);
  if (!durable.HasLost()) durable.lost_from = durable.lost_end = 0;
  FileTable::Set(*file.slot, durable);
}

void Watch::LoseTail(FileState& file, uint64_t size) {
  Durable durable = FileTable::Get(*file.slot);
  if (size <= durable.synced_len) return;
  durable.lost_from = durable.synced_len;
  durable.lost_end = std::max(durable.lost_end, size);
  FileTable::Set(*file.slot, durable);
}

// Keeps the log of a file small that is overwritten and synced again and again (a mark, a header
// page).
void Watch::EmptyUndo(FileState& file) {
  Durable durable = FileTable::Get(*file.slot);
  if (file.undo_end != durable.undo_from || file.undo_end < kUndoEmptyAt) return;
  if (file.undo_fd < 0 || ftruncate(file.undo_fd, 0) != 0) return;
  durable.undo_from = file.undo_end = 0;
  FileTable::Set(*file.slot, durable);
}

// O_DSYNC covers the bytes it wrote and nothing else.
void Watch::WroteDurably(FileState& file, uint64_t offset, uint64_t length, uint64_t undo_before) {
  Durable durable = FileTable::Get(*file.slot);
  if (undo_before == durable.undo_from && offset <= durable.synced_len && !durable.HasLost() &&
      file.syncs_running == 0) {
    durable.undo_from = file.undo_end;
    durable.synced_len = std::max(durable.synced_len, offset + length);
    FileTable::Set(*file.slot, durable);
    file.protect_len = std::max(file.protect_len, durable.synced_len);
    file.saved.clear();
    EmptyUndo(file);
    return;
  }
  std::string bytes(length, '\0');
  ssize_t got = pread(file.read_fd, bytes.data(), length, static_cast<off_t>(offset));
  if (got != static_cast<ssize_t>(length) ||
      !AppendUndo(file.undo_fd, file.undo_end, UndoKind::kDurable, offset, bytes.data(), length)) {
    Unsupported("cannot record a write with O_DSYNC");
  }
}

ssize_t Watch::Write(OpenFile& open, int fd, size_t length, std::optional<off_t> at, bool durable,
                     const RealWrite& real) {
  LayerScope scope;
  FileState& file = *open.file;
  std::lock_guard lock(file.mutex);
  bool append = (open.flags & O_APPEND) != 0;  // Linux appends even when pwrite names an offset
  durable = durable || (open.flags & O_DSYNC) != 0;
  bool limited = inject_.LimitsWrites();
  uint64_t size = append || limited ? SizeOf(fd) : 0;
  auto offset = append ? size : static_cast<uint64_t>(at ? *at : lseek(fd, 0, SEEK_CUR));
  if (limited) {
    uint64_t end = offset + length;
    size_t room = inject_.Room(length, end > size ? end - size : 0);
    if (room == 0 && length > 0) {
      errno = ENOSPC;
      return -1;
    }
    length = room;
  }
  uint64_t undo_before = file.undo_end;
  if (durable) OpenUndo(file, fd);
  SaveBefore(file, fd, offset, length);
  ssize_t done = real(length);
  if (done <= 0) return done;
  int error = errno;
  auto written = static_cast<uint64_t>(done);
  inject_.Wrote(written);
  Rewritten(file, offset, written);
  if (durable) {
    if (inject_.SyncFails()) {
      LoseTail(file, SizeOf(fd));
      errno = EIO;
      return -1;
    }
    WroteDurably(file, offset, written, undo_before);
  }
  errno = error;
  return done;
}

int Watch::Truncate(OpenFile& open, int fd, off_t length) {
  LayerScope scope;
  FileState& file = *open.file;
  std::lock_guard lock(file.mutex);
  auto target = static_cast<uint64_t>(length);
  if (length >= 0 && target < file.protect_len) {
    SaveBefore(file, fd, target, file.protect_len - target);
  }
  int result = ftruncate(fd, length);
  if (result != 0) return result;
  Durable durable = FileTable::Get(*file.slot);
  if (durable.HasLost() && target < durable.lost_end) {
    durable.lost_end = target;
    if (!durable.HasLost()) durable.lost_from = durable.lost_end = 0;
    FileTable::Set(*file.slot, durable);
  }
  return 0;
}

int Watch::Allocate(OpenFile& open, int fd, int mode, off_t offset, off_t length,
                    const RealCall& real) {
  LayerScope scope;
  FileState& file = *open.file;
  std::lock_guard lock(file.mutex);
  if ((mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0) {
    Unsupported("fallocate that moves bytes of a file");
  } else if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    SaveBefore(file, fd, static_cast<uint64_t>(offset), static_cast<uint64_t>(length));
  } else if (inject_.LimitsWrites()) {
    uint64_t size = SizeOf(fd);
    auto end = static_cast<uint64_t>(offset + length);
    uint64_t growth = end > size ? end - size : 0;
    if (inject_.Room(growth, growth) < growth) {
      errno = ENOSPC;
      return -1;
    }
  }
  return real();
}

Watch::Snapshot Watch::BeginSync(FileState& file, uint64_t size) {
  file.protect_len = std::max(file.protect_len, size);
  file.saved.clear();
  ++file.syncs_running;
  return {&file, size, file.undo_end, ++file.syncs_called};
}

void Watch::EndSync(const Snapshot& snapshot, bool synced) {
  FileState& file = *snapshot.file;
  std::lock_guard lock(file.mutex);
  --file.syncs_running;
  if (!synced) {
    LoseTail(file, snapshot.size);
    return;
  }
  if (snapshot.number < file.sync_recorded) return;  // a newer one returned first and covers this
  file.sync_recorded = snapshot.number;
  Durable durable = FileTable::Get(*file.slot);
  durable.synced_len = snapshot.size;
  if (durable.HasLost()) durable.synced_len = std::min(durable.synced_len, durable.lost_from);
  durable.undo_from = snapshot.undo_end;
  FileTable::Set(*file.slot, durable);
  if (file.syncs_running > 0) return;
  file.protect_len = durable.synced_len;
  EmptyUndo(file);
}

int Watch::Sync(int fd, const RealCall& real) {
  OpenFile* open = Tracked(fd);
  LayerScope scope;
  if (open != nullptr) return SyncOne(*open, fd, real);
  // A descriptor the libc opened by itself, as opendir does: it will also be closed unseen, so it
  // is known for this call only.
  open = AdoptLate(fd);
  if (open == nullptr) return real();
  int result = SyncOne(*open, fd, real);
  Close(fd);
  return result;
}

int Watch::SyncOne(OpenFile& open, int fd, const RealCall& real) {
  bool fails = inject_.SyncFails();
  if (open.file == nullptr) {
    uint64_t upto = 0;
    {
      std::lock_guard lock(names_mutex_);
      upto = names_.last_id();
    }
    if (fails) errno = EIO;
    int result = fails ? -1 : real();
    if (result == 0) SyncDirectory(open.dir, upto);
    return result;
  }
  Snapshot snapshot{};
  {
    std::lock_guard lock(open.file->mutex);
    snapshot = BeginSync(*open.file, SizeOf(fd));
  }
  int result = fails ? -1 : real();
  int error = fails ? EIO : errno;
  EndSync(snapshot, result == 0);
  errno = error;
  return result;
}

int Watch::SyncEverything(const RealCall& real) {
  LayerScope scope;
  if (!Ready()) return real();
  if (inject_.SyncFails()) {
    errno = EIO;
    return -1;
  }
  std::vector<Snapshot> snapshots;
  uint64_t upto = 0;
  {
    std::lock_guard names(names_mutex_);
    upto = names_.last_id();
  }
  auto take = [&](const struct stat& info) {
    std::lock_guard files(files_mutex_);
    if (table_.Find(info.st_ino) == nullptr) return;
    FileState* file = FindOrAdd(info.st_ino, 0, false);
    ++file->opens;  // keeps it while the sync runs
    std::lock_guard lock(file->mutex);
    snapshots.push_back(BeginSync(*file, static_cast<uint64_t>(info.st_size)));
  };
  std::vector<std::string> dirs = {dir_, journal_.GraveDir()};
  while (!dirs.empty()) {
    std::string dir = std::move(dirs.back());
    dirs.pop_back();
    DIR* listing = opendir(dir.c_str());
    if (listing == nullptr) continue;
    while (dirent* entry = readdir(listing)) {
      std::string name = entry->d_name;
      struct stat info {};
      if (name == "." || name == "..") continue;
      if (lstat((dir + "/" + name).c_str(), &info) != 0) continue;
      if (S_ISDIR(info.st_mode)) dirs.push_back(dir + "/" + name);
      if (S_ISREG(info.st_mode)) take(info);
    }
    closedir(listing);
  }
  int result = real();
  int error = errno;
  for (const Snapshot& snapshot : snapshots) {
    EndSync(snapshot, result == 0);
    std::lock_guard files(files_mutex_);
    --snapshot.file->opens;
  }
  if (result == 0) {
    std::lock_guard names(names_mutex_);
    std::vector<NameOp> durable;
    if (!names_.SyncAll(upto, durable)) Unsupported(kNameLogBroken);
    DropGraves(durable);
  }
  errno = error;
  return result;
}

}  // namespace hongyan::fault
