#pragma once

#include <cstddef>
#include <utility>

#include <absl/container/flat_hash_set.h>

#include "model/ids.h"

namespace hongyan::access {

// Users this loop has seen to exist. Users are never deleted, so "known" stays true; "not known"
// means: ask. Bounded: two generations, the older one goes when the younger is full. Loop thread.
class KnownUsers {
 public:
  explicit KnownUsers(size_t capacity) : half_(capacity / 2 + 1) {}

  bool Knows(model::UserId user) {
    if (young_.contains(user)) return true;
    if (!old_.contains(user)) return false;
    Add(user);
    return true;
  }

  void Add(model::UserId user) {
    if (young_.size() >= half_) old_ = std::exchange(young_, {});
    young_.insert(user);
  }

  size_t size() const { return young_.size() + old_.size(); }

 private:
  const size_t half_;
  absl::flat_hash_set<model::UserId> young_;
  absl::flat_hash_set<model::UserId> old_;
};

}  // namespace hongyan::access
