#include "account/login_limits.h"

#include <algorithm>

#include "model/reason.h"

namespace hongyan::account {

LoginLimits::LoginLimits(const base::Clock& clock, const Options& options)
    : clock_(clock), options_(options) {}

base::Result<void> LoginLimits::Admit(std::string_view address, std::string_view user_name) {
  const int64_t now_ns = clock_.BootNs();
  const std::lock_guard lock(mutex_);
  Bucket& by_address = Fill(addresses_, std::string(address), options_.per_address, now_ns);
  Bucket& by_user = Fill(users_, std::string(user_name), options_.per_user, now_ns);
  const double wait_s = std::max((1 - by_address.left) / options_.per_address.per_second,
                                 (1 - by_user.left) / options_.per_user.per_second);
  if (wait_s > 0) {
    return model::Refuse(base::Code::kResourceExhausted, model::Reason::kBusy,
                         "too many password logins: wait before the next",
                         static_cast<int64_t>(wait_s * 1000) + 1);
  }
  by_address.left -= 1;
  by_user.left -= 1;
  return {};
}

LoginLimits::Bucket& LoginLimits::Fill(Buckets& buckets, const std::string& key, const Rate& rate,
                                       int64_t now_ns) {
  if (buckets.size() >= options_.remembered && !buckets.contains(key)) {
    Forget(buckets, rate, now_ns);
  }
  const auto [it, fresh] = buckets.try_emplace(key, Bucket{rate.burst, now_ns});
  Bucket& bucket = it->second;
  const double elapsed_s = static_cast<double>(now_ns - bucket.at_ns) / 1e9;
  bucket.left = std::min(rate.burst, bucket.left + elapsed_s * rate.per_second);
  bucket.at_ns = now_ns;
  return bucket;
}

void LoginLimits::Forget(Buckets& buckets, const Rate& rate, int64_t now_ns) {
  // Full again is as good as never seen. If nobody is (an attack from everywhere), all start anew:
  // then the bound of the hashing queue is what protects us.
  absl::erase_if(buckets, [&rate, now_ns](const auto& entry) {
    const double elapsed_s = static_cast<double>(now_ns - entry.second.at_ns) / 1e9;
    return entry.second.left + elapsed_s * rate.per_second >= rate.burst;
  });
  if (buckets.size() >= options_.remembered) buckets.clear();
}

}  // namespace hongyan::account
