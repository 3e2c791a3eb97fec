#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "hongyan/v1/money.pb.h"
#include "raw_client.h"
#include "spawned_server.h"
#include "tests/doctest_last.h"

// Wallets, red packets and transfers on the real server, by frames and by hongyan-admin.

namespace hongyan::integration {
namespace {

using nlohmann::json;

// A person with a session and money.
struct Person {
  Person(const SpawnedServer& server, const std::string& user, const std::string& yuan = "")
      : name(user), account(NewUser(server, user)), client(server) {
    Enter(client, account);
    if (!yuan.empty()) {
      server.AdminOk({"wallet", "deposit", user, yuan, "--id", "first", "--reason", "start"});
    }
  }

  int64_t id() const { return account.id; }

  Answer<v1::SendPacketReply> Send(const v1::SendPacket& request) {
    return client.Ask<v1::SendPacketReply>(v1::SEND_PACKET, request);
  }
  Answer<v1::OpenPacketReply> Open(int64_t packet) {
    v1::OpenPacket request;
    request.set_packet_id(packet);
    // A packet opens once its message is stored: until then and in a crowd, BUSY with a pause.
    for (int tries = 0;; ++tries) {
      auto answer = client.Ask<v1::OpenPacketReply>(v1::OPEN_PACKET, request);
      if (answer.ok || answer.error.reason() != v1::BUSY || tries == 200) return answer;
      CHECK(answer.error.retry_after_ms() > 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(answer.error.retry_after_ms()));
    }
  }
  v1::Reason OpenRefused(int64_t packet) {
    const auto answer = Open(packet);
    return answer.ok ? v1::REASON_NONE : answer.error.reason();
  }
  Answer<v1::GrabPacketReply> Grab(int64_t packet) {
    v1::GrabPacket request;
    request.set_packet_id(packet);
    return client.Ask<v1::GrabPacketReply>(v1::GRAB_PACKET, request);
  }
  Answer<v1::ReturnTransferReply> Return(int64_t packet) {
    v1::ReturnTransfer request;
    request.set_packet_id(packet);
    for (int tries = 0;; ++tries) {
      auto answer = client.Ask<v1::ReturnTransferReply>(v1::RETURN_TRANSFER, request);
      if (answer.ok || answer.error.reason() != v1::BUSY || tries == 200) return answer;
      std::this_thread::sleep_for(std::chrono::milliseconds(answer.error.retry_after_ms()));
    }
  }
  Answer<v1::PacketDetailReply> Detail(int64_t packet) {
    v1::PacketDetail request;
    request.set_packet_id(packet);
    return client.Ask<v1::PacketDetailReply>(v1::PACKET_DETAIL, request);
  }
  int64_t Balance() {
    const auto answer = client.Ask<v1::GetWalletReply>(v1::GET_WALLET, v1::GetWallet());
    REQUIRE(answer.ok);
    return answer.reply.balance_fen();
  }
  // Credits come a moment after the open that made them.
  void AwaitBalance(int64_t fen) {
    for (int tries = 0; tries < 1000 && Balance() != fen; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(Balance() == fen);
  }
  // Sends, and waits for the message: before it nobody else can know of the packet.
  int64_t SendAnnounced(const v1::SendPacket& request) {
    const auto answer = Send(request);
    REQUIRE_MESSAGE(answer.ok, answer.error.text());
    AwaitEntry([&](const v1::Entry& e) { return e.client_msg_id() == request.request_id(); });
    return answer.reply.packet_id();
  }
  // The first entry this wants, polling the inbox.
  template <class Wanted>
  v1::Entry AwaitEntry(Wanted wanted) {
    for (int tries = 0; tries < 1500; ++tries) {
      const v1::SyncReply page = client.Sync(0);
      for (const v1::Entry& entry : page.entries()) {
        if (wanted(entry)) return entry;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL("the entry did not come");
    return {};
  }

  std::string name;
  Account account;
  RawClient client;
};

v1::Body BodyOf(const v1::Entry& entry) {
  v1::Body body;
  body.ParseFromString(entry.message().body());
  return body;
}

v1::SendPacket Packet(v1::PacketKind kind, const v1::ConversationId& where, int64_t fen,
                      int32_t shares = 1) {
  v1::SendPacket request;
  request.set_request_id(NewRequestId());
  request.set_kind(kind);
  *request.mutable_conversation() = where;
  request.set_amount_fen(fen);
  request.set_shares(shares);
  request.set_greeting("luck");
  return request;
}

int64_t Sent(const Answer<v1::SendPacketReply>& answer) {
  REQUIRE_MESSAGE(answer.ok, answer.error.text());
  return answer.reply.packet_id();
}

v1::ConversationId NewGroup(const SpawnedServer& server, const std::string& owner,
                            const std::string& members) {
  const auto created = json::parse(server.AdminOk(
      {"--json", "group", "create", "Team", "--owner", owner, "--members-file", "-"}, members));
  return Group(std::stoll(created.at("group_id").get<std::string>()));
}

void AuditIsClean(const SpawnedServer& server) {
  const Outcome audit = server.Admin({"money", "audit", "--wait-drained"});
  CHECK_MESSAGE(audit.exit_code == 0, audit.out);
}

}  // namespace

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

TEST_CASE("each rule that refuses a send has its own reason, and moves nothing") {
  SpawnedServer server("[money]\ntotal_fen = 100000\nshare_fen = 20000\nshares = 50\n");
  Person anna(server, "anna", "100");
  Person bert(server, "bert");
  Person carl(server, "carl", "100");
  const auto group = NewGroup(server, "anna", "bert\n");
  const auto talk = Direct(anna.id(), bert.id());
  const auto why = [&anna](v1::SendPacket request) {
    const auto answer = anna.Send(request);
    return answer.ok ? v1::REASON_NONE : answer.error.reason();
  };
  using enum v1::PacketKind;
  CHECK(why(Packet(PACKET_LUCKY, group, 0, 2)) == v1::AMOUNT_INVALID);
  CHECK(why(Packet(PACKET_LUCKY, group, -5, 2)) == v1::AMOUNT_INVALID);
  CHECK(why(Packet(PACKET_EQUAL, group, INT64_MAX, 2)) == v1::AMOUNT_INVALID);
  CHECK(why(Packet(PACKET_LUCKY, group, 100, 0)) == v1::SHARES_INVALID);
  CHECK(why(Packet(PACKET_LUCKY, group, 100, -1)) == v1::SHARES_INVALID);
  CHECK(why(Packet(PACKET_EQUAL, group, 100, 0)) == v1::SHARES_INVALID);
  CHECK(why(Packet(PACKET_EQUAL, group, -100, -2)) == v1::AMOUNT_INVALID);
  CHECK(why(Packet(PACKET_TRANSFER, talk, 100, 2)) == v1::SHARES_INVALID);
  CHECK(why(Packet(PACKET_TRANSFER, talk, 100, -1)) == v1::SHARES_INVALID);
  CHECK(why(Packet(PACKET_LUCKY, group, 3, 4)) == v1::MORE_SHARES_THAN_FEN);
  CHECK(why(Packet(PACKET_LUCKY, group, 100'001, 10)) == v1::OVER_LIMIT);
  CHECK(why(Packet(PACKET_LUCKY, group, 1000, 51)) == v1::OVER_LIMIT);
  CHECK(why(Packet(PACKET_EQUAL, group, 20'001, 2)) == v1::OVER_LIMIT);
  CHECK(why(Packet(PACKET_TRANSFER, group, 100)) == v1::KIND_NOT_HERE);
  CHECK(why(Packet(PACKET_EXCLUSIVE, group, 100)) == v1::NAMED_PERSON_INVALID);
  auto for_stranger = Packet(PACKET_EXCLUSIVE, group, 100);
  for_stranger.set_named(carl.id());
  CHECK(why(for_stranger) == v1::NAMED_PERSON_INVALID);
  auto wordy = Packet(PACKET_LUCKY, group, 100, 2);
  wordy.set_greeting(std::string(121, 'x'));
  CHECK(why(wordy) == v1::GREETING_INVALID);
  CHECK(why(Packet(PACKET_TRANSFER, Direct(anna.id(), 77), 100)) == v1::NO_SUCH_USER);
  auto old = Packet(PACKET_LUCKY, group, 100, 2);
  old.set_request_id(NewRequestId(-8LL * 24 * 3600 * 1000));
  CHECK(why(old) == v1::REQUEST_TOO_OLD);
  auto early = Packet(PACKET_LUCKY, group, 100, 2);
  early.set_request_id(NewRequestId(10 * 60 * 1000));
  CHECK(why(early) == v1::STALE_ID);
  CHECK(why(Packet(PACKET_LUCKY, group, 20'000, 2)) == v1::NO_FUNDS);
  const auto foreign = carl.Send(Packet(PACKET_LUCKY, group, 100, 2));
  CHECK(foreign.error.reason() == v1::NOT_A_MEMBER);

  // A verdict is remembered with its request; BUSY never is.
  const auto poor = Packet(PACKET_LUCKY, group, 15'000, 2);
  CHECK(why(poor) == v1::NO_FUNDS);
  server.AdminOk({"wallet", "deposit", "anna", "100", "--id", "second", "--reason", "more"});
  CHECK(why(poor) == v1::NO_FUNDS);
  CHECK(anna.Balance() == 20'000);

  // The same request is the same packet; with another content it is none.
  auto once = Packet(PACKET_LUCKY, talk, 500);
  const int64_t packet = Sent(anna.Send(once));
  CHECK(Sent(anna.Send(once)) == packet);
  once.set_amount_fen(600);
  CHECK(why(once) == v1::CONFLICT);
  CHECK(anna.Balance() == 19'500);

  // A frozen wallet pays nothing out, and goes on taking in.
  server.AdminOk({"wallet", "freeze", "anna"});
  CHECK(why(Packet(PACKET_LUCKY, group, 100, 2)) == v1::WALLET_FROZEN);
  const Outcome frozen =
      server.Admin({"wallet", "withdraw", "anna", "1", "--id", "third", "--reason", "cash"});
  CHECK(frozen.exit_code == 1);
  CHECK(frozen.err.find("frozen") != std::string::npos);
  server.AdminOk({"wallet", "deposit", "anna", "1", "--id", "fourth", "--reason", "more"});
  CHECK(anna.Balance() == 19'600);
  server.AdminOk({"wallet", "unfreeze", "anna"});

  // Clients cannot say what only the server says.
  v1::Body body;
  body.mutable_red_packet()->set_packet_id(packet);
  v1::SendMessage fake;
  *fake.mutable_conversation() = talk;
  fake.set_client_msg_id(NewRequestId());
  fake.set_body(body.SerializeAsString());
  CHECK(anna.client.Ask<v1::SendMessageReply>(v1::SEND_MESSAGE, fake).error.reason() ==
        v1::BODY_INVALID);
  for (const int64_t unknown : {int64_t{0}, int64_t{-1}, int64_t{12345}, INT64_MAX, packet + 10}) {
    CHECK(anna.OpenRefused(unknown) == v1::NO_SUCH_PACKET);
    CHECK(anna.Grab(unknown).error.reason() == v1::NO_SUCH_PACKET);
    CHECK(anna.Return(unknown).error.reason() == v1::NO_SUCH_PACKET);
    CHECK(anna.Detail(unknown).error.reason() == v1::NO_SUCH_PACKET);
  }
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

TEST_CASE("a repeated send is answered as the first was, though its sender has left since") {
  SpawnedServer server;
  Person anna(server, "anna", "10");
  Person bert(server, "bert");
  const auto group = NewGroup(server, "bert", "anna\n");
  const auto request = Packet(v1::PACKET_LUCKY, group, 100, 2);
  const int64_t packet = Sent(anna.Send(request));
  server.AdminOk({"group", "remove", std::to_string(group.b()), "anna"});
  CHECK(Sent(anna.Send(request)) == packet);
  CHECK(anna.Send(Packet(v1::PACKET_LUCKY, group, 100, 2)).error.reason() == v1::NOT_A_MEMBER);
  CHECK(anna.Balance() == 900);
}

TEST_CASE("what became of a send is told to its sender, and nothing of what never was") {
  SpawnedServer server;
  Person anna(server, "anna", "10");
  Person bert(server, "bert");
  const auto talk = Direct(anna.id(), bert.id());
  const auto state = [](Person& person, const std::string& id) {
    v1::GetSend get;
    get.set_request_id(id);
    return person.client.Ask<v1::GetSendReply>(v1::GET_SEND, get);
  };
  CHECK(state(anna, NewRequestId()).error.code() == v1::NOT_FOUND);
  CHECK(state(anna, "short").error.code() == v1::INVALID_ARGUMENT);
  const auto poor = Packet(v1::PACKET_TRANSFER, talk, 5000);
  CHECK(anna.Send(poor).error.reason() == v1::NO_FUNDS);
  CHECK(state(anna, poor.request_id()).error.reason() == v1::NO_FUNDS);
  const auto good = Packet(v1::PACKET_TRANSFER, talk, 500);
  const int64_t packet = anna.SendAnnounced(good);
  for (int tries = 0; state(anna, good.request_id()).reply.state() != v1::SEND_SENT; ++tries) {
    REQUIRE(tries < 1000);  // SENDING until the packet knows that its message is stored
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(state(anna, good.request_id()).reply.packet_id() == packet);
  CHECK(state(bert, good.request_id()).error.code() == v1::NOT_FOUND);  // it is not his
  AuditIsClean(server);
}

TEST_CASE("hongyan-admin shows a day's packets, and says where nothing can be proven") {
  SpawnedServer server;
  Person anna(server, "anna", "10");
  Person bert(server, "bert");
  const auto talk = Direct(anna.id(), bert.id());
  const int64_t taken = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 300));
  const int64_t open = anna.SendAnnounced(Packet(v1::PACKET_TRANSFER, talk, 200));
  CHECK(bert.Open(taken).ok);
  const auto shown =
      json::parse(server.AdminOk({"--json", "money", "packet", std::to_string(open)}));
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
  CHECK(server.Admin({"money", "day", "2026-02-30"}).exit_code == 2);
  CHECK(server.Admin({"money", "day", "yesterday"}).exit_code == 2);
  CHECK(server.Admin({"money", "packet", "12345"}).exit_code == 1);
  CHECK(server.Admin({"money", "end", std::to_string(taken)}).exit_code == 1);
  CHECK(server.Admin({"money", "quarantine", "retry", std::to_string(open)}).exit_code == 1);
  server.Terminate();
  CHECK(server.Wait() == 0);
  CHECK(server.Admin({"money", "audit"}).exit_code == 2);
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

TEST_CASE("deposits and withdrawals move once per id, many from a file") {
  SpawnedServer server;
  NewUser(server, "anna");
  NewUser(server, "bert");
  const std::vector<std::string> deposit = {"wallet", "deposit", "anna",     "12.50",
                                            "--id",   "a-1",     "--reason", "pay"};
  CHECK(server.AdminOk(deposit).find("balance 12.50") != std::string::npos);
  CHECK(server.AdminOk(deposit).find("balance 12.50") != std::string::npos);
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
  CHECK(server.Admin({"wallet", "deposit", "anna", "9999999999000", "--id", "z", "--reason", "y"})
            .err.find("all that its books can count") != std::string::npos);
  CHECK(server.Admin({"wallet", "withdraw", "anna", "9999999999000", "--id", "w", "--reason", "y"})
            .exit_code == 0);

  const std::string file = "anna,f-1,1.00,first, with a comma\nbert,f-2,2,second\n";
  const auto moved =
      json::parse(server.AdminOk({"--json", "wallet", "deposit", "--file", "-"}, file));
  CHECK(moved.at("moved") == 2);
  CHECK(server.AdminOk({"wallet", "deposit", "--file", "-"}, file).find("moved 2") == 0);
  const Outcome wrong =
      server.Admin({"wallet", "deposit", "--file", "-"}, "bert,f-3,5,x\nbert,f-4\n");
  CHECK(wrong.exit_code == 1);
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

}  // namespace hongyan::integration
