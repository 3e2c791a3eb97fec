#include "money/live_packets.h"

#include <utility>

namespace hongyan::money {

LivePackets::LivePackets(model::ShardId shard, storage::PacketStore& store, size_t capacity)
    : shard_(shard), store_(store), capacity_(capacity) {}

base::Result<LivePacket*> LivePackets::Find(model::PacketId packet) {
  if (const auto held = packets_.find(packet); held != packets_.end()) {
    held->second->used = true;
    return held->second.get();
  }
  auto read = store_.FindPacket(shard_, packet);
  if (!read) return std::move(read).error();
  if (!read->has_value()) return static_cast<LivePacket*>(nullptr);
  auto claims = store_.ListClaims(shard_, packet);
  if (!claims && claims.error().code != base::Code::kDataLoss) return std::move(claims).error();
  MakeRoom();
  auto live = std::make_unique<LivePacket>();
  live->header = std::make_shared<const model::PacketHeader>(std::move((*read)->header));
  live->status = live->committed = (*read)->status;
  if (claims) {
    for (const model::Claim& claim : *claims) live->claims.emplace(claim.user, claim);
  } else {
    live->claims_lost = claims.error().text;
  }
  weight_ += kPacketWeight + live->claims.size();
  order_.push_back(packet);
  return packets_.emplace(packet, std::move(live)).first->second.get();
}

base::Result<std::optional<model::Claim>> LivePackets::FindClaim(const LivePacket& packet,
                                                                 model::UserId user) const {
  if (const auto known = packet.claims.find(user); known != packet.claims.end()) {
    return std::optional(known->second);
  }
  if (packet.claims_lost.empty()) return std::optional<model::Claim>();
  return store_.FindClaim(shard_, packet.header->id, user);
}

base::Result<std::vector<model::Claim>> LivePackets::StoredClaims(const LivePacket& packet) const {
  auto all = store_.ListClaims(shard_, packet.header->id);
  if (!all) return all;
  all->insert(all->end(), packet.new_claims.begin(), packet.new_claims.end());
  return all;
}

void LivePackets::Reload(model::PacketId packet) {
  const auto held = packets_.find(packet);
  if (held == packets_.end() || held->second->touched) return;
  weight_ -= kPacketWeight + held->second->claims.size();
  packets_.erase(held);
}

LivePacket& LivePackets::Insert(shard::UnitOfWork& work, model::Packet packet) {
  MakeRoom();
  store_.InsertPacket(work.batch(), shard_, packet);
  const model::PacketId id = packet.header.id;
  auto live = std::make_unique<LivePacket>();
  live->header = std::make_shared<const model::PacketHeader>(std::move(packet.header));
  live->status = live->committed = packet.status;
  live->fresh = true;
  LivePacket& kept = *packets_.emplace(id, std::move(live)).first->second;
  Touch(kept);
  weight_ += kPacketWeight;
  order_.push_back(id);
  return kept;
}

void LivePackets::PutStatus(shard::UnitOfWork& work, LivePacket& packet,
                            const model::PacketStatus& status) {
  store_.PutStatus(work.batch(), shard_, *packet.header, status);
  Touch(packet);
  packet.status = status;
}

void LivePackets::AddClaim(shard::UnitOfWork& work, LivePacket& packet, const model::Claim& claim) {
  store_.InsertClaim(work.batch(), shard_, packet.header->id, claim);
  Touch(packet);
  packet.claims.emplace(claim.user, claim);
  packet.new_claims.push_back(claim);
  ++weight_;
}

void LivePackets::Touch(LivePacket& packet) {
  if (packet.touched) return;
  packet.touched = true;
  touched_.push_back(packet.header->id);
}

// Gives up what was not asked for lately, never what the batch has changed. One look at each at
// most.
void LivePackets::MakeRoom() {
  for (size_t looks = order_.size(); weight_ >= capacity_ && looks > 0; --looks) {
    const model::PacketId id = order_.front();
    order_.pop_front();
    const auto held = packets_.find(id);
    if (held == packets_.end()) continue;  // reloaded, or dropped
    LivePacket& packet = *held->second;
    if (packet.touched || std::exchange(packet.used, false)) {
      order_.push_back(id);
      continue;
    }
    weight_ -= kPacketWeight + packet.claims.size();
    packets_.erase(held);
  }
}

void LivePackets::Publish(Board& board) {
  std::vector<Posted> posted;
  posted.reserve(touched_.size());
  for (const model::PacketId id : touched_) {
    LivePacket& packet = *packets_.at(id);
    if (!packet.claims_lost.empty()) continue;
    posted.push_back({packet.header, packet.status, &packet.claims, &packet.new_claims});
  }
  if (!posted.empty()) board.Post(posted);
  for (const model::PacketId id : touched_) {
    LivePacket& packet = *packets_.at(id);
    packet.committed = packet.status;
    packet.new_claims.clear();
    packet.fresh = packet.touched = false;
  }
  touched_.clear();
}

void LivePackets::Drop() {
  for (const model::PacketId id : touched_) {
    LivePacket& packet = *packets_.at(id);
    for (const model::Claim& claim : packet.new_claims) packet.claims.erase(claim.user);
    weight_ -= packet.new_claims.size();
    packet.new_claims.clear();
    packet.status = packet.committed;
    packet.touched = false;
    if (!packet.fresh) continue;
    packets_.erase(id);
    weight_ -= kPacketWeight;
  }
  touched_.clear();
}

void LivePackets::Forget() {
  packets_.clear();
  order_.clear();
  touched_.clear();
  weight_ = 0;
}

}  // namespace hongyan::money
