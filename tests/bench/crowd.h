#pragma once

#include <memory>
#include <string>
#include <vector>

#include "load_client.h"
#include "stage.h"

namespace hongyan::bench {

// Many clients that are only there. Main thread, but for what the load thread calls.
class Crowd final : public LoadClient::Owner {
 public:
  // `accounts` outlive the crowd.
  Crowd(Stage& stage, const std::vector<Account>& accounts);
  ~Crowd() override;

  // Logs them in, at most some hundreds at a time: a server takes only so many strangers at once.
  bool Connect();

  bool AllOnline() const;  // load thread

  // Every client sends a heartbeat, spread over some turns; waits for the answers. Answers how many
  // came.
  int64_t Heartbeats();

  const std::vector<std::unique_ptr<LoadClient>>& clients() const { return clients_; }

  void OnOnline(LoadClient&) override {}
  void OnAcked(LoadClient&, int64_t, int64_t) override {}
  void OnEntry(LoadClient&, const v1::Entry&, int64_t) override {}
  void OnHead(LoadClient&, int64_t) override {
    ++heads_;
    ++stage_.tally().moved;
  }

 private:
  Stage& stage_;
  std::vector<std::unique_ptr<LoadClient>> clients_;
  int64_t heads_ = 0;
};

}  // namespace hongyan::bench
