#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client-sdk/src/runtime.h"

namespace hongyan::sdk {

struct LinkOptions {
  std::string address = {};  // "host:port", "[v6]:port" or "unix:/path/of/socket"
  // Numeric; empty = the system's choice. One source address has some 28,000 ports.
  std::string source_address = {};
  int connect_timeout_ms = 10'000;
  // Of a frame from the server; a larger one ends the link.
  size_t max_payload_bytes = 4 << 20;
  // Gathered for a peer that does not read; beyond it Request refuses.
  size_t max_unsent_bytes = 8 << 20;
  // Requests without an answer; beyond it Request refuses.
  size_t max_pending = 4096;
};

enum class DownReason {
  kConnectFailed,  // refused, unreachable, name not found, bad address
  kConnectTimeout,
  kClosedByPeer,
  kIoError,
  kBadFrame,  // the peer does not speak our frames
};

struct Down {
  DownReason reason;
  std::string text;  // for people, with the address
};

// What came of a request.
struct Answer {
  enum class Kind {
    kOk,        // payload = the reply
    kRefused,   // payload = a hongyan.v1.Error
    kTimedOut,  // nothing was heard in time: the outcome is unknown
    kDown,      // the link went down first: the outcome is unknown; payload = why, for people
  };
  Kind kind;
  std::string_view payload;  // valid during the callback

  bool ok() const { return kind == Kind::kOk; }
};

// One connection that speaks frames: connects once, lives until it goes down or is destroyed; for
// another try make another Link. What is requested during a turn of the loop leaves in one write at
// its end. An idle link holds no buffer.
//
// May be destroyed inside any of its callbacks. Destroyed or Closed: no callback comes any more,
// those of pending requests included. Runtime's thread.
class Link {
 public:
  struct Events {
    std::function<void()> on_up = {};
    // A push: request id 0. The payload is valid during the callback.
    std::function<void(uint16_t command, std::string_view payload)> on_push = {};
    // At most once, after the callbacks of the pending requests (each with kDown); nothing comes
    // after it.
    std::function<void(const Down&)> on_down = {};
  };
  using OnAnswer = std::function<void(const Answer&)>;

  // Starts connecting; no callback comes from inside the constructor.
  Link(Runtime& runtime, LinkOptions options, Events events);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // False, and nothing is sent or called back: the link is not up, or a limit of the options is
  // reached. Otherwise on_answer is called once, never from inside Request. A callback that
  // captures at most two pointers costs no allocation.
  [[nodiscard]] bool Request(uint16_t command, std::string_view payload, int timeout_ms,
                             OnAnswer on_answer);

  // Runs it in a later turn, unless the link is closed by its owner first.
  void Defer(std::function<void()> what);

  // Goes down as if the peer had: pending requests get kDown, then on_down. Not from inside a
  // constructor.
  void Fail(DownReason reason, std::string text);

  void Close();

  bool up() const;
  size_t pending() const;

 private:
  class Core;
  std::shared_ptr<Core> core_;  // shared with the stack that is calling back, nobody else
};

}  // namespace hongyan::sdk
