#include "money/reader.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using model::PacketKind;
using model::Reason;
using Side = money::Reader::Side;

template <class T>
Reason WhyOf(const base::Result<T>& result) {
  return result ? Reason::kNone : static_cast<Reason>(result.error().reason);
}

// The same store, where something happens between a reader's first look at its own claim and the
// next thing it reads.
class MeanwhileStore final : public storage::MemoryMoneyStore {
 public:
  MeanwhileStore(const House& house, std::function<void()> happens)
      : MemoryMoneyStore(house.state), packets_(door_, std::move(happens)) {}
  storage::PacketStore& packets() override { return packets_; }

 private:
  class Packets final : public storage::MemoryPacketStore {
   public:
    Packets(storage::MoneyDoor& door, std::function<void()> happens)
        : MemoryPacketStore(door), happens_(std::move(happens)) {}
    base::Result<std::optional<model::Claim>> FindClaim(model::ShardId shard,
                                                        model::PacketId packet,
                                                        model::UserId user) const override {
      auto found = MemoryPacketStore::FindClaim(shard, packet, user);
      if (auto happens = std::exchange(happens_, nullptr)) happens();
      return found;
    }

   private:
    mutable std::function<void()> happens_;
  };
  Packets packets_;
};

}  // namespace

TEST_CASE("whose own share closes the packet while it is read sees that share, and the packet") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 1);
  MeanwhileStore store(house, [&] { CHECK(house.Open(packet, "bert").ok()); });
  const money::Reader reader(store, house.routes());
  const auto shown = reader.Show(packet, house.User("bert"), false, 0, 10);
  REQUIRE(shown.ok());  // who has a claim may see it, a member or not
  CHECK(shown->packet.status.state == model::PacketState::kDone);
  REQUIRE(shown->own.has_value());
  CHECK(shown->own->amount_fen == 100);
}

TEST_CASE("who may see a packet: its sender, who has a claim, and members; nobody else") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 100, 3);
  CHECK(house.Open(packet, "bert").ok());
  const auto show = [&](const char* who, bool member) {
    return house.reader().Show(packet, house.User(who), member, 0, 100);
  };
  CHECK(WhyOf(show("carl", false)) == Reason::kNotEligible);
  CHECK(show("carl", true).ok());
  CHECK_FALSE(show("carl", true)->own.has_value());
  CHECK(show("anna", false).ok());  // left the group meanwhile
  CHECK(show("bert", false).ok());
  CHECK(show("bert", false)->own->amount_fen == house.Balance("bert"));
  CHECK(WhyOf(house.reader().Show(model::PacketId(9), house.User("anna"), true, 0, 9)) ==
        Reason::kNoSuchPacket);
}

TEST_CASE("claims are paged by ordinal") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 12);
  for (int i = 0; i < 10; ++i) CHECK(house.Open(packet, "u" + std::to_string(i)).ok());
  int32_t after = 0;
  int pages = 0;
  for (;; ++pages) {
    auto page = house.reader().Show(packet, house.User("anna"), false, after, 4);
    REQUIRE(page.ok());
    for (const auto& claim : page->claims) CHECK(claim.ordinal == ++after);
    if (!page->more) break;
  }
  CHECK(after == 10);
  CHECK(pages == 2);
}

TEST_CASE("statements are paged, newest first, to the first row") {
  House house;
  for (int i = 1; i <= 25; ++i) CHECK(house.Deposit("anna", i).ok());
  int64_t before = 0;
  int64_t expected = 25;
  for (;;) {
    auto page = house.reader().Statement(house.User("anna"), before, 10);
    REQUIRE(page.ok());
    for (const auto& row : page->rows) CHECK(row.account_seq == expected--);
    if (page->next_before == 0) break;
    before = page->next_before;
  }
  CHECK(expected == 0);
  CHECK(house.reader().Statement(house.User("nobody"), 0, 10)->rows.empty());
  CHECK(house.reader().FindWallet(house.User("nobody"))->balance_fen == 0);
}

TEST_CASE("the history of what one sent holds refunds, that of what one received only shares") {
  House house;
  CHECK(house.Deposit("anna", 1'000).ok());
  for (int i = 0; i < 5; ++i) {
    const auto packet = House::Packet(house.Send(house.Terms(PacketKind::kLucky, "anna", 100, 2)));
    CHECK(house.Open(packet, "anna").ok());
    CHECK(house.Open(packet, "bert").ok());
  }
  CHECK(house.Send(house.Terms(PacketKind::kLucky, "anna", 10, 2)).ok());
  house.Pass(kLifeMs);
  const auto all = [&](const char* who, Side side, size_t limit) {
    std::vector<model::StatementRow> rows;
    for (int64_t before = 0;;) {
      auto page = house.reader().History(house.User(who), side, 2026, before, limit);
      REQUIRE(page.ok());
      for (auto& row : page->rows) rows.push_back(row);
      if (page->next_before == 0) return rows;
      before = page->next_before;
    }
  };
  for (const size_t limit : {size_t{1}, size_t{2}, size_t{3}, size_t{200}}) {
    CHECK(all("anna", Side::kSent, limit).size() == 7);
    CHECK(all("anna", Side::kReceived, limit).size() == 5);
    CHECK(all("bert", Side::kReceived, limit).size() == 5);
    CHECK(all("bert", Side::kSent, limit).empty());
  }
  CHECK(all("anna", Side::kSent, 3).front().kind == model::StatementKind::kRefund);
  CHECK(all("bert", Side::kReceived, 3).front().peer == house.User("anna"));
  const auto wallet = house.reader().FindWallet(house.User("anna"));
  CHECK(wallet->years.at(2026).sent_count == 6);
  CHECK(wallet->years.at(2026).sent_fen == 510);
  CHECK(wallet->years.at(2026).returned_fen == 10);
  CHECK(wallet->years.at(2026).received_count == 5);
}

TEST_CASE("the history of a year has that year's rows, however many came before and after") {
  House house;
  constexpr int64_t kNewYear2027 = 1'798'732'800'000;
  constexpr int64_t kNewYear2028 = 1'830'268'800'000;
  const auto packets = [&house](int count) {
    for (int i = 0; i < count; ++i) CHECK(house.Open(house.Lucky("anna", 10, 1), "bert").ok());
  };
  // The seqs of the rows of a year, asked for page by page.
  const auto year = [&house](const char* who, Side side, int32_t number, int64_t from) {
    std::vector<int64_t> seqs;
    int pages = 0;
    for (int64_t before = from;; ++pages) {
      auto page = house.reader().History(house.User(who), side, number, before, 2);
      REQUIRE(page.ok());
      for (const auto& row : page->rows) seqs.push_back(row.account_seq);
      if (page->next_before == 0) break;
      CHECK_MESSAGE(page->rows.size() == 2, "a page with more behind it is full");
      before = page->next_before;
    }
    return seqs;
  };
  using Seqs = std::vector<int64_t>;
  packets(2);  // of anna's wallet 1 to 4: paid in, sent, paid in, sent
  house.clock.StepWall(kNewYear2027 - house.clock.WallMs());
  packets(3);  // 5 to 10
  house.clock.StepWall(kNewYear2028 - house.clock.WallMs());
  packets(4);  // 11 to 18
  CHECK(year("anna", Side::kSent, 2026, 0) == Seqs{4, 2});
  CHECK(year("anna", Side::kSent, 2027, 0) == Seqs{10, 8, 6});
  CHECK(year("anna", Side::kSent, 2028, 0) == Seqs{18, 16, 14, 12});
  CHECK(year("bert", Side::kReceived, 2027, 0) == Seqs{5, 4, 3});
  CHECK(year("anna", Side::kSent, 2025, 0).empty());
  CHECK(year("anna", Side::kSent, 2029, 0).empty());
  CHECK(year("nobody", Side::kSent, 2027, 0).empty());
  // `before` of another year begins where this one does; of this year, there.
  CHECK(year("anna", Side::kSent, 2027, 17) == Seqs{10, 8, 6});
  CHECK(year("anna", Side::kSent, 2027, 8) == Seqs{6});
  CHECK(year("anna", Side::kSent, 2027, 3).empty());
  CHECK(year("anna", Side::kSent, 2027, 1).empty());
}

TEST_CASE("a send nobody knows is not found; what is known says where it is") {
  House house;
  CHECK(house.Deposit("anna", 100).ok());
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  const auto unknown = house.reader().FindSend(house.User("anna"), terms.request_id);
  CHECK(unknown.error().code == base::Code::kNotFound);
  CHECK(house.Send(terms).ok());
  CHECK(house.reader().FindSend(house.User("anna"), terms.request_id)->state ==
        money::Reader::SendState::kSent);
  // Somebody else's request id is somebody else's.
  CHECK_FALSE(house.reader().FindSend(house.User("bert"), terms.request_id).ok());
}

TEST_CASE("a send is SENT once its message is stored; closed before that, it is RETURNED") {
  using State = money::Reader::SendState;
  House house;
  house.conversation = House::Conversation::kSilent;
  CHECK(house.Deposit("anna", 100).ok());
  const auto terms = house.Terms(PacketKind::kLucky, "anna", 100, 2);
  const auto packet = House::Packet(house.Send(terms));
  const auto sent = [&] { return *house.reader().FindSend(house.User("anna"), terms.request_id); };
  CHECK(sent().state == State::kSending);
  const auto announce = [&] {
    house.Verdict(packet, true);
    house.Run();
    CHECK(sent().state == State::kSent);
  };
  SUBCASE("expired before it was announced") {
    house.Pass(kLifeMs);
    CHECK(sent().state == State::kReturned);
    CHECK(sent().reason == model::ReturnReason::kExpired);
  }
  SUBCASE("returned by the administrator before it was announced") {
    CHECK(house.Return(packet, "").ok());
    CHECK(sent().state == State::kReturned);
    CHECK(sent().reason == model::ReturnReason::kByAdmin);
  }
  SUBCASE("refused") {
    house.Verdict(packet, false);
    house.Run();
    CHECK(sent().state == State::kReturned);
    CHECK(sent().reason == model::ReturnReason::kRefused);
  }
  SUBCASE("expired after it was announced") {
    announce();
    house.Pass(kLifeMs);
    CHECK(sent().state == State::kSent);
  }
  SUBCASE("returned by the administrator after it was announced") {
    announce();
    CHECK(house.Return(packet, "").ok());
    CHECK(sent().state == State::kSent);
  }
  CHECK(house.Audit().verdict == money::AuditReport::Verdict::kProven);
}

}  // namespace hongyan::testing
