#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "model/ids.h"

namespace hongyan::inbox {

// The committed heads of the users who have a session: published by their shards after each commit,
// read by loops for heartbeats and logins. It also tells a shard for whom an effect is worth
// making. Any thread.
class OnlineHeads {
 public:
  // One more session of this user. The head stays unknown until Prime or Raise.
  void Register(model::UserId user);

  // One session less; the last one removes the user.
  void Unregister(model::UserId user);

  // What was read from the store after Register: heads only grow, so it may arrive in any order
  // with Raise.
  void Prime(model::UserId user, model::Seq head);

  // After a commit. True if the user has a session, that is if an effect should be made.
  bool Raise(model::UserId user, model::Seq head);

  // None: no session, or not yet known.
  std::optional<model::Seq> Head(model::UserId user) const;

  // All users with a session; for refreshing after the store was reopened.
  std::vector<model::UserId> Users() const;

  size_t users() const;

 private:
  struct Online {
    model::Seq head;  // 0 = unknown (a real head of 0 is primed as known)
    bool known = false;
    int32_t sessions = 0;
  };
  struct Stripe {
    mutable std::mutex mutex;
    absl::flat_hash_map<model::UserId, Online> users;
  };
  static constexpr size_t kStripes = 64;

  Stripe& StripeOf(model::UserId user) {
    return stripes_[static_cast<size_t>(user.value) % kStripes];
  }
  const Stripe& StripeOf(model::UserId user) const {
    return stripes_[static_cast<size_t>(user.value) % kStripes];
  }
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace hongyan::inbox
