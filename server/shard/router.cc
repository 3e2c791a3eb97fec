#include "shard/router.h"

#include <string>

#include "base/bytes.h"
#include "base/hash.h"

namespace hongyan::shard {
namespace {

int SlotOfKey(std::string_view key) {
  return static_cast<int>(base::SipHash(key, base::SipKey{}) % storage::kSlots);
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
  return model::UserId(PositiveId(base::SipHash(name, id_key_)));
}

model::GroupId Router::GroupIdOf(model::UserId creator, const model::RequestId& request) const {
  std::string key;
  base::AppendBe64(key, static_cast<uint64_t>(creator.value));
  key.append(request.view());
  return model::GroupId(PositiveId(base::SipHash(key, id_key_)));
}

}  // namespace hongyan::shard
