#include "storage/rocksdb/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace hongyan::storage {

namespace {

constexpr size_t kSmallFileBytes = 1 << 20;

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

base::Error SystemError(std::string_view what, const std::string& path, int error_number) {
  std::string text =
      "cannot " + std::string(what) + " " + path + ": " + std::strerror(error_number);
  auto code = base::Code::kUnavailable;
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS) {
    code = base::Code::kPermissionDenied;
    text += "; let the user that runs the server (uid " + std::to_string(::geteuid()) +
            ") own and write the data directory, or name another one";
  } else if (error_number == ENOSPC || error_number == EDQUOT) {
    code = base::Code::kResourceExhausted;
    text += "; free some space on that disk";
  } else if (error_number == EMFILE || error_number == ENFILE) {
    text += "; raise the limit of open files";
  }
  return {code, std::move(text)};
}

base::Result<void> SyncDirectory(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open the directory", path, errno);
  if (::fsync(fd.get()) != 0) return SystemError("sync the directory", path, errno);
  return {};
}

base::Result<void> WriteFileDurably(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".new";
  {
    const Descriptor fd(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!fd.valid()) return SystemError("create", temporary, errno);
    if (!WriteAll(fd.get(), bytes)) return SystemError("write", temporary, errno);
    if (::fsync(fd.get()) != 0) return SystemError("sync", temporary, errno);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return SystemError("replace", path, errno);
  return SyncDirectory(DirectoryOf(path));
}

base::Result<std::optional<std::string>> ReadSmallFile(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return std::optional<std::string>();
  if (!fd.valid()) return SystemError("open", path, errno);
  std::string bytes;
  char chunk[16 << 10];
  for (;;) {
    const ssize_t n = ::read(fd.get(), chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("read", path, errno);
    if (n == 0) return std::optional(std::move(bytes));
    bytes.append(chunk, static_cast<size_t>(n));
    if (bytes.size() > kSmallFileBytes) {
      return base::Error(base::Code::kDataLoss, path + " is larger than any file of its kind");
    }
  }
}

base::Result<void> RemoveDurably(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError("remove", path, errno);
  return SyncDirectory(DirectoryOf(path));
}

base::Result<void> MakeDirectories(const std::string& path) {
  std::vector<std::string> missing;
  std::filesystem::path directory(path);
  struct stat found {};
  while (!directory.empty() && ::stat(directory.c_str(), &found) != 0) {
    if (errno != ENOENT) return SystemError("look at", directory.string(), errno);
    missing.push_back(directory.string());
    if (directory.parent_path() == directory) break;
    directory = directory.parent_path();
  }
  for (auto name = missing.rbegin(); name != missing.rend(); ++name) {
    if (::mkdir(name->c_str(), S_IRWXU) != 0 && errno != EEXIST) {
      return SystemError("create the directory", *name, errno);
    }
    if (auto synced = SyncDirectory(DirectoryOf(*name)); !synced) return synced;
  }
  if (::stat(path.c_str(), &found) != 0) return SystemError("look at", path, errno);
  if (!S_ISDIR(found.st_mode)) return SystemError("use as a directory", path, ENOTDIR);
  return {};
}

}  // namespace hongyan::storage
