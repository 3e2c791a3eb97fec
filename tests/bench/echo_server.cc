#include "echo_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "base/check.h"
#include "proto/frame.h"

namespace hongyan::bench {
namespace {

using base::Code;
using base::Error;
using base::Result;

// All loops listen on the same port and the kernel deals the connections out.
int Listen(int* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  CHECK(fd >= 0);
  const int one = 1;
  CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(*port));
  socklen_t size = sizeof address;
  CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  // Before the port is told to anybody: its loop's thread may start later than the first client.
  CHECK(listen(fd, 4096) == 0);
  CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

struct EchoLoop {
  uv_loop_t loop;
  uv_tcp_t listener;
  std::string reply_payload;
  std::vector<char> read_buffer = std::vector<char>(256 << 10);
  std::string out;
};

struct EchoConnection {
  uv_tcp_t tcp;
  EchoLoop* home;
  std::string partial;
};

void CloseConnection(EchoConnection* connection) {
  uv_close(reinterpret_cast<uv_handle_t*>(&connection->tcp),
           [](uv_handle_t* handle) { delete static_cast<EchoConnection*>(handle->data); });
}

void OnRead(uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer) {
  auto* connection = static_cast<EchoConnection*>(stream->data);
  EchoLoop& home = *connection->home;
  if (got < 0) return CloseConnection(connection);
  std::string_view bytes(buffer->base, static_cast<size_t>(got));
  if (!connection->partial.empty()) {
    connection->partial.append(bytes);
    bytes = connection->partial;
  }
  home.out.clear();
  while (bytes.size() >= proto::kFrameHeaderBytes) {
    proto::FrameHeader header = proto::ReadFrameHeader(bytes.data());
    const size_t whole = proto::kFrameHeaderBytes + header.length;
    if (bytes.size() < whole) break;
    bytes.remove_prefix(whole);
    header.flags = proto::kFlagAnswer;
    proto::AppendFrame(home.out, header, home.reply_payload);
  }
  connection->partial = std::string(bytes);
  if (home.out.empty()) return;
  const uv_buf_t answers = uv_buf_init(home.out.data(), static_cast<unsigned>(home.out.size()));
  // One request is unanswered at a time, so a socket that does not take its answer is broken.
  if (uv_try_write(stream, &answers, 1) != static_cast<int>(home.out.size()))
    CloseConnection(connection);
}

void OnConnection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* home = static_cast<EchoLoop*>(listener->data);
  auto* connection = new EchoConnection{{}, home, {}};
  CHECK(uv_tcp_init(&home->loop, &connection->tcp) == 0);
  connection->tcp.data = connection;
  if (uv_accept(listener, reinterpret_cast<uv_stream_t*>(&connection->tcp)) != 0) {
    return CloseConnection(connection);
  }
  uv_tcp_nodelay(&connection->tcp, 1);
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&connection->tcp),
      [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
        std::vector<char>& bytes = static_cast<EchoConnection*>(handle->data)->home->read_buffer;
        *buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
      },
      OnRead);
}

void RunLoop(EchoLoop& home, int fd) {
  CHECK(uv_loop_init(&home.loop) == 0);
  CHECK(uv_tcp_init(&home.loop, &home.listener) == 0);
  CHECK(uv_tcp_open(&home.listener, fd) == 0);
  home.listener.data = &home;
  CHECK(uv_listen(reinterpret_cast<uv_stream_t*>(&home.listener), 4096, OnConnection) == 0);
  uv_run(&home.loop, UV_RUN_DEFAULT);
}

}  // namespace

int ServeEcho(int threads, size_t reply_bytes) {
  signal(SIGPIPE, SIG_IGN);
  int port = 0;
  std::vector<std::unique_ptr<EchoLoop>> loops;
  for (int i = 0; i < threads; ++i) {
    loops.push_back(std::make_unique<EchoLoop>());
    loops.back()->reply_payload.assign(reply_bytes, 'e');
    const int fd = Listen(&port);
    std::thread([home = loops.back().get(), fd] { RunLoop(*home, fd); }).detach();
  }
  std::printf("listen=127.0.0.1:%d\n", port);
  std::fflush(stdout);
  char byte;
  ssize_t got;
  while ((got = read(STDIN_FILENO, &byte, 1)) > 0 || (got < 0 && errno == EINTR)) {
  }
  std::_Exit(0);  // the loops have nothing to finish
}

Result<std::unique_ptr<EchoProcess>> EchoProcess::Start(int threads, size_t reply_bytes) {
  int to_child[2];
  int from_child[2];
  if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) {
    return Error(Code::kResourceExhausted,
                 std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  const std::string threads_text = std::to_string(threads);
  const std::string bytes_text = std::to_string(reply_bytes);
  const char* const argv[] = {
      "hongyan-bench",      "echo",          "--serve-only",     "--server-threads",
      threads_text.c_str(), "--reply-bytes", bytes_text.c_str(), nullptr};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(to_child[0], STDIN_FILENO);
    dup2(from_child[1], STDOUT_FILENO);
    execv("/proc/self/exe", const_cast<char* const*>(argv));
    _exit(127);
  }
  close(to_child[0]);
  close(from_child[1]);
  if (child < 0) {
    close(to_child[1]);
    close(from_child[0]);
    return Error(Code::kResourceExhausted, std::string("cannot fork: ") + std::strerror(errno));
  }
  std::unique_ptr<EchoProcess> echo(new EchoProcess);
  echo->pid_ = child;
  echo->stdin_fd_ = to_child[1];
  std::string said;
  char bytes[64];
  for (ssize_t n; said.find('\n') == std::string::npos &&
                  (n = read(from_child[0], bytes, sizeof bytes)) > 0;) {
    said.append(bytes, static_cast<size_t>(n));
  }
  close(from_child[0]);
  const std::string key = "listen=";
  if (!said.starts_with(key)) return Error(Code::kInternal, "the echo server did not start");
  echo->address_ = said.substr(key.size(), said.find('\n') - key.size());
  return echo;
}

EchoProcess::~EchoProcess() {
  close(stdin_fd_);
  waitpid(pid_, nullptr, 0);
}

}  // namespace hongyan::bench
