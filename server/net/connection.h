#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proto/frame.h"

namespace hongyan::net {

class Connection;
class Loop;

// Why a connection ended; for logs and counters.
enum class CloseReason : uint8_t {
  kPeerClosed, kPeerReset, kClosedByUs, kFrameTooLarge, kSlowReader, kShutdown,
};

// Who lives on a connection: access for clients, admin for the back door. Made by the listener's factory,
// owned by the connection, destroyed on the loop thread after OnClosed. Loop thread.
class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;

  // A whole frame. The payload is valid during the call. The handler may send, pause or close.
  virtual void OnFrame(Connection& connection, const proto::Frame& frame) = 0;

  // The last call; the connection can no longer send.
  virtual void OnClosed(Connection& connection, CloseReason reason) = 0;
};

// A TCP (or unix) stream of frames. Owned by its loop; a pointer to it is valid until OnClosed. Writes are
// gathered and leave in one write per connection and loop turn: one write per frame measured 12 times slower.
// An idle connection holds no buffers. Loop thread.
class Connection {
 public:
  // Unique within its loop and never given twice: the way to name a connection from outside the loop.
  uint64_t id() const;
  Loop& loop();

  // Queues one frame. Above the high-water mark of unsent bytes (listener's option) reading stops until the
  // peer has taken half; a peer that takes nothing for the stall time is closed as kSlowReader.
  void Send(const proto::FrameHeader& header, std::string_view payload);

  // Stops or goes on taking frames: frames already read are held, the socket is not read (back-pressure).
  // Calls nest by purpose: reading goes on when no purpose pauses it.
  enum class Pause : uint8_t { kInFlight = 1, kHandler = 2 };
  void PauseReading(Pause purpose);
  void ResumeReading(Pause purpose);

  // Sends what is queued, then closes; nothing more is read. Close at once where `flush` is false.
  void Close(bool flush);

  // Raises the largest accepted payload, after login.
  void set_max_payload(size_t bytes);

  size_t unsent_bytes() const;

  // Address of the peer without the port, e.g. "127.0.0.1"; "unix" for a unix socket.
  const std::string& peer() const;

  ConnectionHandler& handler();

  struct Impl;

 private:
  friend struct Impl;
  Connection();
  ~Connection();
  std::unique_ptr<Impl> impl_;
};

}  // namespace hongyan::net
