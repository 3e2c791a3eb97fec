#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "asker.h"
#include "histogram.h"
#include "load_client.h"
#include "packet_books.h"
#include "precise_timer.h"
#include "schedule.h"
#include "stage.h"

namespace hongyan::bench {

// Connected users who open packets that were made before, each user each packet once: as fast as
// the answers come, or at planned times. Made and destroyed on the main thread; the rest on the
// load thread where said.
class Opening final : public LoadClient::Owner {
 public:
  enum class Step : bool { kOpen, kGrabAndOpen };

  // The users are `people[i]` of the books, with accounts[i].
  Opening(Stage& stage, PacketBooks& books, const std::vector<Account>& accounts, size_t openers,
          uint32_t first_person);
  ~Opening() override;

  // Main thread.
  bool Connect();

  // ---- load thread ----
  // The packets in the order of opening, so many at a time: opens are spread over these evenly,
  // then come the next. REQUIRES that every opener may open every packet.
  void SetPackets(std::vector<uint32_t> packets, size_t at_a_time);
  void StartClosed(Step step);
  void StartOpen(Step step, double rate_per_s);
  // No new opens; those on their way go on.
  void Stop();
  bool Idle() const;
  // Somebody has opened all there is.
  bool ran_out() const { return ran_out_; }
  void BeginWindow();

  int64_t asked() const { return asked_; }
  int64_t opened() const { return opened_; }
  int64_t grabs() const { return grabs_; }
  int64_t total_opened() const { return total_opened_; }
  const Histogram& open() const { return open_; }
  const Histogram& grab() const { return grab_; }

  // LoadClient::Owner
  void OnOnline(LoadClient& client) override { openers_[client.index()].asker->OnOnline(); }
  void OnAcked(LoadClient&, int64_t, int64_t) override {}
  void OnEntry(LoadClient&, const v1::Entry&, int64_t) override {}

 private:
  struct Opener {
    std::unique_ptr<LoadClient> client;
    std::unique_ptr<Asker> asker;
    size_t next = 0;      // how many packets it has begun to open
    uint32_t packet = 0;  // the present one
  };

  bool Next(uint32_t index, int64_t planned_ns);
  void Ask(uint32_t index, uint16_t command, int64_t planned_ns);
  void OnGrabbed(uint32_t index, const Asker::Reply& reply);
  void OnOpened(uint32_t index, const Asker::Reply& reply);
  void Go(uint32_t index);
  void Tick();
  void StartDue();
  void Refused(uint32_t index, const Asker::Reply& reply);

  Stage& stage_;
  PacketBooks& books_;
  const uint32_t first_person_;
  std::vector<Opener> openers_;
  std::vector<uint32_t> packets_;
  size_t at_a_time_ = 1;
  Step step_ = Step::kOpen;
  bool running_ = false;
  bool ran_out_ = false;
  bool open_loop_ = false;
  OpenLoop plan_;
  int64_t due_ = 0;      // planned so far
  int64_t started_ = 0;  // of them begun
  std::deque<uint32_t> free_;
  std::unique_ptr<PreciseTimer> timer_;
  int64_t asked_ = 0;
  int64_t opened_ = 0;
  int64_t grabs_ = 0;
  int64_t total_opened_ = 0;
  Histogram open_;
  Histogram grab_;
  v1::OpenPacketReply reply_;
  v1::OpenPacket wire_;
};

}  // namespace hongyan::bench
