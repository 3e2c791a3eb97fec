#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "house.h"
#include "tests/doctest_last.h"

// A market day from one seed: everybody does everything, commits fail, the process dies, channels
// stand still. After every few steps the audit must prove the books, and what was once answered
// must stay true.

namespace hongyan::testing {
namespace {

using model::PacketKind;
using storage::CommitFate;

constexpr int64_t kHourMs = int64_t{3600} * 1000;

class Day {
 public:
  explicit Day(uint64_t seed) : random_(seed) {
    house_.faults.commit = [this] { return Fate(); };
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      if (i % 7 == 0) Prove();
    }
    End();
  }

 private:
  int64_t Draw(int64_t below) {
    return std::uniform_int_distribution<int64_t>(0, below - 1)(random_);
  }
  std::string Person() { return "p" + std::to_string(Draw(8)); }
  model::PacketId Some() {
    if (packets_.empty()) return model::PacketId(2077800000000000010);
    return packets_[static_cast<size_t>(Draw(static_cast<int64_t>(packets_.size())))];
  }

  CommitFate Fate() {
    if (calm_ || Draw(12) != 0) return CommitFate::kApply;
    const CommitFate fates[] = {CommitFate::kReject, CommitFate::kGuard,
                                CommitFate::kUnknownApplied, CommitFate::kUnknownLost};
    return fates[Draw(4)];
  }

  void Step() {
    switch (Draw(16)) {
      case 0:
      case 1: {
        static_cast<void>(
            house_.Deposit(Person(), Draw(5'000) - 1'000, "m" + std::to_string(Draw(60))));
        break;
      }
      case 2:
      case 3:
      case 4:
        Send();
        break;
      case 5:
        if (!sends_.empty()) {
          Repeat();
          break;
        }
        [[fallthrough]];
      case 6:
      case 7:
      case 8:
      case 9:
        Open();
        break;
      case 10:
        static_cast<void>(house_.Return(Some(), Draw(3) == 0 ? "" : Person()));
        break;
      case 11:
        house_.Pass(Draw(12) * kHourMs);
        break;
      case 12:
        house_.Restart();
        break;
      case 13:
        house_.conversation = static_cast<House::Conversation>(Draw(3));
        break;
      case 14:
        house_.hold_money_items = Draw(3) == 0;
        house_.settle = Draw(3) != 0;
        break;
      default:
        static_cast<void>(house_.Freeze(Person(), Draw(3) == 0));
    }
  }

  void Send() {
    const std::string who = Person();
    model::PacketTerms terms;
    switch (Draw(4)) {
      case 0:
        terms = house_.Transfer(who, Person(), Draw(500));
        break;
      case 1:
        terms = house_.Terms(PacketKind::kExclusive, who, Draw(500));
        terms.named = house_.User(Person());
        break;
      case 2:
        terms = house_.Terms(PacketKind::kEqual, who, Draw(50) * 4, 4);
        break;
      default:
        terms = house_.Terms(PacketKind::kLucky, who, Draw(600), static_cast<int32_t>(Draw(6)));
    }
    sends_.push_back(terms);
    Ask(terms);
  }

  void Repeat() { Ask(sends_[static_cast<size_t>(Draw(static_cast<int64_t>(sends_.size())))]); }

  // The same request gets one packet, for ever; or none.
  void Ask(const model::PacketTerms& terms) {
    const auto reply = house_.Send(terms);
    if (!reply) return;
    const model::PacketId packet = House::Packet(reply);
    const auto [known, fresh] = answered_.emplace(terms.request_id, packet);
    CHECK(known->second == packet);
    if (fresh) packets_.push_back(packet);
  }

  // The same user gets one amount, for ever.
  void Open() {
    const model::PacketId packet = Some();
    const std::string who = Person();
    const auto reply = house_.Open(packet, who, Draw(8) != 0);
    if (!reply) {
      // Whoever has a claim is refused by no rule.
      if (reply.error().reason != 0) CHECK(claimed_.count({packet, who}) == 0);
      return;
    }
    const auto opened = House::Opened(reply);
    const auto [known, fresh] = claimed_.emplace(std::pair(packet, who), opened.amount_fen);
    CHECK(known->second == opened.amount_fen);
    if (!fresh) CHECK(opened.already);
  }

  void Prove() {
    const auto report = house_.Audit();
    for (const auto& finding : report.findings) {
      MESSAGE(finding.what << " " << finding.where << " " << finding.text);
    }
    REQUIRE(report.verdict == money::AuditReport::Verdict::kProven);
    REQUIRE(report.total.wallets_fen + report.total.escrow_fen + report.in_transit_fen ==
            -report.total.world_fen);
  }

  // The faults stop: everything arrives, everything due is closed, nothing is left between
  // accounts.
  void End() {
    calm_ = true;
    house_.settle = true;
    house_.hold_money_items = false;
    house_.conversation = House::Conversation::kTakes;
    house_.Restart();
    house_.Pass(49 * kHourMs);
    Prove();
    const auto report = house_.Audit();
    CHECK(report.in_transit_fen == 0);
    CHECK(report.total.escrow_fen == 0);
    CHECK(report.total.suspense_fen == 0);
    CHECK(house_.state->expiries.empty());
    CHECK(house_.counters.quarantined == 0);
    for (const auto& [claim, amount] : claimed_) {
      const auto opened = House::Opened(house_.Open(claim.first, claim.second, false));
      CHECK(opened.already);
      CHECK(opened.amount_fen == amount);
    }
  }

  std::mt19937_64 random_;
  House house_;
  bool calm_ = false;
  std::vector<model::PacketTerms> sends_;
  std::vector<model::PacketId> packets_;
  std::map<model::RequestId, model::PacketId> answered_;
  std::map<std::pair<model::PacketId, std::string>, int64_t> claimed_;
};

}  // namespace

TEST_CASE("a market day with failing commits and deaths keeps its books, from many seeds") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Day(seed).Run(400);
  }
}

}  // namespace hongyan::testing
