#include <optional>
#include <string>

#include "base/clock.h"
#include "packet_person.h"
#include "storage/rocksdb/rocksdb_money_store.h"
#include "tests/doctest_last.h"

// What becomes of a real server whose rows of money do not add up.

namespace hongyan::integration {
namespace {

using nlohmann::json;

// Takes a fen from what a packet of a server that is not running has left, in no books.
void TakeOneFen(const SpawnedServer& server, model::PacketId id) {
  const base::SystemClock clock;
  storage::RocksdbOptions options;
  options.path = server.data() + "/money";
  options.clock = &clock;
  options.disk_reserve_bytes = 0;
  const auto store = storage::RocksdbMoneyStore::Open(options);
  REQUIRE_MESSAGE(store.ok(), store.error().text);
  int found = 0;
  for (int n = 0; n < (*store)->identity().shards; ++n) {
    const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + n);
    const auto packet = (*store)->packets().FindPacket(shard, id);
    REQUIRE(packet.ok());
    if (!packet->has_value()) continue;
    ++found;
    auto head = (*store)->channels().ReadHead(shard);
    REQUIRE(head.ok());
    ++head->batch;
    model::PacketStatus status = (*packet)->status;
    --status.left_fen;
    auto batch = (*store)->NewBatch();
    (*store)->packets().PutStatus(*batch, shard, (*packet)->header, status);
    (*store)->channels().PutHead(*batch, shard, *head);
    REQUIRE((*store)->Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
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
  server.Terminate();
  CHECK(server.Wait() == 0);
  TakeOneFen(server, model::PacketId(broken));
  server.Start();
  const Outcome found = server.Admin({"money", "audit"});
  CHECK(found.exit_code == 1);
  CHECK(found.out.find("packet=" + std::to_string(broken)) != std::string::npos);
  const auto audit = json::parse(server.Admin({"--json", "money", "audit"}).out);
  CHECK(audit.at("verdict") == 1);
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
  server.AdminOk({"money", "quarantine", "return", std::to_string(broken)});
  anna.AwaitBalance(1000 - 300 - 1);
  CHECK(server.Admin({"money", "audit", "--wait-drained"}).exit_code == 1);
  const auto stats = json::parse(server.AdminOk({"--json", "stats"}));
  CHECK(stats.at("hongyan_packets_quarantined_total") == 1);
}

}  // namespace
}  // namespace hongyan::integration
