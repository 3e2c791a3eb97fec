#include "net/listening_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace hongyan::net {
namespace {

using base::Code;
using base::Error;

constexpr int kBacklog = 4096;              // the kernel lowers it to net.core.somaxconn
constexpr int kKeepaliveIdleSeconds = 900;  // above the longest heartbeat of a mobile client

class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error Failed(const SocketAddress& address, const char* what, int error) {
  const std::string where = AddressText(address);
  if (error == EADDRINUSE) {
    return {Code::kFailedPrecondition,
            where + " is in use by another process; stop that one or choose another address"};
  }
  if (error == EACCES || error == EPERM) {
    return {Code::kPermissionDenied,
            "no permission to listen on " + where +
                (address.unix_path.empty() ? "; choose a port above 1023"
                                           : "; choose a directory this user may write to")};
  }
  if (error == EADDRNOTAVAIL) {
    return {Code::kInvalidArgument, where +
                                        " is no address of this machine; write one of its own, or "
                                        "0.0.0.0 for all of them"};
  }
  if (error == ENOENT || error == ENOTDIR) {
    return {Code::kInvalidArgument, "the directory of " + where + " does not exist; create it"};
  }
  return {Code::kUnavailable,
          std::string("cannot ") + what + " " + where + ": " + std::strerror(error)};
}

// A socket file nobody listens on is left over from a process that was killed.
base::Result<void> RemoveStale(const SocketAddress& address) {
  struct stat found;
  if (::lstat(address.unix_path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) {
    return Error(
        Code::kFailedPrecondition,
        address.unix_path + " exists and is not a socket; remove it or choose another path");
  }
  const OwnedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.get() < 0) return Failed(address, "open", errno);
  // EAGAIN: somebody listens, with a full backlog.
  if (::connect(probe.get(), address.raw(), address.length) == 0 || errno == EAGAIN) {
    return Failed(address, "listen on", EADDRINUSE);
  }
  if (errno != ECONNREFUSED && errno != ENOENT) return Failed(address, "try", errno);
  if (::unlink(address.unix_path.c_str()) != 0 && errno != ENOENT) {
    return Failed(address, "replace", errno);
  }
  return {};
}

// Linux hands these on to what is accepted, which saves the calls per connection.
void SetTcpOptions(int fd) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  const int idle = kKeepaliveIdleSeconds;
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
}

}  // namespace

base::Result<int> OpenListeningSocket(SocketAddress& address) {
  const bool is_unix = !address.unix_path.empty();
  if (is_unix) {
    if (auto removed = RemoveStale(address); !removed.ok()) return removed.error();
  }
  OwnedFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return Failed(address, "open", errno);
  if (is_unix) {
    // Before bind, so that there is no moment at which others may connect.
    ::fchmod(fd.get(), 0600);
  } else {
    SetTcpOptions(fd.get());
  }
  if (::bind(fd.get(), address.raw(), address.length) != 0) return Failed(address, "bind", errno);
  if (is_unix && ::chmod(address.unix_path.c_str(), 0600) != 0) {
    return Failed(address, "protect", errno);
  }
  if (::listen(fd.get(), kBacklog) != 0) return Failed(address, "listen on", errno);
  if (!is_unix) {
    address.length = sizeof address.storage;
    ::getsockname(fd.get(), address.raw(), &address.length);
  }
  return fd.Release();
}

void RemoveSocketFile(const SocketAddress& address) {
  if (!address.unix_path.empty()) ::unlink(address.unix_path.c_str());
}

}  // namespace hongyan::net
