#include "fault/name_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

namespace hongyan::fault {
namespace {

enum class RecordType : uint32_t { kBegin = 1, kEnded, kFailed, kKeep };

struct Header {
  uint32_t length;
  uint32_t type;
  uint64_t op;
  uint32_t kind;
  uint32_t flags;
  uint32_t mode;
  uint32_t zero;
  uint64_t inode;
  uint64_t replaced_inode;
  uint64_t from_dir;
  uint64_t to_dir;
  uint32_t from_length;
  uint32_t to_length;
};

constexpr uint32_t kFlagDir = 1;
constexpr uint32_t kFlagReplacedDir = 2;
// Marks the inode of a directory that was removed: the number may be given to a new directory,
// whose sync says nothing about the old one.
constexpr uint64_t kGone = uint64_t{1} << 63;
constexpr uint64_t kCompactAt = 1 << 20;

std::string Encode(RecordType type, const NameOp& op) {
  Header header{};
  header.length = static_cast<uint32_t>(sizeof(Header) + op.from.path.size() + op.to.path.size());
  header.type = static_cast<uint32_t>(type);
  header.op = op.id;
  header.kind = static_cast<uint32_t>(op.kind);
  header.flags = (op.is_dir ? kFlagDir : 0) | (op.replaced_is_dir ? kFlagReplacedDir : 0);
  header.mode = op.mode;
  header.inode = op.inode;
  header.replaced_inode = op.replaced_inode;
  header.from_dir = op.from.dir;
  header.to_dir = op.to.dir;
  header.from_length = static_cast<uint32_t>(op.from.path.size());
  header.to_length = static_cast<uint32_t>(op.to.path.size());
  std::string out(reinterpret_cast<const char*>(&header), sizeof(header));
  return out + op.from.path + op.to.path;
}

std::string EncodeMark(RecordType type, uint64_t id, uint64_t inode) {
  NameOp op;
  op.id = id;
  op.inode = inode;
  return Encode(type, op);
}

std::pair<uint64_t, std::string> Key(const Entry& entry) {
  return {entry.dir, entry.path.substr(entry.path.rfind('/') + 1)};
}

}  // namespace

NameLog::~NameLog() {
  if (fd_ >= 0) close(fd_);
}

bool NameLog::Open(const std::string& path, bool append) {
  path_ = path;
  fd_ = open(path.c_str(), append ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
  if (fd_ < 0) return !append && errno == ENOENT;
  struct stat info {};
  if (fstat(fd_, &info) != 0) return false;
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  if (pread(fd_, bytes.data(), bytes.size(), 0) != info.st_size) return false;

  size_t at = 0;
  Header header{};
  while (at + sizeof(header) <= bytes.size()) {
    std::memcpy(&header, bytes.data() + at, sizeof(header));
    if (header.length != sizeof(header) + header.from_length + header.to_length) {
      errno = EILSEQ;
      return false;
    }
    if (header.length > bytes.size() - at) break;
    switch (static_cast<RecordType>(header.type)) {
      case RecordType::kBegin: {
        NameOp op;
        op.id = header.op;
        op.kind = static_cast<NameOpKind>(header.kind);
        op.is_dir = (header.flags & kFlagDir) != 0;
        op.replaced_is_dir = (header.flags & kFlagReplacedDir) != 0;
        op.mode = header.mode;
        op.inode = header.inode;
        op.replaced_inode = header.replaced_inode;
        const char* paths = bytes.data() + at + sizeof(header);
        op.from = {header.from_dir, std::string(paths, header.from_length)};
        op.to = {header.to_dir, std::string(paths + header.from_length, header.to_length)};
        last_id_ = op.id;
        pending_.push_back(std::move(op));
        break;
      }
      case RecordType::kEnded:
        ApplyEnd(true, header.inode);
        break;
      case RecordType::kFailed:
        ApplyEnd(false, 0);
        break;
      case RecordType::kKeep:
        for (size_t i = 0; i < pending_.size(); ++i) {
          if (pending_[i].id != header.op) continue;
          ApplyKeep(i);
          break;
        }
        break;
    }
    at += header.length;
  }
  size_ = at;
  return !append || ftruncate(fd_, static_cast<off_t>(at)) == 0;
}

uint64_t NameLog::Begin(NameOp op) {
  op.id = last_id_ + 1;
  if (!Write(Encode(RecordType::kBegin, op))) return 0;
  last_id_ = op.id;
  pending_.push_back(std::move(op));
  return last_id_;
}

bool NameLog::End(bool happened, uint64_t inode) {
  auto type = happened ? RecordType::kEnded : RecordType::kFailed;
  if (!Write(EncodeMark(type, last_id_, inode))) return false;
  ApplyEnd(happened, inode);
  return CompactIfLarge();
}

const NameOp* NameLog::Unfinished() const {
  return !pending_.empty() && !pending_.back().ended ? &pending_.back() : nullptr;
}

void NameLog::ApplyEnd(bool happened, uint64_t inode) {
  if (pending_.empty()) return;
  if (!happened) {
    pending_.pop_back();
    return;
  }
  NameOp& op = pending_.back();
  op.ended = true;
  if (inode != 0) op.inode = inode;
  uint64_t gone = op.kind == NameOpKind::kRmdir ? op.inode
                  : op.replaced_is_dir          ? op.replaced_inode
                                                : 0;
  if (gone == 0) return;
  for (NameOp& other : pending_) {
    if (other.from.dir == gone) other.from.dir |= kGone;
    if (other.to.dir == gone) other.to.dir |= kGone;
  }
}

void NameLog::ApplyKeep(size_t index) {
  NameOp op = std::move(pending_[index]);
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
  if (op.kind == NameOpKind::kRename && op.is_dir) {
    auto place = kept_renames_.begin();
    while (place != kept_renames_.end() && place->id < op.id) ++place;
    kept_renames_.insert(place, std::move(op));
  }
  uint64_t oldest = pending_.empty() ? UINT64_MAX : pending_.front().id;
  std::erase_if(kept_renames_, [oldest](const NameOp& kept) { return kept.id < oldest; });
}

bool NameLog::SyncDirectory(uint64_t dir, uint64_t upto, std::vector<NameOp>& durable) {
  std::vector<bool> chosen(pending_.size());
  std::set<std::pair<uint64_t, std::string>> entries;  // touched by a chosen, newer operation
  std::set<uint64_t> parents = {dir};                  // directories a chosen operation stands in
  std::set<uint64_t> removed;                          // directories whose removal is chosen
  bool any = false;
  for (size_t i = pending_.size(); i-- > 0;) {
    const NameOp& op = pending_[i];
    if (op.id > upto) continue;
    bool two = op.kind == NameOpKind::kRename;
    chosen[i] = op.from.dir == dir || (two && op.to.dir == dir) || entries.contains(Key(op.from)) ||
                (two && entries.contains(Key(op.to))) ||
                (op.kind == NameOpKind::kMkdir && parents.contains(op.inode)) ||
                removed.contains(op.from.dir) || (two && removed.contains(op.to.dir));
    if (!chosen[i]) continue;
    any = true;
    entries.insert(Key(op.from));
    parents.insert(op.from.dir);
    if (two) {
      entries.insert(Key(op.to));
      parents.insert(op.to.dir);
    }
    if (op.kind == NameOpKind::kRmdir) removed.insert(op.inode | kGone);
    if (op.replaced_is_dir) removed.insert(op.replaced_inode | kGone);
  }
  return !any || Keep(std::move(chosen), durable);
}

bool NameLog::SyncAll(uint64_t upto, std::vector<NameOp>& durable) {
  std::vector<bool> chosen(pending_.size());
  for (size_t i = 0; i < pending_.size(); ++i) chosen[i] = pending_[i].id <= upto;
  return Keep(std::move(chosen), durable);
}

bool NameLog::Keep(std::vector<bool> chosen, std::vector<NameOp>& durable) {
  // Oldest first: whatever a kill leaves of this write never holds an operation without the older
  // ones it stands on.
  std::string marks;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (!chosen[i]) continue;
    marks += EncodeMark(RecordType::kKeep, pending_[i].id, 0);
    durable.push_back(pending_[i]);
  }
  if (!Write(marks)) return false;
  for (size_t i = chosen.size(); i-- > 0;) {
    if (chosen[i]) ApplyKeep(i);
  }
  return CompactIfLarge();
}

bool NameLog::Write(const std::string& bytes) {
  ssize_t done = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
  if (done < 0) return false;
  if (static_cast<size_t>(done) != bytes.size()) {
    errno = ENOSPC;
    return false;
  }
  size_ += bytes.size();
  return true;
}

bool NameLog::CompactIfLarge() {
  if (size_ < kCompactAt || Unfinished() != nullptr) return true;
  std::vector<NameOp> all = pending_;
  all.insert(all.end(), kept_renames_.begin(), kept_renames_.end());
  std::string bytes;
  // Operations in order of their ids, and the durable renames of directories marked as kept at the
  // end.
  std::set<uint64_t> kept;
  for (const NameOp& op : kept_renames_) kept.insert(op.id);
  while (!all.empty()) {
    auto first = all.begin();
    for (auto it = all.begin(); it != all.end(); ++it) {
      if (it->id < first->id) first = it;
    }
    bytes += Encode(RecordType::kBegin, *first) + EncodeMark(RecordType::kEnded, first->id, 0);
    all.erase(first);
  }
  for (uint64_t id : kept) bytes += EncodeMark(RecordType::kKeep, id, 0);
  if (bytes.size() > kCompactAt / 2) return true;  // nearly all of it is still needed

  std::string fresh = path_ + ".new";
  int fd = open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  if (pwrite(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
      rename(fresh.c_str(), path_.c_str()) != 0) {
    int error = errno;
    close(fd);
    errno = error;
    return false;
  }
  close(fd_);
  fd_ = fd;
  size_ = bytes.size();
  return true;
}

std::string NameLog::Today(uint64_t id, const std::string& path) const {
  std::string today = path;
  for (const NameOp& rename : kept_renames_) {
    if (rename.id < id) continue;
    const std::string& old = rename.from.path;
    if (today.size() > old.size() && today.starts_with(old) && today[old.size()] == '/') {
      today = rename.to.path + today.substr(old.size());
    }
  }
  return today;
}

bool HappenedOnDisk(NameOp& op, const std::string& root) {
  struct stat from {};
  struct stat to {};
  bool from_there = lstat((root + "/" + op.from.path).c_str(), &from) == 0;
  switch (op.kind) {
    case NameOpKind::kUnlink:
    case NameOpKind::kRmdir:
      return !from_there;
    case NameOpKind::kRename:
      return !from_there && lstat((root + "/" + op.to.path).c_str(), &to) == 0 &&
             to.st_ino == op.inode;
    default:
      if (from_there) op.inode = from.st_ino;
      return from_there;
  }
}

}  // namespace hongyan::fault
