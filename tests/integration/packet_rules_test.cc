#include <random>
#include <string>
#include <utility>
#include <vector>

#include "packet_person.h"
#include "tests/doctest_last.h"

// What the server refuses about red packets, on the real server, by frames.

namespace hongyan::integration {
namespace {

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
  for (const v1::PacketKind kind : {PACKET_LUCKY, PACKET_EQUAL}) {
    auto for_one = Packet(kind, group, 100, 1);
    for_one.set_named(bert.id());
    CHECK(why(for_one) == v1::NAMED_PERSON_INVALID);
  }
  auto for_another = Packet(PACKET_TRANSFER, talk, 100);
  for_another.set_named(carl.id());
  CHECK(why(for_another) == v1::NAMED_PERSON_INVALID);
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
  CHECK(anna.Balance() == 10'000);
  AuditIsClean(server);
}

TEST_CASE("a verdict is remembered with its request; a frozen wallet only takes in") {
  SpawnedServer server;
  Person anna(server, "anna", "100");
  Person bert(server, "bert");
  const auto group = NewGroup(server, "anna", "bert\n");
  const auto talk = Direct(anna.id(), bert.id());
  const auto why = [&anna](v1::SendPacket request) {
    const auto answer = anna.Send(request);
    return answer.ok ? v1::REASON_NONE : answer.error.reason();
  };
  using enum v1::PacketKind;
  // A verdict is remembered with its request; BUSY never is.
  const auto poor = Packet(PACKET_LUCKY, group, 15'000, 2);
  CHECK(why(poor) == v1::NO_FUNDS);
  server.AdminOk({"wallet", "deposit", "anna", "100", "--id", "second", "--reason", "more"});
  CHECK(why(poor) == v1::NO_FUNDS);
  CHECK(anna.Balance() == 20'000);

  // So is what the edge says of who may speak there.
  Person carl(server, "carl", "100");
  const auto foreign = Packet(PACKET_LUCKY, group, 100, 2);
  CHECK(carl.Send(foreign).error.reason() == v1::NOT_A_MEMBER);
  server.AdminOk({"group", "add", std::to_string(group.b()), "carl"});
  Sent(carl.Send(Packet(PACKET_LUCKY, group, 100, 2)));
  CHECK(carl.Send(foreign).error.reason() == v1::NOT_A_MEMBER);
  CHECK(carl.Balance() == 9'900);

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
  AuditIsClean(server);
}

TEST_CASE("a packet whose life ended a millisecond ago pays nobody, and says so") {
  SpawnedServer server("[money]\nlife_s = 2\n");
  Person anna(server, "anna", "10");
  Person bert(server, "bert");
  const auto group = NewGroup(server, "anna", "bert\n");
  const int64_t packet = anna.SendAnnounced(Packet(v1::PACKET_EQUAL, group, 100, 3));
  // A grab takes nothing: asked without a pause, until the first that comes too late.
  Answer<v1::GrabPacketReply> grab = bert.Grab(packet);
  for (int64_t asked = 0; grab.ok || grab.error.reason() == v1::BUSY; ++asked) {
    REQUIRE(asked < 1'000'000);
    grab = bert.Grab(packet);
  }
  CHECK(grab.error.reason() == v1::PACKET_EXPIRED);
  CHECK(bert.OpenRefused(packet) == v1::PACKET_EXPIRED);
  anna.AwaitBalance(1000);
  CHECK(bert.OpenRefused(packet) == v1::PACKET_EXPIRED);
  CHECK(bert.Balance() == 0);
  CHECK(anna.Detail(packet).reply.claims_size() == 0);
  CHECK(anna.Detail(packet).reply.refund_fen() == 300);
  AuditIsClean(server);
}

TEST_CASE("clients cannot say what only the server says, nor ask for packets that never were") {
  SpawnedServer server;
  Person anna(server, "anna", "100");
  Person bert(server, "bert");
  const auto talk = Direct(anna.id(), bert.id());
  const int64_t packet = Sent(anna.Send(Packet(v1::PACKET_LUCKY, talk, 500)));
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

TEST_CASE("whatever is asked about money, each request is answered and no fen is lost or made") {
  SpawnedServer server("[money]\nlife_s = 2\n");
  Person anna(server, "anna", "1000");
  Person bert(server, "bert", "1000");
  Person carl(server, "carl");
  const auto group = NewGroup(server, "anna", "bert\n");
  const auto talk = Direct(anna.id(), bert.id());
  std::mt19937_64 random(20'260'717);  // NOLINT: the same requests in each run
  const auto pick = [&random](size_t below) { return static_cast<size_t>(random() % below); };
  std::vector<int64_t> numbers{
      0,         1,         -1,        2,         100,
      101,       20'000,    INT64_MAX, INT64_MIN, 1LL << 40,
      anna.id(), bert.id(), carl.id(), group.b(), 2'077'800'000'000'000'000};
  const auto number = [&] { return numbers[pick(numbers.size())]; };
  const auto small = [&] { return static_cast<int32_t>(number()); };
  v1::SendPacket send = Packet(v1::PACKET_LUCKY, group, 100, 2);
  for (int i = 0; i < 1500; ++i) {
    Person& who = *std::vector<Person*>{&anna, &bert, &carl}[pick(3)];
    if (pick(3) > 0) send.set_request_id(NewRequestId(pick(20) == 0 ? number() % (1LL << 40) : 0));
    send.set_kind(static_cast<v1::PacketKind>(pick(6)));
    *send.mutable_conversation() = pick(2) == 0 ? group : talk;
    if (pick(10) == 0) send.mutable_conversation()->set_a(number());
    send.set_amount_fen(number());
    send.set_shares(pick(2) == 0 ? 1 : small());
    send.set_named(pick(2) == 0 ? 0 : number());
    send.set_greeting(std::string(pick(8) == 0 ? pick(300) : 3, pick(9) == 0 ? '\n' : 'x'));
    if (pick(2) == 0) {  // nothing wrong with it
      const bool shared = pick(2) == 0;
      send = shared ? Packet(v1::PACKET_LUCKY, group, 100, 1 + static_cast<int32_t>(pick(3)))
                    : Packet(v1::PACKET_TRANSFER, talk, 100);
    }
    v1::PacketDetail about;  // the others have its first fields, or fewer
    about.set_packet_id(number());
    about.set_after(small());
    about.set_limit(static_cast<uint32_t>(small()));
    v1::PacketHistory history;
    history.set_which(static_cast<v1::PacketHistory::Which>(pick(4)));
    history.set_year(small());
    history.set_before(number());
    const std::vector<std::pair<uint16_t, std::string>> seeds{
        {v1::SEND_PACKET, send.SerializeAsString()},
        {v1::SEND_PACKET, send.SerializeAsString()},
        {v1::GET_SEND, send.SerializeAsString()},
        {v1::GRAB_PACKET, about.SerializeAsString()},
        {v1::OPEN_PACKET, about.SerializeAsString()},
        {v1::RETURN_TRANSFER, about.SerializeAsString()},
        {v1::PACKET_DETAIL, about.SerializeAsString()},
        {v1::LIST_STATEMENT, about.SerializeAsString()},
        {v1::PACKET_HISTORY, history.SerializeAsString()},
        {v1::GET_WALLET, about.SerializeAsString()}};
    auto [command, payload] = seeds[pick(seeds.size())];
    if (pick(5) == 0 && !payload.empty())
      payload[pick(payload.size())] ^= static_cast<char>(random());
    const Received answer = who.client.AnswerTo(who.client.SendPayload(command, payload));
    CHECK(answer.header.command == command);
    if (command != v1::SEND_PACKET) continue;
    if (const auto sent = RawClient::Decode<v1::SendPacketReply>(answer); sent.ok) {
      numbers.push_back(sent.reply.packet_id());
    }
  }
  CHECK(numbers.size() > 50);  // many were sent, or nothing was tried
  // Two seconds later nothing is open any more: all of it is in wallets.
  int64_t in_wallets = 0;
  for (int tries = 0; tries < 500 && in_wallets != 200'000; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    in_wallets = anna.Balance() + bert.Balance() + carl.Balance();
  }
  CHECK(in_wallets == 200'000);
  AuditIsClean(server);
}

}  // namespace
}  // namespace hongyan::integration
