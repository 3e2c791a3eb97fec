#include "storage/rocksdb/recent_rows.h"

#include <string>

#include "tests/doctest_last.h"

namespace hongyan::storage {
namespace {

TEST_CASE("a row is found by its key until another takes its place, and never a wrong one") {
  RecentRows rows(64, 100);
  std::string value;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "key" + std::to_string(i);
    CHECK_FALSE(rows.Get(key, &value));
    rows.Put(key, "value" + std::to_string(i));
    REQUIRE(rows.Get(key, &value));
    CHECK(value == "value" + std::to_string(i));
  }
  int kept = 0;
  for (int i = 0; i < 1000; ++i) {
    if (!rows.Get("key" + std::to_string(i), &value)) continue;
    CHECK(value == "value" + std::to_string(i));
    ++kept;
  }
  CHECK(kept > 32);
  CHECK(kept <= 64);
}

TEST_CASE("a row that was written again is the new one, or none if that is too large") {
  RecentRows rows(64, 10);
  std::string value;
  rows.Put("k", "old");
  rows.Put("k", "new");
  REQUIRE(rows.Get("k", &value));
  CHECK(value == "new");
  rows.Put("k", std::string(11, 'x'));
  CHECK_FALSE(rows.Get("k", &value));
  rows.Put("k", "again");
  rows.Forget("other");
  CHECK(rows.Get("k", &value));
  rows.Forget("k");
  CHECK_FALSE(rows.Get("k", &value));
}

TEST_CASE("a row that was read is kept, unless it was written while it was read") {
  RecentRows rows(64, 10);
  std::string value;
  uint64_t changes = 0;
  REQUIRE_FALSE(rows.Get("k", &value, &changes));
  rows.Keep("k", "read", changes);
  REQUIRE(rows.Get("k", &value));
  CHECK(value == "read");
  rows.Forget("k");

  // Each reader has read "old" when the change is told.
  const auto reads_across = [&](auto change) {
    REQUIRE_FALSE(rows.Get("k", &value, &changes));
    change();
    rows.Keep("k", "old", changes);
  };
  reads_across([&] { rows.Put("k", "new"); });
  REQUIRE(rows.Get("k", &value));
  CHECK(value == "new");
  rows.Forget("k");
  reads_across([&] { rows.Forget("k"); });
  CHECK_FALSE(rows.Get("k", &value));
  reads_across([&] { rows.Clear(); });
  CHECK_FALSE(rows.Get("k", &value));
}

TEST_CASE("a key is not another one that begins with it") {
  RecentRows rows(1, 10);
  std::string value;
  rows.Put("abc", "1");
  CHECK_FALSE(rows.Get("ab", &value));
  CHECK_FALSE(rows.Get(std::string("abc\0", 4), &value));
  rows.Clear();
  CHECK_FALSE(rows.Get("abc", &value));
}

}  // namespace
}  // namespace hongyan::storage
