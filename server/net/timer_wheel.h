#pragma once

#include <cstdint>
#include <functional>

namespace hongyan::net {

// A timer costs one small node in its owner and no libuv handle: 15,000 connections have one uv_timer
// between them. Grain 100 ms: a timer fires at or up to one grain after its time, never before.
//
// A node is embedded in its owner, linked into a slot of the wheel, and unlinked by its destructor.
class TimerNode {
 public:
  TimerNode() = default;
  ~TimerNode();
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  bool armed() const { return next_ != nullptr; }

  // Set once by the owner before arming; runs on the loop thread; may re-arm or destroy the owner.
  std::function<void()> on_fire;

 private:
  friend class TimerWheel;
  void Unlink();
  TimerNode* next_ = nullptr;
  TimerNode* prev_ = nullptr;
  int64_t due_ms_ = 0;
};

// Hashed wheel; far timers go round. Loop thread (or one thread, driven by hand, in tests).
class TimerWheel {
 public:
  explicit TimerWheel(int64_t now_ms);
  ~TimerWheel();

  // Fires once at now + delay_ms. An armed node is moved. O(1).
  void Arm(TimerNode& node, int64_t delay_ms);
  void Disarm(TimerNode& node);

  // Fires what is due at `now_ms`. Called by the loop each grain.
  void Advance(int64_t now_ms);

  size_t armed() const { return armed_; }

 private:
  static constexpr int64_t kGrainMs = 100;
  static constexpr size_t kSlots = 1024;
  struct Slots;
  Slots* slots_;
  int64_t now_ms_;
  size_t armed_ = 0;
};

}  // namespace hongyan::net
