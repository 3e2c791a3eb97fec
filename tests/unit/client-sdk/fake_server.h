#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proto/frame.h"

// A server of frames for tests of the SDK: real sockets on loopback, one thread, behaviour given by
// the test. The handler runs on the server's thread with the server's lock held; the other methods
// take the lock.
class FakeServer {
 public:
  using ConnectionId = int;  // never used twice

  struct Events {
    std::function<void(ConnectionId)> on_accept = {};
    std::function<void(ConnectionId, const hongyan::proto::FrameHeader&, std::string_view payload)>
        on_frame = {};
    std::function<void(ConnectionId)> on_close = {};  // not for connections the server closed
  };

  // Port 0 = a free one. With a lock of the test's own its state and the server's have one.
  explicit FakeServer(Events events, int port = 0, std::recursive_mutex* lock = nullptr);
  ~FakeServer();

  // Ends the thread; nothing is handled after it. The destructor then closes the connections.
  void Stop();

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // Gathered and written once the handler returns (or by the server's thread soon).
  void Send(ConnectionId to, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void SendRaw(ConnectionId to, std::string_view bytes);
  void Answer(ConnectionId to, const hongyan::proto::FrameHeader& request, std::string_view payload,
              uint16_t more_flags = 0);
  void CloseConnection(ConnectionId which);
  void CloseAll();

  // For state shared by handler and test.
  std::recursive_mutex& mutex() { return mutex_; }
  size_t connections();

 private:
  struct Connection {
    int fd;
    hongyan::proto::FrameSplitter in{8 << 20};
    std::string out;
  };
  void ThreadMain();
  void Accept();
  bool ReadFrom(ConnectionId id);  // false: gone
  bool WriteTo(Connection& connection);
  void Wake();

  std::recursive_mutex own_mutex_;
  std::recursive_mutex& mutex_;
  Events events_;
  int port_ = 0;
  int listen_fd_ = -1;
  int wake_fds_[2] = {-1, -1};
  bool stopping_ = false;
  ConnectionId last_id_ = 0;
  std::map<ConnectionId, Connection> connections_;
  std::thread thread_;
};
