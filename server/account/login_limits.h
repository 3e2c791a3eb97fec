#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include <absl/container/flat_hash_map.h>

#include "base/clock.h"
#include "base/result.h"

namespace hongyan::account {

// How often an address, and anybody who claims to be a user, may try a password. Comes before the
// hashing, so that guessing costs us nothing: token buckets, by address and by user name. Any
// thread.
class LoginLimits {
 public:
  struct Rate {
    double burst = 0;       // tries at once
    double per_second = 0;  // and then
  };
  struct Options {
    Rate per_address{100, 20};
    Rate per_user{10, 0.2};
    size_t remembered =
        65'536;  // of each; the one that has rested longest enough is forgotten first
  };

  // `clock` outlives it.
  LoginLimits(const base::Clock& clock, const Options& options);

  // Takes one try from both, or none: BUSY with the time until the next.
  base::Result<void> Admit(std::string_view address, std::string_view user_name);

 private:
  struct Bucket {
    double left = 0;
    int64_t at_ns = 0;
  };
  using Buckets = absl::flat_hash_map<std::string, Bucket>;

  // The bucket, filled up to now.
  Bucket& Fill(Buckets& buckets, const std::string& key, const Rate& rate, int64_t now_ns);
  void Forget(Buckets& buckets, const Rate& rate, int64_t now_ns);

  const base::Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  Buckets addresses_;
  Buckets users_;
};

}  // namespace hongyan::account
