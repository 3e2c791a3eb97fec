#pragma once

#include <string>

#include "base/result.h"

namespace hongyan::account {

constexpr size_t kMaxPasswordBytes = 256;

// argon2id, 19 MiB, 2 passes. Each call takes some 20 ms of CPU and 19 MiB: the worker pool's work,
// never a loop's or a shard's. Any thread.
class Passwords {
 public:
  // Hashes a throw-away password once, to compare with where there is nothing to compare with.
  Passwords();

  // The text form that is stored. INVALID_ARGUMENT for an empty or overlong password,
  // RESOURCE_EXHAUSTED where there is no memory for it.
  base::Result<std::string> Hash(const std::string& password) const;

  // `stored` empty (unknown user, or no password login): the same work, and false.
  bool Verify(const std::string& stored, const std::string& password) const;

 private:
  std::string dummy_;
};

}  // namespace hongyan::account
