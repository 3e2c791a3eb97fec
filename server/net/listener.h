#pragma once

#include <atomic>
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
  std::string address;             // "host:port" (port 0 = any free one) or "unix:/path"
  size_t max_connections = 19000;  // kept 512 below the descriptor limit by the caller
  size_t max_payload_before_login = 4096;
  size_t unsent_high_water = 1 << 20;   // bytes
  int64_t slow_reader_ms = 30'000;
};

// Accepts connections and spreads them over loops. It stops accepting (the backlog holds who comes) while
// max_connections are open, or while a quarter of them have not logged in; and when descriptors run out.
class Listener {
 public:
  using Factory = std::function<std::unique_ptr<ConnectionHandler>(Connection&)>;

  // Binds and listens on the first loop; the error says what to do (address in use, no permission, path too
  // long). A stale unix socket file is replaced, a live one is an error. The factory runs on the loop the
  // connection is given to. Loops must be started and outlive the listener.
  static base::Result<std::unique_ptr<Listener>> Open(ListenerOptions options,
                                                      std::vector<Loop*> loops, Factory factory);
  ~Listener();

  // The address bound, with the real port.
  const std::string& address() const;

  // A connection of this listener has logged in: it no longer counts against the quarter. At most once per
  // connection. Loop thread of the connection.
  void LoggedIn(Connection& connection);

  // Stops accepting for good, at once; open connections stay. Any thread; returns when done.
  void StopAccepting();

  size_t connections() const;   // open now; any thread
  int64_t accepted() const;     // ever; any thread

  struct Impl;

 private:
  Listener();
  std::shared_ptr<Impl> impl_;
};

}  // namespace hongyan::net
