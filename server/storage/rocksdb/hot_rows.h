#pragma once

#include <rocksdb/slice.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/message.h"
#include "storage/inbox_store.h"

namespace hongyan::storage {

// Values of the rows that every message writes, in our own layout (schema/rocksdb/README.md).
// Decoders answer false for bytes that no encoder wrote. Values; any thread.

// The message without its body, which follows as it is.
std::string EncodeMessageHead(const model::Message& message);

enum class Body { kWith, kWithout };
bool DecodeMessage(rocksdb::Slice value, model::ConvSeq seq, Body body, model::Message* message);

std::string EncodeReceipt(const model::SendReceipt& receipt);
bool DecodeReceipt(rocksdb::Slice value, model::SendReceipt* receipt);

// One user's entries of one batch, which become one row.
class EntryRow {
 public:
  explicit EntryRow(model::UserId user) : user_(user) {}

  // False, and nothing changed, unless `seq` is right after the last one (or the row is empty).
  bool Append(model::Seq seq, const model::Entry& entry);

  model::UserId user() const { return user_; }
  model::Seq last() const { return last_; }
  // The value is count() as a varint, then this.
  uint32_t count() const { return count_; }
  const std::string& entries() const { return bytes_; }

 private:
  model::UserId user_;
  model::Seq last_;
  uint32_t count_ = 0;
  model::ConversationId conversation_;
  int64_t time_ms_ = 0;
  int64_t conv_seq_ = 0;
  std::string bytes_;
};

// All entries of a row whose last one has the seq `last`, oldest first.
bool DecodeEntryRow(rocksdb::Slice value, model::Seq last,
                    std::vector<InboxStore::NumberedEntry>* entries);

// At most 5 bytes.
void AppendVarint32(std::string* out, uint32_t value);

}  // namespace hongyan::storage
