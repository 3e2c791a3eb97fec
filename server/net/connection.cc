#include "net/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "net/connection_impl.h"
#include "net/listener_impl.h"

namespace hongyan::net {
namespace {

constexpr int64_t kLingerMs = 1'000;
// Gathered in one turn beyond this, bytes leave before the turn ends: memory for a flood of
// answers.
constexpr size_t kFlushEarlyBytes = 256 << 10;

Connection::Impl& ImplOf(auto* handle) { return *static_cast<Connection::Impl*>(handle->data); }

}  // namespace

const char* CloseReasonName(CloseReason reason) {
  switch (reason) {
    case CloseReason::kPeerClosed:
      return "peer_closed";
    case CloseReason::kPeerReset:
      return "peer_reset";
    case CloseReason::kClosedByUs:
      return "closed_by_us";
    case CloseReason::kFrameTooLarge:
      return "frame_too_large";
    case CloseReason::kSlowReader:
      return "slow_reader";
    case CloseReason::kUnfinished:
      return "unfinished";
    case CloseReason::kShutdown:
      return "shutdown";
  }
  return "unknown";
}

Connection::Impl::Impl(Loop& on, Seat taken, std::string from)
    : loop(on.impl()),
      id(++loop.last_connection_id),
      seat(std::move(taken)),
      in(seat.listener().options.max_payload_before_login),
      peer(std::move(from)) {}

void Connection::Impl::Adopt(Loop& on, AcceptedSocket socket) {
  if (on.impl().stopping || socket.seat().listener().stopped.load()) return;
  const bool unix_socket = !socket.seat().listener().address.unix_path.empty();
  auto* impl = new Impl(on, std::move(socket.seat()), std::move(socket.peer()));
  uv_loop_t* uv = &on.impl().uv;
  int failed;
  if (unix_socket) {
    uv_pipe_init(uv, &impl->pipe, 0);
    failed = uv_pipe_open(&impl->pipe, socket.fd());
  } else {
    uv_tcp_init(uv, &impl->tcp);
    failed = uv_tcp_open(&impl->tcp, socket.fd());
  }
  impl->handle.data = impl;
  impl->loop.connections.emplace(impl->id, impl);
  impl->loop.open.Add(1);
  if (failed == 0) socket.Release();
  if (failed == 0) impl->handler = impl->seat.listener().factory(impl->self);
  if (impl->handler == nullptr) return impl->CloseNow(CloseReason::kClosedByUs);
  impl->UpdateReading();
}

// ---- reading

bool Connection::Impl::MayRead() const {
  if (state == State::kLingering) return true;
  return open() && paused == 0 && !in_resumed;
}

void Connection::Impl::UpdateReading() {
  const bool want = state == State::kLingering || (open() && paused == 0);
  if (want == reading || state == State::kClosing) return;
  reading = want;
  if (!want) {
    uv_read_stop(&stream);
    return;
  }
  // An empty buffer makes libuv leave the socket alone until the next turn (it says so by
  // UV_ENOBUFS): that is how a connection that was paused within the turn, or has had its share of
  // it, waits without a call.
  const auto give_buffer = [](uv_handle_t* h, size_t, uv_buf_t* buf) {
    Impl& impl = ImplOf(h);
    if (impl.read_turn != impl.loop.turn) {
      impl.read_turn = impl.loop.turn;
      impl.read_in_turn = 0;
    }
    const bool may = impl.MayRead() && impl.read_in_turn < Loop::Impl::kReadBytesPerTurn;
    *buf = uv_buf_init(impl.loop.read_buffer.get(), may ? Loop::Impl::kReadBytes : 0);
  };
  const auto on_read = [](uv_stream_t* s, ssize_t got, const uv_buf_t*) { ImplOf(s).OnRead(got); };
  if (uv_read_start(&stream, give_buffer, on_read) != 0) CloseNow(CloseReason::kPeerReset);
}

void Connection::Impl::OnRead(ssize_t got) {
  if (got == 0 || got == UV_ENOBUFS || state == State::kClosing) return;
  if (got < 0) {
    if (state == State::kLingering) return CloseNow(reason);
    // Who has closed its side may still take what it asked for just before.
    if (got == UV_EOF) Flush();
    return CloseNow(got == UV_EOF ? CloseReason::kPeerClosed : CloseReason::kPeerReset);
  }
  read_in_turn += static_cast<uint32_t>(got);
  loop.reads.Add(1);
  loop.bytes_in.Add(got);
  if (!open()) return;
  in.Feed({loop.read_buffer.get(), static_cast<size_t>(got)});
  Deliver();
}

void Connection::Impl::Deliver() {
  bool frame_ended = false;
  while (open() && paused == 0) {
    const auto frame = in.Next();
    if (!frame) break;
    frame_ended = true;
    loop.frames_in.Add(1);
    handler->OnFrame(self, *frame);
  }
  if (open() && in.refused()) RefuseTooLarge();
  in.Keep();
  WatchUnfinished(frame_ended);
}

// While we do not read, the peer cannot end its frame.
void Connection::Impl::WatchUnfinished(bool frame_ended) {
  if (!open() || paused != 0 || in.buffered() == 0) return ForgetUnfinished();
  if (unfinished == nullptr) {
    unfinished = std::make_unique<TimerNode>();
    unfinished->on_fire = [this] { CloseNow(CloseReason::kUnfinished); };
  }
  if (frame_ended || !unfinished->armed()) {
    loop.timers.Arm(*unfinished, seat.listener().options.unfinished_ms);
  }
}

void Connection::Impl::ForgetUnfinished() {
  if (unfinished != nullptr) loop.timers.Disarm(*unfinished);
}

void Connection::Impl::DeliverHeld() {
  in_resumed = false;
  if (open() && paused == 0) Deliver();
  Touch();
}

void Connection::Impl::RefuseTooLarge() {
  handler->OnFrameTooLarge(self, *in.refused());
  CloseFlushed(CloseReason::kFrameTooLarge);
}

void Connection::Impl::Pause(uint8_t purpose) {
  paused |= purpose;
  ForgetUnfinished();
  if (open()) Touch();
}

void Connection::Impl::Resume(uint8_t purpose) {
  if ((paused & purpose) == 0) return;
  paused &= static_cast<uint8_t>(~purpose);
  if (paused != 0 || !open() || in_resumed) return;
  in_resumed = true;
  loop.resumed.push_back(this);
}

// ---- writing

void Connection::Impl::Queue(const proto::FrameHeader& header, std::string_view payload) {
  if (!open()) return;
  if (out.capacity() < proto::kFrameHeaderBytes + payload.size() && out.empty()) {
    out = loop.TakeBuffer();
  }
  proto::AppendFrame(out, header, payload);
  loop.frames_out.Add(1);
  Touch();
  if (out.size() >= kFlushEarlyBytes) Flush();
  const ListenerOptions& limits = seat.listener().options;
  if (Unsent() > limits.unsent_limit) return CloseNow(CloseReason::kSlowReader);
  if (Unsent() >= limits.unsent_high_water) Pause(kPausedUnsent);
}

void Connection::Impl::Touch() {
  if (in_touched || state == State::kClosing) return;
  in_touched = true;
  loop.touched.push_back(this);
}

void Connection::Impl::Settle() {
  in_touched = false;
  Flush();
  if (state == State::kClosing) return;
  if (Unsent() <= seat.listener().options.unsent_high_water / 2) Resume(kPausedUnsent);
  if (state == State::kDraining && Unsent() == 0) Linger();
  UpdateReading();
}

void Connection::Impl::Flush() {
  if (out.empty() || flight != nullptr || state == State::kClosing) return;
  const uv_buf_t buf = uv_buf_init(out.data(), static_cast<unsigned>(out.size()));
  loop.writes.Add(1);
  loop.bytes_out.Add(static_cast<int64_t>(out.size()));
  int taken = uv_try_write(&stream, &buf, 1);
  if (taken == UV_EAGAIN) taken = 0;
  if (taken < 0) return CloseNow(CloseReason::kPeerReset);
  if (static_cast<size_t>(taken) == out.size()) {
    loop.GiveBuffer(std::exchange(out, {}));
    return;
  }
  flight = std::make_unique<Flight>();
  flight->request.data = this;
  flight->data = std::exchange(out, {});
  flight->offset = static_cast<size_t>(taken);
  SendSlice();
  if (flight == nullptr || state == State::kClosing) return;
  flight->unsent_then = UnsentInFlight();
  flight->progress_ms = loop.self.now_ms();
  flight->stall.on_fire = [this] { WatchStall(); };
  loop.timers.Arm(flight->stall, seat.listener().options.slow_reader_ms / 4);
}

// libuv says when all of a write is gone, so a large rest goes in slices: reading may go on when
// half of the high-water mark is left, not only when nothing is.
void Connection::Impl::SendSlice() {
  Flight& f = *flight;
  const size_t at_most = std::max<size_t>(64 << 10, seat.listener().options.unsent_high_water / 4);
  f.slice = std::min(f.data.size() - f.offset, at_most);
  const uv_buf_t buf = uv_buf_init(f.data.data() + f.offset, static_cast<unsigned>(f.slice));
  loop.writes.Add(1);
  const auto on_written = [](uv_write_t* r, int status) { ImplOf(r).OnWritten(status); };
  if (uv_write(&f.request, &stream, &buf, 1, on_written) != 0) {
    CloseNow(CloseReason::kPeerReset);
  }
}

void Connection::Impl::OnWritten(int status) {
  if (state == State::kClosing) return;
  if (status != 0) return CloseNow(CloseReason::kPeerReset);
  flight->offset += flight->slice;
  flight->slice = 0;
  Touch();
  if (flight->offset < flight->data.size()) return SendSlice();
  loop.GiveBuffer(std::move(flight->data));
  flight.reset();
}

size_t Connection::Impl::UnsentInFlight() const {
  if (flight == nullptr) return 0;
  return flight->data.size() - flight->offset - flight->slice +
         uv_stream_get_write_queue_size(&stream);
}

void Connection::Impl::WatchStall() {
  const int64_t stall_ms = seat.listener().options.slow_reader_ms;
  const size_t unsent = UnsentInFlight();
  const int64_t now = loop.self.now_ms();
  if (unsent < flight->unsent_then) {
    flight->unsent_then = unsent;
    flight->progress_ms = now;
  } else if (now - flight->progress_ms >= stall_ms) {
    return CloseNow(CloseReason::kSlowReader);
  }
  loop.timers.Arm(flight->stall, stall_ms / 4);
}

// ---- closing

void Connection::Impl::CloseFlushed(CloseReason why) {
  if (!open()) return;
  ForgetUnfinished();
  state = State::kDraining;
  reason = why;
  deadline = std::make_unique<TimerNode>();
  deadline->on_fire = [this] { CloseNow(reason); };
  loop.timers.Arm(*deadline, seat.listener().options.slow_reader_ms);
  Touch();
}

// A socket closed with unread bytes in it sends a reset, and a reset makes the peer's kernel drop
// what it has received and not yet handed over: our last words. So the peer closes first, if it
// does so in time.
void Connection::Impl::Linger() {
  state = State::kLingering;
  uv_os_fd_t fd;
  if (uv_fileno(&handle, &fd) != 0 || ::shutdown(fd, SHUT_WR) != 0) return CloseNow(reason);
  loop.timers.Arm(*deadline, kLingerMs);
}

void Connection::Impl::CloseNow(CloseReason why) {
  if (state == State::kClosing) return;
  if (open()) reason = why;
  if (why == CloseReason::kSlowReader) loop.slow_readers.Add(1);
  state = State::kClosing;
  // The handle's end comes after this turn's end; what waits for a later turn must not find this.
  if (in_touched) std::erase(loop.touched, this);
  if (in_resumed) std::erase(loop.resumed, this);
  if (flight != nullptr) loop.timers.Disarm(flight->stall);
  if (deadline != nullptr) loop.timers.Disarm(*deadline);
  ForgetUnfinished();
  uv_close(&handle, [](uv_handle_t* h) { ImplOf(h).OnHandleClosed(); });
}

void Connection::Impl::OnHandleClosed() {
  if (handler != nullptr) handler->OnClosed(self, reason);
  handler.reset();
  Loop::Impl& of = loop;
  of.connections.erase(id);
  of.open.Add(-1);
  delete this;
  of.StopIfEmpty();
}

// ---- the public face

uint64_t Connection::id() const { return impl_.id; }
Loop& Connection::loop() { return impl_.loop.self; }

void Connection::Send(const proto::FrameHeader& header, std::string_view payload) {
  CHECK(loop().InThread());
  impl_.Queue(header, payload);
}

void Connection::PauseReading(Pause purpose) {
  CHECK(loop().InThread());
  impl_.Pause(static_cast<uint8_t>(purpose));
}

void Connection::ResumeReading(Pause purpose) {
  CHECK(loop().InThread());
  impl_.Resume(static_cast<uint8_t>(purpose));
}

void Connection::Close(bool flush) {
  CHECK(loop().InThread());
  if (flush) {
    impl_.CloseFlushed(CloseReason::kClosedByUs);
  } else {
    impl_.CloseNow(CloseReason::kClosedByUs);
  }
}

bool Connection::PeerGone() const {
  uv_os_fd_t fd;
  if (uv_fileno(&impl_.handle, &fd) != 0) return true;
  pollfd ask{fd, POLLRDHUP, 0};
  return ::poll(&ask, 1, 0) > 0;
}

void Connection::LoggedIn() { impl_.seat.LogIn(); }
void Connection::set_max_payload(size_t bytes) { impl_.in.set_max_payload(bytes); }
size_t Connection::unsent_bytes() const { return impl_.Unsent(); }
const std::string& Connection::peer() const { return impl_.peer; }
ConnectionHandler& Connection::handler() { return *impl_.handler; }

}  // namespace hongyan::net
