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

void RecentRows::Put(const rocksdb::Slice& key, const rocksdb::Slice& value) {
  CHECK(!key.empty() && key.size() <= kMaxKeyBytes);
  const size_t place = PlaceOf(key);
  const std::lock_guard lock(mutexes_[place % kStripes]);
  Slot& slot = slots_[place];
  if (value.size() > max_value_bytes_) {
    if (slot.Holds(key)) slot.key_bytes = 0;  // what it was before
    return;
  }
  std::copy_n(key.data(), key.size(), slot.key.begin());
  slot.key_bytes = static_cast<uint8_t>(key.size());
  slot.value.assign(value.data(), value.size());
}

void RecentRows::Forget(const rocksdb::Slice& key) {
  const size_t place = PlaceOf(key);
  const std::lock_guard lock(mutexes_[place % kStripes]);
  if (slots_[place].Holds(key)) slots_[place].key_bytes = 0;
}

bool RecentRows::Get(const rocksdb::Slice& key, std::string* value) const {
  const size_t place = PlaceOf(key);
  const Slot& slot = slots_[place];
  const std::lock_guard lock(mutexes_[place % kStripes]);
  if (slot.key_bytes == 0 || !slot.Holds(key)) return false;
  value->assign(slot.value);
  return true;
}

void RecentRows::Clear() {
  for (size_t place = 0; place < slots_.size(); ++place) {
    const std::lock_guard lock(mutexes_[place % kStripes]);
    slots_[place].key_bytes = 0;
  }
}

}  // namespace hongyan::storage
