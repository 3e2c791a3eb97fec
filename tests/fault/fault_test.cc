#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <thread>

#include "fault/power_cut.h"
#include "fault/victim.h"

namespace hongyan::fault {
namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;  // path -> content; directories end in '/'

Files Contents(const fs::path& dir) {
  Files out;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    std::string name = fs::relative(entry.path(), dir);
    if (entry.is_directory()) {
      out[name + "/"] = "";
      continue;
    }
    std::ifstream in(entry.path(), std::ios::binary);
    out[name] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return out;
}

// Runs a scenario to its end, kills it, cuts the power.
struct Life : ScratchDir {
  using ScratchDir::ScratchDir;

  CutReport Lose(const std::string& scenario, const FaultInjection& injection = {}) {
    Victim victim(*this, scenario, injection);
    auto last = victim.Next();
    REQUIRE(last.has_value());
    REQUIRE(*last == kVictimDone);
    victim.Kill();
    CutReport report = CutPower(data(), journal());
    CHECK_MESSAGE(report.ok(), report.error);
    CHECK(fs::is_empty(journal()));
    return report;
  }
  Files Left() const { return Contents(data()); }
};

TEST_CASE("bytes appended without a sync are lost") {
  Life life;
  CutReport report = life.Lose("append-unsynced");
  CHECK(life.Left() == Files{{"a", ""}});
  CHECK(report.files_cut == 1);
  CHECK(report.bytes_lost == 5000);
}

TEST_CASE("an append after a sync is cut off, the synced bytes stay") {
  Life life;
  CutReport report = life.Lose("append-sync-append");
  CHECK(life.Left() == Files{{"a", std::string(5000, 'x')}});
  CHECK(report.files_cut == 1);
  CHECK(report.bytes_lost == 7000);
}

TEST_CASE("synced bytes that were overwritten without a sync come back") {
  Life life;
  CutReport report = life.Lose("overwrite");
  CHECK(life.Left() == Files{{"a", std::string(10000, 'x')}});
  CHECK(report.overwrites_restored == 4);
  CHECK(report.bytes_lost == 1000);
}

TEST_CASE("an overwrite that was synced stays, the next one does not") {
  Life life;
  CutReport report = life.Lose("overwrite-sync-overwrite");
  CHECK(life.Left() == Files{{"a", std::string(4096, 'y') + std::string(4096, 'x')}});
  CHECK(report.files_cut == 0);
}

TEST_CASE("a mark overwritten and synced many times holds its last synced value") {
  Life life;
  (void)life.Lose("mark-file");
  char even = static_cast<char>('a' + 700 % 26);
  char odd = static_cast<char>('a' + 699 % 26);
  CHECK(life.Left() == Files{{"mark", std::string(4096, even) + std::string(4096, odd)}});
}

TEST_CASE("truncation without a sync is undone, however it was done") {
  Life life;
  (void)life.Lose("shrink");
  const std::string whole(10000, 'x');
  CHECK(
      life.Left() ==
      Files{{"a", whole}, {"b", whole}, {"c", whole}, {"d", whole}, {"e", std::string(3000, 'x')}});
}

TEST_CASE("a file written through stdio keeps what fsync covered") {
  Life life;
  (void)life.Lose("stdio");
  CHECK(life.Left() == Files{{"kept", "12345"}, {"lost", ""}, {"stream", ""}});
}

TEST_CASE("a write with O_DSYNC is durable, the bytes around it are not") {
  Life life;
  (void)life.Lose("dsync-writes");
  std::string a(1000, 'x');
  a.replace(10, 7, "durable");
  std::string b = a;
  CHECK(life.Left() == Files{{"a", a + "tail"}, {"b", b}});
}

TEST_CASE("a write beside a running sync is not covered by it") {
  for (int attempt = 0; attempt < 5; ++attempt) {
    Life life;
    Victim victim(life, "write-during-sync");
    auto inside = victim.Next();
    REQUIRE(inside.has_value());
    REQUIRE(victim.Next() == kVictimDone);
    victim.Kill();
    CutReport report = CutPower(life.data(), life.journal());
    REQUIRE_MESSAGE(report.ok(), report.error);
    if (*inside == 0) continue;  // the disk was too fast: the sync had returned before
    auto left = life.Left();
    CHECK(left["a"].size() == 64 << 20);
    CHECK(left["a"].find_first_not_of('x') == std::string::npos);
    CHECK(report.overwrites_restored == 1);
    CHECK(report.bytes_lost == 4);
    return;
  }
  MESSAGE("the disk syncs 64 MiB faster than a write can be put beside it: not shown here");
}

TEST_CASE("a file whose directory was not synced is gone, even when its bytes were synced") {
  Life life;
  CutReport report = life.Lose("create-without-dir-sync");
  CHECK(life.Left().empty());
  CHECK(report.creates_undone == 1);
}

TEST_CASE("a rename without a directory sync is undone and the replaced file is back") {
  Life life;
  CutReport report = life.Lose("rename-over");
  CHECK(life.Left() == Files{{"CURRENT", "old"}, {"CURRENT.tmp", "new content"}});
  CHECK(report.renames_undone == 1);
}

TEST_CASE("a rename with a directory sync stays") {
  Life life;
  CutReport report = life.Lose("rename-over-synced");
  CHECK(life.Left() == Files{{"CURRENT", "new content"}});
  CHECK(report.renames_undone == 0);
}

TEST_CASE("an unsynced file renamed over a good one is empty after the cut") {
  Life life;
  (void)life.Lose("rename-unsynced-file");
  CHECK(life.Left() == Files{{"CURRENT", ""}});
}

TEST_CASE("an unlinked file comes back with its synced bytes") {
  Life life;
  CutReport report = life.Lose("unlink");
  // The sync of the directory between the two unlinks made the first one durable.
  CHECK(life.Left() == Files{{"b", "content of b"}});
  CHECK(report.unlinks_undone == 1);
}

TEST_CASE("an unlink with a directory sync stays, and nothing is kept of the file") {
  Life life;
  Victim victim(life, "unlink-synced");
  REQUIRE(victim.Next() == kVictimDone);
  CHECK(fs::is_empty(life.journal() / "graves"));
  victim.Kill();
  CHECK(CutPower(life.data(), life.journal()).unlinks_undone == 0);
  CHECK(life.Left().empty());
}

TEST_CASE("one name for many files goes back to the first") {
  Life life;
  CutReport report = life.Lose("reuse-of-names");
  CHECK(life.Left() == Files{{"a", "first"}});
  CHECK(report.creates_undone == 3);
  CHECK(report.unlinks_undone == 2);
  CHECK(report.renames_undone == 1);
}

TEST_CASE("names made and synced by other calls of the libc are seen") {
  Life life;
  CutReport report = life.Lose("sync-through-opendir");
  CHECK(life.Left() == Files{{"a", ""}});
  CHECK(report.creates_undone == 2);
}

TEST_CASE("directories come and go with their parent's sync, or with their own") {
  Life life;
  (void)life.Lose("directories");
  CHECK(life.Left() == Files{{"back/", ""},
                             {"back/a", "in a removed directory"},
                             {"kept/", ""},
                             {"kept/a", "in a synced directory"},
                             {"lost/", ""}});
  CHECK((fs::status(life.data() / "back").permissions() & fs::perms::others_all) ==
        fs::perms::none);
}

TEST_CASE("a checkpoint renamed into place without a sync of the parent has its old name") {
  Life life;
  (void)life.Lose("checkpoint");
  CHECK(life.Left() == Files{{"000001.sst", "table"},
                             {"backup.tmp/", ""},
                             {"backup.tmp/000001.sst", "table"},
                             {"backup.tmp/CURRENT", "manifest"}});
}

TEST_CASE("an unsynced file is found and removed in a directory whose rename is durable") {
  Life life;
  (void)life.Lose("checkpoint-synced");
  CHECK(life.Left() == Files{{"000001.sst", "table"},
                             {"backup/", ""},
                             {"backup/000001.sst", "table"},
                             {"backup/CURRENT", "manifest"}});
}

TEST_CASE(
    "a rename between directories is durable with the sync of either, and nothing beside it") {
  Life life;
  CutReport report = life.Lose("rename-across");
  CHECK(life.Left() == Files{{"sub/", ""}, {"sub/b", "moved"}});
  CHECK(report.creates_undone == 1);
}

TEST_CASE("thousands of renames leave a short journal and the last durable name") {
  Life life;
  Victim victim(life, "many-names");
  REQUIRE(victim.Next() == kVictimDone);
  CHECK(fs::file_size(life.journal() / "names") < (2 << 20));
  victim.Kill();
  CutReport report = CutPower(life.data(), life.journal());
  CHECK_MESSAGE(report.ok(), report.error);
  CHECK(life.Left() == Files{{"name", "last durable"}});
}

TEST_CASE("syncfs covers every file and every name") {
  // In memory: a real syncfs would wait for all others who write to this disk.
  Life life(fs::is_directory("/dev/shm") ? "/dev/shm" : "");
  (void)life.Lose("syncfs");
  CHECK(life.Left() == Files{{"a", "covered"}, {"b", ""}});
}

TEST_CASE("a process that changed nothing loses nothing, and needs a journal to say so") {
  Life life;
  CutReport report = life.Lose("idle");
  CHECK(report.files_cut + report.creates_undone + report.unlinks_undone == 0);
  fs::remove_all(life.journal());
  CHECK(!CutPower(life.data(), life.journal()).ok());
}

TEST_CASE("a second life without a cut between still knows what the first left unsynced") {
  Life life;
  {
    Victim first(life, "append-sync-append");
    REQUIRE(first.Next() == kVictimDone);
    first.Kill();
  }
  Victim second(life, "append-sync-append");  // appends to the same file, then syncs it
  REQUIRE(second.Next() == kVictimDone);
  second.Kill();
  {
    Victim third(life, "rename-over");
    REQUIRE(third.Next() == kVictimDone);
  }
  CutReport report = CutPower(life.data(), life.journal());
  CHECK_MESSAGE(report.ok(), report.error);
  CHECK(life.Left() ==
        Files{{"a", std::string(5000, 'x') + std::string(7000, 'y') + std::string(5000, 'x')},
              {"CURRENT", "old"},
              {"CURRENT.tmp", "new content"}});
}

TEST_CASE("a torn cut keeps the synced bytes and some of the tail, the same for the same seed") {
  std::map<uint64_t, size_t> sizes;
  for (uint64_t seed : {1, 2, 3, 1}) {
    Life life;
    Victim victim(life, "append-sync-append");
    REQUIRE(victim.Next() == kVictimDone);
    victim.Kill();
    CutReport report = CutPower(life.data(), life.journal(), {.torn_tail_seed = seed});
    CHECK_MESSAGE(report.ok(), report.error);
    std::string left = life.Left()["a"];
    CHECK(left == (std::string(5000, 'x') + std::string(7000, 'y')).substr(0, left.size()));
    CHECK(left.size() >= 5000);
    CHECK(report.bytes_lost == 12000 - left.size());
    if (sizes.contains(seed)) CHECK(sizes[seed] == left.size());
    sizes[seed] = left.size();
  }
  CHECK(sizes[1] != sizes[2]);
}

TEST_CASE("the cut is refused while the process lives, and after what cannot be modelled") {
  Life life;
  Victim victim(life, "mapped");
  REQUIRE(victim.Next() == kVictimDone);
  CHECK(CutPower(life.data(), life.journal()).error.find("mapped shared") != std::string::npos);
  Life other;
  Victim alive(other, "append-unsynced");
  REQUIRE(alive.Next() == kVictimDone);
  CHECK(CutPower(other.data(), other.journal()).error.find("alive") != std::string::npos);
}

// --- injected faults
// -------------------------------------------------------------------------------------

void Touch(const fs::path& path) { std::ofstream(path).put('\n'); }

struct Try {
  uint64_t number;
  uint64_t error;
};

Try NextTry(Victim& victim) {
  auto number = victim.Next();
  auto error = victim.Next();
  REQUIRE(number.has_value());
  REQUIRE(error.has_value());
  return {*number, *error};
}

// The first try with this error, or nothing among the next thousand.
std::optional<Try> Until(Victim& victim, uint64_t error) {
  for (int i = 0; i < 1000; ++i) {
    Try next = NextTry(victim);
    if (next.error == error) return next;
  }
  return std::nullopt;
}

TEST_CASE("syncs fail from the Nth on, and what a failed sync lost no later sync brings back") {
  Life life;
  Victim victim(life, "try-forever", {.fail_sync_after = 11, .enospc_after_bytes = {}});
  auto failed = Until(victim, EIO);  // the first sync is that of the directory
  REQUIRE(failed.has_value());
  CHECK(failed->number == 10);
  CHECK(NextTry(victim).error == EIO);
  REQUIRE(fs::remove(life.journal() / "fail-sync"));
  REQUIRE(Until(victim, 0).has_value());
  CHECK(NextTry(victim).error == 0);
  victim.Kill();
  CutReport report = CutPower(life.data(), life.journal());
  CHECK_MESSAGE(report.ok(), report.error);
  CHECK(life.Left()["a"].size() == 900);
}

TEST_CASE("a control file turns failing syncs on and off") {
  Life life;
  Victim victim(life, "try-forever");
  REQUIRE(Until(victim, 0).has_value());
  Touch(life.journal() / "fail-sync");
  CHECK(Until(victim, EIO).has_value());
}

TEST_CASE("a control file makes the disk full and empties it again") {
  Life life;
  Victim victim(life, "try-forever");
  REQUIRE(Until(victim, 0).has_value());
  Touch(life.journal() / "enospc");
  auto full = Until(victim, ENOSPC);
  CHECK(full.has_value());
  fs::remove(life.journal() / "enospc");
  auto again = Until(victim, 0);
  REQUIRE(again.has_value());
  victim.Kill();
  CHECK(CutPower(life.data(), life.journal()).ok());
  CHECK(life.Left()["a"].size() >= full->number * 100 - 100);
}

TEST_CASE("a disk full after N bytes takes a part of the last write and bytes that need no room") {
  Life life;
  (void)life.Lose("fill-disk", {.fail_sync_after = {}, .enospc_after_bytes = 10000});
  CHECK(life.Left() == Files{{"a", std::string(5904, 'y')}, {"mark", std::string(4096, 'm')}});
}

// --- many threads
// ----------------------------------------------------------------------------------------

TEST_CASE("what any of four threads was told is synced survives a kill at any moment") {
  std::mt19937 random(7);
  for (int round = 0; round < 6; ++round) {
    Life life;
    Victim victim(life, "concurrent");
    uint64_t acked[4] = {};
    auto note = [&acked](uint64_t report) { acked[report >> 32] = report & UINT32_MAX; };
    auto first = victim.Next();
    REQUIRE(first.has_value());
    note(*first);
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 80));
    victim.Kill();
    while (auto next = victim.Next()) note(*next);
    CutReport report = CutPower(life.data(), life.journal());
    REQUIRE_MESSAGE(report.ok(), report.error);
    Files left = life.Left();
    REQUIRE(left["cells"].size() == 4 * 512);
    for (size_t t = 0; t < 4; ++t) {
      const std::string& log = left["log" + std::to_string(t)];
      CHECK(log.size() / 8 >= acked[t]);
      CHECK(log.size() / 8 <= acked[t] + 1);  // at most the one whose report never came
      uint64_t cell[64];
      std::memcpy(cell, left["cells"].data() + t * 512, 512);
      CHECK(cell[0] >= acked[t]);
      CHECK(cell[0] <= acked[t] + 1);
      CHECK(std::equal(cell + 1, cell + 64, cell));
    }
  }
}

}  // namespace
}  // namespace hongyan::fault

int main(int argc, char** argv) {
  // A sanitizer's runtime must be the first library of a process, and the one under test is
  // preloaded.
#ifdef HONGYAN_SANITIZED
  (void)argc;
  (void)argv;
  std::puts("fault: skipped, a preloaded library cannot be used in a sanitizer build");
  return 77;  // ctest: skipped
#else
  if (hongyan::fault::FindFaultLibrary().empty()) {
    std::puts("fault: libhongyan_fault.so is neither beside this program nor in ../lib of it");
    return 1;
  }
  return doctest::Context(argc, argv).run();
#endif
}
