#pragma once

#include <cstdint>

#include "model/command.h"
#include "proto/frame.h"

namespace hongyan::access {

class Session;

// What a client may ask for. A new request is a handler in the file of its noun and one line in
// requests.cc.
struct Request {
  enum class When : uint8_t {
    kFirst,   // before anything else, once
    kLogin,   // after Hello, until logged in
    kOnline,  // logged in
  };

  uint16_t command = 0;
  const char* name = nullptr;
  When when = When::kOnline;
  bool shed = false;  // refused under overload, by its class and user
  model::Priority priority = model::Priority::kChat;

  // Answers now, or later by what it submits. Loop thread.
  void (*handle)(Session& session, const proto::Frame& frame) = nullptr;

  // Gets the shard's reply to what `handle` submitted, if anything. Loop thread.
  void (*replied)(Session& session, uint16_t command, uint32_t request_id,
                  model::Reply reply) = nullptr;

  // The connection is held until the shard has answered, not only while something is read.
  bool alone = false;
};

// nullptr: there is no such request.
const Request* FindRequest(uint16_t command);

}  // namespace hongyan::access
