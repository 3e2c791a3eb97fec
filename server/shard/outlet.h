#pragma once

#include <utility>
#include <vector>

#include "model/command.h"

namespace hongyan::shard {

struct Outbound {
  model::ReplyTo to;
  model::Reply reply;
};

// The second of the two doors: what leaves a shard after its commit, in batches. Implemented by
// access (to its loops) and by the simulator. Called on the executor's thread; must not block.
class Outlet {
 public:
  virtual ~Outlet() = default;

  // Each command gets exactly one reply, unless its process dies.
  virtual void Replies(std::vector<Outbound> replies) = 0;
  virtual void Effects(std::vector<model::Effect> effects) = 0;
};

}  // namespace hongyan::shard
