#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "chat_log.h"
#include "histogram.h"
#include "load_client.h"
#include "stage.h"

namespace hongyan::bench {

// Chat logs played again, all at once: each is a group of its own with users of its own, one for
// each nick and silent ones up to the wanted number. A line's body is the raw line; line k + 1
// leaves after the ack of line k, so the order of the log is the order every member must see. Some
// members come and go meanwhile, a few pull only at the end. Every arriving body is compared with
// the line that has to come next, byte for byte and in the order of arrival; nothing is sorted or
// kept.
class Replay final : public LoadClient::Owner {
 public:
  // `logs` outlive the replay. `round` tells the users of several replays apart.
  Replay(Stage& stage, const std::vector<ChatLog>& logs, int members, int round);
  ~Replay() override;

  // Main thread: makes users and groups.
  base::Result<void> Prepare();
  // Main thread: plays all lines, lets everybody catch up, compares. Failures are in the tally.
  void Play();

  struct Report {
    int64_t members = 0;
    int64_t lines = 0;
    int64_t sent = 0;
    int64_t acked = 0;
    int64_t delivered = 0;   // lines that members pulled
    int64_t entries = 0;     // acked lines times members
    int64_t lost = 0;        // acked lines a member never saw
    int64_t duplicated = 0;  // lines stored twice
    int64_t out_of_order = 0;
    int64_t exact = 0;         // members whose transcript equals the log
    int64_t were_offline = 0;  // members that were away while lines were sent
    int64_t late = 0;          // of them: pulled nothing before the end
  };
  Report report() const { return report_; }
  const Histogram& ack() const { return ack_; }
  const Histogram& deliver() const { return deliver_; }

  void OnAcked(LoadClient& client, int64_t conv_seq, int64_t now_ns) override;
  void OnEntry(LoadClient& client, const v1::Entry& entry, int64_t now_ns) override;

 private:
  enum class Habit : uint8_t {
    kStays,
    kComesAndGoes,
    kLate,  // connects for own lines only, and pulls at the end
  };
  struct Member {
    std::unique_ptr<LoadClient> client;
    uint32_t log = 0;
    Habit habit = Habit::kStays;
    bool was_offline = false;
    bool eager = false;     // pulls at every notify, without a pause
    int64_t change_ns = 0;  // kComesAndGoes: when it comes or goes next
    int64_t doubled = 0;    // lines it saw twice: later places are shifted by so many
    OrderCheck seen;        // numbers of lines
  };
  struct Playing {
    const ChatLog* chat = nullptr;
    LoadClient::Conversation id;
    std::vector<Account> accounts;    // those of the nicks first
    std::vector<std::string> bodies;  // by line, serialized once for all members
    std::vector<int64_t> sent_ns;     // by line
    uint32_t first_member = 0;        // index into members_
    size_t next = 0;                  // line to send
    size_t acked = 0;
    int64_t first_place = 0;  // conv_seq of line 0; 0 = not known yet
    int64_t last_place = 0;
  };

  base::Result<void> PrepareLog(size_t index);
  void ChooseHabits(Playing& playing);
  void Begin();  // load thread
  void SendNext(Playing& playing);
  void ComeAndGo();
  void BringEverybody();
  void PullAll();
  void Count();
  int64_t NextChange();

  Stage& stage_;
  const std::vector<ChatLog>& logs_;
  const int members_wanted_;
  const int round_;
  std::mt19937_64 random_;
  std::vector<Playing> playing_;
  std::vector<Member> members_;
  std::vector<uint32_t> coming_;  // who comes and goes, indices into members_
  std::unique_ptr<sdk::Timer> timer_;
  bool coming_and_going_ = false;
  int64_t acked_ = 0;
  int64_t lines_ = 0;
  int64_t still_missing_ = 0;  // lines times members not yet seen
  Report report_;
  Histogram ack_;
  Histogram deliver_;
};

}  // namespace hongyan::bench
