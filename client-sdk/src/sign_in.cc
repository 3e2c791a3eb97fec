#include "client-sdk/src/sign_in.h"

#include <memory>
#include <optional>
#include <utility>

#include "client-sdk/src/wire.h"
#include "hongyan/v1/command.pb.h"

namespace hongyan::sdk {
namespace {

constexpr uint32_t kProtocolVersion = 1;

// The two answers on their way. An error of Hello wins: what follows from it says less.
struct Pending {
  SignedIn signed_in;
  std::optional<Error> error;
  std::function<void(Result<SignedIn>)> done;
};

}  // namespace

void SignIn(Link& link, const Credentials& who, int timeout_ms,
            std::function<void(Result<SignedIn>)> done) {
  auto pending = std::make_shared<Pending>();
  pending->done = std::move(done);

  v1::Hello hello;
  hello.set_version(kProtocolVersion);
  hello.set_client(who.client);
  Ask<v1::HelloReply>(link, v1::HELLO, hello.SerializeAsString(), timeout_ms, "hello",
                      [pending](Result<v1::HelloReply> reply) {
                        if (reply.ok()) {
                          pending->signed_in.hello = std::move(*reply);
                        } else {
                          pending->error = reply.error();
                        }
                      });

  const auto finish = [pending](Result<v1::LoginReply> reply) {
    if (!reply.ok() && !pending->error) pending->error = reply.error();
    if (pending->error) {
      pending->done(*pending->error);
      return;
    }
    pending->signed_in.login = std::move(*reply);
    pending->done(std::move(pending->signed_in));
  };
  if (!who.token.empty()) {
    v1::LoginToken login;
    login.set_token(who.token);
    login.set_device_id(who.device_id);
    Ask<v1::LoginReply>(link, v1::LOGIN_TOKEN, login.SerializeAsString(), timeout_ms, "login",
                        finish);
    return;
  }
  v1::Login login;
  login.set_user_name(who.user_name);
  login.set_password(who.password);
  login.set_device_id(who.device_id);
  login.set_device_class(who.device_class);
  Ask<v1::LoginReply>(link, v1::LOGIN, login.SerializeAsString(), timeout_ms, "login", finish);
}

}  // namespace hongyan::sdk
