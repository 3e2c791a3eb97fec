#include <algorithm>
#include <iterator>
#include <utility>

#include "storage/rocksdb/money_rows.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_money_ports.h"

namespace hongyan::storage {

namespace {

RocksdbBatch& Staged(Batch& batch) { return static_cast<RocksdbBatch&>(batch); }

// After every packet of the slot.
Key AfterSlot(model::ShardId shard, int slot) {
  return PacketKey(shard, slot, model::PacketId(INT64_MAX)).Byte('\0');
}

// After every packet of the packet's day.
Key AfterDay(model::ShardId shard, model::PacketId packet) {
  const int32_t day = DayOfId(packet);
  if (day >= DayOfId(model::PacketId(INT64_MAX))) return AfterSlot(shard, DaySlotOf(packet));
  return PacketKey(shard, DaySlotOf(packet), model::PacketId(BeforeDay(day + 1).value + 1));
}

}  // namespace

// The row that archives a day and the rows it takes away are written together: when the day is in
// neither place, it went to the other one between two looks.
template <class InFile, class InRows>
auto RocksdbPacketStore::WhereItIs(model::ShardId shard, int32_t day, InFile in_file,
                                   InRows in_rows) const -> decltype(in_rows()) {
  for (;;) {
    auto archived = files_.Find(view_, shard, day);
    if (!archived) return std::move(archived).error();
    if (archived->has_value()) {
      auto file = files_.Open(**archived);
      if (!file) return std::move(file).error();
      return in_file(**file);
    }
    auto read = in_rows();
    archived = files_.Find(view_, shard, day);
    if (!archived) return std::move(archived).error();
    if (!archived->has_value()) return read;
  }
}

base::Result<model::PacketStatus> RocksdbPacketStore::ReadStatus(model::ShardId shard,
                                                                 model::PacketId packet) const {
  rocksdb::PinnableSlice value;
  const Key key = PacketKey(shard, packet);
  const auto found = view_.Get(Table::kStatuses, key, Reach::kDisk, &value);
  if (!found) return found.error();
  model::PacketStatus status;
  if (!*found || !DecodeStatus(value, &status)) return BrokenRow("packet status", key.slice());
  return status;
}

base::Result<std::optional<model::Packet>> RocksdbPacketStore::FindPacket(
    model::ShardId shard, model::PacketId packet) const {
  return WhereItIs(
      shard, DayOfId(packet), [packet](const DayFile& file) { return file.FindPacket(packet); },
      [&] { return FindRows(shard, packet); });
}

base::Result<std::optional<model::Packet>> RocksdbPacketStore::FindRows(
    model::ShardId shard, model::PacketId packet) const {
  rocksdb::PinnableSlice value;
  const Key key = PacketKey(shard, packet);
  const auto found = view_.Get(Table::kPackets, key, Reach::kDisk, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::Packet>();
  model::Packet row;
  row.header.id = packet;
  if (!DecodePacket(value, &row.header)) return BrokenRow("packet", key.slice());
  auto status = ReadStatus(shard, packet);
  if (!status) return status.error();
  row.status = *status;
  return std::optional(std::move(row));
}

void RocksdbPacketStore::InsertPacket(Batch& batch, model::ShardId shard,
                                      const model::Packet& packet) {
  const model::PacketHeader& header = packet.header;
  Staged(batch).Put(Table::kPackets, PacketKey(shard, header.id), EncodePacket(header));
  Staged(batch).Replace(Table::kStatuses, PacketKey(shard, header.id), EncodeStatus(packet.status));
  if (Closed(packet.status.state)) return;
  Staged(batch).Put(Table::kExpiries, ExpiryKey(shard, header.expires_ms, header.id), {});
}

void RocksdbPacketStore::PutStatus(Batch& batch, model::ShardId shard,
                                   const model::PacketHeader& header,
                                   const model::PacketStatus& status) {
  Staged(batch).Replace(Table::kStatuses, PacketKey(shard, header.id), EncodeStatus(status));
  if (!Closed(status.state)) return;
  Staged(batch).Delete(Table::kExpiries, ExpiryKey(shard, header.expires_ms, header.id));
}

void RocksdbPacketStore::InsertClaim(Batch& batch, model::ShardId shard, model::PacketId packet,
                                     const model::Claim& claim) {
  Staged(batch).Insert(Table::kClaims, ClaimKey(shard, packet, claim.user), EncodeClaim(claim));
}

base::Result<std::optional<model::Claim>> RocksdbPacketStore::FindClaim(model::ShardId shard,
                                                                        model::PacketId packet,
                                                                        model::UserId user) const {
  const auto in_rows = [&]() -> base::Result<std::optional<model::Claim>> {
    rocksdb::PinnableSlice value;
    const Key key = ClaimKey(shard, packet, user);
    const auto found = view_.Get(Table::kClaims, key, Reach::kDisk, &value);
    if (!found) return found.error();
    if (!*found) return std::optional<model::Claim>();
    model::Claim claim;
    claim.user = user;
    if (!DecodeClaim(value, &claim)) return BrokenRow("claim", key.slice());
    return std::optional(claim);
  };
  return WhereItIs(
      shard, DayOfId(packet),
      [packet, user](const DayFile& file) { return file.FindClaim(packet, user); }, in_rows);
}

base::Result<std::vector<model::Claim>> RocksdbPacketStore::ListClaims(
    model::ShardId shard, model::PacketId packet) const {
  return WhereItIs(
      shard, DayOfId(packet), [packet](const DayFile& file) { return file.ListClaims(packet); },
      [&] { return ListClaimRows(shard, packet); });
}

base::Result<std::vector<model::Claim>> RocksdbPacketStore::ListClaimRows(
    model::ShardId shard, model::PacketId packet) const {
  auto scan = Scan::From(view_, Table::kClaims, ClaimKey(shard, packet, model::UserId(0)),
                         ClaimKey(shard, packet, model::UserId(INT64_MAX)).Byte('\0'));
  if (!scan) return scan.error();
  std::vector<model::Claim> claims;
  for (scan->ToFirst(); scan->at_row(); scan->Next()) {
    model::Claim& claim = claims.emplace_back();
    claim.user = model::UserId(LastId(scan->key()));
    if (!DecodeClaim(scan->value(), &claim)) return BrokenRow("claim", scan->key());
  }
  if (auto ended = scan->status(); !ended) return ended.error();
  std::sort(claims.begin(), claims.end(),
            [](const model::Claim& a, const model::Claim& b) { return a.ordinal < b.ordinal; });
  return claims;
}

base::Result<std::vector<PacketStore::Expiry>> RocksdbPacketStore::Due(model::ShardId shard,
                                                                       Expiry after,
                                                                       int64_t until_ms,
                                                                       size_t limit) const {
  std::vector<Expiry> due;
  if (until_ms < 0) return due;
  auto scan = Scan::From(view_, Table::kExpiries,
                         ExpiryKey(shard, after.expires_ms, after.packet).Byte('\0'),
                         ExpiryKey(shard, until_ms, model::PacketId(INT64_MAX)).Byte('\0'));
  if (!scan) return scan.error();
  for (scan->ToFirst(); scan->at_row() && due.size() < limit; scan->Next()) {
    const rocksdb::Slice key = scan->key();
    if (key.size() != 2 + 8 + 8) return BrokenRow("expiry key", key);
    due.push_back(
        {static_cast<int64_t>(base::ReadBe64(key.data() + 2)), model::PacketId(LastId(key))});
  }
  if (scan->at_row()) return due;
  if (auto ended = scan->status(); !ended) return ended.error();
  return due;
}

base::Result<std::optional<model::PacketId>> RocksdbPacketStore::NextPacket(
    model::ShardId shard, model::PacketId after) const {
  std::optional<model::PacketId> next;
  for (int slot = 0; slot < kDaySlots; ++slot) {
    auto scan = Scan::From(view_, Table::kPackets, PacketKey(shard, slot, after).Byte('\0'),
                           AfterSlot(shard, slot));
    if (!scan) return scan.error();
    scan->ToFirst();
    if (scan->at_row()) {
      const model::PacketId found(LastId(scan->key()));
      if (!next || found < *next) next = found;
    } else if (auto ended = scan->status(); !ended) {
      return ended.error();
    }
  }
  for (const int32_t day : files_.MaybeFrom(shard, DayOfId(after))) {
    if (next && DayOfId(*next) < day) break;
    auto archived = files_.Find(view_, shard, day);
    if (!archived) return std::move(archived).error();
    if (!archived->has_value()) continue;
    auto file = files_.Open(**archived);
    if (!file) return std::move(file).error();
    auto first = (*file)->ListPackets(after, 1);
    if (!first) return std::move(first).error();
    if (first->empty()) continue;
    if (!next || first->front().header.id < *next) next = first->front().header.id;
    break;
  }
  return next;
}

// Ids begin with their day, keys with its slot: one day after the other, wherever it lies.
base::Result<std::vector<model::Packet>> RocksdbPacketStore::ListPackets(model::ShardId shard,
                                                                         model::PacketId after,
                                                                         size_t limit) const {
  using Listed = base::Result<std::vector<model::Packet>>;
  std::vector<model::Packet> packets;
  while (packets.size() < limit) {
    const auto first = NextPacket(shard, packets.empty() ? after : packets.back().header.id);
    if (!first) return first.error();
    if (!first->has_value()) break;
    const size_t room = limit - packets.size();
    auto of_day = WhereItIs(
        shard, DayOfId(**first),
        [&](const DayFile& file) {
          return file.ListPackets(model::PacketId((*first)->value - 1), room);
        },
        [&]() -> Listed { return ListRows(shard, **first, room); });
    if (!of_day) return of_day;
    if (of_day->empty()) break;  // it went between two looks
    std::move(of_day->begin(), of_day->end(), std::back_inserter(packets));
  }
  return packets;
}

// From `first` to the end of its day.
base::Result<std::vector<model::Packet>> RocksdbPacketStore::ListRows(model::ShardId shard,
                                                                      model::PacketId first,
                                                                      size_t limit) const {
  auto scan = Scan::From(view_, Table::kPackets, PacketKey(shard, first), AfterDay(shard, first));
  if (!scan) return scan.error();
  std::vector<model::Packet> packets;
  for (scan->ToFirst(); scan->at_row() && packets.size() < limit; scan->Next()) {
    model::Packet& packet = packets.emplace_back();
    packet.header.id = model::PacketId(LastId(scan->key()));
    if (!DecodePacket(scan->value(), &packet.header)) return BrokenRow("packet", scan->key());
    auto status = ReadStatus(shard, packet.header.id);
    if (!status) return status.error();
    packet.status = *status;
  }
  if (scan->at_row()) return packets;
  if (auto ended = scan->status(); !ended) return ended.error();
  return packets;
}

// Walks over every header and status of the shard, side by side: for the administrator.
base::Result<std::vector<model::PacketId>> RocksdbPacketStore::ListQuarantined(model::ShardId shard,
                                                                               size_t limit) const {
  const Key first = Key().Be16(shard);
  const Key end = AfterSlot(shard, kDaySlots - 1);
  auto headers = Scan::From(view_, Table::kPackets, first, end);
  if (!headers) return headers.error();
  auto statuses = Scan::From(view_, Table::kStatuses, first, end);
  if (!statuses) return statuses.error();
  headers->ToFirst();
  statuses->ToFirst();
  std::vector<model::PacketId> packets;
  while (packets.size() < limit && (headers->at_row() || statuses->at_row())) {
    const int order = !headers->at_row()    ? 1
                      : !statuses->at_row() ? -1
                                            : headers->key().compare(statuses->key());
    const model::PacketId id(LastId(order <= 0 ? headers->key() : statuses->key()));
    model::PacketHeader header;
    model::PacketStatus status;
    if (order == 0 && DecodePacket(headers->value(), &header) &&
        DecodeStatus(statuses->value(), &status)) {
      if (status.quarantined) packets.push_back(id);
    } else if (auto found = FindPacket(shard, id); !found) {
      // Looked at again: the two scans began one after the other.
      if (found.error().code != base::Code::kDataLoss) return found.error();
      packets.push_back(id);
    }
    if (order <= 0) headers->Next();
    if (order >= 0) statuses->Next();
  }
  for (const Scan* scan : {&*headers, &*statuses}) {
    if (scan->at_row()) continue;
    if (auto ended = scan->status(); !ended) return ended.error();
  }
  std::sort(packets.begin(), packets.end());
  return packets;
}

}  // namespace hongyan::storage
