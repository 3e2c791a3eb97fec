#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace hongyan::net {

struct TimerLink {
  TimerLink* next = nullptr;
  TimerLink* prev = nullptr;
};

// A timer costs one small node in its owner and no libuv handle: 15,000 connections have one
// uv_timer between them. Grain 100 ms: a timer fires at or up to one grain after its time, never
// before.
//
// A node is embedded in its owner, linked into a slot of the wheel, and unlinked by its destructor.
class TimerNode : private TimerLink {
 public:
  TimerNode() = default;
  ~TimerNode() { Unlink(); }
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  bool armed() const { return next != nullptr; }

  // Set once by the owner before arming; runs on the loop thread; may arm this or other nodes, and
  // may destroy its owner or others (if its owner, it touches nothing of its own afterwards).
  std::function<void()> on_fire;

 private:
  friend class TimerWheel;
  void Unlink();
  int64_t due_tick_ = 0;
};

// Hashed wheel; far timers go round. Loop thread (or one thread, with a clock moved by hand, in
// tests).
class TimerWheel {
 public:
  static constexpr int64_t kGrainMs = 100;

  // `now_ms` is a clock that never falls; it is asked at each Arm and Advance.
  explicit TimerWheel(std::function<int64_t()> now_ms);

  // Armed nodes are disarmed, not fired.
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Fires once at now + delay_ms. An armed node is moved. O(1). Negative delays count as 0; a node
  // armed from on_fire never fires within the same grain.
  void Arm(TimerNode& node, int64_t delay_ms);
  void Disarm(TimerNode& node) { node.Unlink(); }

  // Fires what is due, in order of time by grains, within a grain in order of arming. Called by the
  // loop.
  void Advance();

  // How long until the next grain begins: when Advance has something to do, at the earliest.
  int64_t UntilNextGrainMs() const;

  // Counts by walking; for tests and statistics.
  size_t armed() const;

 private:
  static constexpr int64_t kSlots = 1024;

  TimerLink& SlotOf(int64_t tick) { return slots_[static_cast<size_t>(tick % kSlots)]; }
  void FireTick(int64_t tick);

  const std::function<int64_t()> now_ms_;
  std::unique_ptr<TimerLink[]> slots_;
  int64_t tick_;  // the last one fired
};

}  // namespace hongyan::net
