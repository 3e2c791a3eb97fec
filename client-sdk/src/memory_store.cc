#include <algorithm>

#include "hongyan/store.h"

namespace hongyan {

void MemoryStore::SetAccount(UserId user, const std::string& user_name, const std::string& token) {
  gathered_.user = user;
  gathered_.user_name = user_name;
  gathered_.token = token;
}

void MemoryStore::PutUnsent(const UnsentMessage& message) {
  auto& all = gathered_.unsent;
  const auto at =
      std::lower_bound(all.begin(), all.end(), message.number,
                       [](const UnsentMessage& m, int64_t number) { return m.number < number; });
  if (at != all.end() && at->number == message.number) {
    *at = message;
  } else {
    all.insert(at, message);
  }
}

void MemoryStore::RemoveUnsent(int64_t number) {
  std::erase_if(gathered_.unsent, [number](const UnsentMessage& m) { return m.number == number; });
}

Result<Done> MemoryStore::Commit(Durability durability) {
  written_ = gathered_;
  if (durability == Durability::kDurable) durable_ = written_;
  return Done{};
}

}  // namespace hongyan
