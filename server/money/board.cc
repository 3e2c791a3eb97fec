#include "money/board.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "money/refusals.h"

namespace hongyan::money {
namespace {

// Opens beyond the shares left that may wait: some of those before them are repeats or refused.
constexpr int64_t kSlack = 16;

// 20 to 200 ms, another one for every user, packet and moment, so that a crowd comes back spread
// out.
int64_t Spread(model::PacketId packet, model::UserId user, int64_t time_ms) {
  auto mixed = static_cast<uint64_t>(packet.value) ^ static_cast<uint64_t>(user.value) << 17 ^
               static_cast<uint64_t>(time_ms) << 41;
  for (int round = 0; round < 2; ++round) {
    mixed = (mixed ^ mixed >> 31) * 0x9e3779b97f4a7c15;
  }
  return 20 + static_cast<int64_t>((mixed >> 32) % 181);
}

}  // namespace

Board::Board(size_t max_weight) : max_weight_(std::max<size_t>(1, max_weight / kStripes)) {}

base::Result<Board::Grab> Board::Look(model::PacketId packet, model::UserId user,
                                      const model::Eligible* eligible, int64_t time_ms,
                                      int64_t in_flight) const {
  const Stripe& stripe = StripeOf(packet);
  const std::lock_guard lock(stripe.mutex);
  const auto found = stripe.packets.find(packet);
  if (found == stripe.packets.end()) return Grab{};
  const Shown& shown = found->second;
  const auto own = shown.claims.find(user);
  auto judged = Judge(*shown.header, shown.status,
                      own == shown.claims.end() ? nullptr : &own->second, user, eligible, kNoClock);
  if (!judged) return std::move(judged).error();
  switch (judged->kind) {
    case Judged::Kind::kAlready:
      return Grab{Grab::Kind::kAlready, judged->opened, {}};
    case Judged::Kind::kWhoIsIt:
      return Grab{Grab::Kind::kWhoIsIt, {}, shown.header->terms.conversation};
    case Judged::Kind::kTake:
      break;
  }
  if (in_flight >= shown.status.left + kSlack) return Busy(Spread(packet, user, time_ms));
  return Grab{Grab::Kind::kOpen, {}, shown.header->terms.conversation};
}

void Board::Post(const std::vector<Posted>& posted) {
  for (const Posted& one : posted) {
    Stripe& stripe = StripeOf(one.header->id);
    const std::lock_guard lock(stripe.mutex);
    Post(stripe, one, max_weight_);
  }
}

void Board::Post(Stripe& stripe, const Posted& posted, size_t max_weight) {
  const model::PacketId id = posted.header->id;
  const auto [it, fresh] = stripe.packets.try_emplace(id);
  Shown& shown = it->second;
  if (fresh) {
    shown.header = posted.header;
    shown.claims = *posted.claims;
    shown.place = stripe.order.insert(stripe.order.end(), id);
    stripe.weight += kPacketWeight + shown.claims.size();
  } else {
    for (const model::Claim& claim : *posted.new_claims) {
      if (shown.claims.insert_or_assign(claim.user, claim).second) ++stripe.weight;
    }
    // The shard has read more of them from its store since.
    if (posted.claims->size() > shown.claims.size()) {
      stripe.weight += posted.claims->size() - shown.claims.size();
      shown.claims = *posted.claims;
    }
    stripe.order.splice(stripe.order.end(), stripe.order, shown.place);
  }
  shown.status = posted.status;
  while (stripe.weight > max_weight && stripe.order.size() > 1) {
    const auto oldest = stripe.packets.find(stripe.order.front());
    stripe.weight -= kPacketWeight + oldest->second.claims.size();
    stripe.packets.erase(oldest);
    stripe.order.pop_front();
  }
}

void Board::Forget() {
  for (Stripe& stripe : stripes_) {
    const std::lock_guard lock(stripe.mutex);
    stripe.packets.clear();
    stripe.order.clear();
    stripe.weight = 0;
  }
}

size_t Board::packets() const {
  size_t sum = 0;
  for (const Stripe& stripe : stripes_) {
    const std::lock_guard lock(stripe.mutex);
    sum += stripe.packets.size();
  }
  return sum;
}

size_t Board::weight() const {
  size_t sum = 0;
  for (const Stripe& stripe : stripes_) {
    const std::lock_guard lock(stripe.mutex);
    sum += stripe.weight;
  }
  return sum;
}

}  // namespace hongyan::money
