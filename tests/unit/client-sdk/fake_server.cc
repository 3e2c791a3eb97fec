#include "tests/unit/client-sdk/fake_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

using hongyan::proto::FrameHeader;

FakeServer::FakeServer(Events events, int port, std::recursive_mutex* lock)
    : mutex_(lock != nullptr ? *lock : own_mutex_), events_(std::move(events)) {
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(static_cast<uint16_t>(port));
  socklen_t size = sizeof at;
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 ||
      listen(listen_fd_, 4096) != 0 ||
      getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0 ||
      pipe(wake_fds_) != 0) {
    throw std::runtime_error("fake server: cannot listen");
  }
  fcntl(wake_fds_[0], F_SETFL, O_NONBLOCK);
  fcntl(wake_fds_[1], F_SETFL, O_NONBLOCK);
  port_ = ntohs(at.sin_port);
  thread_ = std::thread([this] { ThreadMain(); });
}

void FakeServer::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
}

FakeServer::~FakeServer() {
  Stop();
  for (auto& [id, connection] : connections_) close(connection.fd);
  close(listen_fd_);
  close(wake_fds_[0]);
  close(wake_fds_[1]);
}

void FakeServer::Wake() { (void)!write(wake_fds_[1], "x", 1); }

void FakeServer::SendRaw(ConnectionId to, std::string_view bytes) {
  std::lock_guard lock(mutex_);
  const auto it = connections_.find(to);
  if (it == connections_.end()) return;
  it->second.out.append(bytes);
  if (std::this_thread::get_id() != thread_.get_id()) Wake();
}

void FakeServer::Send(ConnectionId to, const FrameHeader& header, std::string_view payload) {
  std::string frame;
  hongyan::proto::AppendFrame(frame, header, payload);
  SendRaw(to, frame);
}

void FakeServer::Answer(ConnectionId to, const FrameHeader& request, std::string_view payload,
                        uint16_t more_flags) {
  FrameHeader header = request;
  header.flags = static_cast<uint16_t>(hongyan::proto::kFlagAnswer | more_flags);
  Send(to, header, payload);
}

void FakeServer::CloseConnection(ConnectionId which) {
  std::lock_guard lock(mutex_);
  const auto it = connections_.find(which);
  if (it == connections_.end()) return;
  WriteTo(it->second);
  // Nothing may be left unread, or the kernel sends a reset that overtakes what was written.
  char rest[4096];
  while (recv(it->second.fd, rest, sizeof rest, MSG_DONTWAIT) > 0) {
  }
  close(it->second.fd);
  connections_.erase(it);
}

void FakeServer::CloseAll() {
  std::lock_guard lock(mutex_);
  while (!connections_.empty()) CloseConnection(connections_.begin()->first);
}

size_t FakeServer::connections() {
  std::lock_guard lock(mutex_);
  return connections_.size();
}

void FakeServer::Accept() {
  for (;;) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const ConnectionId id = ++last_id_;
    connections_.emplace(
        id, Connection{.fd = fd, .in = hongyan::proto::FrameSplitter(8 << 20), .out = {}});
    if (events_.on_accept) events_.on_accept(id);
  }
}

bool FakeServer::ReadFrom(ConnectionId id) {
  auto it = connections_.find(id);
  if (it == connections_.end()) return false;
  std::string bytes(64 << 10, '\0');
  const ssize_t got = recv(it->second.fd, bytes.data(), bytes.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) {
    close(it->second.fd);
    connections_.erase(it);
    if (events_.on_close) events_.on_close(id);
    return false;
  }
  it->second.in.Feed({bytes.data(), static_cast<size_t>(got)});
  for (;;) {
    it = connections_.find(id);
    if (it == connections_.end()) return false;
    const auto frame = it->second.in.Next();
    if (!frame) {
      it->second.in.Keep();
      return WriteTo(it->second);
    }
    if (events_.on_frame) events_.on_frame(id, frame->header, std::string(frame->payload));
  }
}

bool FakeServer::WriteTo(Connection& connection) {
  if (connection.out.empty()) return true;
  const ssize_t sent = send(connection.fd, connection.out.data(), connection.out.size(),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) connection.out.erase(0, static_cast<size_t>(sent));
  return true;
}

void FakeServer::ThreadMain() {
  std::vector<pollfd> polled;
  std::vector<ConnectionId> ids;
  for (;;) {
    polled.assign({{listen_fd_, POLLIN, 0}, {wake_fds_[0], POLLIN, 0}});
    ids.clear();
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      for (auto& [id, connection] : connections_) {
        WriteTo(connection);
        const short wanted = connection.out.empty() ? POLLIN : POLLIN | POLLOUT;
        polled.push_back({connection.fd, wanted, 0});
        ids.push_back(id);
      }
    }
    poll(polled.data(), polled.size(), 1000);
    std::lock_guard lock(mutex_);
    char drained[256];
    while (read(wake_fds_[0], drained, sizeof drained) > 0) {
    }
    if (polled[0].revents != 0) Accept();
    for (size_t i = 0; i < ids.size(); ++i) {
      if ((polled[i + 2].revents & (POLLIN | POLLHUP | POLLERR)) != 0) ReadFrom(ids[i]);
    }
  }
}
