#include "shard/working_set.h"

#include <map>
#include <string>
#include <vector>

#include "tests/doctest_last.h"

namespace hongyan::shard {
namespace {

// A store that counts how often it is asked, and can fail.
struct Rows {
  std::map<int, std::string> stored;
  int reads = 0;
  bool broken = false;

  auto loader() {
    return [this](int key) -> base::Result<std::optional<std::string>> {
      ++reads;
      if (broken) return base::Error(base::Code::kDataLoss, "broken");
      const auto it = stored.find(key);
      if (it == stored.end()) return std::optional<std::string>();
      return std::optional<std::string>(it->second);
    };
  }
};

std::string Text(WorkingSet<int, std::string>& set, Rows& rows, int key) {
  const auto found = set.Find(key, rows.loader());
  REQUIRE(found.ok());
  return found.value() == nullptr ? "none" : *found.value();
}

TEST_CASE("a value is read from the store once, and so is its absence") {
  Rows rows{{{1, "one"}}};
  WorkingSet<int, std::string> set(10);
  for (int i = 0; i < 3; ++i) {
    CHECK(Text(set, rows, 1) == "one");
    CHECK(Text(set, rows, 2) == "none");
  }
  CHECK(rows.reads == 2);
}

TEST_CASE("commands of one batch see each other, and a dropped batch never happened") {
  Rows rows{{{1, "one"}}};
  WorkingSet<int, std::string> set(10);
  CHECK(Text(set, rows, 1) == "one");
  set.Put(1, "changed");
  set.Put(2, "new");
  CHECK(Text(set, rows, 1) == "changed");
  CHECK(Text(set, rows, 2) == "new");
  set.Erase(1);
  CHECK(Text(set, rows, 1) == "none");
  set.Drop();
  CHECK(Text(set, rows, 1) == "one");
  CHECK(Text(set, rows, 2) == "none");
}

TEST_CASE("a published batch stays, and is not read again") {
  Rows rows{{{1, "one"}, {3, "three"}}};
  WorkingSet<int, std::string> set(10);
  CHECK(Text(set, rows, 1) == "one");
  set.Put(1, "changed");
  set.Put(2, "new");
  set.Erase(3);
  set.Publish();
  CHECK(set.changed() == 0);
  CHECK(Text(set, rows, 1) == "changed");
  CHECK(Text(set, rows, 2) == "new");
  CHECK(Text(set, rows, 3) == "none");
  CHECK(rows.reads == 1);
}

TEST_CASE("after Forget the store is asked again") {
  Rows rows{{{1, "one"}}};
  WorkingSet<int, std::string> set(10);
  CHECK(Text(set, rows, 1) == "one");
  set.Put(1, "changed");
  set.Forget();
  rows.stored[1] = "recovered";
  CHECK(Text(set, rows, 1) == "recovered");
}

TEST_CASE("a failed read is the answer and is not remembered") {
  Rows rows{{{1, "one"}}};
  WorkingSet<int, std::string> set(10);
  rows.broken = true;
  const auto found = set.Find(1, rows.loader());
  REQUIRE(!found.ok());
  CHECK(found.error().code == base::Code::kDataLoss);
  rows.broken = false;
  CHECK(Text(set, rows, 1) == "one");
}

TEST_CASE("the cache is bounded, and keeps what is asked for") {
  Rows rows;
  for (int key = 0; key < 1000; ++key) rows.stored[key] = std::to_string(key);
  WorkingSet<int, std::string> set(8);
  for (int key = 0; key < 1000; ++key) {
    CHECK(Text(set, rows, key) == std::to_string(key));
    CHECK(Text(set, rows, 0) == "0");
    CHECK(set.cached() <= 8);
  }
  CHECK(rows.reads < 1000 + 1000 / 4);  // the one asked for between all others mostly stays
}

TEST_CASE("a batch larger than the cache is seen whole while it is applied") {
  Rows rows;
  WorkingSet<int, std::string> set(4);
  for (int key = 0; key < 100; ++key) set.Put(key, std::to_string(key));
  for (int key = 0; key < 100; ++key) CHECK(Text(set, rows, key) == std::to_string(key));
  CHECK(rows.reads == 0);
  for (int key = 0; key < 100; ++key) rows.stored[key] = std::to_string(key);
  set.Publish();
  CHECK(set.cached() == 4);
  for (int key = 0; key < 100; ++key) CHECK(Text(set, rows, key) == std::to_string(key));
}

TEST_CASE("changes are visited in the order of their first change") {
  WorkingSet<int, std::string> set(4);
  for (const int key : {7, 3, 9, 1}) set.Put(key, "x");
  set.Put(3, "again");
  set.Erase(9);
  std::vector<std::string> seen;
  set.ForEachChanged([&seen](int key, const std::string* value) {
    seen.push_back(std::to_string(key) + "=" + (value == nullptr ? "none" : *value));
  });
  CHECK(seen == std::vector<std::string>{"7=x", "3=again", "9=none", "1=x"});
}

}  // namespace
}  // namespace hongyan::shard
