#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "base/result.h"
#include "model/command.h"
#include "model/money.h"
#include "money/judge.h"

namespace hongyan::money {

// What a packet weighs in memory, measured in claims.
constexpr size_t kPacketWeight = 8;

using Claims = absl::flat_hash_map<model::UserId, model::Claim>;

// What a shard has committed of one packet, for the call only.
struct Posted {
  std::shared_ptr<const model::PacketHeader> header;
  model::PacketStatus status;
  const Claims* claims = nullptr;                         // all
  const std::vector<model::Claim>* new_claims = nullptr;  // of them, those of this commit
};

// The packets that shards have touched lately, as committed, with who has claimed what: where a
// grab is answered on a loop thread, without the store and without the shard. Reserves nothing.
// Bounded by weight (kPacketWeight for a packet, one for a claim); what is not here is read from
// the store. Any thread.
class Board {
 public:
  explicit Board(size_t max_weight = 4'000'000);

  struct Grab {
    enum class Kind : uint8_t {
      kOpen = 1,     // submit OpenPacket
      kAlready = 2,  // this user's first amount; nothing to submit
      kWhoIsIt = 3,  // ask Eligibility for `conversation`, then Look again with the answer
      kUnknown = 4,  // not here: ask Eligibility for the conversation that a read of the store
                     // gives, and submit OpenPacket; the shard knows
    };
    Kind kind = Kind::kUnknown;
    model::Opened opened;
    model::ConversationId conversation;
  };
  // The grab: the order of checks of Judge, then BUSY (after 20 to 200 ms, drawn by user and
  // packet) where `in_flight` opens of this packet in the shard's queue and batch are enough for
  // what is left. An Error is the refusal for the client; "gone" only for a committed terminal
  // state, expired among them: until the shard has closed it, there may be something. `eligible`
  // null = not asked yet; `time_ms` only spreads the hints.
  base::Result<Grab> Look(model::PacketId packet, model::UserId user,
                          const model::Eligible* eligible, int64_t time_ms,
                          int64_t in_flight) const;

  // After a commit, by the packet's shard.
  void Post(const std::vector<Posted>& posted);

  // A shard's memory was wrong: all goes, and comes back with the next commits.
  void Forget();

  size_t packets() const;
  size_t weight() const;

 private:
  struct Shown {
    std::shared_ptr<const model::PacketHeader> header;
    model::PacketStatus status;
    Claims claims;  // all: who is not there has none
    std::list<model::PacketId>::iterator place;
  };
  struct Stripe {
    mutable std::mutex mutex;
    absl::flat_hash_map<model::PacketId, Shown> packets;
    std::list<model::PacketId> order;  // oldest posted first
    size_t weight = 0;
  };
  static constexpr size_t kStripes = 64;

  Stripe& StripeOf(model::PacketId packet) {
    return stripes_[static_cast<uint64_t>(packet.value) / 10 % kStripes];
  }
  const Stripe& StripeOf(model::PacketId packet) const {
    return stripes_[static_cast<uint64_t>(packet.value) / 10 % kStripes];
  }
  static void Post(Stripe& stripe, const Posted& posted, size_t max_weight);

  const size_t max_weight_;  // of one stripe
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace hongyan::money
