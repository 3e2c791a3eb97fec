#include "money/packet_id.h"

#include "base/check.h"

namespace hongyan::money {
namespace {

// DDDDD aaa cccccccc xxy: what one of each field is worth.
constexpr int64_t kCell = 10;
constexpr int64_t kCounter = kCell * 100;
constexpr int64_t kAllocator = kCounter * kMaxPacketsPerDay;
constexpr int64_t kDay = kAllocator * model::kMaxMoneyShards;

}  // namespace

model::PacketId MakePacketId(const PacketIdParts& parts) {
  CHECK(parts.day >= kFirstDay && parts.day <= kLastDay);
  CHECK(parts.allocator >= 0 && parts.allocator < model::kMaxMoneyShards);
  CHECK(parts.counter >= 0 && parts.counter < kMaxPacketsPerDay);
  CHECK(parts.cell >= 0 && parts.cell < 100 && parts.table >= 0 && parts.table < 10);
  return model::PacketId(parts.day * kDay + parts.allocator * kAllocator +
                         parts.counter * kCounter + parts.cell * kCell + parts.table);
}

model::PacketId FirstPacketIdOf(int32_t day) {
  if (day < kFirstDay || day > kLastDay) return {};
  return MakePacketId({.day = day});
}

std::optional<PacketIdParts> ReadPacketId(model::PacketId id) {
  const int64_t day = id.value / kDay;
  if (id.value <= 0 || day < kFirstDay || day > kLastDay) return std::nullopt;
  PacketIdParts parts;
  parts.day = static_cast<int32_t>(day);
  parts.allocator = static_cast<int32_t>(id.value % kDay / kAllocator);
  parts.counter = id.value % kAllocator / kCounter;
  parts.cell = static_cast<int32_t>(id.value % kCounter / kCell);
  parts.table = static_cast<int32_t>(id.value % kCell);
  return parts;
}

}  // namespace hongyan::money
