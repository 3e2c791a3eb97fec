#include "beat.h"

#include "hongyan/v1/command.pb.h"
#include "load_client.h"

namespace hongyan::bench {

void Beat::Start() {
  running_ = true;
  if (ones_.empty()) {
    for (sdk::Link* link : links_) ones_.push_back({this, link, 0});
  }
  for (One& one : ones_) Ask(one);
}

void Beat::Ask(One& one) {
  one.asked_ns = NowNs();
  const bool asked =
      one.link->Request(v1::HEARTBEAT, {}, 15'000, [p = &one](const sdk::Answer& answer) {
        Beat& beat = *p->beat;
        --beat.waiting_;
        if (!answer.ok()) return beat.tally_.Fail("a request was not answered");
        ++beat.answered_;
        beat.reply_bytes_ = answer.payload.size();
        beat.latency_.AddNs(NowNs() - p->asked_ns);
        if (beat.running_) beat.Ask(*p);
      });
  if (!asked) return tally_.Fail("a connection was lost");
  ++asked_;
  ++waiting_;
}

void Beat::BeginWindow() {
  asked_ = waiting_;
  answered_ = 0;
  latency_.Clear();
}

}  // namespace hongyan::bench
