#include <string>
#include <vector>

#include "base/bytes.h"
#include "packet_person.h"
#include "tests/doctest_last.h"

// Wallets, statements and what an administrator sees of packets, on the real server.

namespace hongyan::integration {
namespace {

using nlohmann::json;

TEST_CASE("hongyan-admin shows a day's packets, and says where nothing can be proven") {
  SpawnedServer server;
  Person anna(server, "anna", "10");
  Person bert(server, "bert");
  const auto talk = Direct(anna.id(), bert.id());
  const int64_t taken = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 300));
  const v1::SendPacket order = Packet(v1::PACKET_TRANSFER, talk, 200);
  const int64_t open = anna.SendAnnounced(order);
  CHECK(bert.Open(taken).ok);
  const auto shown =
      json::parse(server.AdminOk({"--json", "money", "packet", std::to_string(open)}));
  // What `channel return --request` and GetSend ask for.
  const std::string request = base::ToHex(order.request_id());
  CHECK(shown.at("request_id") == request);
  CHECK(shown.at("greeting") == order.greeting());
  CHECK(server.AdminOk({"money", "packet", std::to_string(open)}).find(request) !=
        std::string::npos);
  const std::string day = shown.at("day");
  const auto packets = json::parse(server.AdminOk({"--json", "money", "day", day}));
  CHECK(packets.at("packets") == 2);
  CHECK(packets.at("not_closed") == 1);
  CHECK(packets.at("done") == 1);
  CHECK(packets.at("claims") == 1);
  CHECK(packets.at("taken_fen") == "300");
  CHECK(packets.at("left_fen") == "200");
  CHECK(server.AdminOk({"money", "day", "2026-01-01"}).find("packets  0: ") != std::string::npos);
  CHECK(server.AdminOk({"money", "wallet", "anna"}) == server.AdminOk({"wallet", "show", "anna"}));
  const auto early = server.Admin({"money", "archive", day});
  CHECK(early.exit_code == 1);
  CHECK(early.err.find("is not drained: packets of it may still be made") != std::string::npos);
  const auto none = server.Admin({"money", "archive", "2020-01-01"});
  CHECK(none.exit_code == 1);
  CHECK(none.err.find("there are no packets of ") != std::string::npos);
  CHECK(server.Admin({"money", "restore-day", day}).exit_code == 0);  // it is here
  const auto unknown = server.Admin({"money", "restore-day", "2020-01-01"});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.err.find("there are no packets of ") != std::string::npos);
  CHECK(packets.at("files").empty());
  CHECK(server.Admin({"money", "archive", "2026-02-30"}).exit_code == 2);
  CHECK(server.Admin({"money", "day", "2026-02-30"}).exit_code == 2);
  CHECK(server.Admin({"money", "day", "yesterday"}).exit_code == 2);
  CHECK(server.Admin({"money", "packet", "12345"}).exit_code == 1);
  CHECK(server.Admin({"money", "end", std::to_string(taken)}).exit_code == 1);
  CHECK(server.Admin({"money", "quarantine", "retry", std::to_string(open)}).exit_code == 1);
  CHECK(json::parse(server.AdminOk({"--json", "money", "end", std::to_string(open)})) ==
        json{{"packet_id", std::to_string(open)}, {"ended", true}});
  server.Terminate();
  CHECK(server.Wait() == 0);
  CHECK(server.Admin({"money", "audit"}).exit_code == 2);
}

TEST_CASE("deposits and withdrawals move once per id, many from a file") {
  SpawnedServer server;
  NewUser(server, "anna");
  NewUser(server, "bert");
  const std::vector<std::string> deposit = {"wallet", "deposit", "anna",     "12.50",
                                            "--id",   "a-1",     "--reason", "pay"};
  CHECK(server.AdminOk(deposit) == "anna: +12.50 yuan, balance 12.50 (posting 1)\n");
  CHECK(server.AdminOk(deposit) ==
        "anna: +12.50 yuan, balance 12.50 (posting 1): done before under this id, nothing was "
        "moved now\n");
  CHECK(server.Admin({"wallet", "deposit", "anna", "13", "--id", "a-1", "--reason", "pay"})
            .exit_code == 1);
  CHECK(server.Admin({"wallet", "withdraw", "anna", "12.51", "--id", "a-2", "--reason", "x"})
            .exit_code == 1);
  CHECK(server.AdminOk({"wallet", "withdraw", "anna", "2.50", "--id", "a-3", "--reason", "rent"})
            .find("balance 10.00") != std::string::npos);
  CHECK(server.Admin({"wallet", "deposit", "anna", "12.50"}).exit_code == 2);
  CHECK(server.Admin({"wallet", "deposit", "anna", "1.234", "--id", "x", "--reason", "y"})
            .exit_code == 2);
  CHECK(
      server.Admin({"wallet", "deposit", "nobody", "1", "--id", "x", "--reason", "y"}).exit_code ==
      1);
  CHECK(server.Admin({"wallet", "deposit", "anna", "9999999999000", "--id", "x", "--reason", "y"})
            .exit_code == 0);
  // Not rounded, for people either.
  CHECK(server.AdminOk({"stats"}).find(" 999999999901000 ") != std::string::npos);
  CHECK(server.Admin({"wallet", "deposit", "anna", "9999999999000", "--id", "z", "--reason", "y"})
            .err.find("all that its books can count") != std::string::npos);
  CHECK(server.Admin({"wallet", "withdraw", "anna", "9999999999000", "--id", "w", "--reason", "y"})
            .exit_code == 0);

  const std::string file =
      "\xef\xbb\xbf"
      "anna,f-1,1.00,first, with a comma\nbert,f-2,2,second\n";
  const auto moved =
      json::parse(server.AdminOk({"--json", "wallet", "deposit", "--file", "-"}, file));
  CHECK(moved.at("moved") == 2);
  CHECK(server.AdminOk({"wallet", "deposit", "--file", "-"}, file)
            .find("moved 0, done before 2, refused 0 in ") == 0);
  const Outcome partly = server.Admin({"--json", "wallet", "deposit", "--file", "-"},
                                      "bert,f-2,2,second\nnobody,f-5,1,x\n");
  CHECK(partly.exit_code == 1);
  const auto counts = json::parse(partly.out);
  CHECK(counts.at("moved") == 0);
  CHECK(counts.at("already") == 1);
  CHECK(counts.at("refused_lines").at(0).at("line") == 2);
  CHECK(counts.at("refused_lines").at(0).at("name") == "nobody");
  const Outcome wrong =
      server.Admin({"wallet", "deposit", "--file", "-"}, "bert,f-3,5,x\nbert,f-4\nbert\n");
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.err.find("line 3 of") != std::string::npos);
  CHECK(wrong.err.find("nothing was moved") != std::string::npos);
  CHECK(wrong.err.find("line 2 of") != std::string::npos);
  const auto bert = json::parse(server.AdminOk({"--json", "wallet", "show", "bert"}));
  CHECK(bert.at("balance_fen") == "200");

  const auto statement =
      json::parse(server.AdminOk({"--json", "wallet", "statement", "anna", "--limit", "2"}));
  REQUIRE(statement.at("rows").size() == 2);
  CHECK(statement.at("rows")[0].at("amount_fen") == "100");
  CHECK(statement.at("rows")[0].at("balance_fen") == "1100");
  CHECK(statement.at("rows")[1].at("amount_fen") == "-999999999900000");
  CHECK(statement.at("more") == true);
  CHECK(server.AdminOk({"money", "quarantine", "list"}) == "nothing is in quarantine\n");
  const auto stats = json::parse(server.AdminOk({"--json", "stats"}));
  CHECK(stats.at("hongyan_wallet_moves_total") == 6);
  CHECK(stats.at("hongyan_money_fen{account=\"wallets\"}") == 1300);
  CHECK(stats.at("hongyan_money_fen{account=\"world\"}") == -1300);
  AuditIsClean(server);
}

TEST_CASE("history and statement page by account_seq, with the totals of the year") {
  SpawnedServer server;
  Person anna(server, "anna", "50");
  Person bert(server, "bert");
  const auto talk = Direct(anna.id(), bert.id());
  int64_t packet = 0;
  for (int i = 0; i < 5; ++i) {
    packet = anna.SendAnnounced(Packet(v1::PACKET_LUCKY, talk, 100 + i));
    CHECK(bert.Open(packet).ok);
  }
  bert.AwaitBalance(510);
  v1::PacketHistory query;
  query.set_which(v1::PacketHistory::SENT);
  query.set_limit(2);
  std::vector<int64_t> amounts;
  for (;;) {
    const auto page = anna.client.Ask<v1::PacketHistoryReply>(v1::PACKET_HISTORY, query);
    REQUIRE_MESSAGE(page.ok, page.error.text());
    CHECK(page.reply.total().sent_count() == 5);
    CHECK(page.reply.total().sent_fen() == 510);
    for (const auto& row : page.reply.rows()) amounts.push_back(row.amount_fen());
    if (!page.reply.more()) break;
    query.set_before(page.reply.before());
  }
  CHECK(amounts == std::vector<int64_t>{-104, -103, -102, -101, -100});
  v1::PacketHistory received;
  received.set_which(v1::PacketHistory::RECEIVED);
  const auto got = bert.client.Ask<v1::PacketHistoryReply>(v1::PACKET_HISTORY, received);
  CHECK(got.reply.total().received_fen() == 510);
  CHECK(got.reply.rows_size() == 5);
  CHECK(got.reply.rows(0).peer() == anna.id());
  received.set_year(2001);
  const auto none = bert.client.Ask<v1::PacketHistoryReply>(v1::PACKET_HISTORY, received);
  CHECK(none.reply.rows_size() == 0);
  CHECK(none.reply.total().received_fen() == 0);
  v1::ListStatement list;
  list.set_limit(3);
  const auto statement = anna.client.Ask<v1::ListStatementReply>(v1::LIST_STATEMENT, list);
  CHECK(statement.reply.rows_size() == 3);
  CHECK(statement.reply.more());
  CHECK(statement.reply.rows(0).balance_fen() == 4490);
  // Page by page to the first posting: every account_seq once.
  std::vector<int64_t> seqs;
  for (bool more = true; more;) {
    const auto page = anna.client.Ask<v1::ListStatementReply>(v1::LIST_STATEMENT, list);
    REQUIRE_MESSAGE(page.ok, page.error.text());
    for (const auto& row : page.reply.rows()) seqs.push_back(row.account_seq());
    more = page.reply.more();
    list.set_before(seqs.back());
  }
  CHECK(seqs == std::vector<int64_t>{6, 5, 4, 3, 2, 1});
  list.set_before(-1);
  CHECK_FALSE(anna.client.Ask<v1::ListStatementReply>(v1::LIST_STATEMENT, list).ok);
}

}  // namespace
}  // namespace hongyan::integration
