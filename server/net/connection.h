#pragma once

#include <cstddef>
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
  kPeerClosed,     // it closed (its sending side at least); it got what was queued by then
  kPeerReset,      // reset, timed out, or any other error of the socket
  kClosedByUs,     // Close
  kFrameTooLarge,  // a payload above the limit; the stream cannot be cut into frames any more
  kSlowReader,     // took nothing for the stall time, or let more pile up than is ever held for one
                   // peer
  kUnfinished,     // began a frame and did not end it in time
  kShutdown,       // the loop was stopped
};

// For logs: "peer_closed" and so on.
const char* CloseReasonName(CloseReason reason);

// Who lives on a connection: access for clients, admin for the back door. Made by the listener's
// factory, owned by the connection, destroyed on the loop thread after OnClosed. Loop thread.
class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;

  // A whole frame. The payload is valid during the call. The handler may send, pause or close.
  virtual void OnFrame(Connection& connection, const proto::Frame& frame) = 0;

  // A header announced a payload above the limit. No frame follows; the connection sends what is
  // queued and closes as kFrameTooLarge. Here is the moment to send an error that says so.
  virtual void OnFrameTooLarge(Connection& connection, const proto::FrameHeader& header) {
    static_cast<void>(connection);
    static_cast<void>(header);
  }

  // The last call, exactly once, never from within another call of the handler or the connection.
  // The connection can no longer send.
  virtual void OnClosed(Connection& connection, CloseReason reason) = 0;
};

// A TCP (or unix) stream of frames. Owned by its loop; a pointer to it is valid until OnClosed
// returns. Writes are gathered and leave in one write per connection and loop turn: one write per
// frame measured 12 times slower. An idle connection holds no buffers; one in the midst of a frame
// holds what has arrived of it, for the listener's unfinished_ms at most. One connection brings at
// most 64 KiB in a turn, so that a flood does not starve the others. Loop thread.
class Connection {
 public:
  // Unique within its loop and never given twice: the way to name a connection from outside the
  // loop; see Loop::Find.
  uint64_t id() const;
  Loop& loop();

  // Queues one frame; header.length is set here. Above the high-water mark of unsent bytes
  // (listener's option) reading stops until half of it is left or less; a peer that takes nothing
  // for the stall time is closed as kSlowReader, as is one for which more than the listener's
  // unsent_limit would be held. Dropped silently after Close.
  void Send(const proto::FrameHeader& header, std::string_view payload);

  // Stops or goes on taking frames: frames already read are held (at most 16 KiB, or one unfinished
  // frame), the socket is not read (back-pressure). Reading goes on when no purpose pauses it;
  // frames held come first, later in the turn, not from within ResumeReading. Pausing twice
  // for one purpose is the same as once. While paused, the peer's going is not noticed unless
  // something is sent, or PeerGone is asked.
  enum class Pause : uint8_t { kInFlight = 1, kHandler = 2 };
  void PauseReading(Pause purpose);
  void ResumeReading(Pause purpose);

  // The peer has closed (its sending side at least), or reset: to ask while reading is paused. A
  // system call.
  bool PeerGone() const;

  // flush: sends what is queued, then closes, at the latest after the stall time; the peer is given
  // a second to close first, so that a reset does not destroy what was sent. Else at once. No frame
  // is delivered any more. OnClosed follows later, with the first reason there was.
  void Close(bool flush);

  // Its user has logged in: it no longer counts among those that keep the listener from accepting.
  // Repeating it changes nothing.
  void LoggedIn();

  // Raises the largest accepted payload, after login; takes effect with the next frame.
  void set_max_payload(size_t bytes);

  // Queued or held by libuv, not taken by the kernel yet.
  size_t unsent_bytes() const;

  // Address of the peer without the port, e.g. "127.0.0.1"; "unix" for a unix socket.
  const std::string& peer() const;

  ConnectionHandler& handler();

  struct Impl;

 private:
  friend struct Impl;
  explicit Connection(Impl& impl) : impl_(impl) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;
  Impl& impl_;  // which owns this
};

}  // namespace hongyan::net
