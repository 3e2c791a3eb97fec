#include <string>
#include <utility>
#include <vector>

#include "house.h"
#include "money/calendar.h"
#include "money/days.h"
#include "tests/doctest_last.h"

// Days of packets that leave the store and come back.

namespace hongyan::testing {
namespace {

using Day = storage::MemoryMoneyState::DayFile;
using How = model::MendPacket::How;
using model::PacketState;
using model::Reason;

constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;

money::Ask AskOf(House& house) {
  return [&house](model::ShardId shard, model::CommandBody body) {
    auto reply = std::move(house.Batch(shard, {std::move(body)}).front());
    return reply ? *std::move(reply)
                 : model::Reply(base::Error(base::Code::kUnavailable, "no reply came"));
  };
}

// What a courier does once the other end has applied everything.
void Acknowledge(House& house) {
  for (int i = 0; i < 2; ++i) {
    const auto source = static_cast<model::ShardId>(model::kFirstMoneyShard + i);
    const auto head = *house.store().channels().ReadHead(source);
    for (const auto& [target, emitted] : head.emitted) {
      CHECK(house.store().channels().TrimOutbox({source, target}, emitted.number).ok());
    }
  }
}

int32_t DayOfPacket(model::PacketId packet) { return storage::DayOfId(packet); }

base::Result<std::vector<money::DayState>> Archive(House& house, int32_t day) {
  Acknowledge(house);
  return money::ArchiveDay(house.store(), day, AskOf(house));
}

}  // namespace

TEST_CASE(
    "an archived packet gives its openers the same again, nobody else anything, and is proven") {
  House house;
  std::vector<model::PacketId> packets;
  for (int i = 0; i < 20; ++i) packets.push_back(house.Lucky("anna", 1'000, 3));
  const int32_t day = DayOfPacket(packets.front());
  std::vector<model::Opened> opened;
  for (const auto packet : packets) opened.push_back(House::Opened(house.Open(packet, "bert")));
  house.Pass(kDayMs);  // the rest goes back
  house.Pass(kDayMs);
  const auto details = *house.reader().Show(packets[7], house.User("bert"), false, 0, 10);
  const auto before = *money::LookAtDay(house.store(), day);
  REQUIRE(before.size() == 2);

  const auto states = Archive(house, day);
  REQUIRE_MESSAGE(states.ok(), states.error().text);
  REQUIRE(states->size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    const auto& state = (*states)[i];
    REQUIRE(state.archived.has_value());
    CHECK(state.archived->totals == state.totals);
    CHECK(state.totals == before[i].totals);
    CHECK(state.totals.created_fen == state.totals.claimed_fen + state.totals.refunded_fen);
    CHECK(house.state->headers.empty());  // day and shards have nothing else
    CHECK(house.state->claims.empty());
  }
  CHECK(Archive(house, day).ok());  // again changes nothing

  for (const bool after_restart : {false, true}) {
    CAPTURE(after_restart);
    if (after_restart) house.Restart();
    for (size_t i = 0; i < packets.size(); ++i) {
      const auto again = House::Opened(house.Open(packets[i], "bert", false));
      CHECK(again.already);
      CHECK(again.amount_fen == opened[i].amount_fen);
      CHECK(again.ordinal == opened[i].ordinal);
      CHECK(again.time_ms == opened[i].time_ms);
      CHECK(House::Why(house.Open(packets[i], "carl")) == Reason::kPacketExpired);
      CHECK_FALSE(house.Return(packets[i], "").ok());
      CHECK_FALSE(house.Mend(packets[i], How::kReturn).ok());
    }
    CHECK(Proven(house));
    CHECK(house.Audit().packets == 20);
    const auto archived = *house.reader().Show(packets[7], house.User("bert"), false, 0, 10);
    CHECK(archived.claims.size() == details.claims.size());
    CHECK(archived.own->amount_fen == details.own->amount_fen);
    CHECK(archived.packet.status.state == PacketState::kExpired);
  }
  // The same id again is no new packet.
  model::FundItem twin{packets[3], house.Packet(packets[3]).header.terms};
  const auto outcome = house.Force(house.PacketShard(packets[3]), twin);
  REQUIRE(outcome.ok());
  CHECK(outcome->kind == shard::ItemOutcome::Kind::kPark);

  const auto restored = money::RestoreDay(house.store(), day, AskOf(house));
  REQUIRE_MESSAGE(restored.ok(), restored.error().text);
  for (const auto& state : *restored) CHECK_FALSE(state.archived.has_value());
  CHECK(house.state->headers.size() == 20);
  CHECK(Proven(house));
  CHECK(House::Opened(house.Open(packets[5], "bert")).already);
  // Again is no error: who did not hear of it asks once more.
  const auto again = money::RestoreDay(house.store(), day, AskOf(house));
  REQUIRE(again.ok());
  CHECK(again->size() == restored->size());
  CHECK(money::RestoreDay(house.store(), day + 5, AskOf(house)).error().code ==
        base::Code::kNotFound);
}

TEST_CASE("a day that is archived again after half a restore leaves no row of it in the store") {
  House house;
  std::vector<model::PacketId> packets;
  for (int i = 0; i < 8; ++i) {
    packets.push_back(house.Lucky("anna", 1'000, 3));
    CHECK(house.Open(packets.back(), "bert").ok());
  }
  const int32_t day = DayOfPacket(packets.front());
  house.Pass(2 * kDayMs);
  REQUIRE(Archive(house, day).ok());
  const auto files = house.state->files;
  // As many packets of each shard as the records allow come back, then the process ends.
  for (const size_t records : {1, 4, 7}) {
    CAPTURE(records);
    for (int i = 0; i < 2; ++i) {
      const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + i);
      auto batch = house.store().NewBatch();
      REQUIRE_FALSE(house.store().days().Restore(*batch, shard, day, {}, records)->done);
      REQUIRE(house.store().Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
    }
    house.Restart();
    REQUIRE_FALSE(house.state->headers.empty());
    CHECK(Proven(house));
    // A commit that is lost takes nothing away; neither does a file that is not the day's.
    house.faults.commit = [] { return storage::CommitFate::kUnknownLost; };
    CHECK_FALSE(Archive(house, day).ok());
    house.faults.commit = nullptr;
    house.Restart();
    for (auto& [key, file] : house.state->files) file = std::make_shared<Day>();
    CHECK_FALSE(Archive(house, day).ok());
    house.state->files = files;
    CHECK_FALSE(house.state->headers.empty());

    const auto states = Archive(house, day);
    REQUIRE_MESSAGE(states.ok(), states.error().text);
    CHECK(house.state->headers.empty());
    CHECK(house.state->statuses.empty());
    CHECK(house.state->claims.empty());
    CHECK(house.state->ordinals.empty());
    for (const auto& state : *states) CHECK(state.archived.has_value());
    CHECK(house.Audit().packets == 8);
    CHECK(Proven(house));
  }
  CHECK(money::RestoreDay(house.store(), day, AskOf(house)).ok());
  CHECK(house.state->headers.size() == 8);
  CHECK(Proven(house));
}

TEST_CASE(
    "a server that goes down ends an archive or a restore at its next step, and loses nothing") {
  House house;
  std::vector<model::PacketId> packets;
  for (int i = 0; i < 8; ++i) packets.push_back(house.Lucky("anna", 1'000, 3));
  const int32_t day = DayOfPacket(packets.front());
  house.Pass(2 * kDayMs);
  Acknowledge(house);
  for (const bool archive : {true, false}) {
    CAPTURE(archive);
    int ends = 0;
    for (bool done = false; !done; ++ends) {
      REQUIRE(ends < 100);
      int asked = 0;
      const money::Ended ended = [&] { return asked++ >= ends; };
      const auto states = archive ? money::ArchiveDay(house.store(), day, AskOf(house), ended)
                                  : money::RestoreDay(house.store(), day, AskOf(house), ended);
      CHECK(Proven(house));
      CHECK(house.Audit().packets == 8);
      // A restore that was done up to its answer has nothing to bring back any more.
      done = states.ok() || states.error().code == base::Code::kNotFound;
      if (done) continue;
      CHECK(states.error().code == base::Code::kUnavailable);
      CHECK(states.error().reason == static_cast<uint16_t>(Reason::kDraining));
      CHECK(asked == ends + 1);  // nothing was done after the word
    }
    CHECK(ends >= 4);
    CHECK(house.state->headers.empty() == archive);
  }
  // Nor is a shard asked again and again that has no time.
  int asked = 0;
  const money::Ask busy = [&asked](model::ShardId, model::CommandBody) -> model::Reply {
    ++asked;
    return model::Refuse(base::Code::kUnavailable, Reason::kBusy, "busy", 0);
  };
  const money::Ended ended = [&asked] { return asked == 3; };
  CHECK(money::ArchiveDay(house.store(), day, busy, ended).error().reason ==
        static_cast<uint16_t>(Reason::kDraining));
  CHECK(asked == 3);
}

TEST_CASE("the audit of a day whose file is not the one that was written proves nothing") {
  House house;
  const auto packet = house.Lucky("anna", 1'000, 2);
  CHECK(house.Open(packet, "bert").ok());
  const int32_t day = DayOfPacket(packet);
  house.Pass(2 * kDayMs);
  REQUIRE(Archive(house, day).ok());
  REQUIRE(Proven(house));
  auto& file = house.state->files.at({house.PacketShard(packet), day});
  auto changed = std::make_shared<Day>(*file);
  ++changed->claims.at(packet).front().time_ms;  // every fen of it still adds up
  file = changed;
  const auto report = house.Audit();
  CHECK(report.verdict == money::AuditReport::Verdict::kNotProven);
  CHECK(report.findings.empty());
  REQUIRE(report.unread.size() == 1);
  CHECK(report.unread.front().find(money::DayText(day)) != std::string::npos);
}

TEST_CASE("a day is archived only once it is drained, and whatever is missing is said") {
  House house;
  const auto packet = house.Lucky("anna", 1'000, 2);
  const int32_t day = DayOfPacket(packet);
  CHECK(house.Open(packet, "bert").ok());
  const auto refused = [&](const std::string& why) {
    const auto states = Archive(house, day);
    REQUIRE_FALSE(states.ok());
    CHECK(states.error().code == base::Code::kFailedPrecondition);
    CHECK_MESSAGE(states.error().text.find(why) != std::string::npos, states.error().text);
    CHECK(house.store().days().ListDays(house.PacketShard(packet))->empty());
  };
  refused("may still be made");
  house.clock.Advance(kDayMs);
  refused("may still be made");
  house.clock.Advance(kDayMs);
  refused("is not closed");  // no sweep came by
  auto& status = house.state->statuses.at({house.PacketShard(packet), packet});
  status.left = 0;
  house.Restart();
  house.Sweep();
  refused("is in quarantine");
  status.left = 1;
  house.Restart();
  CHECK(house.Mend(packet, How::kRetry).ok());
  CHECK(house.Packet(packet).status.state == PacketState::kExpired);
  CHECK(Archive(house, day).ok());
  CHECK(Proven(house));
}

TEST_CASE("a day whose claims do not add up stays, whatever its states say") {
  House house;
  const auto packet = house.Lucky("anna", 1'000, 2);
  CHECK(house.Open(packet, "bert").ok());
  house.Pass(2 * kDayMs);
  auto& claim = house.state->claims.at({{house.PacketShard(packet), packet}, house.User("bert")});
  claim.amount_fen += 1;
  const auto states = Archive(house, DayOfPacket(packet));
  REQUIRE_FALSE(states.ok());
  CHECK(states.error().text.find("does not add up") != std::string::npos);
  CHECK(house.state->headers.size() == 1);
}

TEST_CASE("rows stay as long as an item about them is not acknowledged") {
  House house;
  const auto packet = house.Lucky("anna", 1'000, 2);
  const model::ShardId shard = house.PacketShard(packet);
  const int32_t day = DayOfPacket(packet);
  house.Pass(2 * kDayMs);
  model::ArchivedDay asked;
  asked.day = day;
  asked.file = "a file";
  const auto head = *house.store().channels().ReadHead(shard);
  REQUIRE_FALSE(head.emitted.empty());
  for (const auto& [target, emitted] : head.emitted) asked.acknowledged[target] = emitted.number;
  const auto held = AskOf(house)(shard, model::ArchiveDay{asked});
  CHECK(House::Why(held) == Reason::kBusy);
  CHECK(held.error().text.find("not acknowledged") != std::string::npos);
  // The last item of the last channel counts.
  for (const auto& [target, emitted] : head.emitted) {
    for (int64_t number = 1; number <= emitted.number; ++number) {
      CHECK(House::Why(AskOf(house)(shard, model::ArchiveDay{asked})) == Reason::kBusy);
      CHECK(house.store().channels().TrimOutbox({shard, target}, number).ok());
    }
  }
  CHECK(house.state->headers.size() == 1);
  CHECK(Archive(house, day).ok());
  CHECK(house.state->headers.empty());
  CHECK(House::Why(AskOf(house)(shard, model::ArchiveDay{asked})) == Reason::kDayDrained);
}

TEST_CASE("only days that can be are looked at, and a day without packets is nowhere") {
  House house;
  for (const int32_t day : {-1, 0, 9'999, 92'233, INT32_MAX}) {
    CHECK(money::LookAtDay(house.store(), day).error().code == base::Code::kInvalidArgument);
    CHECK(money::ArchiveDay(house.store(), day, AskOf(house)).error().code ==
          base::Code::kInvalidArgument);
    CHECK(money::RestoreDay(house.store(), day, AskOf(house)).error().code ==
          base::Code::kInvalidArgument);
    model::ArchivedDay asked;
    asked.day = day;
    CHECK_FALSE(AskOf(house)(model::kFirstMoneyShard, model::ArchiveDay{asked}).ok());
    CHECK_FALSE(AskOf(house)(model::kFirstMoneyShard, model::RestoreDay{day, {}}).ok());
  }
  CHECK(money::ListDays(house.store())->empty());
  house.clock.Advance(0);
  CHECK(Archive(house, 20'000).error().code == base::Code::kNotFound);
  const auto first = house.Lucky("anna", 1'000, 2);
  house.Pass(3 * kDayMs);
  const auto second = house.Lucky("anna", 1'000, 2);
  const std::vector<int32_t> days{DayOfPacket(first), DayOfPacket(second)};
  CHECK(*money::ListDays(house.store()) == days);
  CHECK(Archive(house, days.front()).ok());
  CHECK(*money::ListDays(house.store()) == days);
  CHECK(money::LookAtDay(house.store(), days.back())->front().unclosed == 1);
}

TEST_CASE("a damaged file is not restored from") {
  House house;
  const auto packet = house.Lucky("anna", 1'000, 2);
  const model::ShardId shard = house.PacketShard(packet);
  house.Pass(2 * kDayMs);
  const int32_t day = DayOfPacket(packet);
  REQUIRE(Archive(house, day).ok());
  auto file =
      std::make_shared<storage::MemoryMoneyState::DayFile>(*house.state->files.at({shard, day}));
  file->packets.begin()->second.status.refund_fen += 1;
  house.state->files.at({shard, day}) = file;
  CHECK(money::RestoreDay(house.store(), day, AskOf(house)).error().code == base::Code::kDataLoss);
  CHECK(house.state->headers.empty());
  CHECK_FALSE(Proven(house));
}

}  // namespace hongyan::testing
