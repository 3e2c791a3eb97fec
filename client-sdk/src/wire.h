#pragma once

#include <functional>
#include <string>

#include "client-sdk/src/link.h"
#include "hongyan/result.h"

namespace google::protobuf {
class MessageLite;
}

namespace hongyan::sdk {

// The error an answer means; `what` names the request for people ("login", "send"). REQUIRES
// !answer.ok().
Error ErrorOf(const Answer& answer, const char* what);

// For an answer whose payload is not what its command promises.
Error BadReply(const char* what);

// Asks with a message and reads the reply as a Reply. `done` is called once, never from inside,
// also with kUnavailable if the link cannot take the request. Not at all once the link is closed by
// its owner.
template <class Reply>
void Ask(Link& link, uint16_t command, const std::string& payload, int timeout_ms, const char* what,
         std::function<void(Result<Reply>)> done) {
  const bool taken = link.Request(command, payload, timeout_ms, [what, done](const Answer& answer) {
    if (!answer.ok()) {
      done(ErrorOf(answer, what));
      return;
    }
    Reply reply;
    if (!reply.ParseFromArray(answer.payload.data(), static_cast<int>(answer.payload.size()))) {
      done(BadReply(what));
      return;
    }
    done(std::move(reply));
  });
  if (!taken) {
    link.Defer([what, done] {
      done(Error{Code::kUnavailable, Reason::kNone, std::string(what) + ": not connected"});
    });
  }
}

}  // namespace hongyan::sdk
