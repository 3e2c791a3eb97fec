#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hongyan::storage {

// Small files that must survive: what they return has been synced, the directory entry too. Errors
// carry the path and what the system said. Any thread.

// Replaces the file as a whole: after a crash it is the old or the new one. Readable by its owner
// only.
base::Result<void> WriteFileDurably(const std::string& path, std::string_view bytes);

// None = there is no such file. Refuses files above 1 MiB: nothing of ours is that large.
base::Result<std::optional<std::string>> ReadSmallFile(const std::string& path);

// None of these is an error if the file is gone already.
base::Result<void> RemoveDurably(const std::string& path);

// Creates the directory and those above it.
base::Result<void> MakeDirectories(const std::string& path);

base::Result<void> SyncDirectory(const std::string& path);

// `what path: reason of errno`, with what to do about the common ones.
base::Error SystemError(std::string_view what, const std::string& path, int error_number);

// An open descriptor. Move only.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace hongyan::storage
