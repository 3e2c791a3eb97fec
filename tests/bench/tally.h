#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace hongyan::bench {

// What went wrong on the wire, and how much is on its way; shared by all clients of a run. Written
// on the load thread, read anywhere.
class Tally {
 public:
  // A (conversation, conv_seq) under two seqs, or a seq at or below the cursor of the request it
  // answers.
  std::atomic<int64_t> duplicated{0};
  // A place of a conversation that came after a later one.
  std::atomic<int64_t> out_of_order{0};
  // Jumps of seq inside a generation.
  std::atomic<int64_t> gaps{0};

  std::atomic<int64_t> online{0};      // clients logged in
  std::atomic<int64_t> unacked{0};     // sends (of packets: opens) that left and have no answer
  std::atomic<int64_t> resent{0};      // sends repeated after a connection was lost
  std::atomic<int64_t> reconnects{0};  // logins after the first
  std::atomic<int64_t> busy{0};        // sends refused for the moment, and repeated
  std::atomic<int64_t> impatient{0};   // requests repeated because no answer came soon enough
  std::atomic<int64_t> moved{0};       // rises with every login, ack and entry: the run is alive

  // Something no retry mends. The first few are kept for people.
  void Fail(std::string what) {
    const std::lock_guard lock(mutex_);
    ++failed_;
    if (failures_.size() < 8) failures_.push_back(std::move(what));
  }
  // A refusal that may pass; the last one explains a run that does not move.
  void NoteRefusal(std::string what) {
    const std::lock_guard lock(mutex_);
    last_refusal_ = std::move(what);
  }
  std::string last_refusal() const {
    const std::lock_guard lock(mutex_);
    return last_refusal_;
  }
  bool failed() const {
    const std::lock_guard lock(mutex_);
    return failed_ > 0;
  }
  std::vector<std::string> failures() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all = failures_;
    if (failed_ > static_cast<int64_t>(all.size())) {
      all.push_back("and " + std::to_string(failed_ - static_cast<int64_t>(all.size())) + " more");
    }
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> failures_;
  std::string last_refusal_;
  int64_t failed_ = 0;
};

}  // namespace hongyan::bench
