#pragma once

#include <map>

#include "storage/memory/memory_batch.h"
#include "storage/memory/memory_state.h"

namespace hongyan::storage {

// A batch of a store of messages: bodies, receipts and entries must be new.
class MemoryMessageBatch final : public MemoryBatch<MemoryState> {
 public:
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

  bool Collides(const MemoryState& state) const override {
    return duplicate_ || Overlap(messages_, state.messages) || Overlap(receipts_, state.receipts) ||
           Overlap(entries_, state.entries);
  }

  void ApplyTo(MemoryState& state) override {
    state.messages.merge(messages_);
    state.receipts.merge(receipts_);
    state.entries.merge(entries_);
    MemoryBatch::ApplyTo(state);
  }

 private:
  bool duplicate_ = false;
  std::map<MemoryState::MessagePlace, model::Message> messages_;
  std::map<MemoryState::ReceiptKey, model::SendReceipt> receipts_;
  std::map<MemoryState::InboxPlace, model::Entry> entries_;
};

}  // namespace hongyan::storage
