#include "admin/cli/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/error.pb.h"
#include "proto/frame.h"

namespace hongyan::admin_cli {
namespace {

constexpr uint32_t kMaxReplyBytes = 64 << 20;
constexpr uint32_t kRequestsAtOnce = 8;
constexpr size_t kMaxRequestBytes = 16 << 20;  // what the server's administration socket takes

base::Error Failed(const std::string& what) {
  return {
      base::Code::kUnavailable,
      what + ": " + (errno == EAGAIN ? "the server did not answer in time" : std::strerror(errno))};
}

}  // namespace

base::Result<Client> Client::Connect(const std::string& socket_path, int64_t patience_s) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) {
    return base::Error(base::Code::kInvalidArgument,
                       "the path " + socket_path +
                           " is too long for a socket: use a shorter one, or a "
                           "relative path");
  }
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed("cannot make a socket");
  Client client(fd);
  const timeval patience{static_cast<time_t>(patience_s), 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return client;
  const std::string what =
      "cannot reach the server at " + socket_path + " (" + std::strerror(errno) + ")";
  if (errno == EACCES) {
    return base::Error(base::Code::kPermissionDenied,
                       what + ": run hongyan-admin as the user hongyand runs as");
  }
  return base::Error(
      base::Code::kUnavailable,
      what +
          ": is hongyand running? Name its data directory with --data, or its socket "
          "with --socket");
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), last_id_(other.last_id_) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

base::Result<v1::AdminReply> Client::Ask(const v1::AdminRequest& request) {
  const uint32_t id = ++last_id_;
  if (auto sent = Send(id, request); !sent) return sent.error();
  auto answer = Receive();
  if (!answer) return answer.error();
  return std::move(answer->reply);
}

base::Result<void> Client::AskForMany(
    size_t count, size_t per_request,
    const std::function<void(size_t place, v1::AdminRequest&)>& add,
    const std::function<void(size_t first, const v1::AdminReply&)>& take) {
  size_t sent = 0;
  for (uint32_t under_way = 0; sent < count || under_way > 0; --under_way) {
    for (; under_way < kRequestsAtOnce && sent < count; ++under_way) {
      v1::AdminRequest request;
      const size_t first = sent;
      for (; sent < count && sent - first < per_request; ++sent) add(sent, request);
      if (auto s = Send(static_cast<uint32_t>(first + 1), request); !s) return s;
    }
    auto answer = Receive();
    if (!answer) return answer.error();
    if (!answer->reply) return answer->reply.error();
    take(answer->id - 1, *answer->reply);
  }
  return {};
}

base::Result<void> Client::Send(uint32_t id, const v1::AdminRequest& request) {
  if (const size_t bytes = request.ByteSizeLong(); bytes > kMaxRequestBytes) {
    return base::Error(base::Code::kInvalidArgument,
                       "the request has " + std::to_string(bytes) + " bytes and may have " +
                           std::to_string(kMaxRequestBytes) + ": name fewer at once");
  }
  std::string out;
  proto::FrameHeader header;
  header.command = v1::ADMIN;
  header.request_id = id;
  proto::AppendFrame(out, header, request.SerializeAsString());
  for (size_t done = 0; done < out.size();) {
    const ssize_t n = ::send(fd_, out.data() + done, out.size() - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("cannot send to the server");
    done += static_cast<size_t>(n);
  }
  return {};
}

base::Result<Client::Answer> Client::Receive() {
  char bytes[proto::kFrameHeaderBytes];
  if (auto read = ReadExactly(bytes, sizeof bytes); !read) return read.error();
  const proto::FrameHeader header = proto::ReadFrameHeader(bytes);
  if (header.length > kMaxReplyBytes) {
    return base::Error(base::Code::kInternal, "the answer is no answer of hongyand: wrong socket?");
  }
  std::string payload(header.length, '\0');
  if (auto read = ReadExactly(payload.data(), payload.size()); !read) return read.error();
  if (header.is_error()) {
    v1::Error error;
    error.ParseFromString(payload);
    return Answer{header.request_id, base::Error(static_cast<base::Code>(error.code()),
                                                 static_cast<uint16_t>(error.reason()),
                                                 error.text(), error.retry_after_ms())};
  }
  v1::AdminReply reply;
  if (!reply.ParseFromString(payload)) {
    return base::Error(base::Code::kInternal,
                       "the answer cannot be read: are hongyand and hongyan-admin of one version?");
  }
  return Answer{header.request_id, std::move(reply)};
}

base::Result<void> Client::ReadExactly(void* to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = ::recv(fd_, static_cast<char*>(to) + done, bytes - done, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) {
      return base::Error(
          base::Code::kUnavailable,
          "the server closed the connection: it is shutting down, or refused us; see its "
          "log");
    }
    if (n < 0) return Failed("cannot read the server's answer");
    done += static_cast<size_t>(n);
  }
  return {};
}

}  // namespace hongyan::admin_cli
