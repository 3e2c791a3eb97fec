#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "false_server.h"
#include "modes.h"

#include "tests/doctest_last.h"

using namespace hongyan::bench;
using Lie = FalseBank::Lie;

// The rush against a server that cheats with money: each time it must be seen and fail the run.

namespace {

std::string NewFolder() {
  std::string name = std::filesystem::temp_directory_path().string() + "/hongyan-honesty-XXXXXX";
  REQUIRE(mkdtemp(name.data()) != nullptr);
  return name;
}

// What never comes is waited for; the others must not fail on a slow machine.
bool IsAwaited(Lie lie) { return lie == Lie::kLosesASend || lie == Lie::kTellsNoReturn; }

struct Trial {
  explicit Trial(Lie lie) : folder(NewFolder()), server(folder, FalseServer::Lie::kNone, lie) {
    options.mode = "redpacket";
    options.server = server.address();
    options.admin = server.admin_path();
    options.seed = 5;
    options.quiet = true;
    options.deadline_s = IsAwaited(lie) ? 2.5 : 20;
    options.groups = 2;
    options.members = 12;
    options.packets = 40;
  }
  ~Trial() { std::filesystem::remove_all(folder); }

  Outcome Run() {
    auto stage = Stage::Open(options);
    REQUIRE(stage.ok());
    return RunRedpacket(**stage);
  }

  std::string folder;
  FalseServer server;
  Options options;
};

// What the run fails with. Not every run gives the bank its occasion: another seed, then.
std::string WhySo(Lie lie) {
  for (uint64_t seed = 5; seed < 15; ++seed) {
    Trial trial(lie);
    trial.options.seed = seed;
    const Outcome outcome = trial.Run();
    if (!trial.server.lied()) continue;
    CHECK_FALSE(outcome.ok());
    std::string all;
    for (const std::string& failure : outcome.failures) all += failure + "\n";
    return all;
  }
  FAIL("the bank never came to cheat");
  return {};
}

// What is said first depends on who asks first: any of these words will do.
void Says(const std::string& why, const std::vector<std::string>& any_of) {
  const bool says = std::any_of(any_of.begin(), any_of.end(), [&](const std::string& words) {
    return why.find(words) != std::string::npos;
  });
  CHECK_MESSAGE(says, "not what was expected: ", why);
}

}  // namespace

TEST_CASE("an honest bank passes the rush, and all that can happen has happened") {
  Trial trial(Lie::kNone);
  const Outcome outcome = trial.Run();
  CAPTURE(ToJson(outcome).dump());
  REQUIRE(outcome.ok());
  CHECK(outcome.more["audit"] == 0);
  CHECK(ToJson(outcome)["audit_read"]["world_fen"] == "-9007199254740993");
  CHECK(outcome.more["checked"]["wallets_fen"].is_string());
  CHECK(outcome.more["packets"] >= 50);
  CHECK(outcome.more["checked"]["packets"] >= outcome.more["packets"]);
  CHECK(outcome.more["checked"]["claims"] >= outcome.acked);
  CHECK(outcome.more["impatient"] > 0);
  CHECK(outcome.more["left_the_group"] > 0);
  CHECK(outcome.more["opens_refused"] > 0);
  CHECK(outcome.more["open_ms"]["p99"].is_number());
  CHECK(outcome.more["grab_ms"]["p99"].is_number());
}

TEST_CASE("a share that was told and is not there is lost") {
  Says(WhySo(Lie::kForgetsAClaim), {"which it has lost", "a second share"});
}

TEST_CASE("a share without its credit, and a credit that came twice, are found in the statement") {
  Says(WhySo(Lie::kPaysNobody), {"lacks STATEMENT_RECEIVED"});
  Says(WhySo(Lie::kPaysTwice), {"has, and should not, STATEMENT_RECEIVED"});
}

// Who had no patience for the first answer knows only the second: then the packet tells.
TEST_CASE("an open that is told something else the second time fails the run") {
  Says(WhySo(Lie::kChangesItsMind), {"two different shares", "was told share"});
  Says(WhySo(Lie::kGivesTwice), {"two "});
}

TEST_CASE("a packet that gives more than it held fails the run") {
  Says(WhySo(Lie::kGivesTooMuch), {"of shares and"});
}

TEST_CASE("a share for who has left, or for somebody else than the named person, fails the run") {
  Says(WhySo(Lie::kGivesStrangers), {"a group it had left"});
  Says(WhySo(Lie::kGivesTheWrong), {"what is for somebody else"});
}

TEST_CASE("who is told that all is taken must be right") {
  Says(WhySo(Lie::kSaysGone), {"PACKET_STATE_DONE"});
}

TEST_CASE("what comes back comes back to the fen, and its sender is told") {
  Says(WhySo(Lie::kKeepsAFen), {"went back, and its sender was told"});
  Says(WhySo(Lie::kNeverReturns), {"lacks STATEMENT_REFUND"});
  Says(WhySo(Lie::kTellsNoReturn), {"nothing moved"});
}

TEST_CASE("a repeated send that becomes two packets, or a packet with two messages, is found") {
  // Or the wallet that paid twice has nothing left for what comes next.
  Says(WhySo(Lie::kTwoPackets), {"two packets", "NO_FUNDS"});
  Says(WhySo(Lie::kTwoMessages), {"came twice"});
}

TEST_CASE("money that left a wallet and became no packet ends the run at its deadline") {
  Says(WhySo(Lie::kLosesASend), {"nothing moved", "NO_SUCH_PACKET"});
}

TEST_CASE("what somebody was just given can be spent at once") {
  Says(WhySo(Lie::kHoldsBack), {"NO_FUNDS"});
}

TEST_CASE("an audit that finds something, or proves nothing, fails the run") {
  Says(WhySo(Lie::kAuditFinds), {"audit: exit code 1, wallet_chain"});
  Says(WhySo(Lie::kAuditUnproven), {"audit: exit code 2"});
}
