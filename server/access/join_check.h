#pragma once

#include <cstddef>
#include <vector>

#include "access/services.h"
#include "base/result.h"
#include "model/ids.h"

namespace hongyan::access {

// Whether a group may be made, or members brought into one: what must be read before the command is
// queued. Read in pieces, for one request may name ten thousand users and the readers are
// everybody's: between two pieces the reads of others have their turn.
class JoinCheck {
 public:
  static constexpr size_t kRowsAtOnce = 200;

  // All of `users` must exist.
  explicit JoinCheck(std::vector<model::UserId> users) : users_(std::move(users)) {}

  // `group` is being made: its creator may be in fewer than `most` others that they made. Groups
  // that others made do not count, for anybody can put anybody into those.
  void LimitCreated(model::UserId creator, model::GroupId group, size_t most);

  // One more piece. True: that was the last, and all is well. Reads the disk: reader pool.
  base::Result<bool> ReadOn(const Services& services);

  // Seen to exist, once ReadOn has said true.
  const std::vector<model::UserId>& users() const { return users_; }

 private:
  base::Result<void> LookAtUsers(const account::Directory& directory);
  base::Result<void> CountCreated(const Services& services);

  std::vector<model::UserId> users_;
  size_t looked_at_ = 0;

  model::UserId creator_;  // 0: nothing to count, or counted
  model::GroupId group_;
  size_t most_ = 0;
  model::GroupId counted_to_;
  size_t created_ = 0;
};

}  // namespace hongyan::access
