#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "house.h"
#include "money/split.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using model::PacketKind;
using model::PacketState;
using model::Reason;
using What = model::PacketNoticeItem::What;

}  // namespace

// -- opening

TEST_CASE("a group opens a lucky packet: the total comes out, once each, and the wallets have it") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 10'000, 10);
  int64_t sum = 0;
  for (int i = 0; i < 10; ++i) {
    const auto opened = House::Opened(house.Open(packet, "user" + std::to_string(i)));
    CHECK(opened.ordinal == i + 1);
    CHECK_FALSE(opened.already);
    CHECK(house.Balance("user" + std::to_string(i)) == opened.amount_fen);
    sum += opened.amount_fen;
  }
  CHECK(sum == 10'000);
  CHECK(house.Packet(packet).status.state == PacketState::kDone);
  CHECK(House::Why(house.Open(packet, "late")) == Reason::kPacketDone);
  CHECK(house.records == 0);
  REQUIRE(house.notices.size() == 1);
  CHECK(house.notices.front().what == What::kFinished);
  CHECK(Proven(house));
}

TEST_CASE("the last share makes the best luck: the earliest of the largest") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 12, 10);
  for (int i = 0; i < 9; ++i) CHECK(house.Open(packet, "user" + std::to_string(i)).ok());
  auto detail = house.reader().Show(packet, house.User("user0"), true, 0, 100);
  CHECK_FALSE(detail->best_luck);  // not before it is done
  house.clock.Advance(5'000);
  CHECK(house.Open(packet, "user9").ok());
  const auto claims = house.Claims(packet);
  const auto best =
      std::max_element(claims.begin(), claims.end(),
                       [](const auto& a, const auto& b) { return a.amount_fen < b.amount_fen; });
  detail = house.reader().Show(packet, house.User("user0"), true, 0, 100);
  CHECK(detail->best_luck == best->user);
  CHECK(detail->took_ms == 5'000);
  CHECK(house.notices.back().user == best->user);
  CHECK(house.notices.back().took_ms == 5'000);
}

TEST_CASE("equal shares are equal") {
  House house;
  const auto packet = house.Make(house.Terms(PacketKind::kEqual, "anna", 300, 3), "anna");
  for (const char* name : {"a", "b", "c"}) {
    CHECK(House::Opened(house.Open(packet, name)).amount_fen == 100);
  }
  CHECK_FALSE(house.notices.back().user);  // nobody is luckier
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 1: the same user opening twice in one batch has one claim, and hears its amount "
    "twice") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 3);
  const model::OpenPacket open{packet, house.User("bert"), {true, 1}};
  const auto replies = house.Batch(house.PacketShard(packet), {open, open, open});
  house.Run();
  const auto first = House::Opened(*replies[0]);
  CHECK_FALSE(first.already);
  for (const size_t i : {size_t{1}, size_t{2}}) {
    CHECK(House::Opened(*replies[i]).already);
    CHECK(House::Opened(*replies[i]).amount_fen == first.amount_fen);
  }
  CHECK(house.Balance("bert") == first.amount_fen);
  CHECK(house.Claims(packet).size() == 1);
  house.Restart();
  CHECK(House::Opened(house.Open(packet, "bert")).already);
  CHECK(house.records == 0);
  CHECK(Proven(house));
}

TEST_CASE(
    "failure 13: opens of one batch see each other's shares, and the shares one amount per "
    "ordinal") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 5);
  std::vector<model::CommandBody> opens;
  for (int i = 0; i < 8; ++i) {
    opens.push_back(model::OpenPacket{packet, house.User("u" + std::to_string(i)), {true, 1}});
  }
  const auto replies = house.Batch(house.PacketShard(packet), opens);
  house.Run();
  int64_t sum = 0;
  for (size_t i = 0; i < 5; ++i) sum += House::Opened(*replies[i]).amount_fen;
  CHECK(sum == 100);
  for (size_t i = 5; i < 8; ++i) CHECK(House::Why(*replies[i]) == Reason::kPacketDone);
  CHECK(Proven(house));
}

TEST_CASE("a packet is drawn by the secret it was made under, a new one by the newest") {
  House house;
  const model::PacketId old = house.Lucky("anna", 10'000, 10);
  house.state->money.secrets.emplace_back().fill(0x5a);
  house.Restart();
  const model::PacketId fresh = house.Lucky("anna", 10'000, 10);
  for (const size_t number : {size_t{0}, size_t{1}}) {
    CAPTURE(number);
    const model::PacketId packet = number == 0 ? old : fresh;
    const auto header = house.Packet(packet).header;
    CHECK(header.secret_number == number);
    int64_t left_fen = 10'000;
    for (int32_t ordinal = 1; ordinal <= 10; ++ordinal) {
      const auto opened = House::Opened(house.Open(packet, "u" + std::to_string(ordinal)));
      CHECK(opened.amount_fen == money::DrawShare(left_fen, 11 - ordinal,
                                                  header.terms.share_cap_fen, packet, ordinal,
                                                  house.state->money.secrets[number]));
      left_fen -= opened.amount_fen;
    }
  }
  CHECK(Proven(house));
}

TEST_CASE("an aborted batch cannot draw again: the amounts are fixed when the packet is made") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 10'000, 10);
  int tries = 0;
  house.faults.commit = [&tries] {
    return ++tries < 4 ? storage::CommitFate::kReject : storage::CommitFate::kApply;
  };
  const model::OpenPacket open{packet, house.User("bert"), {true, 1}};
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(house.Batch(house.PacketShard(packet), {open}).front().has_value());
  }
  const int64_t got = House::Opened(house.Open(packet, "bert")).amount_fen;
  CHECK(got == house.Claims(packet).front().amount_fen);
  CHECK(Proven(house));  // which derives it again
}

TEST_CASE(
    "failure 38: who opens is who the session says; an answer to another is that other's own") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 2);
  const auto berts = House::Opened(house.Open(packet, "bert"));
  const auto carls = House::Opened(house.Open(packet, "carl"));
  CHECK_FALSE(carls.already);
  CHECK(berts.ordinal != carls.ordinal);
}

// One row per rule of the order of checks: the first that holds is the answer.
TEST_CASE("the order of checks of an open, one code each, and what is refused moves nothing") {
  struct Row {
    const char* rule;
    std::function<model::PacketId(House&)> make;
    const char* opener;
    bool eligible;
    Reason why;
  };
  const auto lucky = [](House& house) { return house.Lucky("anna", 100, 2); };
  const auto one_left_by_bert = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    CHECK(house.Open(packet, "bert").ok());
    return packet;
  };
  const auto done = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 1);
    CHECK(house.Open(packet, "bert").ok());
    return packet;
  };
  const auto expired = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    CHECK(house.Open(packet, "bert").ok());
    house.Pass(kLifeMs);
    return packet;
  };
  const auto unswept = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    house.clock.Advance(kLifeMs);  // to the millisecond
    return packet;
  };
  const auto alive = [](House& house) {
    const auto packet = house.Lucky("anna", 100, 2);
    house.clock.Advance(kLifeMs - 1);
    return packet;
  };
  const auto created = [](House& house) {
    house.conversation = House::Conversation::kSilent;
    return house.Lucky("anna", 100, 2);
  };
  const auto refused = [](House& house) {
    house.conversation = House::Conversation::kRefuses;
    return house.Lucky("anna", 100, 2);
  };
  const auto exclusive = [](House& house) {
    auto terms = house.Terms(PacketKind::kExclusive, "anna", 100);
    terms.named = house.User("bert");
    return house.Make(terms, "anna");
  };
  const auto direct = [](House& house) {
    auto terms = house.Terms(PacketKind::kLucky, "anna", 100);
    terms.conversation = house.Direct("anna", "bert");
    return house.Make(terms, "anna");
  };
  const auto transfer = [](House& house) {
    return house.Make(house.Transfer("anna", "bert", 100), "anna");
  };
  const auto returned = [](House& house) {
    const auto packet = house.Make(house.Transfer("anna", "bert", 100), "anna");
    CHECK(house.Return(packet, "bert").ok());
    return packet;
  };
  const auto none = [](House&) { return model::PacketId(2077800000000000010); };
  const auto nonsense = [](House&) { return model::PacketId(12); };
  const Row rows[] = {
      {"an unknown packet", none, "bert", true, Reason::kNoSuchPacket},
      {"no packet id at all", nonsense, "bert", true, Reason::kNoSuchPacket},
      {"an own claim, whatever the membership", one_left_by_bert, "bert", false, Reason::kNone},
      {"an own claim in a packet that is done", done, "bert", false, Reason::kNone},
      {"an own claim in a packet that expired", expired, "bert", false, Reason::kNone},
      {"not announced yet, for an outsider too", created, "bert", false, Reason::kBusy},
      {"done, for an outsider too", done, "carl", false, Reason::kPacketDone},
      {"expired", expired, "carl", true, Reason::kPacketExpired},
      {"returned", returned, "bert", true, Reason::kPacketReturned},
      {"refused", refused, "bert", true, Reason::kPacketRefused},
      {"expired, before any sweep, for an outsider too", unswept, "carl", false,
       Reason::kPacketExpired},
      {"a millisecond before", alive, "carl", true, Reason::kNone},
      {"an outsider", lucky, "carl", false, Reason::kNotEligible},
      {"an outsider who is the sender", direct, "anna", false, Reason::kNotEligible},
      {"somebody else's exclusive packet", exclusive, "carl", true, Reason::kNotTheNamedPerson},
      {"one's own exclusive packet", exclusive, "anna", true, Reason::kNotTheNamedPerson},
      {"the named person", exclusive, "bert", true, Reason::kNone},
      {"one's own packet in a 1:1 chat", direct, "anna", true, Reason::kOwnPacket},
      {"the other of a 1:1 chat", direct, "bert", true, Reason::kNone},
      {"one's own transfer", transfer, "anna", true, Reason::kNotTheNamedPerson},
      {"a transfer by who it is for", transfer, "bert", true, Reason::kNone},
      {"one's own lucky packet in a group", lucky, "anna", true, Reason::kNone},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.rule));
    House house;
    const model::PacketId packet = row.make(house);
    const auto reply = house.Open(packet, row.opener, row.eligible);
    CHECK(static_cast<int>(House::Why(reply)) == static_cast<int>(row.why));
    if (row.why != Reason::kNone) CHECK(house.records == 0);
    if (row.why == Reason::kBusy) CHECK(reply.error().retry_after_ms == 50);
    house.conversation = House::Conversation::kTakes;
    CHECK(Proven(house));
  }
}

TEST_CASE("failure 36: the membership that let an opener in is recorded in the claim") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  CHECK(house.Open(packet, "bert").ok());
  CHECK(house.Claims(packet).front().member_version == 3);
}

TEST_CASE(
    "an open waits for no money: it is busy where the credits' channel lags, and moves nothing") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  house.channel_trouble = [](model::ShardId) { return std::string("lags"); };
  CHECK(House::Why(house.Open(packet, "bert")) == Reason::kBusy);
  CHECK(house.records == 0);
  house.channel_trouble = nullptr;
  CHECK(house.Open(packet, "bert").ok());
}

// -- records: what makes the rates

TEST_CASE("an open writes at most two records of its own, a send four, a credit two") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 10'000, 100);
  std::vector<model::CommandBody> opens;
  for (int i = 0; i < 50; ++i) {
    opens.push_back(model::OpenPacket{packet, house.User("u" + std::to_string(i)), {true, 1}});
  }
  house.settle = false;
  house.Batch(house.PacketShard(packet), opens);
  CHECK(house.records == 50 + 2);  // a claim each; one status, one books
  house.Run();
  CHECK(house.Deposit("anna", 100).ok());
  CHECK(house.Send(house.Terms(PacketKind::kLucky, "anna", 100)).ok());
  CHECK(house.records == 4);  // statement, wallet, outcome, books
}

// -- memory and store

TEST_CASE("failure 32: what a commit did not take is not in memory either") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 2);
  for (const auto fate : {storage::CommitFate::kReject, storage::CommitFate::kGuard,
                          storage::CommitFate::kUnknownLost}) {
    house.faults.commit = [fate] { return fate; };
    const auto shard = house.PacketShard(packet);
    house.Batch(shard, {model::OpenPacket{packet, house.User("bert"), {true, 1}},
                        model::OpenPacket{packet, house.User("carl"), {true, 1}}});
    house.faults.commit = nullptr;
    CHECK(house.Claims(packet).empty());
    CHECK(house.Packet(packet).status.left == 2);
  }
  const auto bert = House::Opened(house.Open(packet, "bert"));
  CHECK(bert.ordinal == 1);
  CHECK_FALSE(bert.already);
  CHECK(house.Open(packet, "carl").ok());
  CHECK(Proven(house));
}

TEST_CASE("a packet that left memory is opened from the store alike") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 4);
  int64_t sum = 0;
  for (const char* name : {"a", "b", "c", "d"}) {
    sum += House::Opened(house.Open(packet, name)).amount_fen;
    house.Restart();
    CHECK(House::Opened(house.Open(packet, name)).already);
    house.Restart();
  }
  CHECK(sum == 1'000);
  CHECK(house.notices.size() == 1);
  CHECK(house.notices.front().user);  // the best luck, from claims read again
  CHECK(Proven(house));
}

}  // namespace hongyan::testing
