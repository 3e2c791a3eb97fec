#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace hongyan::access {

// Names for things of one loop that others hold on to without owning them: a name of something gone
// finds nothing, also when its place was given to something else. Never 0. Finding is an index, not
// a hash. Loop thread.
template <class T>
class Slots {
 public:
  uint64_t Put(T value) {
    uint32_t index;
    if (free_.empty()) {
      index = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    Slot& slot = slots_[index];
    slot.value = std::move(value);
    slot.taken = true;
    return uint64_t{slot.generation} << 32 | (index + 1);
  }

  // nullptr: it is gone. The pointer is valid until the next Put.
  T* Find(uint64_t name) {
    const auto index = static_cast<uint32_t>(name) - 1;
    if (name == 0 || index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.taken && slot.generation == name >> 32 ? &slot.value : nullptr;
  }

  void Remove(uint64_t name) {
    T* const value = Find(name);
    if (value == nullptr) return;
    *value = T();
    const auto index = static_cast<uint32_t>(name) - 1;
    slots_[index].taken = false;
    ++slots_[index].generation;
    free_.push_back(index);
  }

  size_t size() const { return slots_.size() - free_.size(); }

  // Calls visit(T&) for each. Nothing may be put or removed meanwhile.
  template <class Visit>
  void ForEach(Visit&& visit) {
    for (Slot& slot : slots_) {
      if (slot.taken) visit(slot.value);
    }
  }

 private:
  struct Slot {
    T value{};
    uint32_t generation = 1;
    bool taken = false;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace hongyan::access
