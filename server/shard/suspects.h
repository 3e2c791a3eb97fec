#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <tuple>

#include "model/command.h"

namespace hongyan::shard {

// What a guard of the store fired for, although it ran alone: by what the commands are about (a
// packet, a wallet, a conversation, an account). Commands about it are refused at once for a while,
// so that they do not cost the batch of everybody else; then one is tried again. The while is twice
// as long each time. Bounded: the oldest is forgotten. Executor's thread.
class Suspects {
 public:
  void Add(const model::Command& command, int64_t now_ns);
  bool Holds(const model::Command& command, int64_t now_ns) const;

 private:
  using Subject = std::tuple<int, int64_t, int64_t>;
  struct Pause {
    int64_t ns = 0;
    int64_t until_ns = 0;
  };
  // None: nothing that comes again by itself.
  static std::optional<Subject> SubjectOf(const model::Command& command);

  std::map<Subject, Pause> pauses_;
  std::deque<Subject> order_;  // oldest first
};

}  // namespace hongyan::shard
