#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "storage/batch.h"

namespace hongyan::storage {

// Writes staged for a memory store. What must be new is kept apart by the kinds of stores, because
// the commit checks it as the unique keys of a database would; everything here replaces what was
// there.
template <class State>
class MemoryBatch : public Batch {
 public:
  size_t records() const override { return records_; }
  size_t bytes() const override { return bytes_; }

  void Write(size_t records, size_t bytes, std::function<void(State&)> write) {
    Count(records, bytes);
    writes_.push_back(std::move(write));
  }

  // Something that must be new is there already, in the state or twice in the batch.
  virtual bool Collides(const State& state) const = 0;

  // REQUIRES !Collides(state). Leaves the batch empty.
  virtual void ApplyTo(State& state) {
    for (const auto& write : writes_) write(state);
    writes_.clear();
  }

 protected:
  void Count(size_t records, size_t bytes) {
    records_ += records;
    bytes_ += bytes;
  }

  template <class Map>
  static bool Overlap(const Map& added, const Map& present) {
    for (const auto& row : added) {
      if (present.contains(row.first)) return true;
    }
    return false;
  }

 private:
  size_t records_ = 0;
  size_t bytes_ = 0;
  std::vector<std::function<void(State&)>> writes_;
};

}  // namespace hongyan::storage
