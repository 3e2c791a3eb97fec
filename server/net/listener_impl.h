#pragma once

// Inside of the room; see loop_impl.h.

#include <uv.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/listener.h"
#include "net/loop_impl.h"
#include "net/seat.h"

namespace hongyan::net {

// Accepts by itself under uv_poll instead of uv_listen: where descriptors run out, libuv closes who
// waits in the backlog, and its sockets cannot be handed to another loop.
//
// Lives as long as the Listener or any connection of it.
struct Listener::Impl final : Resident, std::enable_shared_from_this<Impl> {
  Impl(ListenerOptions with, std::vector<Loop*> on, Factory make);

  void Watch(int fd);  // from now on; owns fd. Loop thread, as are the next five
  void OnReadable();
  void Deliver(int fd, const SocketAddress& from);
  void WaitForRoom();
  void WaitForDescriptors(int error);
  void GoOn();
  void CloseHandles() override;

  bool HasRoom() const;
  void Leave(bool logged_in);  // a connection has gone; any thread, as is the next
  void LoggedIn();
  void RoomMade();
  bool MayLog();

  // The handle must outlive its closing, whoever has gone by then.
  struct Poll {
    uv_poll_t handle;
    int fd;
    TimerNode backoff;
    std::shared_ptr<Impl> impl;
  };

  const ListenerOptions options;
  const size_t unauthenticated_limit;
  const std::vector<Loop*> loops;
  const Factory factory;
  SocketAddress address;  // the bound one
  std::string address_text;

  std::atomic<size_t> open{0};
  std::atomic<size_t> unauthenticated{0};
  std::atomic<int64_t> accepted{0};
  std::atomic<bool> stopped{false};
  std::atomic<bool> waiting_for_room{false};

  // Thread of the first loop.
  Poll* poll = nullptr;
  size_t next_loop = 0;
  int64_t last_log_ms = -1'000'000;
};

}  // namespace hongyan::net
