#pragma once

// Inside of the room; see loop_impl.h.

#include <uv.h>

#include <memory>
#include <string>

#include "net/connection.h"
#include "net/loop_impl.h"
#include "net/seat.h"
#include "net/timer_wheel.h"
#include "proto/frame.h"

namespace hongyan::net {

// The states, each may only move down:
//
//   open      -> frames in, frames out
//   draining  -> Close(flush): what is queued leaves; nothing is read
//   lingering -> all sent and our side shut down; reads and drops until the peer closes, for a
//   second closing   -> uv_close has been called; OnClosed follows
//
// Deletes itself after OnClosed.
struct Connection::Impl {
  enum class State : uint8_t { kOpen, kDraining, kLingering, kClosing };

  // Takes over a connected socket; the connection is open when this returns, or has never been.
  // Loop thread.
  static void Adopt(Loop& loop, AcceptedSocket socket);

  Impl(Loop& loop, Seat seat, std::string peer);

  bool open() const { return state == State::kOpen; }

  void OnRead(ssize_t got);
  bool MayRead() const;
  void Deliver();
  void WatchUnfinished(bool frame_ended);
  void ForgetUnfinished();
  void DeliverHeld();
  void RefuseTooLarge();

  void Queue(const proto::FrameHeader& header, std::string_view payload);
  void Flush();
  void SendSlice();
  void OnWritten(int status);
  void WatchStall();
  size_t UnsentInFlight() const;
  size_t Unsent() const { return out.size() + UnsentInFlight(); }

  void Pause(uint8_t purpose);
  void Resume(uint8_t purpose);
  void Touch();   // Settle at the end of the turn
  void Settle();  // writes, then brings reading in line with the state
  void UpdateReading();

  void CloseFlushed(CloseReason why);
  void Linger();
  void CloseNow(CloseReason why);
  void OnHandleClosed();

  static constexpr uint8_t kPausedUnsent = 128;  // beside the purposes of Pause

  // What the kernel did not take at once: only a connection with a slow peer has one.
  struct Flight {
    uv_write_t request;
    std::string data;
    size_t offset = 0;  // taken, before the slice
    size_t slice = 0;   // given to libuv
    size_t unsent_then = 0;
    int64_t progress_ms = 0;
    TimerNode stall;
  };

  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  Connection self{*this};
  Loop::Impl& loop;
  const uint64_t id;
  Seat seat;
  std::unique_ptr<ConnectionHandler> handler;
  proto::FrameSplitter in;
  std::string out;
  std::unique_ptr<Flight> flight;
  std::unique_ptr<TimerNode> deadline;    // of draining and lingering
  std::unique_ptr<TimerNode> unfinished;  // armed: a frame has begun; once one has come in pieces
  const std::string peer;
  uint32_t read_turn = 0;
  uint32_t read_in_turn = 0;
  uint8_t paused = 0;
  State state = State::kOpen;
  CloseReason reason = CloseReason::kClosedByUs;
  bool reading = false;
  bool in_resumed = false;
  bool in_touched = false;
};

}  // namespace hongyan::net
