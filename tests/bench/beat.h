#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client-sdk/src/link.h"
#include "histogram.h"
#include "tally.h"

namespace hongyan::bench {

// The same request again and again, one unanswered on each link, as fast as the answers come: what
// heartbeats, refused grabs and `echo` measure, by the same code, so that their quotient is about
// the servers. Load thread.
class Beat {
 public:
  struct Request {
    uint16_t command;
    std::string payload;
  };
  // False: that answer is wrong.
  using Accept = std::function<bool(const sdk::Answer&)>;
  static bool Answered(const sdk::Answer& answer) { return answer.ok(); }

  // requests[i % size] goes over links[i].
  Beat(Tally& tally, std::vector<sdk::Link*> links, std::vector<Request> requests, Accept accept)
      : tally_(tally),
        links_(std::move(links)),
        requests_(std::move(requests)),
        accept_(std::move(accept)) {}

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
    const Request* request;
    int64_t asked_ns;
  };
  void Ask(One& one);

  Tally& tally_;
  std::vector<sdk::Link*> links_;
  const std::vector<Request> requests_;
  const Accept accept_;
  std::vector<One> ones_;
  bool running_ = false;
  int64_t asked_ = 0;
  int64_t answered_ = 0;
  int64_t waiting_ = 0;
  size_t reply_bytes_ = 0;
  Histogram latency_;
};

}  // namespace hongyan::bench
