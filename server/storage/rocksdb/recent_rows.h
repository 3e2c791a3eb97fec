#pragma once

#include <rocksdb/slice.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace hongyan::storage {

// Rows committed or read lately, by key: what is written now is read within milliseconds by
// everyone who is online, and finding a row here costs a tenth of a walk through the memtable. A
// table of fixed size in which a new row takes the place of whatever its key falls on; a miss only
// means that the store is asked. Holds rows that are durable, never staged ones. Any thread.
class RecentRows {
 public:
  // `slots` rows of up to `max_value_bytes`; larger ones are not kept.
  RecentRows(size_t slots, size_t max_value_bytes);

  // Right after its commit, before anybody is told of it: what was here of this key is then
  // replaced.
  void Put(const rocksdb::Slice& key, const rocksdb::Slice& value);

  // The row is no more.
  void Forget(const rocksdb::Slice& key);

  // False: not here. `changes`, if wanted, is then what Keep asks for.
  bool Get(const rocksdb::Slice& key, std::string* value, uint64_t* changes = nullptr) const;

  // A row as the store had it, read after the Get that gave `changes`: kept unless a commit may
  // have written it meanwhile.
  void Keep(const rocksdb::Slice& key, const rocksdb::Slice& value, uint64_t changes);

  void Clear();

 private:
  static constexpr size_t kMaxKeyBytes = 24;
  static constexpr size_t kStripes = 64;
  struct Slot {
    std::array<char, kMaxKeyBytes> key{};
    uint8_t key_bytes = 0;  // 0 = empty
    std::string value;

    bool Holds(const rocksdb::Slice& wanted) const {
      return rocksdb::Slice(key.data(), key_bytes) == wanted;
    }
  };

  // Of the slots whose place has this rest.
  struct Stripe {
    std::mutex mutex;
    uint64_t changes = 0;  // by commits
  };

  size_t PlaceOf(const rocksdb::Slice& key) const;
  void Set(Slot& slot, const rocksdb::Slice& key, const rocksdb::Slice& value) const;

  const size_t max_value_bytes_;
  std::vector<Slot> slots_;
  mutable std::array<Stripe, kStripes> stripes_;
};

}  // namespace hongyan::storage
