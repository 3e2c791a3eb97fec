#pragma once

#include <cstdint>
#include <optional>

#include "model/ids.h"

namespace hongyan::money {

// A packet id read as 19 decimal digits: DDDDD aaa cccccccc xxy. Routing, table
// and day slot are pure functions of it. Values; any thread.
struct PacketIdParts {
  int32_t day = 0;  // epoch day, kFirstDay..kLastDay
  int32_t allocator =
      0;  // money shard of the sender's wallet, 0..999 (its number less kFirstMoneyShard)
  int64_t counter = 0;  // of that shard and day, 0..99,999,999
  int32_t cell = 0;     // xx: where the packet lies, by the store's routing table
  int32_t table = 0;    // y: names a table, nothing else
  bool operator==(const PacketIdParts&) const = default;
};

constexpr int64_t kMaxPacketsPerDay = 100'000'000;  // of one allocating shard; then BUSY
constexpr int kDaySlots = 32;
constexpr int32_t kFirstDay = 10'000;  // so that every id has 19 digits
constexpr int32_t kLastDay = 92'232;   // the last whose every id is an int64

// REQUIRES every part in its range.
model::PacketId MakePacketId(const PacketIdParts& parts);

// None: no id this server can have given.
std::optional<PacketIdParts> ReadPacketId(model::PacketId id);

// The smallest id of a day; none (0) where no id can be of that day.
model::PacketId FirstPacketIdOf(int32_t day);

// Epoch day modulo 32.
constexpr int DaySlot(int32_t day) { return day % kDaySlots; }

// The epoch day of a time, UTC.
constexpr int32_t DayOf(int64_t time_ms) { return static_cast<int32_t>(time_ms / 86'400'000); }

}  // namespace hongyan::money
