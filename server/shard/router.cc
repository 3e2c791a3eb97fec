#include "shard/router.h"

#include <sodium.h>

#include <string>

#include "base/bytes.h"

namespace hongyan::shard {
namespace {

static_assert(crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES == 16);

uint64_t SipHash(std::string_view data, const uint8_t* key) {
  uint8_t out[crypto_shorthash_BYTES];
  crypto_shorthash(out, reinterpret_cast<const uint8_t*>(data.data()), data.size(), key);
  return base::ReadBe64(out);
}

int SlotOfKey(std::string_view key) {
  static constexpr uint8_t kZeros[crypto_shorthash_KEYBYTES] = {};
  return static_cast<int>(SipHash(key, kZeros) % storage::kSlots);
}

int SlotOfId(int64_t id) {
  std::string key;
  base::AppendBe64(key, static_cast<uint64_t>(id));
  return SlotOfKey(key);
}

// The hash as a positive id: 63 bits, and never 0.
int64_t PositiveId(uint64_t hash) {
  const auto id = static_cast<int64_t>(hash >> 1);
  return id == 0 ? 1 : id;
}

}  // namespace

int SlotOf(model::UserId user) { return SlotOfId(user.value); }
int SlotOf(model::GroupId group) { return SlotOfId(group.value); }

int SlotOf(const model::ConversationId& conversation) {
  if (conversation.is_group()) return SlotOf(conversation.group());
  std::string key;
  base::AppendBe64(key, static_cast<uint64_t>(conversation.a));
  base::AppendBe64(key, static_cast<uint64_t>(conversation.b));
  return SlotOfKey(key);
}

model::UserId Router::UserIdOf(std::string_view name) const {
  return model::UserId(PositiveId(SipHash(name, id_key_.data())));
}

model::GroupId Router::GroupIdOf(model::UserId creator, const model::RequestId& request) const {
  std::string key;
  base::AppendBe64(key, static_cast<uint64_t>(creator.value));
  key.append(request.view());
  return model::GroupId(PositiveId(SipHash(key, id_key_.data())));
}

}  // namespace hongyan::shard
