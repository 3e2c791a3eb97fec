#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/command.h"
#include "model/reason.h"
#include "money/board.h"
#include "money/reader.h"
#include "money/routes.h"
#include "simulation/trace.h"
#include "simulation/witness.h"
#include "storage/memory/memory_money_state.h"

namespace hongyan::simulation {

// The small model of money, apart from how the server keeps its books: it adds up wallets,
// packets, channels and the world outside itself, follows every statement row to what it is of, and
// compares what was answered with what is on the disk. Whatever contradicts this throws Broken.
// One thread.
class MoneyWitness {
 public:
  // All outlive it.
  MoneyWitness(const storage::MemoryMoneyState& state, const Witness& messages,
               const money::Routes& routes)
      : state_(state), messages_(messages), routes_(routes) {}

  // -- asked
  void Asked(const model::MoveManyFunds& moves);
  void Asked(const model::PacketTerms& terms);
  // This answer about who belongs where is about to travel in an open.
  void Checked(model::PacketId packet, model::UserId user, const model::Eligible& eligible);

  // -- answered: called at the moment a reply leaves the shard; others are not money's
  void Answered(const model::CommandBody& command, const model::Reply& reply);
  // What a board said to a grab.
  void Grabbed(model::PacketId packet, model::UserId user,
               const base::Result<money::Board::Grab>& grab) const;

  // Takes in what is new on the disk and checks it: every commit leaves it whole.
  void Look();

  // Nothing is under way any more, and every packet's life is over.
  void LookAtTheEnd();
  // A day that was archived a moment ago.
  void LookAtArchived(int32_t day) const;
  // What senders are told of their sends then.
  void AskForSends(const money::Reader& reader) const;

  // The disk is about to be what it was before: from now on this witness says nothing.
  void Retire() { retired_ = true; }

  // -- for whoever thinks of something to do
  const std::vector<model::PacketId>& packets() const { return packets_; }  // as they were made
  const model::PacketHeader& HeaderOf(model::PacketId packet) const { return *Header(packet); }
  bool HasPacket(model::PacketId packet) const { return Header(packet) != nullptr; }
  bool HasClaim(model::PacketId packet, model::UserId user) const {
    return Claim(packet, user) != nullptr;
  }
  int64_t BalanceOf(model::UserId user) const;
  bool AllClosed() const;
  std::string WhatIsUnderWay() const;

  // What became of the money, for the summary of a run.
  struct Tally {
    int64_t packets = 0;
    int64_t opens = 0;
    int64_t done = 0;
    int64_t expired = 0;
    int64_t returned = 0;
    int64_t refused = 0;
    int64_t late = 0;      // their message was stored after they had closed
    int64_t reversed = 0;  // sends that never became a packet
    int64_t kept_out = 0;  // sends refused by a verdict
  };
  Tally TallyUp() const;

 private:
  using SendKey = std::pair<model::UserId, model::RequestId>;
  using MoveKey = std::pair<model::UserId, std::string>;
  struct Sent {
    model::UserId sender;
    int64_t fen = 0;
  };
  struct Refund {
    int64_t fen = 0;
    model::ReturnReason reason = model::ReturnReason::kNone;
    bool created = false;  // there was a packet
  };

  // A verdict on a send itself: the same request gets it again.
  static bool IsVerdict(model::Reason reason);

  storage::MemoryMoneyState::PacketKey KeyOf(model::PacketId packet) const;
  // Of its day, where that is archived.
  const storage::MemoryMoneyState::DayFile* FileOf(model::PacketId packet) const;
  const model::Packet* InFile(model::PacketId packet) const;
  const model::PacketHeader* Header(model::PacketId packet) const;
  const model::PacketStatus* Status(model::PacketId packet) const;
  const model::Claim* Claim(model::PacketId packet, model::UserId user) const;
  std::vector<model::Claim> ClaimsOf(model::PacketId packet) const;

  void AnsweredSend(const model::SendPacket& send, const model::Reply& reply);
  void AnsweredMoves(const model::MoveManyFunds& moves, const model::Reply& reply);
  void AnsweredOpen(const model::OpenPacket& open, const model::Reply& reply);
  void AnsweredReturn(const model::ReturnPacket& back, const model::Reply& reply);
  void CheckGone(model::PacketId packet, const base::Error& error, int64_t time_ms,
                 const char* who) const;

  void LookAtWallets();
  void TakeRow(model::UserId user, const model::StatementRow& row);
  void TakeMove(model::UserId user, const model::StatementRow& row);
  void TakeSent(model::UserId user, const model::StatementRow& row);
  void TakeReceived(model::UserId user, const model::StatementRow& row);
  void TakeRefund(model::UserId user, const model::StatementRow& row);
  void LookAtPackets();
  void LookAtPacket(model::PacketId packet, const model::PacketHeader& header);
  void LookAtMessages() const;
  void AddUp() const;
  void LookAtSends();

  const storage::MemoryMoneyState& state_;
  const Witness& messages_;
  const money::Routes& routes_;

  // -- what was asked
  std::map<MoveKey, std::set<int64_t>> moves_asked_;  // amounts, by id
  std::map<SendKey, std::vector<model::PacketTerms>> sends_asked_;
  std::map<std::pair<model::PacketId, model::UserId>, std::set<int64_t>> eligible_;  // versions

  // -- what was answered
  std::map<SendKey, model::PacketId> sent_;
  std::map<SendKey, uint16_t> refused_;

  // -- what the disk has shown
  std::map<storage::MemoryMoneyState::WalletKey, std::pair<int64_t, int64_t>>
      wallets_;              // last row looked at; balance
  int64_t outside_fen_ = 0;  // came in from the world
  std::set<MoveKey> moved_;
  std::map<model::PacketId, Sent> debited_;
  std::map<model::PacketId, SendKey> send_of_;
  std::set<SendKey> known_sends_;
  std::set<std::pair<model::PacketId, model::UserId>> credited_;
  std::map<model::PacketId, Refund> refunded_;
  std::vector<model::PacketId> packets_;
  std::map<model::PacketId, int64_t> expires_;             // as first seen
  std::map<model::PacketId, model::PacketStatus> closed_;  // as they were when they closed
  std::set<model::PacketId> closed_unannounced_;
  bool retired_ = false;
};

}  // namespace hongyan::simulation
