#include "storage/rocksdb/hot_rows.h"

#include "base/bytes.h"

namespace hongyan::storage {

namespace {

constexpr uint8_t kRecalled = 1;

constexpr uint8_t kKindMask = 0x0f;
constexpr uint8_t kConversationFollows = 0x10;
constexpr uint8_t kClientIdFollows = 0x20;
constexpr uint8_t kPacketFollows = 0x40;
constexpr uint8_t kUnusedFlags = 0x80;

void AppendVarint(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

// Differences wrap instead of overflowing, and so find back whatever the two numbers were.
void AppendDifference(std::string* out, int64_t value, int64_t base) {
  const auto difference =
      static_cast<int64_t>(static_cast<uint64_t>(value) - static_cast<uint64_t>(base));
  AppendVarint(out,
               (static_cast<uint64_t>(difference) << 1) ^ static_cast<uint64_t>(difference >> 63));
}

bool TakeVarint(rocksdb::Slice* in, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (in->empty()) return false;
    const auto byte = static_cast<uint8_t>((*in)[0]);
    in->remove_prefix(1);
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool TakeInt(rocksdb::Slice* in, int64_t* value) {
  uint64_t bits = 0;
  if (!TakeVarint(in, &bits)) return false;
  *value = static_cast<int64_t>(bits);
  return true;
}

bool TakeDifference(rocksdb::Slice* in, int64_t base, int64_t* value) {
  uint64_t bits = 0;
  if (!TakeVarint(in, &bits)) return false;
  const uint64_t difference = (bits >> 1) ^ (~(bits & 1) + 1);
  *value = static_cast<int64_t>(static_cast<uint64_t>(base) + difference);
  return true;
}

bool TakeByte(rocksdb::Slice* in, uint8_t* value) {
  if (in->empty()) return false;
  *value = static_cast<uint8_t>((*in)[0]);
  in->remove_prefix(1);
  return true;
}

bool TakeBe64(rocksdb::Slice* in, int64_t* value) {
  if (in->size() < 8) return false;
  *value = static_cast<int64_t>(base::ReadBe64(in->data()));
  in->remove_prefix(8);
  return true;
}

bool TakeRequestId(rocksdb::Slice* in, model::RequestId* id) {
  if (in->size() < id->bytes.size()) return false;
  id->Assign({in->data(), id->bytes.size()});
  in->remove_prefix(id->bytes.size());
  return true;
}

}  // namespace

void AppendVarint32(std::string* out, uint32_t value) { AppendVarint(out, value); }

std::string EncodeMessageHead(const model::Message& message) {
  std::string out;
  out.reserve(48);
  out.push_back(static_cast<char>(message.recalled ? kRecalled : 0));
  out.push_back(static_cast<char>(message.kind));
  base::AppendBe64(out, static_cast<uint64_t>(message.sender.value));
  out.append(message.client_msg_id.view());
  AppendVarint(&out, static_cast<uint64_t>(message.time_ms));
  AppendVarint(&out, static_cast<uint64_t>(message.ordinal));
  return out;
}

bool DecodeMessage(rocksdb::Slice value, model::ConvSeq seq, Body body, model::Message* message) {
  uint8_t flags = 0;
  uint8_t kind = 0;
  if (!TakeByte(&value, &flags) || (flags & ~kRecalled) != 0) return false;
  if (!TakeByte(&value, &kind) || kind > static_cast<uint8_t>(model::BodyKind::kSystem)) {
    return false;
  }
  if (!TakeBe64(&value, &message->sender.value)) return false;
  if (!TakeRequestId(&value, &message->client_msg_id)) return false;
  if (!TakeInt(&value, &message->time_ms) || !TakeInt(&value, &message->ordinal)) return false;
  message->seq = seq;
  message->kind = static_cast<model::BodyKind>(kind);
  message->recalled = (flags & kRecalled) != 0;
  if (body == Body::kWith) message->body.assign(value.data(), value.size());
  return true;
}

std::string EncodeReceipt(const model::SendReceipt& receipt) {
  std::string out;
  out.reserve(24);
  base::AppendBe64(out, receipt.body_hash);
  AppendVarint(&out, static_cast<uint64_t>(receipt.seq.value));
  AppendVarint(&out, static_cast<uint64_t>(receipt.time_ms));
  return out;
}

bool DecodeReceipt(rocksdb::Slice value, model::SendReceipt* receipt) {
  int64_t hash = 0;
  if (!TakeBe64(&value, &hash)) return false;
  receipt->body_hash = static_cast<uint64_t>(hash);
  return TakeInt(&value, &receipt->seq.value) && TakeInt(&value, &receipt->time_ms) &&
         value.empty();
}

bool EntryRow::Append(model::Seq seq, const model::Entry& entry) {
  if (count_ > 0 && seq.value != last_.value + 1) return false;
  const bool new_conversation = count_ == 0 || entry.conversation != conversation_;
  const bool has_client_id = !entry.client_msg_id.is_zero();
  auto flags = static_cast<uint8_t>(entry.kind);
  if (new_conversation) flags |= kConversationFollows;
  if (has_client_id) flags |= kClientIdFollows;
  if (entry.packet) flags |= kPacketFollows;

  bytes_.push_back(static_cast<char>(flags));
  AppendDifference(&bytes_, entry.time_ms, time_ms_);
  if (new_conversation) {
    base::AppendBe64(bytes_, static_cast<uint64_t>(entry.conversation.a));
    base::AppendBe64(bytes_, static_cast<uint64_t>(entry.conversation.b));
  }
  AppendDifference(&bytes_, entry.conv_seq.value, new_conversation ? 0 : conv_seq_);
  if (has_client_id) bytes_.append(entry.client_msg_id.view());
  if (entry.packet) {
    base::AppendBe64(bytes_, static_cast<uint64_t>(entry.packet.value));
    AppendVarint(&bytes_, static_cast<uint64_t>(entry.returned_fen));
    bytes_.push_back(static_cast<char>(entry.reason));
  }

  last_ = seq;
  ++count_;
  conversation_ = entry.conversation;
  time_ms_ = entry.time_ms;
  conv_seq_ = entry.conv_seq.value;
  return true;
}

bool DecodeEntryRow(rocksdb::Slice value, model::Seq last,
                    std::vector<InboxStore::NumberedEntry>* entries) {
  uint64_t count = 0;
  if (!TakeVarint(&value, &count) || count == 0 || count > value.size()) return false;
  if (static_cast<uint64_t>(last.value) < count) return false;
  model::Entry entry;
  for (uint64_t i = 0; i < count; ++i) {
    uint8_t flags = 0;
    if (!TakeByte(&value, &flags)) return false;
    if ((flags & kUnusedFlags) != 0) return false;
    const uint8_t kind = flags & kKindMask;
    if (kind > static_cast<uint8_t>(model::EntryKind::kPacketReturned)) return false;
    entry.kind = static_cast<model::EntryKind>(kind);
    if (!TakeDifference(&value, entry.time_ms, &entry.time_ms)) return false;
    int64_t conv_seq_base = entry.conv_seq.value;
    if ((flags & kConversationFollows) != 0) {
      if (!TakeBe64(&value, &entry.conversation.a)) return false;
      if (!TakeBe64(&value, &entry.conversation.b)) return false;
      conv_seq_base = 0;
    } else if (i == 0) {
      return false;
    }
    if (!TakeDifference(&value, conv_seq_base, &entry.conv_seq.value)) return false;
    entry.client_msg_id = {};
    if ((flags & kClientIdFollows) != 0 && !TakeRequestId(&value, &entry.client_msg_id)) {
      return false;
    }
    entry.packet = {};
    entry.returned_fen = 0;
    entry.reason = 0;
    if ((flags & kPacketFollows) != 0 &&
        !(TakeBe64(&value, &entry.packet.value) && TakeInt(&value, &entry.returned_fen) &&
          TakeByte(&value, &entry.reason))) {
      return false;
    }
    const int64_t seq = last.value - static_cast<int64_t>(count - 1 - i);
    entries->push_back({model::Seq(seq), entry});
  }
  return value.empty();
}

}  // namespace hongyan::storage
