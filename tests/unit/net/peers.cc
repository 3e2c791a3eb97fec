#include "tests/unit/net/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <future>
#include <thread>

#include "net/address.h"
#include "tests/doctest_last.h"

namespace hongyan::net {
namespace {

class ScriptedHandler final : public ConnectionHandler {
 public:
  explicit ScriptedHandler(Script& script, Loop& loop) : script_(script), loop_(loop) {
    ++script_.alive;
  }
  ~ScriptedHandler() override {
    CHECK(loop_.InThread());
    --script_.alive;
  }

  void OnFrame(Connection& connection, const proto::Frame& frame) override {
    CHECK(loop_.InThread());
    CHECK_FALSE(inside_);
    inside_ = true;
    if (script_.on_frame) {
      script_.on_frame(connection, frame);
    } else {
      Echo(connection, frame);
    }
    inside_ = false;
  }

  void OnFrameTooLarge(Connection& connection, const proto::FrameHeader& header) override {
    if (script_.on_too_large) script_.on_too_large(connection, header);
  }

  void OnClosed(Connection& connection, CloseReason reason) override {
    CHECK(loop_.InThread());
    CHECK_FALSE(inside_);
    CHECK(loop_.Find(connection.id()) == nullptr);
    connection.Send({}, "into the void");
    if (script_.on_closed) script_.on_closed(connection, reason);
    const std::lock_guard lock(script_.mutex);
    script_.closed_reasons.push_back(reason);
  }

 private:
  Script& script_;
  Loop& loop_;
  bool inside_ = false;
};

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void OnLoop(Loop& loop, const std::function<void()>& task) {
  std::promise<void> done;
  REQUIRE(loop.Post([&] {
    task();
    done.set_value();
  }));
  done.get_future().wait();
}

std::vector<CloseReason> Script::closed() const {
  const std::lock_guard lock(mutex);
  return closed_reasons;
}

void Echo(Connection& connection, const proto::Frame& frame) {
  connection.Send({.command = frame.header.command,
                   .flags = proto::kFlagAnswer,
                   .request_id = frame.header.request_id},
                  frame.payload);
}

Server::Server(int loops, ListenerOptions options) {
  std::vector<Loop*> on;
  for (int i = 0; i < loops; ++i) {
    loops_.push_back(std::make_unique<Loop>(i));
    loops_.back()->Start();
    on.push_back(loops_.back().get());
  }
  if (options.address.empty()) options.address = "127.0.0.1:0";
  auto opened = Listener::Open(options, on, [this](Connection& connection) {
    auto handler = std::make_unique<ScriptedHandler>(script, connection.loop());
    if (script.on_open) script.on_open(connection);
    return handler;
  });
  REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().text));
  listener_ = std::move(*opened);
}

Server::~Server() { Stop(); }

void Server::Stop() {
  listener_->StopAccepting();
  for (auto& loop : loops_) loop->Stop();
  CHECK(listener_->connections() == 0);
  CHECK(script.handlers_alive() == 0);
}

LoopStats Server::stats() const {
  LoopStats sum;
  for (const auto& loop : loops_) {
    const LoopStats s = loop->stats();
    sum.turns += s.turns;
    sum.reads += s.reads;
    sum.bytes_in += s.bytes_in;
    sum.frames_in += s.frames_in;
    sum.writes += s.writes;
    sum.bytes_out += s.bytes_out;
    sum.frames_out += s.frames_out;
    sum.connections += s.connections;
    sum.slow_readers += s.slow_readers;
  }
  return sum;
}

Peer::Peer(const std::string& address, int receive_buffer) {
  auto to = ParseAddress(address);
  REQUIRE(to.ok());
  fd_ = ::socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd_ >= 0);
  if (receive_buffer > 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  const timeval limit{.tv_sec = 30, .tv_usec = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd_, to->raw(), to->length) != 0) Close();
}

Peer::~Peer() { Close(); }

Peer::Peer(Peer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)), end_(other.end_) {}

void Peer::Send(const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    REQUIRE(n > 0);
    done += static_cast<size_t>(n);
  }
}

void Peer::SendFrame(uint32_t request_id, const std::string& payload, uint16_t command) {
  Send(FrameBytes(request_id, payload, command));
}

size_t Peer::SendSome(const std::string& bytes) {
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

std::optional<Peer::Received> Peer::Receive() {
  for (;;) {
    if (const auto frame = in_.Next()) return Received{frame->header, std::string(frame->payload)};
    in_.Keep();
    buffer_.resize(256 << 10);
    const ssize_t n = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
    end_ = n == 0;
    if (n <= 0) return std::nullopt;
    in_.Feed({buffer_.data(), static_cast<size_t>(n)});
  }
}

bool Peer::AtEnd() { return !Receive().has_value() && end_; }

void Peer::ShutdownWrite() { ::shutdown(fd_, SHUT_WR); }

void Peer::Close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Peer::Reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  Close();
}

std::string FrameBytes(uint32_t request_id, const std::string& payload, uint16_t command) {
  std::string out;
  proto::AppendFrame(out, {.command = command, .request_id = request_id}, payload);
  return out;
}

}  // namespace hongyan::net
