#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "histogram.h"
#include "load_client.h"
#include "precise_timer.h"
#include "schedule.h"
#include "stage.h"
#include "stamp.h"

namespace hongyan::bench {

// Some conversations with people who write into them and people who read them. Writers have one
// unacknowledged send each. Closed loop: the next leaves with the ack of the last. Open loop:
// message i of all is planned at start + i / rate and belongs to writer i mod writers; who still
// waits queues it, and latencies count from the planned time. Every body is checked by its readers,
// and every reader must see the messages of each writer exactly once and in the order they were
// written.
//
// Made and destroyed on the main thread; the rest on the load thread where said.
class Traffic final : public LoadClient::Owner {
 public:
  enum Part : uint8_t {
    kWrites = 1,
    kReads = 2,
    kReadsAtEnd = 4,  // offline until the load has stopped, then pulls everything
  };

  Traffic(Stage& stage, size_t text_bytes) : stage_(stage), text_bytes_(text_bytes) {}
  ~Traffic() override;

  // A conversation whose every message makes `members` inbox entries. Main thread, before Connect.
  size_t AddConversation(LoadClient::Conversation id, int64_t members);
  // `account` outlives the traffic; `source` is its own address or empty.
  void AddClient(size_t conversation, const Account& account, uint8_t parts,
                 const std::string& source);

  // Main thread: everybody logs in.
  bool Connect(const std::string& what);

  // ---- load thread ----
  void StartClosed();
  void StartOpen(double rate_per_s);
  // No new messages; those on their way go on.
  void Stop();
  bool AllAcked() const { return writing_ == 0; }
  // Every reader has everything that was acknowledged.
  bool AllRead() const;
  // Readers ask once more: a hint may be lost, and what came twice shows.
  void PullAll();
  bool NobodySyncs() const;
  // Counters and latencies from now on.
  void BeginWindow();

  struct Counts {
    int64_t sent = 0;
    int64_t acked = 0;
    int64_t delivered = 0;
    int64_t entries = 0;  // acked times members of its conversation
  };
  Counts counts() const { return counts_; }
  Counts total() const { return total_; }
  const Histogram& ack() const { return ack_; }
  const Histogram& deliver() const { return deliver_; }
  // Each time a message is acknowledged, for whoever follows it further.
  std::function<void(const Stamp& stamp, int64_t now_ns)> on_acked;
  // Each time a reader who was online has pulled a message of another.
  std::function<void(const Stamp& stamp, int64_t now_ns)> on_read;

  // Main thread: stops, lets everything arrive, pulls once more and counts what is missing.
  bool Drain(const std::string& what);
  // Main thread, after Drain: who only writes must have a copy of each message in the own inbox,
  // too. Asks for their heads. REQUIRES that they are in no other conversation.
  bool CheckOwnCopies();
  // What a reader's inbox holds beside this traffic: its head without what was delivered.
  int64_t other_entries(size_t conversation) const;
  int64_t lost() const { return lost_; }
  int64_t content_duplicated() const { return content_duplicated_; }
  int64_t content_out_of_order() const { return content_out_of_order_; }
  // Entries every member of the conversation must have from this traffic.
  int64_t acked_in(size_t conversation) const { return conversations_[conversation].acked; }

  // LoadClient::Owner
  void OnAcked(LoadClient& client, int64_t conv_seq, int64_t now_ns) override;
  void OnEntry(LoadClient& client, const v1::Entry& entry, int64_t now_ns) override;
  void OnHead(LoadClient& client, int64_t head) override;

 private:
  struct Talk {
    LoadClient::Conversation id;
    int64_t members = 0;
    int64_t acked = 0;
    std::vector<uint32_t> writers;  // indices into writers_
    OrderCheck places;              // conv_seqs of its acks
  };
  struct Writer {
    uint32_t client = 0;
    uint32_t talk = 0;
    uint32_t slot = 0;     // its place among the writers of its conversation
    uint32_t started = 0;  // messages begun
    uint32_t acked = 0;
    uint32_t due = 0;        // open loop: planned so far
    int64_t planned_ns = 0;  // of the one on its way
  };
  struct Person {
    std::unique_ptr<LoadClient> client;
    uint32_t talk = 0;
    int32_t writer = -1;  // index into writers_
    bool reads = false;
    bool late = false;             // kReadsAtEnd
    std::vector<OrderCheck> seen;  // by writer slot
    int64_t delivered = 0;
    int64_t head = -1;
  };
  struct Wanted {
    const Account* account;
    uint32_t talk;
    uint8_t parts;
    std::string source;
  };

  void Begin(Writer& writer, int64_t planned_ns);
  void Tick();
  void StartDue(size_t writer);

  Stage& stage_;
  const size_t text_bytes_;
  std::vector<Wanted> wanted_;
  std::vector<Talk> conversations_;
  std::vector<Writer> writers_;
  std::vector<Person> people_;
  std::unique_ptr<PreciseTimer> timer_;
  OpenLoop plan_;
  std::vector<uint32_t> open_base_;  // by writer: messages begun before this open loop
  int64_t next_planned_ = 0;         // index of the first message not yet due
  bool open_ = false;
  bool running_ = false;
  int64_t writing_ = 0;
  std::string body_;
  Counts counts_;
  Counts total_;
  Histogram ack_;
  Histogram deliver_;
  int64_t lost_ = 0;
  int64_t content_duplicated_ = 0;
  int64_t content_out_of_order_ = 0;
};

}  // namespace hongyan::bench
