#include <algorithm>
#include <string>

#include "money/packet_id.h"
#include "tests/doctest_last.h"

namespace hongyan::money {

TEST_CASE("a packet id reads as day, allocator, counter, cell and table") {
  const model::PacketId id = MakePacketId({20'778, 1, 42, 37, 5});
  CHECK(std::to_string(id.value) == "2077800100000042375");
  CHECK(ReadPacketId(id) == PacketIdParts{20'778, 1, 42, 37, 5});
}

TEST_CASE("every part goes to its border and comes back") {
  for (const int32_t day : {10'000, 20'778, 92'232}) {
    for (const int32_t allocator : {0, 1, 999}) {
      for (const int64_t counter : {int64_t{0}, int64_t{1}, kMaxPacketsPerDay - 1}) {
        for (const int32_t cell : {0, 7, 99}) {
          for (const int32_t table : {0, 9}) {
            const PacketIdParts parts{day, allocator, counter, cell, table};
            const model::PacketId id = MakePacketId(parts);
            CHECK(id.value > 0);
            CHECK(std::to_string(id.value).size() == 19);
            CHECK(ReadPacketId(id) == parts);
          }
        }
      }
    }
  }
}

TEST_CASE("ids of one allocator rise with day and counter") {
  CHECK(MakePacketId({20'778, 3, 8, 99, 9}) < MakePacketId({20'778, 3, 9, 0, 0}));
  CHECK(MakePacketId({20'778, 999, kMaxPacketsPerDay - 1, 99, 9}) <
        MakePacketId({20'779, 0, 0, 0, 0}));
}

TEST_CASE("what no server can have given is no packet id") {
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{1}, int64_t{999'999'999'999'999'999},
                              INT64_MAX, INT64_MIN}) {
    CHECK_FALSE(ReadPacketId(model::PacketId(value)).has_value());
  }
}

TEST_CASE("failure 29: the day slot comes from the id, never from a clock or a time zone") {
  const int64_t last_ms_of_day = int64_t{20'779} * 86'400'000 - 1;
  CHECK(DayOf(last_ms_of_day) == 20'778);
  CHECK(DayOf(last_ms_of_day + 1) == 20'779);
  CHECK(DaySlot(20'778) == 20'778 % 32);
  CHECK(DaySlot(20'778) == DaySlot(20'778 + 32));
  CHECK(DaySlot(20'778) != DaySlot(20'778 + 31));
}

}  // namespace hongyan::money
