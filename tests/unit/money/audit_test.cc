#include "money/audit.h"

#include <algorithm>
#include <functional>
#include <string>

#include "house.h"
#include "shard/item_codec.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using Verdict = money::AuditReport::Verdict;
using model::PacketKind;

// A little of everything: moves, a finished packet, one half open, a refunded one, a reversed send,
// an accepted transfer.
struct Market {
  House house;
  model::PacketId done, open, expired, accepted;

  Market() {
    expired = house.Lucky("anna", 500, 5);
    CHECK(house.Open(expired, "bert").ok());
    house.Pass(kLifeMs);
    done = house.Lucky("anna", 300, 3);
    for (const char* name : {"bert", "carl", "dora"}) CHECK(house.Open(done, name).ok());
    open = house.Lucky("anna", 1'000, 10);
    for (const char* name : {"bert", "carl", "dora"}) CHECK(house.Open(open, name).ok());
    CHECK(house.Deposit("bert", 700).ok());
    accepted = House::Packet(house.Send(house.Transfer("bert", "carl", 200)));
    CHECK(house.Open(accepted, "carl").ok());
    CHECK(house.Withdraw("bert", 100).ok());
  }
  storage::MemoryMoneyState& rows() { return *house.state; }
  model::PacketStatus& status(model::PacketId packet) {
    return rows().statuses.at({house.PacketShard(packet), packet});
  }
  model::PacketHeader& header(model::PacketId packet) {
    return rows().headers.at({house.PacketShard(packet), packet});
  }
  model::Wallet& wallet(const std::string& user) {
    return rows().wallets.at({house.WalletShard(user), house.User(user)});
  }
  model::StatementRow& statement(const std::string& user, int64_t seq) {
    return rows().statements.at({{house.WalletShard(user), house.User(user)}, seq});
  }
  model::Claim& claim(model::PacketId packet, const std::string& user) {
    return rows().claims.at({{house.PacketShard(packet), packet}, house.User(user)});
  }
};

bool Names(const money::AuditReport& report, const std::string& what) {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [&](const auto& finding) { return finding.what == what; });
}

}  // namespace

TEST_CASE("sound books are proven, and the report says how much was read") {
  Market market;
  const auto report = market.house.Audit();
  for (const auto& finding : report.findings) MESSAGE(finding.what << " " << finding.where);
  CHECK(report.verdict == Verdict::kProven);
  CHECK(report.packets == 4);
  CHECK(report.claims == 8);
  CHECK(report.wallets == 4);
  CHECK(report.statement_rows == 18);
  CHECK(report.in_transit_fen == 0);
  CHECK(report.total.sum() == 0);
  CHECK(report.total.world_fen == -(500 + 300 + 1'000 + 700 - 100));
}

TEST_CASE("an empty store is proven") {
  House house;
  CHECK(house.Audit().verdict == Verdict::kProven);
}

// Each kind of row broken once; the audit names it, and names it first.
TEST_CASE("the audit finds every kind of broken row, and names the first broken posting") {
  struct Row {
    const char* what;   // the finding that must be there
    const char* where;  // a part of the place it names; "" = any
    std::function<void(Market&)> rot;
  };
  const Row rows[] = {
      {"wallet_chain", "account_seq=2", [](Market& m) { m.statement("bert", 2).balance_fen += 1; }},
      {"wallet_chain", "", [](Market& m) { m.statement("bert", 2).amount_fen += 1; }},
      {"wallet_chain", "", [](Market& m) { m.wallet("bert").balance_fen += 1; }},
      {"wallet_negative", "", [](Market& m) { m.wallet("bert").balance_fen = -1; }},
      {"statement_gap", "account_seq=1",
       [](Market& m) {
         m.rows().statements.erase({{m.house.WalletShard("bert"), m.house.User("bert")}, 2});
       }},
      {"statement_gap", "", [](Market& m) { m.wallet("bert").account_seq += 1; }},
      {"statement_kind", "account_seq=1",
       [](Market& m) { m.statement("bert", 1).kind = model::StatementKind::kNone; }},
      {"statement_amount", "account_seq=1",
       [](Market& m) { m.statement("bert", 1).kind = model::StatementKind::kSent; }},
      {"claim_without_credit", "",
       [](Market& m) { m.statement("bert", 1).packet = model::PacketId(2077800000000000010); }},
      {"wallet_year", "year=2026",
       [](Market& m) { m.wallet("bert").years.at(2026).received_fen += 1; }},
      {"account_wallets", "",
       [](Market& m) {
         m.rows().wallets.erase({m.house.WalletShard("dora"), m.house.User("dora")});
       }},
      {"claim_without_credit", "",
       [](Market& m) {
         m.rows().wallets.erase({m.house.WalletShard("dora"), m.house.User("dora")});
       }},
      {"packet_state", "", [](Market& m) { m.status(m.open).left_fen = 0; }},
      {"packet_state", "", [](Market& m) { m.status(m.done).left_fen = 1; }},
      {"packet_state", "", [](Market& m) { m.status(m.open).state = model::PacketState::kNone; }},
      {"packet_state", "", [](Market& m) { m.status(m.expired).refund_fen = 0; }},
      {"packet_sum", "", [](Market& m) { m.status(m.open).left_fen -= 1; }},
      {"packet_sum", "", [](Market& m) { m.status(m.expired).refund_fen -= 1; }},
      {"close_without_refund", "", [](Market& m) { m.status(m.expired).refund_fen -= 1; }},
      {"account_escrow", "", [](Market& m) { m.status(m.open).left_fen -= 1; }},
      {"best_luck", "", [](Market& m) { m.status(m.done).best_ordinal = 0; }},
      {"packet_header", "", [](Market& m) { m.header(m.open).terms.shares = 0; }},
      {"packet_header", "", [](Market& m) { m.header(m.open).secret_number = 3; }},
      {"packet_header", "", [](Market& m) { m.header(m.open).split_version = 2; }},
      {"send_without_packet", "", [](Market& m) { m.header(m.done).terms.total_fen += 1; }},
      {"claim_amount", "ordinal=2", [](Market& m) { m.claim(m.open, "carl").amount_fen += 1; }},
      {"claim_ordinal", "ordinal=2", [](Market& m) { m.claim(m.open, "carl").ordinal = 9; }},
      {"claim_missing", "ordinal=3",
       [](Market& m) {
         m.rows().claims.erase({{m.house.PacketShard(m.open), m.open}, m.house.User("dora")});
       }},
      {"claim_amount", "ordinal=1", [](Market& m) { m.rows().money.secrets.front()[0] ^= 1; }},
      {"open_without_expiry", "", [](Market& m) { m.rows().expiries.clear(); }},
      {"open_without_expiry", "",
       [](Market& m) {
         m.rows().expiries[{m.house.PacketShard(m.done), {m.header(m.done).expires_ms, m.done}}] =
             true;
       }},
      {"send_without_packet", "",
       [](Market& m) {
         m.rows().headers.erase({m.house.PacketShard(m.accepted), m.accepted});
         m.rows().statuses.erase({m.house.PacketShard(m.accepted), m.accepted});
       }},
      {"books_sum", "",
       [](Market& m) { m.rows().books.at(m.house.WalletShard("bert")).world_fen += 1; }},
      {"account_world", "",
       [](Market& m) { m.rows().books.at(m.house.WalletShard("bert")).world_fen += 1; }},
      {"account_suspense", "",
       [](Market& m) { m.rows().books.at(m.house.WalletShard("bert")).suspense_fen += 1; }},
      {"account_transit_out", "",
       [](Market& m) { m.rows().books.at(m.house.PacketShard(m.open)).transit_out_fen += 1; }},
      {"account_transit_in", "",
       [](Market& m) { m.rows().books.at(m.house.WalletShard("bert")).transit_in_fen += 1; }},
      {"channel_total", "",
       [](Market& m) {
         for (auto& [channel, mark] : m.rows().marks) mark.total_fen += 1;
       }},
      {"channel_ahead", "",
       [](Market& m) {
         for (auto& [channel, mark] : m.rows().marks) mark.applied += 100;
       }},
      {"quarantined", "", [](Market& m) { m.status(m.open).quarantined = true; }},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.what));
    Market market;
    row.rot(market);
    const auto report = market.house.Audit();
    CHECK(report.verdict == Verdict::kFinding);
    const auto found = std::find_if(report.findings.begin(), report.findings.end(),
                                    [&](const auto& f) { return f.what == row.what; });
    REQUIRE(found != report.findings.end());
    CHECK(found->where.find(row.where) != std::string::npos);
    // Rows before the sums that follow from them.
    const std::string first = report.findings.front().what;
    const bool is_row = !std::string(row.what).starts_with("account_") &&
                        std::string(row.what) != "books_sum" &&
                        std::string(row.what) != "channel_total";
    if (is_row) CHECK_FALSE(first.starts_with("account_"));
  }
}

TEST_CASE("money on its way is no finding: every claim has its credit there or on its channel") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 5);
  house.hold_money_items = true;
  const int64_t got = House::Opened(house.Open(packet, "bert")).amount_fen;
  CHECK(house.Deposit("carl", 100).ok());
  CHECK(house.Send(house.Terms(PacketKind::kLucky, "carl", 100, 2)).ok());
  auto report = house.Audit();
  CHECK(report.verdict == Verdict::kProven);
  CHECK(report.items_in_flight == 2);
  CHECK(report.in_transit_fen == got + 100);
  SUBCASE("an item changed on its way is found") {
    for (auto& [place, row] : house.state->outbox) {
      for (auto& bytes : row.items) {
        auto item = shard::DecodeItem(bytes);
        REQUIRE(item.ok());
        if (auto* credit = std::get_if<model::CreditItem>(&*item)) {
          credit->amount_fen += 1;
          bytes = shard::EncodeItem(*item);
        }
      }
    }
    report = house.Audit();
    CHECK(Names(report, "claim_without_credit"));
    CHECK(Names(report, "item_fen"));
  }
  SUBCASE("so is one whose row counts other money than it carries") {
    for (auto& [place, row] : house.state->outbox) {
      for (auto& fen : row.fen) fen += fen > 0 ? 1 : 0;
    }
    report = house.Audit();
    CHECK(Names(report, "item_fen"));
    CHECK(Names(report, "channel_total"));
  }
  SUBCASE("an item lost on its way is found") {
    std::erase_if(house.state->outbox, [](const auto& row) {
      return model::IsMoneyShard(row.first.first.target) && row.second.last > 0;
    });
    CHECK(Names(house.Audit(), "channel_gap"));
  }
  SUBCASE("an item nobody can read leaves it unproven") {
    for (auto& [place, row] : house.state->outbox) {
      if (!model::IsMoneyShard(place.first.target)) continue;
      for (auto& bytes : row.items) bytes = "rot";
    }
    report = house.Audit();
    CHECK_FALSE(report.unread.empty());
    CHECK(report.findings.empty());
    CHECK(report.verdict == Verdict::kNotProven);
  }
  SUBCASE("it arrives") {
    house.hold_money_items = false;
    house.Run();
    report = house.Audit();
    CHECK(report.verdict == Verdict::kProven);
    CHECK(report.in_transit_fen == 0);
  }
}

TEST_CASE(
    "failure 39: one side rolled back alone is found: its channel says more was taken than given") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 5);
  const storage::MemoryMoneyState before = *house.state;
  CHECK(house.Open(packet, "bert").ok());
  const model::ShardId shard = house.PacketShard(packet);
  // The packet's shard as it was; the wallet's as it is.
  house.state->heads[shard] = before.heads.at(shard);
  house.state->statuses = before.statuses;
  house.state->claims = before.claims;
  house.state->books[shard] = before.books.at(shard);
  const auto report = house.Audit();
  CHECK(report.verdict == Verdict::kFinding);
  CHECK(Names(report, "channel_ahead"));
  CHECK(Names(report, "claim_without_credit"));
}

TEST_CASE("what cannot be read is not proven") {
  House house;
  house.Lucky("anna", 1'000, 5);
  house.faults.commit = [] { return storage::CommitFate::kUnknownLost; };
  auto batch = house.store().NewBatch();
  house.store().ledger().PutBooks(*batch, model::kFirstMoneyShard, {});
  CHECK(house.store().Commit(std::move(batch)) == storage::CommitOutcome::kUnknown);
  const auto report = house.Audit();
  CHECK(report.verdict == Verdict::kNotProven);
  REQUIRE(report.unread.size() == 1);
  CHECK(report.unread.front().starts_with("snapshot: "));
}

TEST_CASE("sums of rows that could not all be read accuse nobody") {
  House house;
  const model::PacketId packet = house.Lucky("anna", 1'000, 5);
  CHECK(house.Open(packet, "bert").ok());
  house.state->broken_claims.insert({packet, house.User("bert")});
  auto report = house.Audit();
  CHECK(report.verdict == Verdict::kNotProven);
  CHECK(report.unread.size() == 1);
  CHECK(report.findings.empty());
  SUBCASE("what its channels carry is known all the same") {
    house.state->books[house.PacketShard(packet)].transit_in_fen += 1;
    report = house.Audit();
    CHECK(report.verdict == Verdict::kFinding);
    CHECK(Names(report, "account_transit_in"));
    CHECK_FALSE(Names(report, "account_escrow"));
  }
  SUBCASE("the other shard's do") {
    const model::ShardId here = house.PacketShard(packet);
    for (auto& [shard, books] : house.state->books) books.escrow_fen += shard == here ? 0 : 1;
    report = house.Audit();
    CHECK(report.verdict == Verdict::kFinding);
    CHECK(Names(report, "account_escrow"));
  }
}

TEST_CASE("the audit reports at most a hundred findings, and how many more there are") {
  House house;
  for (int i = 0; i < 120; ++i) CHECK(house.Deposit("u" + std::to_string(i), 5).ok());
  for (auto& [key, wallet] : house.state->wallets) wallet.balance_fen += 1;
  const auto report = house.Audit();
  CHECK(report.more_findings >= 20);
  CHECK(report.findings.size() <= 100);
}

TEST_CASE("an audit that is ended says so at once, and neither proves nor accuses") {
  Market market;
  for (int allowed = 0; allowed < 12; ++allowed) {
    CAPTURE(allowed);
    int asked = 0;
    const auto report = money::Audit(market.house.store(), {{}, [&] { return ++asked > allowed; }});
    CHECK(report.verdict == Verdict::kNotProven);
    CHECK(report.findings.empty());
    REQUIRE(report.unread.size() == 1);
    CHECK(report.unread.front().find("ended before") != std::string::npos);
    CHECK(asked == allowed + 1);  // and reads no further page
  }
  CHECK(market.house.Audit().verdict == Verdict::kProven);
}

}  // namespace hongyan::testing
