#include "storage/rocksdb/background_pace.h"

#include <chrono>
#include <string>

#include "tests/doctest_last.h"

namespace hongyan::testing {

using namespace std::chrono_literals;

namespace {

constexpr auto kFlush = rocksdb::Env::IO_HIGH;
constexpr auto kCompaction = rocksdb::Env::IO_LOW;

}  // namespace

TEST_CASE("nobody rests whom writes wait for") {
  storage::BackgroundPace pace;
  pace.RestAfter(0s);
  pace.Sealed("entries", 1);
  CHECK(pace.Rests(kFlush) > 0);
  CHECK(pace.Rests(rocksdb::Env::IO_USER) == 0);
}

TEST_CASE("nothing rests while a database opens or closes") {
  storage::BackgroundPace pace;
  pace.Sealed("entries", 1);
  CHECK(pace.Rests(kFlush) == 0);
  CHECK(pace.Rests(kCompaction) == 0);
  pace.RestAfter(1h);  // nor soon after
  CHECK(pace.Rests(kFlush) == 0);
  pace.RestAfter(0s);
  CHECK(pace.Rests(kFlush) > 0);
  CHECK(pace.Rests(kCompaction) > 0);
  pace.RestNoMore();
  CHECK(pace.Rests(kFlush) == 0);
}

TEST_CASE("the more memtables of one table wait, the less a flush rests, at last not at all") {
  storage::BackgroundPace pace;
  pace.RestAfter(0s);
  pace.Sealed("entries", 1);
  const int unhurried = pace.Rests(kFlush);
  for (uint64_t i = 1; i <= 5; ++i) pace.Sealed("bodies" + std::to_string(i), i);
  CHECK(pace.Rests(kFlush) == unhurried);  // one of each: each has room for seven more
  int before = unhurried;
  for (uint64_t first : {20, 30, 40}) {
    pace.Sealed("entries", first);
    CHECK(pace.Rests(kFlush) < before);
    before = pace.Rests(kFlush);
  }
  CHECK(before == 0);
  CHECK(pace.Rests(kCompaction) == 0);
  pace.Flushed("entries", 35);  // those that begin at 1, 20 and 30
  CHECK(pace.Rests(kFlush) == unhurried);
}

TEST_CASE("compactions rest until too many files wait for one") {
  storage::BackgroundPace pace;
  pace.RestAfter(0s);
  for (uint64_t i = 1; i <= 7; ++i) {
    pace.Sealed("entries", i * 10);
    pace.Flushed("entries", i * 10 + 9);
    CHECK(pace.Rests(kCompaction) > 0);
  }
  pace.Flushed("entries", 200);
  CHECK(pace.Rests(kCompaction) == 0);
  CHECK(pace.Rests(kFlush) > 0);  // a flush adds to them
  pace.Compacted("entries", 4);
  CHECK(pace.Rests(kCompaction) > 0);
}

TEST_CASE("the files that an opening finds count: a server that is killed often does not drown") {
  storage::BackgroundPace pace;
  pace.FilesAtLevel0("entries", 7);
  pace.RestAfter(0s);
  CHECK(pace.Rests(kCompaction) > 0);
  pace.Sealed("entries", 1);
  pace.Flushed("entries", 1);
  CHECK(pace.Rests(kCompaction) == 0);
}

}  // namespace hongyan::testing
