#pragma once

#include <memory>
#include <vector>

#include "access/desk.h"
#include "net/listener.h"
#include "shard/outlet.h"

namespace hongyan::access {

// The front door of a process: a desk on each loop, and the way back from the shards to them.
// Connect, then listen, then serve; Drain, stop the executors, the pools and the loops, then
// destroy.
class FrontDoor final : public shard::Outlet {
 public:
  // Loops and services outlive it; its desks live until after the loops have stopped.
  FrontDoor(std::vector<net::Loop*> loops, const Services& services, const Limits& limits);
  ~FrontDoor() override;

  // Which executor drives which shard. Before anything is listened to.
  void Connect(Executors executors) { executors_ = std::move(executors); }

  // For the clients' listener.
  net::Listener::Factory factory();

  Desk& desk(size_t loop) { return *desks_[loop]; }
  size_t desks() const { return desks_.size(); }

  // The user's devices that are online now. Asks the loops and waits for them, a second at most:
  // reader pool.
  std::vector<model::DeviceId> OnlineDevices(model::UserId user);

  // Executors' threads.
  void Replies(std::vector<shard::Outbound> replies) override;
  void Effects(std::vector<model::Effect> effects) override;

  // Begins to send everybody home; done when the listener counts no connections. Any thread.
  void Drain(int64_t spread_ms);

 private:
  std::vector<net::Loop*> loops_;
  Executors executors_;
  std::vector<std::unique_ptr<Desk>> desks_;
};

}  // namespace hongyan::access
