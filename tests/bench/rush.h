#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "asker.h"
#include "histogram.h"
#include "hongyan/v1/money.pb.h"
#include "load_client.h"
#include "packet_books.h"
#include "stage.h"

namespace hongyan::bench {

// A New Year's Eve: groups in which one member after the other sends a packet, and everybody who
// sees its message grabs and opens at once. With troubles there are packets of every kind, people
// who do not wait for answers, who come and go, who leave the group mid-way, who open twice, too
// late or what is not theirs, who spend at once what they have just been given, and who never open.
// Every request is repeated until it is answered; what is answered goes into the books.
class Rush final : public LoadClient::Owner {
 public:
  enum class Troubles : bool { kNo, kYes };
  struct Plan {
    int groups = 8;
    int members = 60;
    Troubles troubles = Troubles::kYes;
  };

  // `books` outlive it.
  Rush(Stage& stage, PacketBooks& books, const Plan& plan);
  ~Rush() override;

  // ---- main thread ----
  // Users, money and groups.
  base::Result<void> Prepare();
  bool Connect();
  // Nobody sends any more; waits until every request is answered and every entry has come that must
  // come. False: the tally says what did not.
  bool Drain();
  // After all packets are closed: until their senders have been told of the end, and of what came
  // back, by send.
  bool AwaitReturns(const std::vector<int64_t>& refunds);

  // ---- load thread ----
  void Start();
  void BeginWindow();
  struct Counts {
    int64_t sends = 0;         // packets that left their wallet
    int64_t asked = 0;         // opens
    int64_t opened = 0;        // shares told for the first time
    int64_t open_refused = 0;  // by a rule
    int64_t grabs = 0;
    int64_t grabs_refused = 0;  // by a rule: nothing to take
    int64_t notices = 0;        // entries that tell of a packet's end
  };
  const Counts& counts() const { return counts_; }
  const Counts& total() const { return total_; }
  const Histogram& open() const { return open_; }
  const Histogram& grab() const { return grab_; }
  int64_t left() const { return left_; }  // members that left their group
  int64_t least_sent() const;             // packets of the group that sent fewest

  // LoadClient::Owner
  void OnOnline(LoadClient& client) override;
  void OnAcked(LoadClient&, int64_t, int64_t) override {}
  void OnEntry(LoadClient& client, const v1::Entry& entry, int64_t now_ns) override;
  void OnReturned(LoadClient& client, const v1::Entry& entry) override;

 private:
  struct Person {
    std::unique_ptr<LoadClient> client;
    std::unique_ptr<Asker> asker;
    uint32_t group = 0;
    bool rich = true;    // has money from the start
    bool hasty = false;  // opens without a grab
    bool never_opens = false;
    bool comes_and_goes = false;
    int64_t change_ns = 0;  // of those: when
    int leaves_after = -1;  // packets of the group; -1 = stays
    int met = 0;            // packets of the group whose message came
    bool leave_asked = false;
    bool left = false;
  };
  struct Group {
    LoadClient::Conversation id;
    std::vector<Account> accounts;
    uint32_t first = 0;  // index into people_ and of the books
    int staying = 0;     // members that nothing makes leave
    int sent = 0;
    int announced = 0;  // packets whose sender has the message
    // The packet that everybody is busy with.
    int64_t current = -1;  // number of the send; -1 = none
    int64_t sent_ns = 0;
  };
  // What is known of a packet from its message, beside the books.
  struct Met {
    bool known = false;
    v1::PacketKind kind = v1::PACKET_NONE;
    bool in_group = false;
    int64_t sender = 0;
    int64_t named = 0;
    int32_t shares = 0;
    int done = 0;  // people who have done with it what they wanted to do at once
  };
  struct Later {
    int64_t at_ns;
    uint32_t person;
    uint32_t packet;
    bool operator>(const Later& other) const { return at_ns > other.at_ns; }
  };
  enum class Meant : uint8_t { kGood, kBeyondFunds, kAsStranger };

  bool Chance(double part) { return std::uniform_real_distribution<>(0, 1)(random_) < part; }
  int64_t Between(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }
  bool troubled() const { return plan_.troubles == Troubles::kYes; }
  Met& MetOf(uint32_t packet);
  int64_t UserOf(uint32_t person) const { return books_.person(person).account->user_id; }

  // rush.cc
  void ChooseHabits(Group& group);
  void Tick();
  void Look(Group& group);
  void SendNext(Group& group);
  bool DoneWith(const Group& group) const;
  void Send(uint32_t person, PacketBooks::Send send, Meant meant);
  void OnSent(uint32_t person, uint32_t send, Meant meant, const Asker::Reply& reply);
  void PullAll();

  // rush_moves.cc
  void Know(uint32_t packet, const PacketBooks::Send& send);
  void OnNotice(uint32_t person, const v1::PacketNotice& notice);
  void Meet(uint32_t person, uint32_t packet);
  void MeetTransfer(uint32_t person, uint32_t packet);
  void MeetShares(uint32_t person, uint32_t packet);
  void Leave(uint32_t person);
  void TryAsStrangers(const Group& group, uint32_t packet);
  void OnLeft(uint32_t person, const Asker::Reply& reply);
  void Grab(uint32_t person, uint32_t packet);
  void Open(uint32_t person, uint32_t packet, bool at_once);
  void OnOpened(uint32_t person, uint32_t packet, bool had_left, const Asker::Reply& reply);
  void GiveBack(uint32_t person, uint32_t packet);
  void Spend(uint32_t person, uint32_t packet, int64_t fen);
  void CheckRefusal(uint32_t person, uint32_t packet, const v1::Error& error, const char* what);
  void Done(uint32_t packet);
  void Fail(uint32_t person, const std::string& what);

  Stage& stage_;
  PacketBooks& books_;
  const Plan plan_;
  std::mt19937_64 random_;
  std::vector<Group> groups_;
  std::vector<Person> people_;
  std::vector<Met> met_;      // by packet of the books
  std::vector<Later> later_;  // a heap, the earliest first
  std::unique_ptr<sdk::Timer> timer_;
  bool sending_ = false;
  int64_t left_ = 0;
  Counts counts_;
  Counts total_;
  Histogram open_;
  Histogram grab_;
  v1::Body body_;
  v1::OpenPacketReply opened_;
};

}  // namespace hongyan::bench
