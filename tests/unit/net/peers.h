#pragma once

#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/connection.h"
#include "net/listener.h"
#include "net/loop.h"
#include "proto/frame.h"

namespace hongyan::net {

// Waits until `condition` holds, asking again and again; gives up after 30 s, which no healthy run
// gets near.
bool Eventually(const std::function<bool()>& condition);

// Runs `task` on the loop and waits for it.
void OnLoop(Loop& loop, const std::function<void()>& task);

// What the test's handlers do. The functions run on loop threads; set them before the first peer
// connects.
struct Script {
  std::function<void(Connection&)> on_open;
  std::function<void(Connection&, const proto::Frame&)> on_frame;
  std::function<void(Connection&, const proto::FrameHeader&)> on_too_large;
  std::function<void(Connection&, CloseReason)> on_closed;

  // Filled by the handlers; any thread.
  std::vector<CloseReason> closed() const;
  int handlers_alive() const { return alive.load(); }

  mutable std::mutex mutex;
  std::vector<CloseReason> closed_reasons;
  std::atomic<int> alive{0};
};

// Answers a frame with its own payload.
void Echo(Connection& connection, const proto::Frame& frame);

// Loops and one listener on them, by default on a free port of 127.0.0.1, echoing.
class Server {
 public:
  explicit Server(int loops = 1, ListenerOptions options = {});
  ~Server();

  void Stop();  // as main does: no new ones, then the loops

  Loop& loop(size_t i = 0) { return *loops_[i]; }
  Listener& listener() { return *listener_; }
  LoopStats stats() const;  // of all loops together

  Script script;

 private:
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<Listener> listener_;
};

// A client by plain blocking calls. Every wait ends after 30 s with a failure.
class Peer {
 public:
  // A small receive buffer makes a slow reader show early.
  explicit Peer(const std::string& address, int receive_buffer = 0);
  explicit Peer(Server& server) : Peer(server.listener().address()) {}
  ~Peer();
  Peer(Peer&& other) noexcept;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  void Send(const std::string& bytes);
  void SendFrame(uint32_t request_id, const std::string& payload, uint16_t command = 1);

  // Sends what fits without waiting; answers how much that was.
  size_t SendSome(const std::string& bytes);

  // The next frame; none at the end of the stream, a reset or a timeout.
  struct Received {
    proto::FrameHeader header;
    std::string payload;
  };
  std::optional<Received> Receive();

  // True when nothing but the end of the stream comes.
  bool AtEnd();

  void ShutdownWrite();
  void Close();
  void Reset();  // closes with RST

 private:
  int fd_ = -1;
  proto::FrameSplitter in_{64 << 20};
  std::string buffer_;
  bool end_ = false;
};

std::string FrameBytes(uint32_t request_id, const std::string& payload, uint16_t command = 1);

}  // namespace hongyan::net
