#include <algorithm>

#include "model/reason.h"
#include "storage/memory/memory_money_store.h"

namespace hongyan::storage {

namespace {

MemoryMoneyBatch& Staged(Batch& batch) { return static_cast<MemoryMoneyBatch&>(batch); }

base::Error Broken(const char* what) {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       std::string("a broken ") + what + " row");
}

}  // namespace

base::Result<std::optional<model::Packet>> MemoryPacketStore::FindPacket(
    model::ShardId shard, model::PacketId packet) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::optional<model::Packet>> {
        if (state.broken_packets.contains(packet)) return Broken("packet");
        const auto header = state.headers.find({shard, packet});
        if (header == state.headers.end()) return std::optional<model::Packet>();
        return std::optional(model::Packet{header->second, state.statuses.at({shard, packet})});
      });
}

void MemoryPacketStore::InsertPacket(Batch& batch, model::ShardId shard,
                                     const model::Packet& packet) {
  Staged(batch).AddPacket(shard, packet);
}

void MemoryPacketStore::PutStatus(Batch& batch, model::ShardId shard,
                                  const model::PacketHeader& header,
                                  const model::PacketStatus& status) {
  Staged(batch).PutStatus(shard, header, status);
}

void MemoryPacketStore::InsertClaim(Batch& batch, model::ShardId shard, model::PacketId packet,
                                    const model::Claim& claim) {
  Staged(batch).AddClaim({shard, packet}, claim);
}

base::Result<std::optional<model::Claim>> MemoryPacketStore::FindClaim(model::ShardId shard,
                                                                       model::PacketId packet,
                                                                       model::UserId user) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::optional<model::Claim>> {
        if (state.broken_claims.contains({packet, user})) return Broken("claim");
        const auto found = state.claims.find({{shard, packet}, user});
        if (found == state.claims.end()) return std::optional<model::Claim>();
        return std::optional(found->second);
      });
}

base::Result<std::vector<model::Claim>> MemoryPacketStore::ListClaims(
    model::ShardId shard, model::PacketId packet) const {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<std::vector<model::Claim>> {
    const MemoryMoneyState::PacketKey key(shard, packet);
    std::vector<model::Claim> claims;
    for (auto row = state.claims.lower_bound({key, model::UserId(0)});
         row != state.claims.end() && row->first.first == key; ++row) {
      if (state.broken_claims.contains({packet, row->first.second})) return Broken("claim");
      claims.push_back(row->second);
    }
    std::sort(claims.begin(), claims.end(),
              [](const model::Claim& a, const model::Claim& b) { return a.ordinal < b.ordinal; });
    return claims;
  });
}

base::Result<std::vector<PacketStore::Expiry>> MemoryPacketStore::Due(model::ShardId shard,
                                                                      Expiry after,
                                                                      int64_t until_ms,
                                                                      size_t limit) const {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<std::vector<Expiry>> {
    std::vector<Expiry> due;
    for (auto row = state.expiries.upper_bound({shard, after});
         row != state.expiries.end() && row->first.first == shard && due.size() < limit; ++row) {
      if (row->first.second.expires_ms > until_ms) break;
      due.push_back(row->first.second);
    }
    return due;
  });
}

base::Result<std::vector<model::Packet>> MemoryPacketStore::ListPackets(model::ShardId shard,
                                                                        model::PacketId after,
                                                                        size_t limit) const {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<std::vector<model::Packet>> {
    std::vector<model::Packet> packets;
    for (auto row = state.headers.upper_bound({shard, after});
         row != state.headers.end() && row->first.first == shard && packets.size() < limit; ++row) {
      if (state.broken_packets.contains(row->first.second)) return Broken("packet");
      packets.push_back({row->second, state.statuses.at(row->first)});
    }
    return packets;
  });
}

base::Result<std::vector<model::PacketId>> MemoryPacketStore::ListQuarantined(model::ShardId shard,
                                                                              size_t limit) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::vector<model::PacketId>> {
        std::vector<model::PacketId> packets;
        for (auto row = state.statuses.lower_bound({shard, model::PacketId(0)});
             row != state.statuses.end() && row->first.first == shard && packets.size() < limit;
             ++row) {
          const model::PacketId id = row->first.second;
          if (row->second.quarantined || state.broken_packets.contains(id)) packets.push_back(id);
        }
        return packets;
      });
}

}  // namespace hongyan::storage
