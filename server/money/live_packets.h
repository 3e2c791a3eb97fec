#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
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
  Claims claims;  // all: who is not among them has none
  // But where a claim cannot be read (kDataLoss, why): then each is asked of the store, nothing is
  // taken any more, and the board is not told.
  std::string claims_lost;

  // What Drop goes back to.
  model::PacketStatus committed;
  std::vector<model::Claim> new_claims;
  bool fresh = false;    // made by this batch
  bool touched = false;  // changed by this batch
  bool used = true;      // asked for lately
};

// What a shard knows of its packets: a bounded cache of committed ones, and over it the batch. Like
// shard::WorkingSet, but a packet grows by a claim at a time and is never copied. What it holds is
// found without the store; a packet that is not held is read once with all its claims, so that who
// has none is known too, here and on the board. Shard thread.
class LivePackets {
 public:
  // `store` outlives it. `capacity`: what may be held, by weight (see Board).
  LivePackets(model::ShardId shard, storage::PacketStore& store, size_t capacity);

  // nullptr = there is none. The pointer is valid until the next Find, Insert, Publish or Drop.
  base::Result<LivePacket*> Find(model::PacketId packet);
  base::Result<std::optional<model::Claim>> FindClaim(const LivePacket& packet,
                                                      model::UserId user) const;
  // Every claim by ordinal: those the store lists now, whatever is known here, and this batch's.
  base::Result<std::vector<model::Claim>> StoredClaims(const LivePacket& packet) const;

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
