#include "client-sdk/src/wire.h"

#include "hongyan/v1/error.pb.h"

namespace hongyan {

const char* CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kCancelled:
      return "CANCELLED";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kAlreadyExists:
      return "ALREADY_EXISTS";
    case Code::kPermissionDenied:
      return "PERMISSION_DENIED";
    case Code::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::kAborted:
      return "ABORTED";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kUnimplemented:
      return "UNIMPLEMENTED";
    case Code::kInternal:
      return "INTERNAL";
    case Code::kUnavailable:
      return "UNAVAILABLE";
    case Code::kDataLoss:
      return "DATA_LOSS";
    case Code::kUnauthenticated:
      return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

namespace sdk {

Error BadReply(const char* what) {
  return {
      Code::kInternal, Reason::kNone,
      std::string(what) + ": the server's answer cannot be read; is this client too old for it?"};
}

Error ErrorOf(const Answer& answer, const char* what) {
  switch (answer.kind) {
    case Answer::Kind::kOk:
      break;
    case Answer::Kind::kTimedOut:
      return {Code::kDeadlineExceeded, Reason::kNone, std::string(what) + ": no answer in time"};
    case Answer::Kind::kDown:
      return {Code::kUnavailable, Reason::kNone,
              std::string(what) + ": " + std::string(answer.payload)};
    case Answer::Kind::kRefused: {
      v1::Error error;
      if (!error.ParseFromArray(answer.payload.data(), static_cast<int>(answer.payload.size())) ||
          error.code() == v1::OK) {
        break;
      }
      return {static_cast<Code>(error.code()), static_cast<Reason>(error.reason()), error.text(),
              error.retry_after_ms()};
    }
  }
  return BadReply(what);
}

}  // namespace sdk
}  // namespace hongyan
