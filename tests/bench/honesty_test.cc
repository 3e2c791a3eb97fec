#include <filesystem>
#include <string>

#include "false_server.h"
#include "modes.h"

#include "tests/doctest_last.h"

using namespace hongyan::bench;
using Lie = FalseServer::Lie;

// The tool against a server that lies: each lie must be seen and must fail the run.

namespace {

// A false server and the options of a small run against it.
struct Trial {
  explicit Trial(Lie lie) : server((std::filesystem::create_directories(folder), folder), lie) {
    options.server = server.address();
    options.admin = server.admin_path();
    options.seed = 11;
    options.quiet = true;
    // Only where something never comes is it waited for; the others must not fail on a slow
    // machine.
    options.deadline_s = lie == Lie::kForgets || lie == Lie::kNeverDelivers ? 2.5 : 20;
    options.pairs = 3;
    options.members = 6;
    options.online = 6;
    options.senders = 2;
    options.warmup_s = 0.05;
    options.seconds = 0.4;
    options.replay_members = 30;
    for (const char* name : {"harbour.txt", "workshop.txt"}) {
      options.logs.push_back(std::string(BENCH_CORPUS) + "/" + name);
    }
  }
  ~Trial() { std::filesystem::remove_all(folder); }

  Outcome Run(const std::string& mode) {
    options.mode = mode;
    auto stage = Stage::Open(options);
    REQUIRE(stage.ok());
    return mode == "send"    ? RunSend(**stage)
           : mode == "group" ? RunGroup(**stage)
                             : RunReplay(**stage);
  }

  std::string folder = NewFolder();
  FalseServer server;
  Options options;

  static std::string NewFolder() {
    std::string name = std::filesystem::temp_directory_path().string() + "/hongyan-honesty-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    return name;
  }
};

const char* const kModes[] = {"send", "group", "replay"};

}  // namespace

TEST_CASE("an honest server passes every mode, and what is counted adds up") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kNone);
    const Outcome outcome = trial.Run(mode);
    CAPTURE(ToJson(outcome).dump());
    CHECK(outcome.ok());
    CHECK(outcome.acked > 0);
    CHECK(outcome.delivered > 0);
    CHECK(outcome.ack.count() > 0);
    CHECK(outcome.deliver.count() > 0);
  }
}

TEST_CASE(
    "a replay counts its lines and members, late ones and those that come and go among them") {
  Trial trial(Lie::kNone);
  const Outcome outcome = trial.Run("replay");
  CHECK(outcome.acked == 59 + 75);
  CHECK(outcome.more["lines"] == 59 + 75);
  CHECK(outcome.more["exact_transcripts"] == 60);
  CHECK(outcome.delivered == (59 + 75) * 30);
  CHECK(outcome.more["late"] == 6);
  CHECK(outcome.more["offline_for_parts"] >= 6 + 6);
}

TEST_CASE("a message that never reaches a member is lost") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kForgets);
    const Outcome outcome = trial.Run(mode);
    CHECK(trial.server.lied());
    CHECK(outcome.lost > 0);
    CHECK_FALSE(outcome.ok());
  }
}

TEST_CASE("an offline member of a group that misses an entry is found by its head") {
  Trial trial(Lie::kForgets);
  trial.options.online = 4;
  const Outcome outcome = trial.Run("group");
  CHECK(trial.server.lied());
  CHECK(outcome.lost == 1);
}

TEST_CASE("a member that gets nothing any more ends the run at its deadline, as lost") {
  Trial trial(Lie::kNeverDelivers);
  const Outcome outcome = trial.Run("replay");
  CHECK(trial.server.lied());
  CHECK(outcome.lost > 0);
  CHECK_FALSE(outcome.failures.empty());
}

TEST_CASE("one message under two seqs is a duplicate") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kTellsTwice);
    CHECK(trial.Run(mode).duplicated > 0);
    CHECK(trial.server.lied());
  }
}

TEST_CASE("an entry at the cursor of the request it answers is a duplicate") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kRepeats);
    CHECK(trial.Run(mode).duplicated > 0);
    CHECK(trial.server.lied());
  }
}

TEST_CASE("a send that is stored twice is a duplicate") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kStoresTwice);
    const Outcome outcome = trial.Run(mode);
    CHECK(trial.server.lied());
    CHECK(outcome.duplicated > 0);
  }
}

TEST_CASE("a jump of seq is a gap") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kJumps);
    const Outcome outcome = trial.Run(mode);
    CHECK(trial.server.lied());
    CHECK(outcome.gaps > 0);
    CHECK_FALSE(outcome.ok());
  }
}

TEST_CASE("two messages in the wrong order are out of order, not lost") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kSwaps);
    const Outcome outcome = trial.Run(mode);
    CHECK(trial.server.lied());
    CHECK(outcome.out_of_order > 0);
    CHECK(outcome.lost == 0);
  }
}

TEST_CASE("one changed byte fails the run") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kChangesAByte);
    const Outcome outcome = trial.Run(mode);
    CHECK(trial.server.lied());
    CHECK_FALSE(outcome.failures.empty());
  }
}

TEST_CASE("a place that is acknowledged twice fails the run") {
  for (const std::string mode : kModes) {
    CAPTURE(mode);
    Trial trial(Lie::kGivesPlaceTwice);
    const Outcome outcome = trial.Run(mode);
    CHECK(trial.server.lied());
    CHECK_FALSE(outcome.failures.empty());
  }
}
