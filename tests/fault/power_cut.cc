#include "fault/power_cut.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <unordered_set>

#include "fault/file_table.h"
#include "fault/journal.h"
#include "fault/name_log.h"
#include "fault/undo_log.h"

extern char** environ;

namespace hongyan::fault {
namespace {

namespace fs = std::filesystem;

std::string Failed(const std::string& what, const std::string& path) {
  return what + " " + path + ": " + std::strerror(errno);
}

// One power cut. Each step returns an error text, empty when it went well.
class Cut {
 public:
  Cut(const std::string& data_dir, const std::string& journal_dir, const CutOptions& options)
      : data_(data_dir), journal_{journal_dir}, options_(options) {
    if (options.torn_tail_seed) random_.seed(*options.torn_tail_seed);
  }

  std::string Run(CutReport& report);

 private:
  std::string Check();
  std::string UndoNames(CutReport& report);
  std::string UndoName(const NameOp& op, CutReport& report);
  std::string UndoBytes(CutReport& report);
  std::string RestoreFile(const std::string& path, uint64_t size, const Slot& slot,
                          CutReport& report);
  std::string WriteBack(int fd, const std::string& path, const UndoRecord& record);

  const std::string data_;
  const JournalPaths journal_;
  const CutOptions options_;
  std::mt19937_64 random_;
  NameLog names_;
  FileTable table_;
};

std::string Cut::Run(CutReport& report) {
  std::string error = Check();
  if (error.empty()) error = UndoNames(report);
  if (error.empty()) error = UndoBytes(report);
  if (!error.empty()) return error;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(journal_.dir, code)) {
    fs::remove_all(entry.path(), code);
    if (code) return "cannot empty the journal: " + code.message();
  }
  return {};
}

std::string Cut::Check() {
  if (!fs::is_directory(journal_.dir)) {
    return "no journal at " + journal_.dir + ": did the process run with the fault library?";
  }
  std::ifstream unsupported(journal_.Unsupported());
  std::stringstream text;
  text << unsupported.rdbuf();
  if (!text.str().empty()) return "the process did what the layer cannot model: " + text.str();
  if (access(journal_.Lock().c_str(), F_OK) != 0) return {};  // it touched no watched file
  int lock = open(journal_.Lock().c_str(), O_RDWR | O_CLOEXEC);
  if (lock < 0) return Failed("cannot open", journal_.Lock());
  bool free = flock(lock, LOCK_EX | LOCK_NB) == 0;
  close(lock);
  return free ? std::string() : "the watched process is still alive";
}

std::string Cut::UndoNames(CutReport& report) {
  if (!names_.Open(journal_.Names(), true)) return Failed("cannot read", journal_.Names());
  if (names_.Unfinished() != nullptr) {
    NameOp op = *names_.Unfinished();
    bool happened = HappenedOnDisk(op, data_);
    if (!names_.End(happened, op.inode)) return Failed("cannot write", journal_.Names());
  }
  const auto& pending = names_.pending();
  for (auto op = pending.rbegin(); op != pending.rend(); ++op) {
    std::string error = UndoName(*op, report);
    if (!error.empty()) return error;
  }
  return {};
}

std::string Cut::UndoName(const NameOp& op, CutReport& report) {
  const std::string from = data_ + "/" + names_.Today(op.id, op.from.path);
  const std::string grave = journal_.Grave(op.id);
  struct stat info {};
  switch (op.kind) {
    case NameOpKind::kCreate:
    case NameOpKind::kLink:
      if (lstat(from.c_str(), &info) != 0 || info.st_ino != op.inode) {
        return "not the file that was created: " + from;
      }
      if (unlink(from.c_str()) != 0) return Failed("cannot remove", from);
      ++report.creates_undone;
      if (info.st_nlink == 1) report.bytes_lost += static_cast<uint64_t>(info.st_size);
      return {};
    case NameOpKind::kMkdir:
      if (rmdir(from.c_str()) != 0) return Failed("cannot remove", from);
      ++report.creates_undone;
      return {};
    case NameOpKind::kUnlink:
      if (rename(grave.c_str(), from.c_str()) != 0) return Failed("cannot bring back", from);
      ++report.unlinks_undone;
      return {};
    case NameOpKind::kRmdir:
      if (mkdir(from.c_str(), op.mode) != 0) return Failed("cannot bring back", from);
      ++report.unlinks_undone;
      return {};
    case NameOpKind::kRename: {
      const std::string to = data_ + "/" + names_.Today(op.id, op.to.path);
      if (lstat(to.c_str(), &info) != 0 || info.st_ino != op.inode) {
        return "not the file that was renamed: " + to;
      }
      if (rename(to.c_str(), from.c_str()) != 0) return Failed("cannot move back", to);
      ++report.renames_undone;
      if (op.replaced_inode == 0) return {};
      int back =
          op.replaced_is_dir ? mkdir(to.c_str(), op.mode) : rename(grave.c_str(), to.c_str());
      return back == 0 ? std::string() : Failed("cannot bring back", to);
    }
  }
  return "an unknown operation in " + journal_.Names();
}

std::string Cut::UndoBytes(CutReport& report) {
  if (!table_.Open(journal_.Files())) return Failed("cannot read", journal_.Files());
  std::unordered_set<uint64_t> done;  // a file may have several names
  std::error_code code;
  for (fs::recursive_directory_iterator it(data_, code), end; it != end; it.increment(code)) {
    if (code) break;
    struct stat info {};
    const std::string path = it->path();
    if (lstat(path.c_str(), &info) != 0) return Failed("cannot look at", path);
    if (!S_ISREG(info.st_mode)) continue;
    const Slot* slot = table_.Find(info.st_ino);
    if (slot == nullptr || !done.insert(info.st_ino).second) continue;
    std::string error = RestoreFile(path, static_cast<uint64_t>(info.st_size), *slot, report);
    if (!error.empty()) return error;
  }
  return code ? "cannot list " + data_ + ": " + code.message() : std::string();
}

std::string Cut::RestoreFile(const std::string& path, uint64_t size, const Slot& slot,
                             CutReport& report) {
  const Durable durable = FileTable::Get(slot);
  const uint64_t inode = slot.inode.load();
  std::vector<UndoRecord> records;
  uint64_t end = 0;
  if (!ReadUndo(journal_.Undo(inode), durable.undo_from, records, end)) {
    return Failed("cannot read", journal_.Undo(inode));
  }
  if (records.empty() && size == durable.synced_len) return {};

  int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return Failed("cannot open", path);
  std::string error;
  // Newest first, so that the oldest bytes stay; then what was written durably after the last sync.
  for (auto record = records.rbegin(); record != records.rend() && error.empty(); ++record) {
    if (record->kind != UndoKind::kBefore) continue;
    error = WriteBack(fd, path, *record);
    ++report.overwrites_restored;
  }
  uint64_t keep = durable.synced_len;
  if (size > keep) {
    if (options_.torn_tail_seed) keep += random_() % (size - keep + 1);
    if (size > keep) {
      ++report.files_cut;
      report.bytes_lost += size - keep;
    }
  }
  struct stat info {};
  if (error.empty() && (fstat(fd, &info) != 0 || static_cast<uint64_t>(info.st_size) < keep)) {
    error = "shorter than what was synced of it: " + path;
  }
  if (error.empty() && ftruncate(fd, static_cast<off_t>(keep)) != 0) {
    error = Failed("cannot cut", path);
  }
  for (const UndoRecord& record : records) {
    if (record.kind == UndoKind::kDurable && error.empty()) error = WriteBack(fd, path, record);
  }
  close(fd);
  return error;
}

std::string Cut::WriteBack(int fd, const std::string& path, const UndoRecord& record) {
  size_t at = 0;
  while (at < record.bytes.size()) {
    ssize_t done = pwrite(fd, record.bytes.data() + at, record.bytes.size() - at,
                          static_cast<off_t>(record.offset + at));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return Failed("cannot restore", path);
    at += static_cast<size_t>(done);
  }
  return {};
}

}  // namespace

std::vector<std::string> ChildEnvironment(const FaultPaths& paths,
                                          const FaultInjection& injection) {
  std::string preload = "LD_PRELOAD=" + paths.library;
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string text = *entry;
    if (text.starts_with("LD_PRELOAD=")) {
      preload += ":" + text.substr(text.find('=') + 1);
    } else if (!text.starts_with("HONGYAN_FAULT_")) {
      out.push_back(std::move(text));
    }
  }
  out.push_back(std::move(preload));
  out.push_back(std::string(kEnvDir) + "=" + paths.data_dir);
  out.push_back(std::string(kEnvJournal) + "=" + paths.journal_dir);
  if (injection.fail_sync_after) {
    out.push_back(std::string(kEnvFailSyncAfter) + "=" +
                  std::to_string(*injection.fail_sync_after));
  }
  if (injection.enospc_after_bytes) {
    out.push_back(std::string(kEnvEnospcAfterBytes) + "=" +
                  std::to_string(*injection.enospc_after_bytes));
  }
  return out;
}

std::string FindFaultLibrary() {
  std::error_code code;
  const fs::path program = fs::read_symlink("/proc/self/exe", code);
  if (code) return {};
  constexpr char kName[] = "libhongyan_fault.so";
  for (const fs::path& dir : {program.parent_path(), program.parent_path().parent_path() / "lib"}) {
    if (fs::exists(dir / kName, code)) return dir / kName;
  }
  return {};
}

CutReport CutPower(const std::string& data_dir, const std::string& journal_dir,
                   const CutOptions& options) {
  CutReport report;
  report.error = Cut(data_dir, journal_dir, options).Run(report);
  return report;
}

}  // namespace hongyan::fault
