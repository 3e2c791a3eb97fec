#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "storage/batch.h"
#include "storage/memory/memory_state.h"

namespace hongyan::storage {

// Writes staged for a memory store. What must be new (bodies, receipts, entries) is kept apart,
// because the commit checks it as the unique keys of a database would; everything else replaces
// what was there.
class MemoryBatch final : public Batch {
 public:
  size_t records() const override { return records_; }
  size_t bytes() const override { return bytes_; }

  void AddMessage(const MemoryState::MessagePlace& place, const model::Message& message) {
    Count(1, 64 + message.body.size());
    duplicate_ |= !messages_.emplace(place, message).second;
  }
  void AddReceipt(const MemoryState::ReceiptKey& key, const model::SendReceipt& receipt) {
    Count(1, 72);
    duplicate_ |= !receipts_.emplace(key, receipt).second;
  }
  void AddEntry(const MemoryState::InboxPlace& place, const model::Entry& entry) {
    Count(1, 56);
    duplicate_ |= !entries_.emplace(place, entry).second;
  }
  void Write(size_t records, size_t bytes, std::function<void(MemoryState&)> write) {
    Count(records, bytes);
    writes_.push_back(std::move(write));
  }

  // Something that must be new is there already, in the state or twice in the batch.
  bool Collides(const MemoryState& state) const;

  // REQUIRES !Collides(state). Leaves the batch empty.
  void ApplyTo(MemoryState& state);

 private:
  void Count(size_t records, size_t bytes) {
    records_ += records;
    bytes_ += bytes;
  }

  size_t records_ = 0;
  size_t bytes_ = 0;
  bool duplicate_ = false;
  std::map<MemoryState::MessagePlace, model::Message> messages_;
  std::map<MemoryState::ReceiptKey, model::SendReceipt> receipts_;
  std::map<MemoryState::InboxPlace, model::Entry> entries_;
  std::vector<std::function<void(MemoryState&)>> writes_;
};

}  // namespace hongyan::storage
