#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/connection.h"

namespace hongyan::net {

class Loop;

struct ListenerOptions {
  std::string address = "";        // "host:port" (port 0 = any free one) or "unix:/path"
  size_t max_connections = 19000;  // kept 512 below the descriptor limit by the caller
  size_t max_unauthenticated =
      0;  // 0 = a quarter of max_connections, but at least 64 (or all, if fewer)
  size_t max_payload_before_login = 4096;
  size_t unsent_high_water = 1 << 20;  // bytes; above it the connection is not read
  size_t unsent_limit = 32 << 20;      // bytes; above it the connection is closed as kSlowReader
  int64_t slow_reader_ms = 30'000;     // looked at every quarter of it
  // From the first byte of a frame to its last, while we read: a peer that sends all but the end
  // must not keep a frame's memory for as long as it likes. 1 MiB needs 140 kbit/s for it.
  int64_t unfinished_ms = 60'000;
};

// Accepts connections and spreads them over loops, round robin. It stops accepting (the backlog
// holds who comes) while max_connections are open, or while a quarter of them have not logged in
// (see Connection::LoggedIn); and for 100 ms when descriptors run out, logged at most once a
// second. Any thread.
class Listener {
 public:
  using Factory = std::function<std::unique_ptr<ConnectionHandler>(Connection&)>;

  // Binds and listens on the first loop; the error says what to do (address in use, no permission,
  // path too long). `host` is an IPv4 address, an IPv6 address in brackets, or a name ("localhost"
  // is 127.0.0.1). A unix socket has mode 0600; a stale file is replaced, a live one is an error.
  // The factory runs on the loop the connection is given to; it may send and close, and answers
  // null to refuse. Loops must be started, and be destroyed after the listener (they may be stopped
  // before).
  static base::Result<std::unique_ptr<Listener>> Open(ListenerOptions options,
                                                      std::vector<Loop*> loops, Factory factory);

  // Stops accepting. Open connections stay, and may keep what the factory captured.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // The address bound, with the real port.
  const std::string& address() const;

  // Stops accepting for good, at once; open connections stay. The unix socket file is removed. Any
  // thread; returns when done; called from outside of the loops, the factory will not be called any
  // more.
  void StopAccepting();

  size_t connections() const;      // open now
  size_t unauthenticated() const;  // of these, not logged in
  int64_t accepted() const;        // ever

  struct Impl;

 private:
  explicit Listener(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace hongyan::net
