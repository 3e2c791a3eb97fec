#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "packet_person.h"
#include "tests/doctest_last.h"

// Days of packets that leave the real server's store and come back.

namespace hongyan::integration {
namespace {

using nlohmann::json;

constexpr int64_t kDayS = 86'400;

json AdminJson(const SpawnedServer& server, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "--json");
  return json::parse(server.AdminOk(std::move(arguments)));
}

// What bert and carl, who both opened, and dora, who did not, hear of a packet of three shares.
struct Hearers {
  explicit Hearers(const SpawnedServer& server)
      : bert(server, "bert"), carl(server, "carl"), dora(server, "dora") {}

  // With `bert_fen`, `carl_fen`: what they were given, and nobody gets more.
  void HearTheSame(int64_t packet, int64_t bert_fen, int64_t carl_fen) {
    for (const auto& [person, fen] : {std::pair{&bert, bert_fen}, std::pair{&carl, carl_fen}}) {
      CAPTURE(person->name);
      const auto again = person->Open(packet);
      REQUIRE_MESSAGE(again.ok, again.error.text());
      CHECK(again.reply.already());
      CHECK(again.reply.amount_fen() == fen);
      CHECK(person->Grab(packet).reply.amount_fen() == fen);
      const auto detail = person->Detail(packet);
      REQUIRE_MESSAGE(detail.ok, detail.error.text());
      CHECK(detail.reply.state() == v1::PACKET_STATE_EXPIRED);
      CHECK(detail.reply.mine().amount_fen() == fen);
      CHECK(detail.reply.claims_size() == 2);
    }
    CHECK(dora.OpenRefused(packet) == v1::PACKET_EXPIRED);
    CHECK(dora.Grab(packet).error.reason() == v1::PACKET_EXPIRED);
    CHECK(dora.Detail(packet).reply.taken() == 2);
  }

  Person bert;
  Person carl;
  Person dora;
};

// A group's packets of one day, each opened by two of three; then all of it is three days ago.
struct OldDay {
  explicit OldDay(int count) {
    {
      Person anna(server, "anna", "100");
      Hearers group(server);
      const auto where = NewGroup(server, "anna", "bert\ncarl\ndora\n");
      for (int i = 0; i < count; ++i) {
        const int64_t packet = anna.SendAnnounced(Packet(v1::PACKET_LUCKY, where, 100, 3));
        const auto bert = group.bert.Open(packet);
        const auto carl = group.carl.Open(packet);
        REQUIRE(bert.ok);
        REQUIRE(carl.ok);
        packets.push_back({packet, bert.reply.amount_fen(), carl.reply.amount_fen()});
      }
    }
    AuditIsClean(server);
    server.Terminate();
    CHECK(server.Wait() == 0);
    server.MoveClock(3 * kDayS);
    server.Start();
    day = AdminJson(server, {"money", "packet", std::to_string(packets.front().id)}).at("day");
    // The rest has gone back, and all have heard of it.
    AuditIsClean(server);
    Person anna(server, "anna");
    int64_t taken = 0;
    for (const Opened& packet : packets) taken += packet.bert_fen + packet.carl_fen;
    anna.AwaitBalance(10'000 - taken);
  }

  void EverybodyHearsTheSame() {
    Hearers group(server);
    for (const Opened& packet : packets) {
      group.HearTheSame(packet.id, packet.bert_fen, packet.carl_fen);
    }
  }

  struct Opened {
    int64_t id = 0;
    int64_t bert_fen = 0;
    int64_t carl_fen = 0;
  };
  SpawnedServer server;
  std::vector<Opened> packets;
  std::string day;
};

TEST_CASE("a day that is over goes into files and comes back, and nobody who opened can tell") {
  OldDay old(4);
  SpawnedServer& server = old.server;
  const json before = AdminJson(server, {"money", "day", old.day});
  CHECK(before.at("not_closed") == 0);
  CHECK(before.at("files").empty());

  const json archived = AdminJson(server, {"money", "archive", old.day});
  CHECK(archived.at("packets") == before.at("packets"));
  REQUIRE_FALSE(archived.at("files").empty());
  for (const json& file : archived.at("files")) {
    CHECK(std::filesystem::exists(server.data() + "/money/days/" +
                                  file.at("file").get<std::string>()));
  }
  for (const bool after_crash : {false, true}) {
    CAPTURE(after_crash);
    if (after_crash) {
      server.Kill();
      server.Start();
    }
    old.EverybodyHearsTheSame();
    json now = AdminJson(server, {"money", "day", old.day});
    CHECK(now.at("files") == archived.at("files"));
    now["files"] = json::array();
    CHECK(now == before);
    AuditIsClean(server);
    // Again changes nothing.
    CHECK(AdminJson(server, {"money", "archive", old.day}) == archived);
  }
  CHECK(server.AdminOk({"money", "day", old.day}).find("in money/days/") != std::string::npos);
  const std::string packet = std::to_string(old.packets.front().id);
  CHECK(AdminJson(server, {"money", "packet", packet}).at("state") == "expired");
  CHECK(server.Admin({"money", "end", packet}).exit_code == 1);
  CHECK(server.Admin({"money", "quarantine", "retry", packet}).exit_code == 1);

  CHECK(AdminJson(server, {"money", "restore-day", old.day}).at("files").empty());
  for (const bool after_crash : {false, true}) {
    CAPTURE(after_crash);
    if (after_crash) {
      server.Kill();
      server.Start();
    }
    old.EverybodyHearsTheSame();
    CHECK(AdminJson(server, {"money", "day", old.day}) == before);
    AuditIsClean(server);
  }
  // Again changes nothing.
  CHECK(AdminJson(server, {"money", "restore-day", old.day}).at("packets") == before.at("packets"));
  CHECK(AdminJson(server, {"money", "archive", old.day}).at("packets") == before.at("packets"));
  old.EverybodyHearsTheSame();
}

TEST_CASE("a server ended anywhere in an archive or a restore has the day here or there, whole") {
  OldDay old(10);
  SpawnedServer& server = old.server;
  const json before = AdminJson(server, {"money", "day", old.day});
  bool archived = false;
  for (int round = 0; round < 8; ++round) {
    CAPTURE(round);
    const char* const verb = archived ? "restore-day" : "archive";
    Outcome outcome;
    std::thread administrator([&] { outcome = server.Admin({"money", verb, old.day}); });
    std::this_thread::sleep_for(std::chrono::milliseconds(3 + 4 * round));
    if (round % 4 < 2) {  // each verb is met by both
      server.Kill();
    } else {
      server.Terminate();
      CHECK(server.Wait() == 0);
    }
    administrator.join();
    server.Start();
    old.EverybodyHearsTheSame();
    AuditIsClean(server);
    // The same again ends it, or finds it done.
    const Outcome again = server.Admin({"money", verb, old.day});
    CHECK_MESSAGE(again.exit_code == 0, again.err);
    archived = !archived;
    json now = AdminJson(server, {"money", "day", old.day});
    CHECK(now.at("files").empty() == !archived);
    now["files"] = json::array();
    CHECK(now == before);
  }
}

TEST_CASE("a file of a day that is gone is said, and harms nothing else") {
  OldDay old(3);
  SpawnedServer& server = old.server;
  const json archived = AdminJson(server, {"money", "archive", old.day});
  server.Terminate();
  CHECK(server.Wait() == 0);
  std::filesystem::rename(server.data() + "/money/days", server.data() + "/money/elsewhere");
  server.Start();
  const Outcome audit = server.Admin({"money", "audit"});
  CHECK(audit.exit_code == 2);
  CHECK(audit.out.find("put it back from a backup") != std::string::npos);
  CHECK(server.Admin({"money", "restore-day", old.day}).exit_code == 1);
  {
    Hearers group(server);
    CHECK(group.bert.OpenRefused(old.packets.front().id) == v1::BROKEN);
    const auto talk = Direct(group.bert.id(), group.carl.id());
    auto request = Packet(v1::PACKET_TRANSFER, talk, 1);
    request.set_request_id(NewRequestId(3 * kDayS * 1000));
    CHECK(group.carl.Open(group.bert.SendAnnounced(request)).ok);
  }
  server.Terminate();
  CHECK(server.Wait() == 0);
  std::filesystem::rename(server.data() + "/money/elsewhere", server.data() + "/money/days");
  server.Start();
  old.EverybodyHearsTheSame();
  AuditIsClean(server);
}

}  // namespace
}  // namespace hongyan::integration
