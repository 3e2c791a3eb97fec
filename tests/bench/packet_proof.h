#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "outcome.h"
#include "packet_books.h"
#include "stage.h"

namespace hongyan::bench {

// Holds the server's packets and wallets, as its administrator sees them, against what clients were
// told: to the fen and to the claim. Everything wrong is a failure in the tally. Main thread, when
// the load is over.
class PacketProof {
 public:
  // kRead: senders pulled their inboxes, so what came back must have been told them, to the fen.
  enum class Inboxes : bool { kIgnored, kRead };
  PacketProof(Stage& stage, const PacketBooks& books, Inboxes inboxes)
      : stage_(stage), books_(books), inboxes_(inboxes) {}

  enum class Rest { kExpires, kIsEnded };
  // Waits until every packet is closed by its time, or ends by hand what is still open. False: it
  // could not be done; the tally says why.
  bool CloseAll(Rest rest);
  // What each send got back, by its number; known once all are closed.
  const std::vector<int64_t>& refunds() const { return refunds_; }

  // The audit, when all money has arrived; then every packet and every wallet of the run.
  void Prove(Outcome& outcome);

 private:
  struct Posting {
    int64_t packet = 0;
    int kind = 0;  // v1::StatementKind
    int64_t amount_fen = 0;
    auto operator<=>(const Posting&) const = default;
  };

  bool Audit(Outcome& outcome);
  bool LookAt(uint32_t send, Rest rest, bool* closed);
  void CheckSend(const PacketBooks::Send& send);
  void CheckTellings(const PacketBooks::Send& send, int64_t refund_fen);
  void CheckMissing(const PacketBooks::Send& send, const base::Error& error);
  void CheckShown(const PacketBooks::Send& send, const v1::ShowPacketReply& shown);
  void CheckClaims(const PacketBooks::Send& send, const v1::PacketDetailReply& packet);
  std::string Heard(const PacketBooks::Packet* told, int64_t user) const;
  void CheckTold(const PacketBooks::Send& send, const v1::PacketDetailReply& packet);
  void CheckWallet(uint32_t person);
  bool ReadStatement(const PacketBooks::Person& person, std::vector<Posting>* rows,
                     int64_t* balance);
  void Fail(int64_t packet, const std::string& what);
  void Fail(const PacketBooks::Person& person, const std::string& what);

  Stage& stage_;
  const PacketBooks& books_;
  const Inboxes inboxes_;
  std::vector<int64_t> refunds_;
  std::map<int64_t, uint32_t> person_of_;       // by user id
  std::vector<std::vector<Posting>> expected_;  // by person
  int64_t packets_ = 0;
  int64_t claims_ = 0;
  int64_t rows_ = 0;
  int64_t wallets_fen_ = 0;
};

}  // namespace hongyan::bench
