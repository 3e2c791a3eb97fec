#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client-sdk/src/calls.h"
#include "client-sdk/src/outbox.h"
#include "client-sdk/src/puller.h"
#include "client-sdk/src/saver.h"
#include "client-sdk/src/session.h"
#include "hongyan/client.h"

namespace hongyan {

// A client's parts, wired: the session below; the puller, the outbox and the calls on it; the store
// beside them. Runtime's thread.
class Client::Core {
 public:
  // `saved` is what the store holds, its device id drawn.
  Core(Runtime& runtime, Options options, Events events, Saved saved);
  ~Core();

  void Start() { session_.Start(); }

  void Send(int64_t number, const Conversation& to, std::string body, int timeout_ms,
            Callback<Sent> done);

  template <class Reply>
  void Call(uint16_t command, const char* what, sdk::Calls::Build build, int timeout_ms,
            std::function<void(Result<Reply>)> done) {
    if (session_.stopped()) {
      done(stop_error_);
      return;
    }
    calls_.Start<Reply>(command, what, std::move(build), timeout_ms, std::move(done));
  }

  void Logout(int timeout_ms, Callback<Done> done);
  Status GetStatus();
  void SetBackground(bool background) { session_.SetBackground(background); }

  UserId me() const { return account_.user; }
  // A request id for group commands: a UUIDv7 by the server's clock.
  std::string NewRequestId() const { return sdk::UuidV7(session_.server_now_ms()); }

 private:
  sdk::Session::Events SessionEvents();
  sdk::Puller::Events PullerEvents();
  sdk::Outbox::Events OutboxEvents();
  void OnReady(const sdk::SignedIn& signed_in);
  void OnStopped(StopReason reason, const std::string& text);
  void OnCommitted(const Result<Done>& result);

  const Options options_;
  const Events events_;
  Saved account_;  // device, user, name and token of the store
  Error stop_error_;
  bool store_failing_ = false;
  bool logging_out_ = false;
  sdk::Session session_;
  sdk::Saver saver_;
  sdk::Puller puller_;
  sdk::Outbox outbox_;
  sdk::Calls calls_;
};

}  // namespace hongyan
