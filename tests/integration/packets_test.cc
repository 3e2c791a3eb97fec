#include <map>
#include <memory>
#include <string>
#include <vector>

#include "packet_person.h"
#include "tests/doctest_last.h"

// Red packets and transfers on the real server, by frames.

namespace hongyan::integration {
namespace {

using nlohmann::json;

TEST_CASE("a lucky packet in a group: everybody opens once, the shares add up, the best is named") {
  SpawnedServer server;
  Person anna(server, "anna", "100");
  Person bert(server, "bert");
  Person carl(server, "carl");
  Person outsider(server, "dora");
  const auto group = NewGroup(server, "anna", "bert\ncarl\n");
  const auto request = Packet(v1::PACKET_LUCKY, group, 1000, 3);
  const int64_t packet = Sent(anna.Send(request));
  CHECK(anna.Balance() == 9000);

  // The message says what everybody may know; the sender's own entry carries the request id.
  const auto is_packet = [](const v1::Entry& e) { return BodyOf(e).has_red_packet(); };
  const v1::Entry mine = anna.AwaitEntry(is_packet);
  const v1::Entry theirs = bert.AwaitEntry(is_packet);
  CHECK(mine.client_msg_id() == request.request_id());
  CHECK(theirs.client_msg_id().empty());
  CHECK(BodyOf(theirs).red_packet().packet_id() == packet);
  CHECK(BodyOf(theirs).red_packet().shares() == 3);
  CHECK(theirs.message().sender() == anna.id());
  v1::GetSend get;
  get.set_request_id(request.request_id());

  CHECK(outsider.OpenRefused(packet) == v1::NOT_ELIGIBLE);
  CHECK(outsider.Grab(packet).error.reason() == v1::NOT_ELIGIBLE);
  CHECK(outsider.Detail(packet).error.reason() == v1::NOT_ELIGIBLE);
  std::map<std::string, int64_t> got;
  for (Person* person : {&bert, &carl, &anna}) {
    CHECK(person->Grab(packet).ok);
    const auto opened = person->Open(packet);
    REQUIRE_MESSAGE(opened.ok, opened.error.text());
    CHECK_FALSE(opened.reply.already());
    got[person->name] = opened.reply.amount_fen();
    CHECK(opened.reply.amount_fen() >= 1);
  }
  CHECK(got["anna"] + got["bert"] + got["carl"] == 1000);
  const auto sent = anna.client.Ask<v1::GetSendReply>(v1::GET_SEND, get);
  CHECK(sent.reply.state() == v1::SEND_SENT);
  CHECK(sent.reply.packet_id() == packet);

  // Again: the first amount. For others it is gone.
  const auto again = bert.Open(packet);
  CHECK(again.ok);
  CHECK(again.reply.already());
  CHECK(again.reply.amount_fen() == got["bert"]);
  CHECK(bert.Grab(packet).reply.amount_fen() == got["bert"]);
  CHECK(outsider.OpenRefused(packet) == v1::PACKET_DONE);

  bert.AwaitBalance(got["bert"]);
  carl.AwaitBalance(got["carl"]);
  anna.AwaitBalance(9000 + got["anna"]);
  const auto detail = carl.Detail(packet);
  REQUIRE_MESSAGE(detail.ok, detail.error.text());
  CHECK(detail.reply.state() == v1::PACKET_STATE_DONE);
  CHECK(detail.reply.total_fen() == 1000);
  CHECK(detail.reply.taken() == 3);
  CHECK(detail.reply.mine().amount_fen() == got["carl"]);
  REQUIRE(detail.reply.claims_size() == 3);
  int64_t best = 0;
  int64_t largest = 0;
  for (const auto& claim : detail.reply.claims()) {
    largest = std::max(largest, claim.amount_fen());
    if (claim.best_luck()) {
      CHECK(best == 0);
      best = claim.amount_fen();
    }
  }
  CHECK(best == largest);
  const v1::Entry notice =
      bert.AwaitEntry([](const v1::Entry& e) { return BodyOf(e).system().has_packet_notice(); });
  CHECK(BodyOf(notice).system().packet_notice().what() == v1::PacketNotice::FINISHED);
  CHECK(notice.conv_seq() > theirs.conv_seq());
  AuditIsClean(server);
}

TEST_CASE("what is left of a packet whose time is over comes back to the fen, and says so") {
  SpawnedServer server("[money]\nlife_s = 2\n");
  Person anna(server, "anna", "10");
  Person bert(server, "bert");
  const auto group = NewGroup(server, "anna", "bert\n");
  const auto request = Packet(v1::PACKET_EQUAL, group, 100, 3);
  const int64_t packet = anna.SendAnnounced(request);
  const auto opened = bert.Open(packet);
  REQUIRE_MESSAGE(opened.ok, opened.error.text());
  CHECK(opened.reply.amount_fen() == 100);
  CHECK(anna.Balance() == 700);
  const v1::Entry back =
      anna.AwaitEntry([](const v1::Entry& e) { return e.kind() == v1::ENTRY_PACKET_RETURNED; });
  CHECK(back.packet_returned().packet_id() == packet);
  CHECK(back.packet_returned().amount_fen() == 200);
  CHECK(back.packet_returned().reason() == v1::RETURN_EXPIRED);
  CHECK(back.packet_returned().request_id() == request.request_id());
  CHECK(back.conversation().b() == group.b());
  CHECK_FALSE(back.has_message());
  CHECK_FALSE(back.gone());
  anna.AwaitBalance(900);
  CHECK(anna.OpenRefused(packet) == v1::PACKET_EXPIRED);
  CHECK(bert.Open(packet).reply.already());
  const auto detail = anna.Detail(packet);
  CHECK(detail.reply.state() == v1::PACKET_STATE_EXPIRED);
  CHECK(detail.reply.refund_fen() == 200);
  const v1::Entry notice =
      bert.AwaitEntry([](const v1::Entry& e) { return BodyOf(e).system().has_packet_notice(); });
  CHECK(BodyOf(notice).system().packet_notice().what() == v1::PacketNotice::REFUNDED);
  AuditIsClean(server);
}

TEST_CASE("a transfer is accepted or returned by the other one, once") {
  SpawnedServer server;
  Person anna(server, "anna", "20");
  Person bert(server, "bert");
  const auto talk = Direct(anna.id(), bert.id());
  const int64_t kept = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 888));
  const int64_t sent_back = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 112));
  CHECK(anna.Balance() == 1000);
  const v1::Entry message =
      bert.AwaitEntry([](const v1::Entry& e) { return BodyOf(e).has_transfer(); });
  CHECK(BodyOf(message).transfer().amount_fen() == 888);
  CHECK(BodyOf(message).transfer().to() == bert.id());
  CHECK(anna.OpenRefused(kept) == v1::NOT_THE_NAMED_PERSON);
  CHECK_FALSE(anna.Return(kept).ok);

  const auto accepted = bert.Open(kept);
  REQUIRE_MESSAGE(accepted.ok, accepted.error.text());
  CHECK(accepted.reply.amount_fen() == 888);
  CHECK_FALSE(bert.Return(kept).ok);
  bert.AwaitBalance(888);

  bert.AwaitEntry(
      [&](const v1::Entry& e) { return BodyOf(e).transfer().packet_id() == sent_back; });
  CHECK(bert.Return(sent_back).ok);
  CHECK(bert.Return(sent_back).ok);
  CHECK(bert.OpenRefused(sent_back) == v1::PACKET_RETURNED);
  anna.AwaitBalance(1112);
  const v1::Entry back =
      anna.AwaitEntry([](const v1::Entry& e) { return e.kind() == v1::ENTRY_PACKET_RETURNED; });
  CHECK(back.packet_returned().reason() == v1::RETURN_BY_RECEIVER);
  AuditIsClean(server);
}

TEST_CASE("who is not named, not there any more or the sender opens what the kind allows") {
  SpawnedServer server;
  Person anna(server, "anna", "100");
  Person bert(server, "bert");
  Person carl(server, "carl");
  const auto group = NewGroup(server, "anna", "bert\ncarl\n");
  auto personal = Packet(v1::PACKET_EXCLUSIVE, group, 100);
  personal.set_named(carl.id());
  const int64_t packet = anna.SendAnnounced(personal);
  CHECK(bert.OpenRefused(packet) == v1::NOT_THE_NAMED_PERSON);
  CHECK(anna.OpenRefused(packet) == v1::NOT_THE_NAMED_PERSON);
  CHECK(carl.Open(packet).ok);
  const int64_t other = anna.SendAnnounced(Packet(v1::PACKET_LUCKY, group, 100, 5));
  CHECK(carl.Open(other).ok);
  server.AdminOk({"group", "remove", std::to_string(group.b()), "bert"});
  CHECK(bert.OpenRefused(other) == v1::NOT_ELIGIBLE);
  server.AdminOk({"group", "remove", std::to_string(group.b()), "carl"});
  CHECK(carl.Open(other).reply.already());
  CHECK(carl.Detail(other).ok);
  CHECK(bert.Detail(other).error.reason() == v1::NOT_ELIGIBLE);
  // A packet of somebody who has left is refused by the edge; a repeat of one taken before is not.
  const auto gone = bert.Send(Packet(v1::PACKET_LUCKY, group, 100, 2));
  CHECK(gone.error.reason() == v1::NOT_A_MEMBER);
  const auto talk = Direct(anna.id(), bert.id());
  const int64_t mine = anna.SendAnnounced(Packet(v1::PACKET_LUCKY, talk, 100));
  CHECK(anna.OpenRefused(mine) == v1::OWN_PACKET);
  AuditIsClean(server);
}

TEST_CASE("wallets, packets and postings survive kill -9, and a packet opens after it") {
  SpawnedServer server;
  int64_t packet = 0;
  v1::ConversationId group;
  {
    Person anna(server, "anna", "50");
    Person bert(server, "bert");
    group = NewGroup(server, "anna", "bert\n");
    packet = anna.SendAnnounced(Packet(v1::PACKET_EQUAL, group, 500, 2));
    CHECK(bert.Open(packet).ok);
  }
  server.Kill();
  server.Start();
  const auto shown =
      json::parse(server.AdminOk({"--json", "money", "packet", std::to_string(packet)}));
  CHECK(shown.at("taken") == 1);
  CHECK(shown.at("left_fen") == "500");
  const auto wallet = json::parse(server.AdminOk({"--json", "wallet", "show", "anna"}));
  CHECK(wallet.at("balance_fen") == "4000");
  AuditIsClean(server);
  CHECK(server.AdminOk({"money", "end", std::to_string(packet)}).find("ended") == 0);
  AuditIsClean(server);
  const auto after = json::parse(server.AdminOk({"--json", "wallet", "show", "anna"}));
  CHECK(after.at("balance_fen") == "4500");
}

TEST_CASE("the figures of money are what they say") {
  SpawnedServer server;
  Person anna(server, "anna", "10");
  Person bert(server, "bert");
  Person outsider(server, "carl");
  const auto figure = [&](const std::string& name) {
    return json::parse(server.AdminOk({"--json", "stats"})).at("hongyan_" + name).get<int64_t>();
  };
  const auto account = [&](const std::string& name) {
    return figure("money_fen{account=\"" + name + "\"}");
  };
  const auto group = NewGroup(server, "anna", "bert\n");
  CHECK(figure("wallet_moves_total") == 1);
  CHECK_FALSE(anna.Send(Packet(v1::PACKET_LUCKY, group, 1001, 2)).ok);  // no funds
  CHECK(figure("packet_sends_refused_total") == 1);
  CHECK(figure("packet_sends_total") == 0);

  const int64_t packet = anna.SendAnnounced(Packet(v1::PACKET_EQUAL, group, 150, 2));
  REQUIRE(bert.Open(packet).ok);
  bert.AwaitBalance(150);
  CHECK(figure("packet_sends_total") == 1);
  CHECK(figure("packets_total") == 1);
  CHECK(figure("packet_opens_total") == 1);
  CHECK(figure("packet_credits_total") == 1);
  CHECK(figure("packets_finished_total") == 0);
  CHECK(figure("board_packets") == 1);
  CHECK(account("escrow") == 150);
  CHECK(account("wallets") == 850);
  CHECK(account("world") == -1000);
  CHECK(account("transit") == 0);
  CHECK(account("suspense") == 0);
  const int64_t refused = figure("packet_opens_refused_total");  // while it was not announced
  CHECK(outsider.OpenRefused(packet) == v1::NOT_ELIGIBLE);
  CHECK(figure("packet_opens_refused_total") == refused + 1);
  CHECK(bert.Open(packet).reply.already());
  REQUIRE(anna.Open(packet).ok);
  CHECK(figure("packet_opens_total") == 2);
  CHECK(figure("packets_finished_total") == 1);
  CHECK(account("escrow") == 0);

  const auto talk = Direct(anna.id(), bert.id());
  const int64_t transfer = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 100));
  REQUIRE(bert.Return(transfer).ok);
  CHECK(figure("packets_refunded_total") == 1);
  CHECK(figure("packets_total") == 2);
  CHECK(figure("packets_finished_total") == 1);
  CHECK(figure("board_packets") == 2);
  CHECK(figure("packet_sends_reversed_total") == 0);
  CHECK(figure("packets_quarantined_total") == 0);
}

TEST_CASE("a crowd opens at once: every share goes to one, who comes too late gets nothing") {
  constexpr int kPeople = 30;
  constexpr int kShares = 20;
  SpawnedServer server;
  std::vector<std::unique_ptr<Person>> people;
  std::string members;
  for (int i = 0; i < kPeople; ++i) {
    const std::string name = "p" + std::to_string(i);
    people.push_back(std::make_unique<Person>(server, name, i == 0 ? "100" : ""));
    if (i > 0) members += name + "\n";
  }
  const auto group = NewGroup(server, "p0", members);
  server.AdminOk({"wallet", "deposit", "p1", "1", "--id", "first", "--reason", "start"});
  server.AdminOk({"wallet", "freeze", "p1"});
  const int64_t packet = people[0]->SendAnnounced(Packet(v1::PACKET_LUCKY, group, 5000, kShares));
  v1::OpenPacket open;
  open.set_packet_id(packet);
  std::vector<Person*> asking;
  for (auto& person : people) asking.push_back(person.get());
  int64_t taken = 0;
  std::map<int, int64_t> by_ordinal;
  std::map<Person*, int64_t> got;
  int too_late = 0;
  for (int round = 0; !asking.empty(); ++round) {
    REQUIRE(round < 200);
    std::vector<uint32_t> ids;
    for (Person* person : asking) ids.push_back(person->client.Send(v1::OPEN_PACKET, open));
    std::vector<Person*> again;
    for (size_t i = 0; i < asking.size(); ++i) {
      const auto answer =
          RawClient::Decode<v1::OpenPacketReply>(asking[i]->client.AnswerTo(ids[i]));
      if (answer.ok) {
        CHECK_FALSE(answer.reply.already());
        CHECK(by_ordinal.emplace(answer.reply.ordinal(), answer.reply.amount_fen()).second);
        got[asking[i]] = answer.reply.amount_fen();
        taken += answer.reply.amount_fen();
      } else if (answer.error.reason() == v1::BUSY) {
        CHECK(answer.error.retry_after_ms() >= 20);
        again.push_back(asking[i]);
      } else {
        CHECK(answer.error.reason() == v1::PACKET_DONE);
        ++too_late;
      }
    }
    asking = std::move(again);
    if (!asking.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(taken == 5000);
  CHECK(by_ordinal.size() == kShares);
  CHECK(by_ordinal.rbegin()->first == kShares);
  CHECK(too_late == kPeople - kShares);
  // A frozen wallet takes in what its owner opened, like the others.
  for (const auto& [person, fen] : got) {
    const int64_t had = person == people[0].get() ? 5000 : person == people[1].get() ? 100 : 0;
    person->AwaitBalance(had + fen);
  }
  AuditIsClean(server);
}

}  // namespace
}  // namespace hongyan::integration
