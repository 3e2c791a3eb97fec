#include "client-sdk/src/link.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "client-sdk/src/address.h"
#include "client-sdk/src/check.h"
#include "proto/frame.h"

namespace hongyan::sdk {
namespace {

// A socket of libuv; it frees itself once libuv has let go of it. `data` is the core, null after
// Drop.
union Socket {
  uv_handle_t handle;
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
};

void Drop(Socket* socket) {
  if (socket == nullptr) return;
  socket->handle.data = nullptr;
  uv_close(&socket->handle, [](uv_handle_t* h) { delete reinterpret_cast<Socket*>(h); });
}

struct AddrInfoDeleter {
  void operator()(addrinfo* list) const { uv_freeaddrinfo(list); }
};

// What a socket did not take at once.
struct PendingWrite {
  uv_write_t request;
  std::string bytes;
};

}  // namespace

class Link::Core final : public Flushable, public std::enable_shared_from_this<Link::Core> {
 public:
  Core(Runtime& runtime, LinkOptions options, Events events)
      : runtime_(runtime),
        options_(std::move(options)),
        events_(std::move(events)),
        timer_(runtime, [this] { OnTimer(); }) {}
  ~Core() { SDK_CHECK(state_ == State::kClosed); }

  void Start();
  bool Request(uint16_t command, std::string_view payload, int timeout_ms, OnAnswer on_answer);
  void GoDown(DownReason reason, std::string text);
  void Close();
  void Defer(std::function<void()> what);
  void Flush() override;

  bool up() const { return state_ == State::kUp; }
  size_t pending() const { return pending_.size(); }

 private:
  enum class State : uint8_t { kConnecting, kUp, kClosed };
  struct Pending {
    uint32_t id;
    int64_t due_ms;
    OnAnswer on_answer;
  };

  void Resolve();
  void TryNextAddress();
  void ConnectUnix(const std::string& path);
  int OpenTcp(const sockaddr* to);
  bool MetItself() const;
  void OnConnected(int status);
  void OnRead(ssize_t got, const char* bytes);
  size_t Dispatch(std::string_view bytes);
  void TakeAnswer(const proto::FrameHeader& header, std::string_view payload);
  void OnWritten(int status);
  void OnTimer();
  void ReleaseAll();

  Runtime& runtime_;
  LinkOptions options_;
  Events events_;
  Timer timer_;  // the connect timeout, later that of the earliest pending request
  Socket* socket_ = nullptr;
  uv_getaddrinfo_t* resolving_ = nullptr;
  std::unique_ptr<addrinfo, AddrInfoDeleter> addresses_;
  const addrinfo* next_address_ = nullptr;
  std::string last_error_;
  State state_ = State::kConnecting;
  bool dirty_ = false;
  bool writing_ = false;
  bool closed_by_owner_ = false;
  uint32_t last_id_ = 0;
  std::string out_;               // frames gathered for the end of the turn
  std::string partial_;           // the beginning of a frame whose rest has not come yet
  std::vector<Pending> pending_;  // at most 64 in practice (the server reads no more): scanned
};

// ---- connecting ----

void Link::Core::Start() {
  timer_.Arm(options_.connect_timeout_ms);
  // Errors come as callbacks, so never from inside the constructor.
  runtime_.Post([weak = weak_from_this()] {
    if (auto core = weak.lock(); core && core->state_ == State::kConnecting) core->Resolve();
  });
}

void Link::Core::Resolve() {
  const auto address = ParseAddress(options_.address);
  if (!address) {
    GoDown(
        DownReason::kConnectFailed,
        "'" + options_.address + "' is not an address: use HOST:PORT, [IPV6]:PORT or unix:/PATH");
    return;
  }
  if (address->is_unix()) {
    ConnectUnix(address->path);
    return;
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  // A numeric address needs no resolver and no thread: thousands of links start at once.
  if (getaddrinfo(address->host.c_str(), address->port.c_str(), &hints, &list) == 0) {
    addresses_.reset(list);
    next_address_ = list;
    TryNextAddress();
    return;
  }
  hints.ai_flags = AI_NUMERICSERV;
  resolving_ = new uv_getaddrinfo_t;
  resolving_->data = this;
  const int rc = uv_getaddrinfo(
      runtime_.loop(), resolving_,
      [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
        auto* core = static_cast<Core*>(request->data);
        std::unique_ptr<addrinfo, AddrInfoDeleter> owned(found);
        delete request;
        if (core == nullptr) return;
        const auto keep = core->shared_from_this();
        core->resolving_ = nullptr;
        if (status != 0) {
          core->GoDown(DownReason::kConnectFailed,
                       "cannot find the host of '" + core->options_.address +
                           "': " + uv_strerror(status) + ": give another name");
          return;
        }
        core->addresses_ = std::move(owned);
        core->next_address_ = core->addresses_.get();
        core->TryNextAddress();
      },
      address->host.c_str(), address->port.c_str(), &hints);
  if (rc != 0) {
    delete std::exchange(resolving_, nullptr);
    GoDown(DownReason::kConnectFailed,
           "cannot look up '" + options_.address + "': " + uv_strerror(rc));
  }
}

int Link::Core::OpenTcp(const sockaddr* to) {
  socket_ = new Socket;
  const int rc = uv_tcp_init_ex(runtime_.loop(), &socket_->tcp, to->sa_family);
  if (rc != 0) {
    delete std::exchange(socket_, nullptr);  // libuv does not know it
    return rc;
  }
  socket_->handle.data = this;
  uv_tcp_nodelay(&socket_->tcp, 1);
  if (options_.source_address.empty()) return 0;

  sockaddr_storage from{};
  const char* text = options_.source_address.c_str();
  const int bad = to->sa_family == AF_INET6
                      ? uv_ip6_addr(text, 0, reinterpret_cast<sockaddr_in6*>(&from))
                      : uv_ip4_addr(text, 0, reinterpret_cast<sockaddr_in*>(&from));
  if (bad != 0) return bad;
#ifdef IP_BIND_ADDRESS_NO_PORT
  // The port is chosen at connect, per peer: otherwise all links share one pool of ports.
  uv_os_fd_t fd;
  const int one = 1;
  if (uv_fileno(&socket_->handle, &fd) == 0) {
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  }
#endif
  return uv_tcp_bind(&socket_->tcp, reinterpret_cast<const sockaddr*>(&from), 0);
}

namespace {
template <class Core>
void FinishConnect(uv_connect_t* request, int status, void (Core::*done)(int)) {
  auto* core = static_cast<Core*>(request->handle->data);
  delete request;
  if (core == nullptr) return;  // given up in the meantime
  const auto keep = core->shared_from_this();
  (core->*done)(status);
}
}  // namespace

void Link::Core::TryNextAddress() {
  while (next_address_ != nullptr) {
    const addrinfo* to = std::exchange(next_address_, next_address_->ai_next);
    int rc = OpenTcp(to->ai_addr);
    if (rc == 0) {
      auto* request = new uv_connect_t;
      rc = uv_tcp_connect(request, &socket_->tcp, to->ai_addr, [](uv_connect_t* r, int status) {
        FinishConnect(r, status, &Core::OnConnected);
      });
      if (rc == 0) return;
      delete request;
    }
    Drop(std::exchange(socket_, nullptr));
    last_error_ = uv_strerror(rc);
  }
  GoDown(DownReason::kConnectFailed, "cannot connect to " + options_.address + ": " + last_error_ +
                                         ": start the server there, or give its address");
}

void Link::Core::ConnectUnix(const std::string& path) {
  socket_ = new Socket;
  SDK_CHECK(uv_pipe_init(runtime_.loop(), &socket_->pipe, 0) == 0);
  socket_->handle.data = this;
  if (path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    GoDown(DownReason::kConnectFailed, "the path of the socket is too long: " + path);
    return;
  }
  uv_pipe_connect(new uv_connect_t, &socket_->pipe, path.c_str(), [](uv_connect_t* r, int status) {
    FinishConnect(r, status, &Core::OnConnected);
  });
}

// On loopback a connect to a port nobody listens on can meet itself: both ends are this socket.
bool Link::Core::MetItself() const {
  if (socket_->handle.type != UV_TCP) return false;
  sockaddr_storage here{};
  sockaddr_storage there{};
  int here_size = sizeof here;
  int there_size = sizeof there;
  return uv_tcp_getsockname(&socket_->tcp, reinterpret_cast<sockaddr*>(&here), &here_size) == 0 &&
         uv_tcp_getpeername(&socket_->tcp, reinterpret_cast<sockaddr*>(&there), &there_size) == 0 &&
         here_size == there_size && std::memcmp(&here, &there, sizeof here) == 0;
}

void Link::Core::OnConnected(int status) {
  if (status == 0 && MetItself()) status = UV_ECONNREFUSED;
  if (status != 0) {
    Drop(std::exchange(socket_, nullptr));
    last_error_ = uv_strerror(status);
    TryNextAddress();
    return;
  }
  addresses_.reset();
  timer_.Disarm();
  state_ = State::kUp;
  const int rc = uv_read_start(
      &socket_->stream,
      [](uv_handle_t* h, size_t, uv_buf_t* buffer) {
        auto* core = static_cast<Core*>(h->data);
        *buffer = uv_buf_init(core->runtime_.read_buffer(), Runtime::kReadBufferBytes);
      },
      [](uv_stream_t* s, ssize_t got, const uv_buf_t* buffer) {
        auto* core = static_cast<Core*>(s->data);
        if (core == nullptr || got == 0) return;
        const auto keep = core->shared_from_this();
        core->OnRead(got, buffer->base);
      });
  if (rc != 0) {
    GoDown(DownReason::kIoError, std::string("cannot read: ") + uv_strerror(rc));
    return;
  }
  if (events_.on_up) events_.on_up();
}

// ---- reading ----

void Link::Core::OnRead(ssize_t got, const char* bytes) {
  if (got < 0) {
    const int rc = static_cast<int>(got);
    if (rc == UV_EOF) {
      GoDown(DownReason::kClosedByPeer, options_.address + " closed the connection");
    } else {
      GoDown(DownReason::kIoError, "reading from " + options_.address + ": " + uv_strerror(rc));
    }
    return;
  }
  const std::string_view fresh(bytes, static_cast<size_t>(got));
  if (partial_.empty()) {
    const size_t used = Dispatch(fresh);
    if (up() && used < fresh.size()) partial_.assign(fresh.substr(used));
    return;
  }
  partial_.append(fresh);
  const size_t used = Dispatch(partial_);
  if (!up()) return;
  if (used == partial_.size()) {
    std::string().swap(partial_);
  } else {
    partial_.erase(0, used);
  }
}

// Hands over whole frames; answers how many bytes they took. A callback may have closed the link.
size_t Link::Core::Dispatch(std::string_view bytes) {
  size_t used = 0;
  while (up() && bytes.size() - used >= proto::kFrameHeaderBytes) {
    const proto::FrameHeader header = proto::ReadFrameHeader(bytes.data() + used);
    if (header.length > options_.max_payload_bytes) {
      GoDown(DownReason::kBadFrame,
             options_.address + " sent a frame of " + std::to_string(header.length) +
                 " bytes, more than this client takes: is it a Hongyan server?");
      return used;
    }
    const size_t whole = proto::kFrameHeaderBytes + header.length;
    if (bytes.size() - used < whole) break;
    const std::string_view payload = bytes.substr(used + proto::kFrameHeaderBytes, header.length);
    used += whole;
    if (header.is_answer()) {
      TakeAnswer(header, payload);
    } else if (header.request_id == 0 && events_.on_push) {
      events_.on_push(header.command, payload);
    }
  }
  return used;
}

void Link::Core::TakeAnswer(const proto::FrameHeader& header, std::string_view payload) {
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (pending_[i].id != header.request_id) continue;
    const OnAnswer on_answer = std::move(pending_[i].on_answer);
    if (i + 1 != pending_.size()) pending_[i] = std::move(pending_.back());
    pending_.pop_back();
    if (pending_.empty()) std::vector<Pending>().swap(pending_);
    on_answer({header.is_error() ? Answer::Kind::kRefused : Answer::Kind::kOk, payload});
    return;
  }
  // An answer that came after its timeout: the caller has been told already.
}

// ---- writing ----

bool Link::Core::Request(uint16_t command, std::string_view payload, int timeout_ms,
                         OnAnswer on_answer) {
  if (!up() || pending_.size() >= options_.max_pending ||
      out_.size() + payload.size() > options_.max_unsent_bytes) {
    return false;
  }
  if (++last_id_ == 0) ++last_id_;
  proto::AppendFrame(out_, {.command = command, .request_id = last_id_}, payload);
  const int64_t due_ms = runtime_.now_ms() + timeout_ms;
  pending_.push_back({last_id_, due_ms, std::move(on_answer)});
  // Answers do not disarm it: with equal timeouts it is armed once per timeout, not once per
  // request.
  if (!timer_.armed() || due_ms < timer_.due_ms()) timer_.Arm(timeout_ms);
  if (!dirty_ && !writing_) {
    dirty_ = true;
    runtime_.FlushAtEndOfTurn(this);
  }
  return true;
}

void Link::Core::Flush() {
  dirty_ = false;
  if (!up() || writing_ || out_.empty()) return;
  const uv_buf_t whole = uv_buf_init(out_.data(), static_cast<unsigned>(out_.size()));
  const int written = uv_try_write(&socket_->stream, &whole, 1);
  if (written == static_cast<int>(out_.size())) {
    std::string().swap(out_);
    return;
  }
  if (written < 0 && written != UV_EAGAIN) {
    const auto keep = shared_from_this();
    GoDown(DownReason::kIoError, "writing to " + options_.address + ": " + uv_strerror(written));
    return;
  }
  auto* rest = new PendingWrite{{}, {}};
  rest->bytes = std::move(out_);
  out_.clear();
  rest->request.data = rest;
  const size_t skip = written > 0 ? static_cast<size_t>(written) : 0;
  const uv_buf_t buffer =
      uv_buf_init(rest->bytes.data() + skip, static_cast<unsigned>(rest->bytes.size() - skip));
  writing_ = true;
  const int rc =
      uv_write(&rest->request, &socket_->stream, &buffer, 1, [](uv_write_t* request, int status) {
        auto* core = static_cast<Core*>(request->handle->data);
        delete static_cast<PendingWrite*>(request->data);
        if (core == nullptr) return;
        const auto keep = core->shared_from_this();
        core->OnWritten(status);
      });
  if (rc != 0) {
    delete rest;
    const auto keep = shared_from_this();
    GoDown(DownReason::kIoError, "writing to " + options_.address + ": " + uv_strerror(rc));
  }
}

void Link::Core::OnWritten(int status) {
  writing_ = false;
  if (status != 0) {
    GoDown(DownReason::kIoError, "writing to " + options_.address + ": " + uv_strerror(status));
    return;
  }
  Flush();
}

// ---- timeouts and the end ----

void Link::Core::OnTimer() {
  const auto keep = shared_from_this();
  if (state_ == State::kConnecting) {
    GoDown(DownReason::kConnectTimeout, options_.address + " did not answer within " +
                                            std::to_string(options_.connect_timeout_ms) + " ms");
    return;
  }
  const int64_t now = runtime_.now_ms();
  std::vector<OnAnswer> late;
  int64_t next_ms = INT64_MAX;
  for (size_t i = 0; i < pending_.size();) {
    if (pending_[i].due_ms <= now) {
      late.push_back(std::move(pending_[i].on_answer));
      if (i + 1 != pending_.size()) pending_[i] = std::move(pending_.back());
      pending_.pop_back();
    } else {
      next_ms = std::min(next_ms, pending_[i].due_ms);
      ++i;
    }
  }
  if (next_ms != INT64_MAX) timer_.Arm(next_ms - now);
  for (const OnAnswer& on_answer : late) {
    if (closed_by_owner_) return;  // by one of the callbacks
    on_answer({Answer::Kind::kTimedOut, {}});
  }
}

void Link::Core::ReleaseAll() {
  state_ = State::kClosed;
  timer_.Disarm();
  if (dirty_) runtime_.Forget(this);
  dirty_ = false;
  if (resolving_ != nullptr) {
    resolving_->data = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(resolving_));
    resolving_ = nullptr;
  }
  Drop(std::exchange(socket_, nullptr));
  addresses_.reset();
  next_address_ = nullptr;
  std::string().swap(out_);
}

void Link::Core::GoDown(DownReason reason, std::string text) {
  if (state_ == State::kClosed) return;
  const auto keep = shared_from_this();
  ReleaseAll();
  std::vector<Pending> lost;
  lost.swap(pending_);
  const Events events = std::move(events_);
  for (const Pending& request : lost) {
    if (closed_by_owner_) return;
    request.on_answer({Answer::Kind::kDown, text});
  }
  if (!closed_by_owner_ && events.on_down) events.on_down({reason, std::move(text)});
}

void Link::Core::Defer(std::function<void()> what) {
  runtime_.Post([weak = weak_from_this(), what = std::move(what)] {
    if (const auto core = weak.lock(); core && !core->closed_by_owner_) what();
  });
}

void Link::Core::Close() {
  closed_by_owner_ = true;
  if (state_ == State::kClosed) return;
  ReleaseAll();
  // The callbacks may be the ones running now: they are freed with the core, not here.
}

// ---- what the owner holds ----

Link::Link(Runtime& runtime, LinkOptions options, Events events)
    : core_(std::make_shared<Core>(runtime, std::move(options), std::move(events))) {
  SDK_CHECK(runtime.on_thread());
  core_->Start();
}

Link::~Link() { Close(); }

bool Link::Request(uint16_t command, std::string_view payload, int timeout_ms, OnAnswer on_answer) {
  return core_->Request(command, payload, timeout_ms, std::move(on_answer));
}

void Link::Fail(DownReason reason, std::string text) { core_->GoDown(reason, std::move(text)); }
void Link::Close() { core_->Close(); }
void Link::Defer(std::function<void()> what) { core_->Defer(std::move(what)); }
bool Link::up() const { return core_->up(); }
size_t Link::pending() const { return core_->pending(); }

}  // namespace hongyan::sdk
