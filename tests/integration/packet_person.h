#pragma once

#include <chrono>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "hongyan/v1/money.pb.h"
#include "raw_client.h"
#include "spawned_server.h"
#include "tests/doctest_last.h"

// What the tests of money have in common: people with sessions and wallets, and their verbs.

namespace hongyan::integration {

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

inline v1::Body BodyOf(const v1::Entry& entry) {
  v1::Body body;
  body.ParseFromString(entry.message().body());
  return body;
}

inline v1::SendPacket Packet(v1::PacketKind kind, const v1::ConversationId& where, int64_t fen,
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

inline int64_t Sent(const Answer<v1::SendPacketReply>& answer) {
  REQUIRE_MESSAGE(answer.ok, answer.error.text());
  return answer.reply.packet_id();
}

inline v1::ConversationId NewGroup(const SpawnedServer& server, const std::string& owner,
                                   const std::string& members) {
  const auto created = nlohmann::json::parse(server.AdminOk(
      {"--json", "group", "create", "Team", "--owner", owner, "--members-file", "-"}, members));
  return Group(std::stoll(created.at("group_id").get<std::string>()));
}

inline void AuditIsClean(const SpawnedServer& server) {
  const Outcome audit = server.Admin({"money", "audit", "--wait-drained"});
  CHECK_MESSAGE(audit.exit_code == 0, audit.out);
}

}  // namespace hongyan::integration
