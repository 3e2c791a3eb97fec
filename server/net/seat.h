#pragma once

#include <memory>
#include <string>
#include <utility>

#include "net/listener.h"

namespace hongyan::net {

// A place among a listener's connections, from accept to the end of the connection, wherever that
// comes; giving it up may let the listener accept again. Any thread.
class Seat {
 public:
  Seat() = default;
  explicit Seat(std::shared_ptr<Listener::Impl> listener) : listener_(std::move(listener)) {}
  Seat(Seat&& other) noexcept
      : listener_(std::move(other.listener_)), logged_in_(other.logged_in_) {}
  Seat& operator=(Seat&&) = delete;
  ~Seat();

  Listener::Impl& listener() const { return *listener_; }
  void LogIn();

 private:
  std::shared_ptr<Listener::Impl> listener_;
  bool logged_in_ = false;
};

// An accepted socket on its way to its loop. Closes what nobody took.
class AcceptedSocket {
 public:
  AcceptedSocket(int fd, Seat seat, std::string peer)
      : fd_(fd), seat_(std::move(seat)), peer_(std::move(peer)) {}
  AcceptedSocket(AcceptedSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        seat_(std::move(other.seat_)),
        peer_(std::move(other.peer_)) {}
  AcceptedSocket& operator=(AcceptedSocket&&) = delete;
  ~AcceptedSocket();

  int fd() const { return fd_; }
  void Release() { fd_ = -1; }
  Seat& seat() { return seat_; }
  std::string& peer() { return peer_; }

 private:
  int fd_;
  Seat seat_;
  std::string peer_;
};

}  // namespace hongyan::net
