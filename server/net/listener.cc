#include "net/listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "net/connection_impl.h"
#include "net/listener_impl.h"
#include "net/listening_socket.h"

namespace hongyan::net {
namespace {

constexpr size_t kMinUnauthenticated = 64;
constexpr int kAcceptsPerTurn = 64;  // so that a storm of connects does not starve the first loop
constexpr int64_t kDescriptorBackoffMs = 100;
constexpr int64_t kLogEveryMs = 1'000;

size_t UnauthenticatedLimit(const ListenerOptions& options) {
  const size_t limit = options.max_unauthenticated != 0
                           ? options.max_unauthenticated
                           : std::max(kMinUnauthenticated, options.max_connections / 4);
  return std::min(limit, options.max_connections);
}

bool OutOfDescriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

// ---- seats and sockets on their way

Seat::~Seat() {
  if (listener_ != nullptr) listener_->Leave(logged_in_);
}

void Seat::LogIn() {
  if (std::exchange(logged_in_, true)) return;
  listener_->LoggedIn();
}

AcceptedSocket::~AcceptedSocket() {
  if (fd_ >= 0) ::close(fd_);
}

// ---- accepting, on the first loop

Listener::Impl::Impl(ListenerOptions with, std::vector<Loop*> on, Factory make)
    : options(std::move(with)),
      unauthenticated_limit(UnauthenticatedLimit(options)),
      loops(std::move(on)),
      factory(std::move(make)) {}

void Listener::Impl::Watch(int fd) {
  Loop::Impl& loop = loops.front()->impl();
  if (loop.stopping) {
    ::close(fd);
    return;
  }
  poll = new Poll;
  poll->fd = fd;
  poll->impl = shared_from_this();
  poll->handle.data = poll;
  poll->backoff.on_fire = [this] { GoOn(); };
  CHECK(uv_poll_init(&loop.uv, &poll->handle, fd) == 0);
  loop.residents.push_back(this);
  GoOn();
}

void Listener::Impl::GoOn() {
  if (poll == nullptr || poll->backoff.armed()) return;
  const auto on_readable = [](uv_poll_t* h, int, int) {
    static_cast<Poll*>(h->data)->impl->OnReadable();
  };
  CHECK(uv_poll_start(&poll->handle, UV_READABLE, on_readable) == 0);
}

void Listener::Impl::OnReadable() {
  for (int i = 0; i < kAcceptsPerTurn && poll != nullptr; ++i) {
    if (!HasRoom()) return WaitForRoom();
    SocketAddress from;
    from.length = sizeof from.storage;
    const int fd = ::accept4(poll->fd, from.raw(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Deliver(fd, from);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    if (OutOfDescriptors(errno)) return WaitForDescriptors(errno);
    // Anything else is about the one that wanted to connect (ECONNABORTED, EPROTO, network errors).
  }
}

void Listener::Impl::Deliver(int fd, const SocketAddress& from) {
  accepted.fetch_add(1, std::memory_order_relaxed);
  open.fetch_add(1);
  unauthenticated.fetch_add(1);
  AcceptedSocket socket(fd, Seat(shared_from_this()), HostText(from));
  Loop& loop = *loops[next_loop++ % loops.size()];
  if (loop.InThread()) return Connection::Impl::Adopt(loop, std::move(socket));
  // Shared only because a std::function must be copyable; a loop that has ended drops it, and so
  // closes it.
  loop.Post([&loop, shared = std::make_shared<AcceptedSocket>(std::move(socket))] {
    Connection::Impl::Adopt(loop, std::move(*shared));
  });
}

bool Listener::Impl::HasRoom() const {
  return open.load() < options.max_connections && unauthenticated.load() < unauthenticated_limit;
}

void Listener::Impl::WaitForRoom() {
  uv_poll_stop(&poll->handle);
  if (MayLog()) {
    LOG_WARN("accept_waits address={} connections={} of={} unauthenticated={} of={}", address_text,
             open.load(), options.max_connections, unauthenticated.load(), unauthenticated_limit);
  }
  waiting_for_room.store(true);
  // Whoever left before it was set did not see that somebody waits.
  if (HasRoom() && waiting_for_room.exchange(false)) GoOn();
}

void Listener::Impl::WaitForDescriptors(int error) {
  uv_poll_stop(&poll->handle);
  loops.front()->timers().Arm(poll->backoff, kDescriptorBackoffMs);
  if (MayLog()) {
    LOG_WARN(
        "accept_out_of_descriptors address={} connections={} error=\"{}\"; raise the limit (ulimit "
        "-n) "
        "or lower max_connections",
        address_text, open.load(), std::strerror(error));
  }
}

bool Listener::Impl::MayLog() {
  const int64_t now = loops.front()->now_ms();
  if (now - last_log_ms < kLogEveryMs) return false;
  last_log_ms = now;
  return true;
}

void Listener::Impl::CloseHandles() {
  stopped.store(true);
  if (poll == nullptr) return;
  Poll* closing = std::exchange(poll, nullptr);
  loops.front()->timers().Disarm(closing->backoff);
  uv_poll_stop(&closing->handle);
  RemoveSocketFile(address);
  ::close(closing->fd);
  uv_close(reinterpret_cast<uv_handle_t*>(&closing->handle),
           [](uv_handle_t* h) { delete static_cast<Poll*>(h->data); });
}

// ---- leaving, on any loop

void Listener::Impl::Leave(bool logged_in) {
  open.fetch_sub(1);
  if (!logged_in) unauthenticated.fetch_sub(1);
  RoomMade();
}

void Listener::Impl::LoggedIn() {
  unauthenticated.fetch_sub(1);
  RoomMade();
}

void Listener::Impl::RoomMade() {
  if (stopped.load() || !waiting_for_room.load() || !HasRoom()) return;
  if (!waiting_for_room.exchange(false)) return;
  loops.front()->Post([weak = weak_from_this()] {
    if (const auto impl = weak.lock()) impl->GoOn();
  });
}

// ---- the public face

base::Result<std::unique_ptr<Listener>> Listener::Open(ListenerOptions options,
                                                       std::vector<Loop*> loops, Factory factory) {
  CHECK(!loops.empty());
  auto address = ParseAddress(options.address);
  if (!address.ok()) return address.error();
  const auto fd = OpenListeningSocket(*address);
  if (!fd.ok()) return fd.error();
  auto impl = std::make_shared<Impl>(std::move(options), std::move(loops), std::move(factory));
  impl->address = *address;
  impl->address_text = AddressText(*address);
  RunOn(*impl->loops.front(), [&] { impl->Watch(*fd); });
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

Listener::Listener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Listener::~Listener() { StopAccepting(); }

const std::string& Listener::address() const { return impl_->address_text; }

void Listener::StopAccepting() {
  Loop& first = *impl_->loops.front();
  RunOn(first, [&] {
    std::erase(first.impl().residents, impl_.get());
    impl_->CloseHandles();
  });
  const auto on_this = [](Loop* loop) { return loop->InThread(); };
  if (std::any_of(impl_->loops.begin(), impl_->loops.end(), on_this)) return;
  // Sockets may be on their way to other loops; behind them nothing comes.
  for (Loop* loop : impl_->loops) RunOn(*loop, [] {});
}

size_t Listener::connections() const { return impl_->open.load(); }
size_t Listener::unauthenticated() const { return impl_->unauthenticated.load(); }
int64_t Listener::accepted() const { return impl_->accepted.load(); }

}  // namespace hongyan::net
