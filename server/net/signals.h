#pragma once

#include <functional>
#include <memory>
#include <vector>

namespace hongyan::net {

class Loop;

// Watches signals of the process (SIGTERM, SIGINT, SIGHUP) on a loop. While it lives they no longer
// have their default effect. Made and destroyed on any thread but within the life of the Loop,
// which must have been started and may have been stopped.
class SignalWatch {
 public:
  // Runs `on_signal(number)` on the loop thread, once for one or several deliveries of the same
  // signal that come faster than it is called. Watching when this returns.
  SignalWatch(Loop& loop, std::vector<int> signals, std::function<void(int)> on_signal);

  // Not called any more after this returns.
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  struct Impl;

 private:
  Loop& loop_;
  std::shared_ptr<Impl> impl_;
};

}  // namespace hongyan::net
