// The layer against the store the server stands on: what RocksDB acknowledged with sync=true is
// there after any power cut, and what it acknowledged with sync=false is not. The second half shows
// that the layer bites; without it the first would prove nothing.

#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <thread>

#include "fault/power_cut.h"
#include "fault/victim.h"

namespace hongyan::fault {
namespace {

struct Lives {
  uint64_t acked = 0;  // in all lives
  uint64_t lost = 0;   // acknowledged in a life and not found in the next
  uint64_t bytes_lost = 0;
  int started = 0;  // lives that got as far as writing
};

// Each life checks what it finds, reports how far that goes, and writes on from there. Every fourth
// is killed by the clock, often while it recovers; the others after some writes, so that a slow
// disk shows as much.
Lives Live(const std::string& scenario, int lives, std::optional<uint64_t> torn_seed) {
  ScratchDir scratch;
  std::mt19937_64 random(20);
  Lives out;
  uint64_t last = 0;
  for (int life = 0; life <= lives; ++life) {
    Victim victim(scratch, scenario);
    bool by_clock = life % 4 == 3 && life < lives;
    if (by_clock) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5 + random() % 60));
      victim.Kill();
    }
    auto found = victim.Next();
    REQUIRE((found.has_value() || by_clock));
    if (found) {
      REQUIRE_MESSAGE(*found != kVictimFailed, "life " << life << ": the store is broken");
      ++out.started;
      if (*found < last) out.lost += last - *found;
      last = *found;
    }
    auto note = [&](uint64_t number) {
      REQUIRE(number != kVictimFailed);
      ++out.acked;
      last = number;
    };
    if (!by_clock && life < lives) {
      for (uint64_t writes = 1 + random() % 60; writes > 0; --writes) {
        auto number = victim.Next();
        REQUIRE(number.has_value());
        note(*number);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    }
    victim.Kill();
    while (auto number = victim.Next()) note(*number);
    CutOptions options;
    if (torn_seed) options.torn_tail_seed = *torn_seed + static_cast<uint64_t>(life);
    CutReport report = CutPower(scratch.data(), scratch.journal(), options);
    REQUIRE_MESSAGE(report.ok(), report.error);
    out.bytes_lost += report.bytes_lost;
  }
  MESSAGE(scenario << ": " << out.started << " lives, " << out.acked << " acknowledged, "
                   << out.lost << " lost, " << out.bytes_lost << " unsynced bytes taken");
  return out;
}

TEST_CASE("RocksDB with sync=true loses nothing it acknowledged in 20 power cuts") {
  Lives lives = Live("rocksdb-sync", 20, std::nullopt);
  CHECK(lives.lost == 0);
  CHECK(lives.acked > 200);
  CHECK(lives.started >= 15);
}

TEST_CASE("RocksDB with sync=true loses nothing when the cuts tear unsynced tails in two") {
  Lives lives = Live("rocksdb-sync", 10, 5);
  CHECK(lives.lost == 0);
  CHECK(lives.acked > 100);
}

TEST_CASE("RocksDB with sync=false loses what it acknowledged") {
  Lives lives = Live("rocksdb-nosync", 6, std::nullopt);
  CHECK(lives.lost > 0);
  CHECK(lives.bytes_lost > 0);
}

}  // namespace
}  // namespace hongyan::fault
