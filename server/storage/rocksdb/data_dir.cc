#include "storage/rocksdb/data_dir.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "base/bytes.h"
#include "storage/rocksdb/rows.h"

namespace hongyan::storage {

namespace {

constexpr int kFormatVersion = 1;

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

StoreIdentity DrawIdentity(int shards, model::ShardId first_shard) {
  CHECK(sodium_init() >= 0);
  StoreIdentity identity;
  randombytes_buf(&identity.incarnation, sizeof identity.incarnation);
  randombytes_buf(identity.id_key.data(), identity.id_key.size());
  randombytes_buf(identity.token_key.data(), identity.token_key.size());
  identity.shards = shards;
  identity.first_shard = first_shard;
  for (size_t slot = 0; slot < identity.slots.size(); ++slot) {
    identity.slots[slot] =
        static_cast<model::ShardId>(first_shard + slot % static_cast<size_t>(shards));
  }
  return identity;
}

base::Result<DataDir> DataDir::Open(const std::string& path, Kind kind) {
  if (auto made = MakeDirectories(path); !made) return made.error();
  DataDir dir(path, kind);
  if (auto locked = dir.Lock(); !locked) return locked.error();
  if (auto checked = dir.CheckFormat(); !checked) return checked.error();
  return dir;
}

base::Result<void> DataDir::Lock() {
  const std::string name = path_ + "/LOCK";
  lock_ = Descriptor(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!lock_.valid()) return SystemError("open", name, errno);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError("lock", name, errno);
    const auto holder = ReadSmallFile(name);
    const bool known = holder.ok() && holder->has_value() && !(*holder)->empty();
    const std::string who = known ? "process " + Trimmed(**holder) : "another process";
    return base::Error(base::Code::kFailedPrecondition,
                       "the data directory " + path_ + " is in use by " + who +
                           "; stop that one first, or name another directory");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_.get(), 0) != 0 ||
      ::pwrite(lock_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return SystemError("write", name, errno);
  }
  return {};
}

base::Result<void> DataDir::CheckFormat() {
  struct stat found {};
  if (::stat((path_ + "/CREATING").c_str(), &found) == 0) {
    fresh_ = true;
    return {};
  }
  auto format = ReadSmallFile(path_ + "/FORMAT");
  if (!format) return format.error();
  if (!format->has_value()) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) {
      if (entry.path().filename() == "LOCK") continue;
      return base::Error(base::Code::kFailedPrecondition,
                         path_ + " is not empty and not " + std::string(kind_.what) +
                             " (it has no file FORMAT); name an empty directory, or restore the "
                             "missing file");
    }
    fresh_ = true;
    return {};
  }
  const std::string text = Trimmed(**format);
  int version = 0;
  const std::string name = std::string(kind_.format) + " ";
  const bool ours = text.starts_with(name);
  const char* end = text.data() + text.size();
  if (!ours || std::from_chars(text.data() + name.size(), end, version).ptr != end ||
      version <= 0) {
    return base::Error(base::Code::kDataLoss,
                       path_ +
                           "/FORMAT does not name a format of this program; it was written by "
                           "something else or is damaged: restore it from a backup");
  }
  if (version > kFormatVersion) {
    return base::Error(
        base::Code::kFailedPrecondition,
        "the store in " + path_ + " has format " + std::to_string(version) +
            ", newer than this program's " + std::to_string(kFormatVersion) +
            "; nothing was changed: run the newer program again, or at least that version");
  }
  return {};
}

base::Result<void> DataDir::Create(const StoreIdentity& identity) {
  CHECK(fresh_);
  const std::string creating = path_ + "/CREATING";
  if (auto written = WriteFileDurably(creating, "a store is being created here\n"); !written) {
    return written;
  }
  std::error_code error;
  std::filesystem::remove_all(db_path(), error);
  if (error) return SystemError("remove", db_path(), error.value());
  if (auto made = MakeDirectories(db_path()); !made) return made;
  if (auto removed = RemoveDurably(mark_path()); !removed) return removed;
  return WriteIdentity(identity);
}

base::Result<void> DataDir::FinishCreation() {
  const std::string format =
      std::string(kind_.format) + " " + std::to_string(kFormatVersion) + "\n";
  if (auto written = WriteFileDurably(path_ + "/FORMAT", format); !written) return written;
  if (auto removed = RemoveDurably(path_ + "/CREATING"); !removed) return removed;
  fresh_ = false;
  return {};
}

base::Result<void> DataDir::WriteChecked(std::string_view name, std::string bytes) const {
  base::AppendBe32(bytes, Crc(bytes));
  return WriteFileDurably(path_ + "/" + std::string(name), bytes);
}

base::Result<std::optional<std::string>> DataDir::ReadChecked(std::string_view name) const {
  auto file = ReadSmallFile(path_ + "/" + std::string(name));
  if (!file) return file.error();
  std::string bytes = std::move(*file).value_or("");
  if (bytes.size() < 4 ||
      base::ReadBe32(bytes.data() + bytes.size() - 4) != Crc({bytes.data(), bytes.size() - 4})) {
    return std::optional<std::string>();
  }
  bytes.resize(bytes.size() - 4);
  return std::optional(std::move(bytes));
}

base::Result<StoreIdentity> DataDir::ReadIdentity() const {
  auto bytes = ReadChecked("IDENTITY");
  if (!bytes) return bytes.error();
  StoreIdentity identity;
  if (!bytes->has_value() || !DecodeIdentity(**bytes, &identity)) {
    return base::Error(base::Code::kDataLoss,
                       path_ +
                           "/IDENTITY is missing or damaged; without it no user can be found: "
                           "restore it from a backup of this store");
  }
  return identity;
}

base::Result<void> DataDir::WriteIdentity(const StoreIdentity& identity) const {
  return WriteChecked("IDENTITY", EncodeIdentity(identity));
}

}  // namespace hongyan::storage
