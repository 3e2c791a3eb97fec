#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "packet_person.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/rocksdb_money_store.h"
#include "tests/doctest_last.h"

// What becomes of a real server whose rows of money do not add up.

namespace hongyan::integration {
namespace {

using nlohmann::json;

// The store of money of a server that is not running.
std::unique_ptr<storage::RocksdbMoneyStore> StoreOf(const SpawnedServer& server) {
  static const base::SystemClock clock;
  storage::RocksdbOptions options;
  options.path = server.data() + "/money";
  options.clock = &clock;
  options.disk_reserve_bytes = 0;
  auto store = storage::RocksdbMoneyStore::Open(options);
  REQUIRE_MESSAGE(store.ok(), store.error().text);
  return *std::move(store);
}

// A commit of its own for each shard: `change` stages what it likes.
template <class Change>
void ChangeEachShard(const SpawnedServer& server, Change change) {
  const auto store = StoreOf(server);
  for (int n = 0; n < store->identity().shards; ++n) {
    const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + n);
    auto head = store->channels().ReadHead(shard);
    REQUIRE(head.ok());
    ++head->batch;
    auto batch = store->NewBatch();
    store->channels().PutHead(*batch, shard, *head);
    change(*store, *batch, shard);
    REQUIRE(store->Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
  }
}

void Stop(SpawnedServer& server) {
  server.Terminate();
  CHECK(server.Wait() == 0);
}

// The bytes of the parked item that carries so much are lost.
void LoseParked(const SpawnedServer& server, int64_t fen) {
  ChangeEachShard(server,
                  [fen](storage::MoneyStore& store, storage::Batch& batch, model::ShardId shard) {
                    auto rows = store.channels().ListParked(shard, {}, 10);
                    REQUIRE(rows.ok());
                    for (auto& row : *rows) {
                      if (row.fen != fen) continue;
                      row.item = "lost";
                      store.channels().Park(batch, row);
                    }
                  });
}

json Parked(const SpawnedServer& server) {
  return json::parse(server.AdminOk({"--json", "channel", "parked"}));
}

void AwaitParked(const SpawnedServer& server, size_t items) {
  for (int tries = 0; tries < 1000 && Parked(server).size() < items; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  REQUIRE(Parked(server).size() == items);
}

// Takes a fen from what a packet of a server that is not running has left, in no books.
void TakeOneFen(const SpawnedServer& server, model::PacketId id) {
  const auto store = StoreOf(server);
  int found = 0;
  for (int n = 0; n < store->identity().shards; ++n) {
    const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + n);
    const auto packet = store->packets().FindPacket(shard, id);
    REQUIRE(packet.ok());
    if (!packet->has_value()) continue;
    ++found;
    auto head = store->channels().ReadHead(shard);
    REQUIRE(head.ok());
    ++head->batch;
    model::PacketStatus status = (*packet)->status;
    --status.left_fen;
    auto batch = store->NewBatch();
    store->packets().PutStatus(*batch, shard, (*packet)->header, status);
    store->channels().PutHead(*batch, shard, *head);
    REQUIRE(store->Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
  }
  CHECK(found == 1);
}

TEST_CASE("one packet that does not add up is found, set apart and mended; the others go on") {
  SpawnedServer server;
  int64_t broken = 0;
  int64_t sound = 0;
  {
    Person anna(server, "anna", "10");
    Person bert(server, "bert");
    const auto talk = Direct(anna.id(), bert.id());
    broken = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 200));
    sound = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 300));
    AuditIsClean(server);
  }
  Stop(server);
  TakeOneFen(server, model::PacketId(broken));
  server.Start();
  const Outcome found = server.Admin({"money", "audit"});
  CHECK(found.exit_code == 1);
  CHECK(found.out.find("packet=" + std::to_string(broken)) != std::string::npos);
  const auto audit = json::parse(server.Admin({"--json", "money", "audit"}).out);
  CHECK(audit.at("verdict") == 1);
  CHECK(audit.at("packets") == 2);
  CHECK(audit.at("world_fen") == "-1000");  // amounts may pass what a JSON number holds
  CHECK(audit.at("findings").at(0).get<std::string>().find(std::to_string(broken)) !=
        std::string::npos);

  Person anna(server, "anna");
  Person bert(server, "bert");
  CHECK(bert.OpenRefused(broken) == v1::QUARANTINED);
  CHECK(bert.OpenRefused(broken) == v1::QUARANTINED);
  CHECK(bert.Grab(broken).error.reason() == v1::QUARANTINED);
  CHECK(bert.Open(sound).ok);
  bert.AwaitBalance(300);
  CHECK(server.AdminOk({"money", "quarantine", "list"}) == std::to_string(broken) + "\n");
  CHECK(server.AdminOk({"money", "packet", std::to_string(broken)}).find("QUARANTINED") !=
        std::string::npos);
  const Outcome still = server.Admin({"money", "quarantine", "retry", std::to_string(broken)});
  CHECK(still.exit_code == 1);
  CHECK(still.err.find("still does not add up") != std::string::npos);

  // What both views agree on goes back; the fen they do not agree on stays where it is seen.
  CHECK(json::parse(
            server.AdminOk({"--json", "money", "quarantine", "return", std::to_string(broken)})) ==
        json{{"packet_id", std::to_string(broken)}, {"returned", true}});
  anna.AwaitBalance(1000 - 300 - 1);
  CHECK(server.Admin({"money", "audit", "--wait-drained"}).exit_code == 1);
  const auto stats = json::parse(server.AdminOk({"--json", "stats"}));
  CHECK(stats.at("hongyan_packets_quarantined_total") == 1);
}

TEST_CASE("parked money comes back: applied again, sent on, or given to whom somebody names") {
  SpawnedServer server;
  std::vector<int64_t> packets;
  {
    Person anna(server, "anna", "10");
    Person bert(server, "bert");
    for (const int64_t fen : {100, 200, 300}) {
      packets.push_back(
          anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, Direct(anna.id(), bert.id()), fen)));
    }
    AuditIsClean(server);
  }
  Stop(server);
  // No wallet can be credited: the sum of them would pass what an integer holds.
  std::map<model::ShardId, int64_t> was;
  const auto set_wallets = [&](bool full) {
    ChangeEachShard(server,
                    [&](storage::MoneyStore& store, storage::Batch& batch, model::ShardId shard) {
                      auto books = store.ledger().ReadBooks(shard);
                      REQUIRE(books.ok());
                      if (full) was[shard] = books->wallets_fen;
                      books->wallets_fen = full ? INT64_MAX : was[shard];
                      store.ledger().PutBooks(batch, shard, *books);
                    });
  };
  set_wallets(true);
  server.Start();
  {
    Person bert(server, "bert");
    for (const int64_t packet : packets) CHECK(bert.Open(packet).ok);
    AwaitParked(server, 3);
    CHECK(bert.Balance() == 0);
  }
  Stop(server);
  set_wallets(false);
  LoseParked(server, 300);
  server.Start();
  Person anna(server, "anna");
  Person bert(server, "bert");
  const Outcome audit = server.Admin({"money", "audit"});
  CHECK(audit.exit_code == 1);
  CHECK(audit.out.find(std::to_string(packets[2])) != std::string::npos);  // what the lost one was
  const Outcome two = server.Admin({"--json", "channel", "parked", "--limit", "2"});
  CHECK(json::parse(two.out).size() == 2);
  CHECK(two.err == "there are more: --limit 0 lists all\n");
  std::map<std::string, std::vector<std::string>> place;
  for (const auto& item : Parked(server)) {
    const std::string fen = item.at("fen");
    place[fen] = {std::to_string(item.at("source").get<int>()),
                  std::to_string(item.at("target").get<int>()), "--number", item.at("number")};
    if (fen == "300") {
      CHECK(item.at("what") == "");
    } else {
      CHECK(item.at("what") == "share");
      CHECK(item.at("user_id") == std::to_string(bert.id()));
      CHECK(item.at("packet_id") == std::to_string(packets[fen == "100" ? 0 : 1]));
    }
  }
  const auto channel = [&](const char* how, const char* fen, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"channel", how};
    words.insert(words.end(), place.at(fen).begin(), place.at(fen).end());
    words.insert(words.end(), more.begin(), more.end());
    return server.Admin(words);
  };
  const auto named = [&](int64_t packet, const char* user) {
    return channel("return", "300", {"--packet", std::to_string(packet), "--user", user});
  };
  CHECK(named(packets[0], "bert").err.find("another parked item") != std::string::npos);
  CHECK(channel("retry", "100").out == "retried 1, applied 1\n");
  bert.AwaitBalance(100);
  // That its own row says so is no other item that does.
  CHECK(channel("return", "200", {"--packet", std::to_string(packets[1]), "--user", "bert"})
            .exit_code == 0);
  bert.AwaitBalance(300);
  const Outcome again = channel("return", "200");
  CHECK(again.exit_code == 1);
  CHECK(again.err.find("no such item is parked") != std::string::npos);
  const Outcome retried = channel("retry", "300");
  CHECK(retried.exit_code == 1);
  CHECK(retried.err.find("still parked") != std::string::npos);
  CHECK(channel("return", "300").err.find("name the packet and the user") != std::string::npos);
  CHECK(named(packets[2], "anna").err.find("owes this user no such amount") != std::string::npos);
  CHECK(named(packets[0], "bert").exit_code == 1);
  CHECK(named(packets[2], "nobody").exit_code == 1);
  CHECK(named(packets[2], "bert").exit_code == 0);
  bert.AwaitBalance(600);
  CHECK(server.AdminOk({"channel", "parked"}) == "nothing is parked\n");
  AuditIsClean(server);
}

TEST_CASE("funds nobody can read go back, and where the request is named the send is RETURNED") {
  SpawnedServer server;
  v1::SendPacket lost;
  v1::SendPacket other;
  int64_t bert_id = 0;
  {
    Person anna(server, "anna", "10");
    Person bert(server, "bert");
    bert_id = bert.id();
    other = Packet(v1::PACKET_TRANSFER, Direct(anna.id(), bert_id), 100);
    anna.SendAnnounced(other);
    AuditIsClean(server);
  }
  // No packet can be made: the sum of them would pass what an integer holds.
  std::map<model::ShardId, int64_t> was;
  const auto set_escrow = [&](bool full) {
    Stop(server);
    ChangeEachShard(server,
                    [&](storage::MoneyStore& store, storage::Batch& batch, model::ShardId shard) {
                      auto books = store.ledger().ReadBooks(shard);
                      REQUIRE(books.ok());
                      if (full) was[shard] = books->escrow_fen;
                      books->escrow_fen = full ? INT64_MAX : was[shard];
                      store.ledger().PutBooks(batch, shard, *books);
                    });
    if (!full) LoseParked(server, 300);
    server.Start();
  };
  set_escrow(true);
  int64_t packet = 0;
  {
    Person anna(server, "anna");
    lost = Packet(v1::PACKET_TRANSFER, Direct(anna.id(), bert_id), 300);
    packet = Sent(anna.Send(lost));
    AwaitParked(server, 1);
  }
  set_escrow(false);
  Person anna(server, "anna");
  const auto state = [&] {
    v1::GetSend ask;
    ask.set_request_id(lost.request_id());
    const auto answer = anna.client.Ask<v1::GetSendReply>(v1::GET_SEND, ask);
    REQUIRE_MESSAGE(answer.ok, answer.error.text());
    return answer.reply.state();
  };
  CHECK(state() == v1::SEND_SENDING);
  const json item = Parked(server).at(0);
  const auto figure = [&](const char* name) {
    return json::parse(server.AdminOk({"--json", "stats"})).at(name).get<int64_t>();
  };
  CHECK(figure("hongyan_money_fen{account=\"suspense\"}") == 300);
  const auto back = [&](const std::string& request) {
    return server.Admin(
        {"--json", "channel", "return", std::to_string(item.at("source").get<int>()),
         std::to_string(item.at("target").get<int>()), "--number", item.at("number"), "--packet",
         std::to_string(packet), "--user", "anna", "--request", request});
  };
  CHECK(back("12").err.find("32 hexadecimal digits") != std::string::npos);
  CHECK(back(base::ToHex(other.request_id())).err.find("another packet") != std::string::npos);
  CHECK(back(base::ToHex(NewRequestId())).exit_code == 1);
  CHECK(state() == v1::SEND_SENDING);
  const Outcome done = back(base::ToHex(lost.request_id()));
  CHECK(done.exit_code == 0);
  CHECK(json::parse(done.out, nullptr, false) == json{{"source", item.at("source")},
                                                      {"target", item.at("target")},
                                                      {"number", item.at("number")},
                                                      {"returned", true}});
  anna.AwaitBalance(900);
  CHECK(state() == v1::SEND_RETURNED);
  CHECK(figure("hongyan_packet_sends_reversed_total") == 1);
  CHECK(figure("hongyan_money_fen{account=\"suspense\"}") == 0);
  CHECK(Parked(server).empty());
  AuditIsClean(server);
}

TEST_CASE("a list of the quarantine that stops before its end says so") {
  SpawnedServer server;
  Stop(server);
  {
    // Packets of shard 0, cell 0: rows that cannot be read.
    const int64_t first = std::time(nullptr) / 86'400 * 100'000'000'000'000;
    storage::DatabaseOptions options;
    options.kind = storage::StoreKind::kMoney;
    options.path = server.data() + "/money/db";
    storage::Database database(options);
    REQUIRE(database.Open(storage::IfMissing::kRefuse, storage::Recovery::kStrict).ok());
    rocksdb::WriteBatch rows;
    for (int i = 0; i < 1001; ++i) {
      const model::PacketId id(first + i * 1000);
      REQUIRE(rows.Put(database.name(storage::Table::kPackets),
                       storage::PacketKey(model::kFirstMoneyShard, id).slice(), "rot")
                  .ok());
    }
    REQUIRE(database.Write(&rows).ok());
    database.Close();
  }
  server.Start();
  const json list = json::parse(server.AdminOk({"--json", "money", "quarantine", "list"}));
  CHECK(list.at("packet_ids").size() == 1000);
  CHECK(list.at("more") == true);
  CHECK(server.AdminOk({"money", "quarantine", "list"}).find("\nthere are more: ") !=
        std::string::npos);
}

TEST_CASE("an audit that cannot read a row of a live server proves nothing, and says what") {
  SpawnedServer server;
  { Person anna(server, "anna", "10"); }
  Stop(server);
  {
    storage::DatabaseOptions options;
    options.kind = storage::StoreKind::kMoney;
    options.path = server.data() + "/money/db";
    storage::Database database(options);
    REQUIRE(database.Open(storage::IfMissing::kRefuse, storage::Recovery::kStrict).ok());
    rocksdb::WriteBatch rows;
    REQUIRE(rows.Put(database.name(storage::Table::kRest),
                     storage::BooksKey(model::kFirstMoneyShard).slice(), "rot")
                .ok());
    REQUIRE(database.Write(&rows).ok());
    database.Close();
  }
  server.Start();
  const Outcome audit = server.Admin({"money", "audit"});
  CHECK(audit.exit_code == 2);
  CHECK(audit.out.find("not read: books of shard=1024") != std::string::npos);
  CHECK(json::parse(server.Admin({"--json", "money", "audit"}).out).at("verdict") == 2);
  CHECK(server.Admin({"stats"}).exit_code == 0);  // the rest of the server goes on
}

}  // namespace
}  // namespace hongyan::integration
