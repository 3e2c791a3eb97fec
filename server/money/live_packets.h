#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "base/result.h"
#include "model/money.h"
#include "money/board.h"
#include "shard/unit_of_work.h"
#include "storage/packet_store.h"

namespace hongyan::money {

// A packet as the batch under way sees it.
struct LivePacket {
  std::shared_ptr<const model::PacketHeader> header;
  model::PacketStatus status;
  Claims claims;  // those known here
  // They are all: who is not among them has none.
  bool whole() const {
    return static_cast<int64_t>(claims.size()) == int64_t{header->terms.shares} - status.left;
  }

  // What Drop goes back to.
  model::PacketStatus committed;
  std::vector<model::Claim> new_claims;
  bool fresh = false;    // made by this batch
  bool touched = false;  // changed by this batch
  bool used = true;      // asked for lately
};

// What a shard knows of its packets: a bounded cache of committed ones, and over it the batch. Like
// shard::WorkingSet, but a packet grows by a claim at a time and is never copied. What it holds is
// found without the store; a packet that is not held costs one read, and each opener of it one more
// (which the store's filters answer). Shard thread.
class LivePackets {
 public:
  // `store` outlives it. `capacity`: what may be held, by weight (see Board).
  LivePackets(model::ShardId shard, storage::PacketStore& store, size_t capacity);

  // nullptr = there is none. The pointer is valid until the next Find, Insert, Publish or Drop.
  base::Result<LivePacket*> Find(model::PacketId packet);
  // The user's claim or nullptr; valid until the packet changes.
  base::Result<const model::Claim*> FindClaim(LivePacket& packet, model::UserId user);
  // Every claim by ordinal, this batch's too.
  base::Result<std::vector<model::Claim>> AllClaims(LivePacket& packet);

  // Find reads the store again, unless this batch has changed the packet.
  void Reload(model::PacketId packet);

  // REQUIRES Find(packet.header.id) to have said that there is none.
  LivePacket& Insert(shard::UnitOfWork& work, model::Packet packet);
  void PutStatus(shard::UnitOfWork& work, LivePacket& packet, const model::PacketStatus& status);
  void AddClaim(shard::UnitOfWork& work, LivePacket& packet, const model::Claim& claim);

  // The batch is durable: what it changed is posted.
  void Publish(Board& board);
  void Drop();
  void Forget();

  size_t held() const { return packets_.size(); }

 private:
  void Touch(LivePacket& packet);
  void MakeRoom();

  const model::ShardId shard_;
  storage::PacketStore& store_;
  const size_t capacity_;
  size_t weight_ = 0;
  absl::flat_hash_map<model::PacketId, std::unique_ptr<LivePacket>> packets_;
  std::deque<model::PacketId> order_;  // second chance, oldest first
  std::vector<model::PacketId> touched_;
};

}  // namespace hongyan::money
