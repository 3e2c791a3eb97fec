#include "inbox/online_heads.h"

#include <algorithm>

namespace hongyan::inbox {

void OnlineHeads::Register(model::UserId user) {
  Stripe& stripe = StripeOf(user);
  std::lock_guard lock(stripe.mutex);
  ++stripe.users[user].sessions;
}

void OnlineHeads::Unregister(model::UserId user) {
  Stripe& stripe = StripeOf(user);
  std::lock_guard lock(stripe.mutex);
  const auto found = stripe.users.find(user);
  if (found != stripe.users.end() && --found->second.sessions <= 0) stripe.users.erase(found);
}

void OnlineHeads::Prime(model::UserId user, model::Seq head) {
  Stripe& stripe = StripeOf(user);
  std::lock_guard lock(stripe.mutex);
  const auto found = stripe.users.find(user);
  if (found == stripe.users.end()) return;
  found->second.known = true;
  found->second.head = std::max(found->second.head, head);
}

bool OnlineHeads::Raise(model::UserId user, model::Seq head) {
  Stripe& stripe = StripeOf(user);
  std::lock_guard lock(stripe.mutex);
  const auto found = stripe.users.find(user);
  if (found == stripe.users.end()) return false;
  found->second.known = true;
  found->second.head = std::max(found->second.head, head);
  return true;
}

std::optional<model::Seq> OnlineHeads::Head(model::UserId user) const {
  const Stripe& stripe = StripeOf(user);
  std::lock_guard lock(stripe.mutex);
  const auto found = stripe.users.find(user);
  if (found == stripe.users.end() || !found->second.known) return std::nullopt;
  return found->second.head;
}

std::vector<model::UserId> OnlineHeads::Users() const {
  std::vector<model::UserId> users;
  for (const Stripe& stripe : stripes_) {
    std::lock_guard lock(stripe.mutex);
    for (const auto& [user, online] : stripe.users) users.push_back(user);
  }
  return users;
}

size_t OnlineHeads::users() const {
  size_t count = 0;
  for (const Stripe& stripe : stripes_) {
    std::lock_guard lock(stripe.mutex);
    count += stripe.users.size();
  }
  return count;
}

}  // namespace hongyan::inbox
