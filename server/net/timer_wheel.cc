#include "net/timer_wheel.h"

#include <algorithm>
#include <utility>

namespace hongyan::net {
namespace {

void Append(TimerLink& head, TimerLink& link) {
  link.prev = head.prev;
  link.next = &head;
  head.prev->next = &link;
  head.prev = &link;
}

void MakeEmpty(TimerLink& head) { head.next = head.prev = &head; }

}  // namespace

void TimerNode::Unlink() {
  if (next == nullptr) return;
  next->prev = prev;
  prev->next = next;
  next = prev = nullptr;
}

TimerWheel::TimerWheel(std::function<int64_t()> now_ms)
    : now_ms_(std::move(now_ms)),
      slots_(std::make_unique<TimerLink[]>(kSlots)),
      tick_(now_ms_() / kGrainMs) {
  for (int64_t i = 0; i < kSlots; ++i) MakeEmpty(SlotOf(i));
}

TimerWheel::~TimerWheel() {
  for (int64_t i = 0; i < kSlots; ++i) {
    TimerLink& head = SlotOf(i);
    while (head.next != &head) static_cast<TimerNode*>(head.next)->Unlink();
  }
}

void TimerWheel::Arm(TimerNode& node, int64_t delay_ms) {
  node.Unlink();
  const int64_t due_ms = now_ms_() + std::max<int64_t>(delay_ms, 0);
  node.due_tick_ = std::max((due_ms + kGrainMs - 1) / kGrainMs, tick_ + 1);
  Append(SlotOf(node.due_tick_), node);
}

void TimerWheel::Advance() {
  const int64_t target = now_ms_() / kGrainMs;
  if (target <= tick_) return;
  // After a long stall every slot is visited once, not once per grain missed.
  tick_ = std::max(tick_, target - kSlots);
  while (tick_ < target) FireTick(++tick_);
}

void TimerWheel::FireTick(int64_t tick) {
  TimerLink& head = SlotOf(tick);
  if (head.next == &head) return;
  // The slot moves to a list of its own first: on_fire may arm into the slot or destroy any node,
  // and both are plain list operations on either list.
  TimerLink batch;
  batch.next = head.next;
  batch.prev = head.prev;
  batch.next->prev = batch.prev->next = &batch;
  MakeEmpty(head);
  while (batch.next != &batch) {
    auto* node = static_cast<TimerNode*>(batch.next);
    node->Unlink();
    if (node->due_tick_ <= tick) {
      node->on_fire();
    } else {
      Append(head, *node);
    }
  }
}

int64_t TimerWheel::UntilNextGrainMs() const { return kGrainMs - now_ms_() % kGrainMs; }

size_t TimerWheel::armed() const {
  size_t count = 0;
  for (int64_t i = 0; i < kSlots; ++i) {
    const TimerLink& head = slots_[static_cast<size_t>(i)];
    for (const TimerLink* link = head.next; link != &head; link = link->next) ++count;
  }
  return count;
}

}  // namespace hongyan::net
