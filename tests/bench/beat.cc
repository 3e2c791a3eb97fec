#include "beat.h"

#include "load_client.h"

namespace hongyan::bench {

void Beat::Start() {
  running_ = true;
  if (ones_.empty()) {
    for (size_t i = 0; i < links_.size(); ++i) {
      ones_.push_back({this, links_[i], &requests_[i % requests_.size()], 0});
    }
  }
  for (One& one : ones_) Ask(one);
}

void Beat::Ask(One& one) {
  one.asked_ns = NowNs();
  const bool asked = one.link->Request(
      one.request->command, one.request->payload, 15'000, [p = &one](const sdk::Answer& answer) {
        Beat& beat = *p->beat;
        --beat.waiting_;
        if (!beat.accept_(answer)) return beat.tally_.Fail("a request was not answered rightly");
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
