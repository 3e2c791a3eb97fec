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
        if (const auto* file = state.FileOf(shard, packet)) {
          const auto found = file->packets.find(packet);
          if (found == file->packets.end()) return std::optional<model::Packet>();
          return std::optional(found->second);
        }
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
        if (const auto* file = state.FileOf(shard, packet)) {
          const auto claims = file->claims.find(packet);
          if (claims == file->claims.end()) return std::optional<model::Claim>();
          for (const model::Claim& claim : claims->second) {
            if (claim.user == user) return std::optional(claim);
          }
          return std::optional<model::Claim>();
        }
        const auto found = state.claims.find({{shard, packet}, user});
        if (found == state.claims.end()) return std::optional<model::Claim>();
        return std::optional(found->second);
      });
}

base::Result<std::vector<model::Claim>> MemoryPacketStore::ListClaims(
    model::ShardId shard, model::PacketId packet) const {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<std::vector<model::Claim>> {
    if (const auto* file = state.FileOf(shard, packet)) {
      const auto found = file->claims.find(packet);
      return found == file->claims.end() ? std::vector<model::Claim>() : found->second;
    }
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
    std::map<model::PacketId, model::Packet> packets;
    for (auto row = state.headers.upper_bound({shard, after});
         row != state.headers.end() && row->first.first == shard && packets.size() < limit; ++row) {
      const model::PacketId id = row->first.second;
      if (state.FileOf(shard, id) != nullptr) continue;  // on its way back
      if (state.broken_packets.contains(id)) return Broken("packet");
      packets[id] = {row->second, state.statuses.at(row->first)};
    }
    for (auto day = state.days.lower_bound({shard, DayOfId(after)});
         day != state.days.end() && day->first.first == shard; ++day) {
      const auto& file = state.files.at(day->first)->packets;
      packets.insert(file.upper_bound(after), file.end());
    }
    std::vector<model::Packet> page;
    for (const auto& [id, packet] : packets) {
      if (page.size() == limit) break;
      page.push_back(packet);
    }
    return page;
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
