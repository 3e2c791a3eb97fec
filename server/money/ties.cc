#include "money/ties.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"

namespace hongyan::money {

uint64_t Ties::Hash(const Thing& thing) {
  std::string key;
  base::AppendBe64(key, static_cast<uint64_t>(thing.packet));
  base::AppendBe64(key, static_cast<uint64_t>(thing.user));
  base::AppendBe64(key, static_cast<uint64_t>(thing.number));
  return base::SipHash(key, base::SipKey{});
}

void Ties::Add(Family family, Side side, const Thing& thing, const char* row) {
  const uint64_t hash = Hash(thing);
  const size_t bucket = hash % kBuckets;
  const auto index = static_cast<size_t>(family);
  if (!closer_) {
    sums_[index][bucket] += side == Side::kLeft ? hash : 0 - hash;
    return;
  }
  if (bucket_[index] != bucket) return;
  Seen& seen = seen_[{family, thing}];
  seen.net += static_cast<int8_t>(side);
  if (!seen.rows.empty()) seen.rows += ", ";
  seen.rows += row;
}

bool Ties::even() const {
  return std::all_of(sums_.begin(), sums_.end(), [](const auto& family) {
    return std::all_of(family.begin(), family.end(), [](uint64_t sum) { return sum == 0; });
  });
}

void Ties::LookCloser() {
  closer_ = true;
  for (size_t f = 0; f < kFamilies; ++f) {
    const auto uneven =
        std::find_if(sums_[f].begin(), sums_[f].end(), [](uint64_t sum) { return sum != 0; });
    bucket_[f] = static_cast<size_t>(uneven - sums_[f].begin());
  }
}

std::vector<Ties::Odd> Ties::odd() const {
  std::vector<Odd> found;
  for (const auto& [key, seen] : seen_) {
    if (seen.net != 0) found.push_back({key.first, key.second, seen.rows});
  }
  return found;
}

}  // namespace hongyan::money
