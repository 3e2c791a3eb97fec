#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "client-sdk/src/record.pb.h"
#include "hongyan/store.h"

namespace hongyan {
namespace {

using sdk::LogChange;
using sdk::LogRecord;

constexpr std::string_view kMagic = "HYSTORE1";
constexpr uint32_t kFormat = 1;
constexpr size_t kRecordHeader = 8;
constexpr size_t kMaxRecord = size_t{1} << 30;
constexpr size_t kCompactFrom = 256 * 1024;  // a smaller log is not worth rewriting
constexpr size_t kCompactGrowth =
    4;  // rewritten when so many times what it was after the last time

Error SystemError(const std::string& what, const std::string& path) {
  const Code code = errno == EACCES || errno == EPERM || errno == EROFS ? Code::kPermissionDenied
                    : errno == ENOSPC || errno == EDQUOT                ? Code::kResourceExhausted
                                                                        : Code::kUnavailable;
  return {code, Reason::kNone, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

// A descriptor that closes itself.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

void PutU32(char* to, uint32_t v) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(v >> (8 * i));
}
uint32_t GetU32(const char* from) {
  uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v |= uint32_t{static_cast<unsigned char>(from[i])} << (8 * i);
  return v;
}

uint32_t Crc(const char* length_field, std::string_view payload) {
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(length_field), 4);
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(payload.data()), payload.size()));
}

std::string Framed(const LogRecord& record) {
  std::string bytes(kRecordHeader, '\0');
  record.AppendToString(&bytes);
  const std::string_view payload = std::string_view(bytes).substr(kRecordHeader);
  PutU32(bytes.data(), static_cast<uint32_t>(payload.size()));
  PutU32(bytes.data() + 4, Crc(bytes.data(), payload));
  return bytes;
}

// The record at `at`, and where the next one starts; none if there is no whole and sound one.
std::optional<std::pair<LogRecord, size_t>> RecordAt(std::string_view log, size_t at) {
  if (log.size() - at < kRecordHeader) return std::nullopt;
  const size_t length = GetU32(log.data() + at);
  if (length == 0 || length > kMaxRecord || log.size() - at - kRecordHeader < length)
    return std::nullopt;
  const std::string_view payload = log.substr(at + kRecordHeader, length);
  if (GetU32(log.data() + at + 4) != Crc(log.data() + at, payload)) return std::nullopt;
  LogRecord record;
  if (!record.ParseFromArray(payload.data(), static_cast<int>(length))) return std::nullopt;
  return std::pair{std::move(record), at + kRecordHeader + length};
}

bool WriteAll(int fd, std::string_view bytes, off_t at) {
  while (!bytes.empty()) {
    const ssize_t wrote = pwrite(fd, bytes.data(), bytes.size(), at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(wrote));
    at += wrote;
  }
  return true;
}

// What the changes add up to.
struct State {
  Saved facts;  // without the unsent
  std::map<int64_t, UnsentMessage> unsent;

  void Apply(const LogChange& change) {
    switch (change.what_case()) {
      case LogChange::kDeviceId:
        facts.device_id = change.device_id();
        break;
      case LogChange::kAccount:
        facts.user = {change.account().user_id()};
        facts.user_name = change.account().user_name();
        facts.token = change.account().token();
        break;
      case LogChange::kCursor:
        facts.cursor = change.cursor();
        break;
      case LogChange::kPut: {
        const auto& put = change.put();
        unsent[put.number()] = {put.number(),
                                {put.conversation_a(), put.conversation_b()},
                                put.client_msg_id(),
                                put.body()};
        break;
      }
      case LogChange::kRemove:
        unsent.erase(change.remove());
        break;
      case LogChange::WHAT_NOT_SET:
        break;
    }
  }
};

LogChange DeviceChange(const std::string& device_id) {
  LogChange change;
  change.set_device_id(device_id);
  return change;
}
LogChange AccountChange(UserId user, const std::string& user_name, const std::string& token) {
  LogChange change;
  change.mutable_account()->set_user_id(user.value);
  change.mutable_account()->set_user_name(user_name);
  change.mutable_account()->set_token(token);
  return change;
}
LogChange CursorChange(int64_t seq) {
  LogChange change;
  change.set_cursor(seq);
  return change;
}
LogChange PutChange(const UnsentMessage& message) {
  LogChange change;
  auto* put = change.mutable_put();
  put->set_number(message.number);
  put->set_conversation_a(message.conversation.a);
  put->set_conversation_b(message.conversation.b);
  put->set_client_msg_id(message.client_msg_id);
  put->set_body(message.body);
  return change;
}
LogChange RemoveChange(int64_t number) {
  LogChange change;
  change.set_remove(number);
  return change;
}

class FileStore final : public Store {
 public:
  explicit FileStore(std::string directory) : directory_(std::move(directory)) {}

  // Takes the lock and reads the log.
  Result<Done> Open();

  Result<Saved> Load() override {
    Saved saved = state_.facts;
    for (const auto& [number, message] : state_.unsent) saved.unsent.push_back(message);
    return saved;
  }
  void SetDevice(const std::string& device_id) override {
    gathered_.push_back(DeviceChange(device_id));
  }
  void SetAccount(UserId user, const std::string& user_name, const std::string& token) override {
    gathered_.push_back(AccountChange(user, user_name, token));
  }
  void SetCursor(int64_t seq) override { gathered_.push_back(CursorChange(seq)); }
  void PutUnsent(const UnsentMessage& message) override { gathered_.push_back(PutChange(message)); }
  void RemoveUnsent(int64_t number) override { gathered_.push_back(RemoveChange(number)); }
  Result<Done> Commit(Durability durability) override;

 private:
  std::string LogPath() const { return directory_ + "/log"; }
  Result<Done> ReadLog(std::string_view log);
  Result<Done> Append(const std::vector<LogChange>& changes, Durability durability);
  Result<Done> Rewrite(const State& state);

  std::string directory_;
  File lock_;
  File log_;
  State state_;                      // as committed
  std::vector<LogChange> gathered_;  // since the last commit
  size_t size_ = 0;                  // of the log
  size_t durable_ = 0;               // of it for certain on disk
  size_t compacted_ = 0;             // its size after the last rewrite
  bool rewrite_first_ = false;  // after a failed write the log's end is not known: start a new one
};

Result<Done> FileStore::Open() {
  // Only we may read it: it holds the token and what was not sent yet.
  for (size_t slash = directory_.find('/', 1);; slash = directory_.find('/', slash + 1)) {
    const std::string part = directory_.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST && slash == std::string::npos) {
      return SystemError("create the directory", part);
    }
    if (slash == std::string::npos) break;
  }
  const std::string lock_path = directory_ + "/lock";
  lock_ = File(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_) return SystemError("open", lock_path);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Code::kFailedPrecondition, Reason::kNone,
                 "the store " + directory_ +
                     " is in use by another program: end it, or use another directory"};
  }
  log_ = File(open(LogPath().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!log_) return SystemError("open", LogPath());
  struct stat info {};
  if (fstat(log_.get(), &info) != 0) return SystemError("read", LogPath());
  std::string log(static_cast<size_t>(info.st_size), '\0');
  for (size_t at = 0; at < log.size();) {
    const ssize_t got = pread(log_.get(), log.data() + at, log.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return SystemError("read", LogPath());
    at += static_cast<size_t>(got);
  }
  return ReadLog(log);
}

Result<Done> FileStore::ReadLog(std::string_view log) {
  const bool began = log.substr(0, kMagic.size()) == kMagic;
  if (!began && log.size() >= kMagic.size()) {
    return Error{Code::kFailedPrecondition, Reason::kNone,
                 LogPath() + " is not a Hongyan store: use another directory"};
  }
  size_t at = kMagic.size();
  while (began && at < log.size()) {
    auto next = RecordAt(log, at);
    if (!next) break;
    if (next->first.format() > kFormat) {
      return Error{Code::kFailedPrecondition, Reason::kNone,
                   "the store " + directory_ + " was made by a newer version: update this program"};
    }
    for (const LogChange& change : next->first.changes()) state_.Apply(change);
    at = next->second;
  }
  // Behind a bad record nothing counts. Was it ever safe on disk? A later record would know.
  for (size_t later = at + 1; began && later < log.size(); ++later) {
    const auto record = RecordAt(log, later);
    if (record && static_cast<size_t>(record->first.durable_bytes()) > at) {
      return Error{
          Code::kDataLoss, Reason::kNone,
          "the store " + directory_ + " is damaged at byte " + std::to_string(at) +
              ": move the directory away to start as a new device; messages in it that were not "
              "sent yet are lost"};
    }
  }
  if (!began) return Rewrite(state_);
  size_ = durable_ = at;
  compacted_ = std::min(size_, kCompactFrom);
  // The torn tail goes now, so that what is written over it cannot end in the middle of its
  // remains. What was only written by an earlier process becomes durable with it.
  if (at < log.size() && ftruncate(log_.get(), static_cast<off_t>(at)) != 0) {
    return SystemError("write", LogPath());
  }
  if (fdatasync(log_.get()) != 0) return SystemError("write", LogPath());
  return Done{};
}

Result<Done> FileStore::Append(const std::vector<LogChange>& changes, Durability durability) {
  const off_t before = static_cast<off_t>(size_);
  if (!changes.empty()) {
    LogRecord record;
    for (const LogChange& change : changes) *record.add_changes() = change;
    record.set_durable_bytes(static_cast<int64_t>(durable_));
    const std::string bytes = Framed(record);
    if (!WriteAll(log_.get(), bytes, before)) {
      const Error error = SystemError("write", LogPath());
      rewrite_first_ = true;
      (void)!ftruncate(log_.get(), before);
      return error;
    }
    size_ += bytes.size();
  }
  if (durability == Durability::kDurable && durable_ < size_) {
    if (fdatasync(log_.get()) != 0) {
      const Error error = SystemError("write", LogPath());
      rewrite_first_ =
          true;  // after a failed sync nothing is known about the pages: never sync them again
      (void)!ftruncate(log_.get(), before);
      return error;
    }
    durable_ = size_;
  }
  return Done{};
}

Result<Done> FileStore::Rewrite(const State& state) {
  LogRecord record;
  record.set_format(kFormat);
  *record.add_changes() = DeviceChange(state.facts.device_id);
  *record.add_changes() = AccountChange(state.facts.user, state.facts.user_name, state.facts.token);
  *record.add_changes() = CursorChange(state.facts.cursor);
  for (const auto& [number, message] : state.unsent) *record.add_changes() = PutChange(message);
  const std::string bytes = std::string(kMagic) + Framed(record);

  const std::string path = directory_ + "/log.new";
  File fresh(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fresh || !WriteAll(fresh.get(), bytes, 0) || fdatasync(fresh.get()) != 0) {
    return SystemError("write", path);
  }
  if (rename(path.c_str(), LogPath().c_str()) != 0) return SystemError("replace", LogPath());
  const File directory(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.get()) != 0) {
    rewrite_first_ = true;
    return SystemError("write", directory_);
  }
  log_ = std::move(fresh);
  size_ = durable_ = compacted_ = bytes.size();
  rewrite_first_ = false;
  return Done{};
}

Result<Done> FileStore::Commit(Durability durability) {
  std::vector<LogChange> changes;
  changes.swap(gathered_);
  const bool grown = size_ > kCompactFrom && size_ > compacted_ * kCompactGrowth;
  if (!rewrite_first_ && !grown) {
    Result<Done> appended = Append(changes, durability);
    if (appended.ok()) {
      for (const LogChange& change : changes) state_.Apply(change);
    }
    return appended;
  }
  State next = state_;
  for (const LogChange& change : changes) next.Apply(change);
  Result<Done> rewritten = Rewrite(next);
  if (rewritten.ok()) state_ = std::move(next);
  return rewritten;
}

}  // namespace

Result<std::shared_ptr<Store>> OpenFileStore(const std::string& directory) {
  auto store = std::make_shared<FileStore>(directory);
  if (Result<Done> opened = store->Open(); !opened.ok()) return opened.error();
  return std::shared_ptr<Store>(std::move(store));
}

}  // namespace hongyan
