#pragma once

#include <functional>
#include <string>

#include "client-sdk/src/link.h"
#include "hongyan/result.h"
#include "hongyan/v1/session.pb.h"

namespace hongyan::sdk {

// Who connects from which device: by token where there is one, else by name and password.
struct Credentials {
  std::string token = {};
  std::string user_name = {};
  std::string password = {};
  std::string device_id = {};  // 16 bytes
  std::string device_class = {};
  std::string client = {};  // name and version of the program, for the server's log
};

struct SignedIn {
  v1::HelloReply hello = {};
  v1::LoginReply login = {};
};

// Hello and login on a link that is up, in one write: a reconnect costs one round trip. `done` is
// called once (not if the link is closed by its owner), also when the link goes down meanwhile.
// Runtime's thread.
void SignIn(Link& link, const Credentials& who, int timeout_ms,
            std::function<void(Result<SignedIn>)> done);

}  // namespace hongyan::sdk
