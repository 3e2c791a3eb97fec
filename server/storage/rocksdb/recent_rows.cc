#include "storage/rocksdb/recent_rows.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include "base/check.h"

namespace hongyan::storage {

RecentRows::RecentRows(size_t slots, size_t max_value_bytes)
    : max_value_bytes_(max_value_bytes), slots_(slots) {
  CHECK(slots > 0);
}

size_t RecentRows::PlaceOf(const rocksdb::Slice& key) const {
  return std::hash<std::string_view>()({key.data(), key.size()}) % slots_.size();
}

void RecentRows::Set(Slot& slot, const rocksdb::Slice& key, const rocksdb::Slice& value) const {
  if (value.size() > max_value_bytes_) {
    if (slot.Holds(key)) slot.key_bytes = 0;  // what it was before
    return;
  }
  std::copy_n(key.data(), key.size(), slot.key.begin());
  slot.key_bytes = static_cast<uint8_t>(key.size());
  slot.value.assign(value.data(), value.size());
}

void RecentRows::Put(const rocksdb::Slice& key, const rocksdb::Slice& value) {
  CHECK(!key.empty() && key.size() <= kMaxKeyBytes);
  const size_t place = PlaceOf(key);
  Stripe& stripe = stripes_[place % kStripes];
  const std::lock_guard lock(stripe.mutex);
  ++stripe.changes;
  Set(slots_[place], key, value);
}

void RecentRows::Forget(const rocksdb::Slice& key) {
  const size_t place = PlaceOf(key);
  Stripe& stripe = stripes_[place % kStripes];
  const std::lock_guard lock(stripe.mutex);
  ++stripe.changes;
  if (slots_[place].Holds(key)) slots_[place].key_bytes = 0;
}

bool RecentRows::Get(const rocksdb::Slice& key, std::string* value, uint64_t* changes) const {
  const size_t place = PlaceOf(key);
  const Slot& slot = slots_[place];
  Stripe& stripe = stripes_[place % kStripes];
  const std::lock_guard lock(stripe.mutex);
  if (slot.key_bytes == 0 || !slot.Holds(key)) {
    if (changes != nullptr) *changes = stripe.changes;
    return false;
  }
  value->assign(slot.value);
  return true;
}

void RecentRows::Keep(const rocksdb::Slice& key, const rocksdb::Slice& value, uint64_t changes) {
  CHECK(!key.empty() && key.size() <= kMaxKeyBytes);
  const size_t place = PlaceOf(key);
  Stripe& stripe = stripes_[place % kStripes];
  const std::lock_guard lock(stripe.mutex);
  if (stripe.changes == changes) Set(slots_[place], key, value);
}

void RecentRows::Clear() {
  for (size_t place = 0; place < slots_.size(); ++place) {
    Stripe& stripe = stripes_[place % kStripes];
    const std::lock_guard lock(stripe.mutex);
    ++stripe.changes;
    slots_[place].key_bytes = 0;
  }
}

}  // namespace hongyan::storage
