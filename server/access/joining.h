#pragma once

#include <cstdint>
#include <string>

#include "account/tokens.h"
#include "model/command.h"
#include "proto/frame.h"

namespace hongyan::access {

class Session;

// A login under way, from good credentials to the answer.
struct Joining {
  uint16_t command = 0;  // LOGIN or LOGIN_TOKEN, and its request
  uint32_t request_id = 0;
  account::Token token;  // number 0: by password, a new one is given out
  std::string device_class;
  model::SessionOpened opened;
  // Sessions below this number ended while this one was being opened.
  int64_t ended_below = 0;
  model::EndReason ended_why = model::EndReason::kReplaced;
};

// Handlers: coming in and going out.
void Hello(Session& session, const proto::Frame& frame);
void Login(Session& session, const proto::Frame& frame);
void LoginToken(Session& session, const proto::Frame& frame);
void SessionOpened(Session& session, uint16_t command, uint32_t request_id, model::Reply reply);
void Logout(Session& session, const proto::Frame& frame);
void LoggedOut(Session& session, uint16_t command, uint32_t request_id, model::Reply reply);

}  // namespace hongyan::access
