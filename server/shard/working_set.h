#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include <absl/container/flat_hash_map.h>

#include "base/check.h"
#include "base/result.h"

namespace hongyan::shard {

// What a shard knows of one kind of row: a bounded cache of committed values, and over it the
// overlay of the batch being applied. Commands of one batch see each other through the overlay;
// nothing of it outlives a batch that did not happen.
//
//   Find:    overlay, else cache, else the loader (whose answer is cached, "there is none" too)
//   Put:     into the overlay
//   Publish: the batch is durable: overlay -> cache
//   Drop:    the batch did not happen: the overlay goes, the cache is as it was
//   Forget:  our memory may be wrong: both go, the store is asked again
//
// The cache gives up what was not asked for lately (second chance, in order of slots), never the
// overlay; the executor bounds a batch. Order of iteration and of eviction depends on the calls
// only, so a run is repeatable. Key is hashable by absl and copyable. Shard thread.
template <class Key, class Value>
class WorkingSet {
 public:
  // REQUIRES capacity > 0: values kept in the cache.
  explicit WorkingSet(size_t capacity) : capacity_(capacity) { CHECK(capacity > 0); }

  // The value as this batch sees it; nullptr = there is none. `load(key)` reads the store and
  // returns Result<std::optional<Value>>; its Error is the answer and is not remembered. The
  // pointer is valid until the next call on this set.
  template <class Loader>
  base::Result<const Value*> Find(const Key& key, Loader&& load) {
    if (const auto it = changed_index_.find(key); it != changed_index_.end()) {
      return Address(changed_[it->second].value);
    }
    if (const auto it = slot_index_.find(key); it != slot_index_.end()) {
      Slot& slot = slots_[it->second];
      slot.used = true;
      return Address(slot.value);
    }
    base::Result<std::optional<Value>> loaded = load(key);
    if (!loaded.ok()) return std::move(loaded).error();
    return Address(Keep(key, std::move(loaded).value()).value);
  }

  // The value this batch leaves behind.
  void Put(const Key& key, Value value) { Change(key, std::move(value)); }

  // The batch leaves none behind.
  void Erase(const Key& key) { Change(key, std::nullopt); }

  void Publish() {
    for (Changed& change : changed_) {
      const auto it = slot_index_.find(change.key);
      if (it == slot_index_.end()) {
        Keep(change.key, std::move(change.value));
      } else {
        slots_[it->second].value = std::move(change.value);
        slots_[it->second].used = true;
      }
    }
    Drop();
  }

  void Drop() {
    changed_.clear();
    changed_index_.clear();
  }

  void Forget() {
    Drop();
    slots_.clear();
    slot_index_.clear();
    hand_ = 0;
  }

  // Calls visit(key, const Value*) for each change of the batch, in the order of first changes;
  // nullptr = erased.
  template <class Visit>
  void ForEachChanged(Visit&& visit) const {
    for (const Changed& change : changed_) visit(change.key, Address(change.value));
  }

  size_t cached() const { return slot_index_.size(); }
  size_t changed() const { return changed_.size(); }

 private:
  struct Changed {
    Key key;
    std::optional<Value> value;
  };
  struct Slot {
    Key key;
    std::optional<Value> value;
    bool used = true;
  };

  static const Value* Address(const std::optional<Value>& value) {
    return value.has_value() ? &*value : nullptr;
  }

  void Change(const Key& key, std::optional<Value> value) {
    const auto [it, fresh] =
        changed_index_.try_emplace(key, static_cast<uint32_t>(changed_.size()));
    if (fresh) {
      changed_.push_back({key, std::move(value)});
    } else {
      changed_[it->second].value = std::move(value);
    }
  }

  Slot& Keep(const Key& key, std::optional<Value> value) {
    if (slots_.size() < capacity_) {
      slot_index_.emplace(key, static_cast<uint32_t>(slots_.size()));
      return slots_.emplace_back(Slot{key, std::move(value)});
    }
    while (slots_[hand_].used) {
      slots_[hand_].used = false;
      hand_ = (hand_ + 1) % slots_.size();
    }
    Slot& slot = slots_[hand_];
    slot_index_.erase(slot.key);
    slot_index_.emplace(key, static_cast<uint32_t>(hand_));
    slot = Slot{key, std::move(value)};
    hand_ = (hand_ + 1) % slots_.size();
    return slot;
  }

  const size_t capacity_;
  std::deque<Slot>
      slots_;  // up to capacity_; never moves, so an index and a pointer stay good while it grows
  absl::flat_hash_map<Key, uint32_t> slot_index_;
  size_t hand_ = 0;  // where the next search for a slot to give up begins
  std::deque<Changed> changed_;
  absl::flat_hash_map<Key, uint32_t> changed_index_;
};

}  // namespace hongyan::shard
