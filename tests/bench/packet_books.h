#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "hongyan/v1/error.pb.h"
#include "hongyan/v1/message.pb.h"
#include "hongyan/v1/money.pb.h"
#include "load_client.h"
#include "tally.h"

namespace hongyan::bench {

// What clients were told of packets and money, kept by the tool itself: what a server says at the
// end is held against it (packet_proof.h). What contradicts itself at once is a failure here. Load
// thread; read on the main thread when the load is over.
class PacketBooks {
 public:
  explicit PacketBooks(Tally& tally) : tally_(tally) {}

  struct Person {
    const Account* account = nullptr;
    int64_t deposited_fen = 0;
    int64_t known_fen =
        0;  // certainly in the wallet: deposits, told claims and returns, less sends
  };

  // A send, as the sender asked for it and was told.
  struct Send {
    enum class Told : uint8_t { kNothing, kTaken, kRefused };
    std::string request_id;
    uint32_t person = 0;
    v1::PacketKind kind = v1::PACKET_NONE;
    LoadClient::Conversation conversation;
    int64_t total_fen = 0;
    int32_t shares = 1;
    int64_t named = 0;
    Told told = Told::kNothing;
    int64_t packet_id = 0;   // 0 = not told
    bool announced = false;  // the sender's own entry came
    int returns = 0;         // entries that say money came back
    int64_t returned_fen = 0;
    v1::ReturnReason why = v1::RETURN_NONE;
  };

  struct Claim {
    uint32_t person = 0;
    int32_t ordinal = 0;
    int64_t amount_fen = 0;
    int64_t time_ms = 0;
    bool already = false;
  };

  // A packet, as those were told who met it.
  struct Packet {
    int64_t id = 0;
    int64_t expires_ms = 0;                          // as its message says; 0 = not read
    v1::PacketState closed = v1::PACKET_STATE_NONE;  // somebody was told that it is closed so
    bool return_done = false;                        // the named person was told: given back
    int notices = 0;                                 // in the sender's inbox
    std::vector<Claim> claims;                       // every answer, repeated ones too
    std::vector<std::pair<uint32_t, v1::Reason>> refusals;  // of opens: to whom, and why
  };

  uint32_t AddPerson(const Account& account);
  void Deposited(uint32_t person, int64_t fen);

  // A send that leaves now; answers its number.
  uint32_t Ask(Send send);
  // It was answered. Nothing else may be told to it later.
  void Taken(uint32_t send, int64_t packet_id);
  void Refused(uint32_t send);
  // Entries of the sender's inbox.
  void Announced(uint32_t person, const std::string& request_id, int64_t packet_id);
  void Returned(uint32_t person, const v1::Entry& entry);

  // The packet of an id, made where it is new.
  uint32_t PacketOf(int64_t id);
  // An open was answered. True: the first time this person hears of this share.
  bool Claimed(uint32_t packet, uint32_t person, const v1::OpenPacketReply& reply);
  // The same where nobody opens twice: no search.
  void ClaimedOnce(uint32_t packet, uint32_t person, const v1::OpenPacketReply& reply);
  // An open was refused.
  void OpenRefused(uint32_t packet, uint32_t person, v1::Reason why) {
    packets_[packet].refusals.emplace_back(person, why);
  }
  // A refusal said that the packet is closed; a state is final.
  void Closed(uint32_t packet, v1::PacketState state);

  Packet& packet(uint32_t n) { return packets_[n]; }
  const Person& person(uint32_t n) const { return people_[n]; }
  const Send& send(uint32_t n) const { return sends_[n]; }
  const std::vector<Person>& people() const { return people_; }
  const std::vector<Send>& sends() const { return sends_; }
  const std::vector<Packet>& packets() const { return packets_; }
  // None: nobody was told anything of it.
  const Packet* Find(int64_t id) const;

 private:
  Send* SendOf(uint32_t person, const std::string& request_id);
  void Fail(uint32_t person, const std::string& what);

  Tally& tally_;
  std::vector<Person> people_;
  std::vector<Send> sends_;
  std::vector<Packet> packets_;
  std::unordered_map<std::string, uint32_t> by_request_;
  std::unordered_map<int64_t, uint32_t> by_id_;
};

}  // namespace hongyan::bench
