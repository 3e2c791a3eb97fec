#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <utility>

#include "base/result.h"
#include "model/reason.h"
#include "storage/batch.h"

namespace hongyan::storage {

// The one way to a memory store's state: a lock, and whether the store is open. Any thread.
template <class State>
class MemoryDoor {
 public:
  explicit MemoryDoor(std::shared_ptr<State> state) : state_(std::move(state)) {}

  // Runs `read` on the state and gives its Result, or the Error of a store that waits for Reopen.
  template <class Read>
  auto Look(Read read) const -> decltype(read(std::declval<const State&>())) {
    const std::shared_lock lock(mutex_);
    if (closed_) return Stopped();
    return read(static_cast<const State&>(*state_));
  }

  // As Look; `change` may write the state.
  template <class Change>
  auto Alter(Change change) -> decltype(change(std::declval<State&>())) {
    const std::unique_lock lock(mutex_);
    if (closed_) return Stopped();
    return change(*state_);
  }

  static base::Error Stopped() {
    return model::Refuse(base::Code::kUnavailable, model::Reason::kStoreStopped,
                         "the store waits to be reopened after a failed commit", 100);
  }

  std::shared_mutex& mutex() const { return mutex_; }
  // REQUIRES mutex() held.
  bool& closed() { return closed_; }
  const std::shared_ptr<State>& state() const { return state_; }

  // Asked at each read with Reach::kMemory; true = "not in memory". May be empty.
  std::function<bool()> not_in_memory;

  // The Error of a read that would have to go to disk, if this one would.
  std::optional<base::Error> Reaches(Reach reach) const {
    if (reach == Reach::kDisk || !not_in_memory || !not_in_memory()) return std::nullopt;
    return base::Error(base::Code::kUnavailable, "not in memory");
  }

 private:
  mutable std::shared_mutex mutex_;
  bool closed_ = false;
  std::shared_ptr<State> state_;
};

}  // namespace hongyan::storage
