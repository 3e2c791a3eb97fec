#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "hongyan/v1/admin.pb.h"
#include "hongyan/v1/error.pb.h"
#include "hongyan/v1/message.pb.h"
#include "hongyan/v1/money.pb.h"

namespace hongyan::bench {

// The money of a false server: wallets and packets in memory, which cheat once, on demand. One
// thread; lied() from any.
class FalseBank {
 public:
  enum class Lie {
    kNone,
    kForgetsAClaim,   // a share was told, and is not there; nor is its money
    kPaysNobody,      // a share is there, its credit is not
    kPaysTwice,       // one share, two credits
    kChangesItsMind,  // a repeated open is told another amount
    kGivesTwice,      // one person, two shares
    kGivesTooMuch,    // the shares of a packet are more than it held
    kGivesStrangers,  // a share for somebody who has left
    kGivesTheWrong,   // a share for somebody who is not the named person
    kSaysGone,        // "all taken", and it is not
    kKeepsAFen,       // of what comes back
    kNeverReturns,    // the rest of an expired packet
    kTellsNoReturn,   // money comes back, nobody is told
    kTwoPackets,      // a repeated send is sent twice
    kLosesASend,      // the money left the wallet, and there is no packet
    kTwoMessages,     // one packet, two messages
    kHoldsBack,       // a poor person cannot spend what was just received
    kAuditFinds,      // the audit ends with 1
    kAuditUnproven    // and with 2
  };
  // What it needs of the server around it.
  struct House {
    std::function<bool(const v1::ConversationId&, int64_t user)> is_member;
    // A message of this user; the sender's own entry carries the request id.
    std::function<void(const v1::ConversationId&, int64_t sender, v1::BodyKind,
                       const v1::Body& body, const std::string& request_id)>
        post;
    std::function<void(int64_t user, const v1::ConversationId&, const v1::PacketReturned&)>
        give_back;
  };
  FalseBank(Lie lie, House house, int64_t life_ms)
      : lie_(lie), house_(std::move(house)), life_ms_(life_ms) {}

  // A reason other than 0: refused with it.
  v1::Reason Send(int64_t user, const v1::SendPacket& send, v1::SendPacketReply* reply);
  v1::Reason Grab(int64_t user, const v1::GrabPacket& grab, v1::GrabPacketReply* reply);
  v1::Reason Open(int64_t user, const v1::OpenPacket& open, v1::OpenPacketReply* reply);
  v1::Reason Return(int64_t user, const v1::ReturnTransfer& back);

  void Deposit(int64_t user, int64_t fen, v1::MoveFundsReply::Result* result);
  void ShowWallet(int64_t user, int64_t before, int limit, v1::ShowWalletReply* reply) const;
  v1::Reason ShowPacket(int64_t id, v1::ShowPacketReply* reply) const;
  v1::Reason End(int64_t id);
  void Audit(v1::AuditReply* reply);

  // What is over goes back.
  void Expire();

  bool lied() const { return lied_; }

 private:
  struct Packet {
    v1::SendPacket terms;
    int64_t sender = 0;
    int64_t total_fen = 0;
    int64_t left_fen = 0;
    int64_t created_ms = 0;
    v1::PacketState state = v1::PACKET_STATE_OPEN;
    int64_t refund_fen = 0;
    std::vector<v1::PacketClaim> claims;
  };
  struct Wallet {
    int64_t balance_fen = 0;
    std::vector<v1::StatementRow> rows;
  };

  bool LieNow(Lie lie);
  v1::Reason Judge(const Packet& packet, int64_t user);
  const v1::PacketClaim* OwnClaim(const Packet& packet, int64_t user) const;
  int64_t Draw(Packet& packet);
  void Post(int64_t user, v1::StatementKind kind, int64_t fen, int64_t packet);
  void Announce(int64_t id, const Packet& packet);
  void Close(int64_t id, Packet& packet, v1::PacketState state, v1::ReturnReason why);
  void Notice(int64_t id, const Packet& packet, v1::PacketNotice::What what);

  const Lie lie_;
  const House house_;
  const int64_t life_ms_;
  std::atomic<bool> lied_{false};
  std::mt19937_64 random_{7};
  std::map<int64_t, Packet> packets_;
  std::map<int64_t, Wallet> wallets_;
  std::map<std::string, int64_t> sends_;  // by request id
  int64_t last_id_ = 1'000'000;
  // A lie about one request is told to its repeats, too: the first answer may not be heard.
  std::pair<int64_t, int64_t> gone_;
  std::pair<int64_t, int64_t> changed_;
  std::string held_back_;
  int64_t forgotten_ = 0;
};

}  // namespace hongyan::bench
