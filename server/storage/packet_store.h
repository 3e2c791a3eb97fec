#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "model/money.h"
#include "storage/batch.h"

namespace hongyan::storage {

// Packets, their claims and the order they expire in. `shard` is the packet's,
// part of every key. Reads: any thread, as in LedgerStore. The others stage into a batch of the
// same store: shard thread of the packet's shard.
class PacketStore {
 public:
  virtual ~PacketStore() = default;

  virtual base::Result<std::optional<model::Packet>> FindPacket(model::ShardId shard,
                                                                model::PacketId packet) const = 0;

  // A new packet: header, status and expiry key, together. An insert, never an upsert: a guard of
  // the commit, or the caller's own FindPacket where the store has one writer.
  virtual void InsertPacket(Batch& batch, model::ShardId shard, const model::Packet& packet) = 0;

  // The row an open rewrites; many times in one batch cost one record. Erases the expiry key where
  // the state is closed.
  virtual void PutStatus(Batch& batch, model::ShardId shard, const model::PacketHeader& header,
                         const model::PacketStatus& status) = 0;

  // An insert, like a packet: one claim per (packet, user).
  virtual void InsertClaim(Batch& batch, model::ShardId shard, model::PacketId packet,
                           const model::Claim& claim) = 0;
  virtual base::Result<std::optional<model::Claim>> FindClaim(model::ShardId shard,
                                                              model::PacketId packet,
                                                              model::UserId user) const = 0;
  // All of a packet, by ordinal.
  virtual base::Result<std::vector<model::Claim>> ListClaims(model::ShardId shard,
                                                             model::PacketId packet) const = 0;

  struct Expiry {
    int64_t expires_ms = 0;
    model::PacketId packet;
    auto operator<=>(const Expiry&) const = default;
  };
  // Expiry keys above `after` with expires_ms <= `until_ms`, in order. One seek.
  virtual base::Result<std::vector<Expiry>> Due(model::ShardId shard, Expiry after,
                                                int64_t until_ms, size_t limit) const = 0;

  // Packets by id, from the one after `after`: for the audit and the archive. Ids begin with their
  // day.
  virtual base::Result<std::vector<model::Packet>> ListPackets(model::ShardId shard,
                                                               model::PacketId after,
                                                               size_t limit) const = 0;
  // Those in quarantine, and those whose own rows cannot be read: an administrator must look at
  // either.
  virtual base::Result<std::vector<model::PacketId>> ListQuarantined(model::ShardId shard,
                                                                     size_t limit) const = 0;
};

}  // namespace hongyan::storage
