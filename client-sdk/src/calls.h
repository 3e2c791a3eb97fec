#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "client-sdk/src/random.h"
#include "client-sdk/src/session.h"
#include "client-sdk/src/wire.h"
#include "hongyan/client.h"

namespace hongyan::sdk {

// Questions and commands other than messages. Without a connection they wait for one; a lost
// connection, BUSY or a missing answer lets them be asked again with the same bytes, until their
// time is over. So each must be harmless to repeat: reads are, group commands carry a request id.
// Runtime's thread.
class Calls {
 public:
  Calls(Runtime& runtime, const Options& options, Session& session);

  // `build` makes the payload at the first attempt, when the server's clock is known.
  using Build = std::function<std::string()>;
  template <class Reply>
  void Start(uint16_t command, const char* what, Build build, int timeout_ms,
             std::function<void(Result<Reply>)> done) {
    Add({.command = command,
         .what = what,
         .build = std::move(build),
         .due_ms = DueMs(timeout_ms),
         .done = [what, done = std::move(done)](const Result<std::string>& bytes) {
           Reply reply;
           if (!bytes.ok()) {
             done(bytes.error());
           } else if (!reply.ParseFromString(*bytes)) {
             done(BadReply(what));
           } else {
             done(std::move(reply));
           }
         }});
  }

  void OnReady() { Pump(); }
  void OnLost();
  void CancelAll(const Error& why);

 private:
  struct Call {
    uint16_t command = 0;
    const char* what = "";
    Build build = {};
    int64_t due_ms = 0;
    std::function<void(const Result<std::string>&)> done = {};
    std::string payload = {};
    bool built = false;
    bool in_flight = false;
    int64_t not_before_ms = 0;
    Backoff backoff = Backoff(50, 5'000);
  };

  int64_t DueMs(int timeout_ms) const;
  void Add(Call call);
  void Pump();
  void Transmit(int64_t number, Call& call);
  void OnAnswer(int64_t number, const Answer& answer);
  void Finish(int64_t number, const Result<std::string>& result);
  void OnTimer();
  void ArmTimer();

  Runtime& runtime_;
  const Options& options_;
  Session& session_;
  std::map<int64_t, Call> calls_;  // by number, which is the order of asking
  int64_t last_number_ = 0;
  size_t in_flight_ = 0;
  Timer timer_;  // the earliest time at which one is over or may go again
};

}  // namespace hongyan::sdk
