#pragma once

#include <cstdint>
#include <vector>

#include "client-sdk/src/link.h"
#include "histogram.h"
#include "tally.h"

namespace hongyan::bench {

// Header-only requests, one unanswered on each link, as fast as the answers come: what `heartbeat`
// and `echo` measure, by the same code, so that their quotient is about the servers. Load thread.
class Beat {
 public:
  Beat(Tally& tally, std::vector<sdk::Link*> links) : tally_(tally), links_(std::move(links)) {}

  void Start();
  // No new requests; answered() settles.
  void Stop() { running_ = false; }
  void BeginWindow();

  int64_t answered() const { return answered_; }
  int64_t asked() const { return asked_; }
  int64_t waiting() const { return waiting_; }
  size_t reply_bytes() const { return reply_bytes_; }  // payload of the last answer
  const Histogram& latency() const { return latency_; }

 private:
  struct One {
    Beat* beat;
    sdk::Link* link;
    int64_t asked_ns;
  };
  void Ask(One& one);

  Tally& tally_;
  std::vector<sdk::Link*> links_;
  std::vector<One> ones_;
  bool running_ = false;
  int64_t asked_ = 0;
  int64_t answered_ = 0;
  int64_t waiting_ = 0;
  size_t reply_bytes_ = 0;
  Histogram latency_;
};

}  // namespace hongyan::bench
