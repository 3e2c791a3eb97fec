#include "client-sdk/src/core.h"

#include <utility>

#include "hongyan/v1/command.pb.h"

namespace hongyan {
namespace {

// More than any server's default lets through; a larger body is refused before it is stored.
constexpr size_t kMaxBodyBytes = 1 << 20;

}  // namespace

Client::Core::Core(Runtime& runtime, Options options, Events events, Saved saved)
    : options_(std::move(options)),
      events_(std::move(events)),
      account_({.device_id = saved.device_id,
                .token = saved.token,
                .user = saved.user,
                .user_name = saved.user_name,
                .cursor = 0,
                .unsent = {}}),
      session_(runtime, options_, saved.device_id, saved.token, SessionEvents()),
      saver_(runtime, *options_.store, [this](const Result<Done>& result) { OnCommitted(result); }),
      puller_(runtime, options_, session_, saver_, saved.cursor, PullerEvents()),
      outbox_(runtime, options_, session_, saver_, std::move(saved.unsent), OutboxEvents()),
      calls_(runtime, options_, session_) {}

Client::Core::~Core() {
  const Error closed{Code::kCancelled, Reason::kNone, "the client was closed"};
  session_.Close();
  saver_.Mark(Store::Durability::kDurable);
  saver_.Flush();
  calls_.CancelAll(closed);
  outbox_.CancelWaiting(closed);
}

sdk::Session::Events Client::Core::SessionEvents() {
  return {
      .on_ready = [this](const sdk::SignedIn& signed_in) { OnReady(signed_in); },
      .on_lost =
          [this] {
            puller_.OnLost();
            outbox_.OnLost();
            calls_.OnLost();
          },
      .on_disconnected =
          [this](const Error& why, int64_t retry_in_ms) {
            if (events_.on_disconnected) events_.on_disconnected(why, retry_in_ms);
          },
      .on_stopped = [this](StopReason reason, const std::string& text) { OnStopped(reason, text); },
      .on_head = [this](int64_t head) { puller_.OnHead(head); },
      .on_wallet_changed =
          [this] {
            if (events_.on_wallet_changed) events_.on_wallet_changed();
          }};
}

sdk::Puller::Events Client::Core::PullerEvents() {
  return {.on_message =
              [this](const Message& message) {
                if (events_.on_message) events_.on_message(message);
              },
          .on_group_changed =
              [this](GroupId group) {
                if (events_.on_group_changed) events_.on_group_changed(group);
              },
          .on_packet_returned =
              [this](const PacketReturned& returned) {
                if (events_.on_packet_returned) events_.on_packet_returned(returned);
              },
          .on_synced =
              [this] {
                if (events_.on_synced) events_.on_synced();
              },
          .on_truncated =
              [this] {
                if (events_.on_truncated) events_.on_truncated();
              },
          .on_problem =
              [this](const Error& error) {
                if (events_.on_problem) events_.on_problem(error);
              },
          .on_own = [this](const Conversation& conversation, const std::string& client_msg_id,
                           const Sent& sent) { outbox_.OnOwn(conversation, client_msg_id, sent); },
          .on_caught_up = [this] { outbox_.OnCaughtUp(); }};
}

sdk::Outbox::Events Client::Core::OutboxEvents() {
  return {.on_sent =
              [this](int64_t number, const Conversation& to, const Result<Sent>& result) {
                if (events_.on_sent) events_.on_sent(number, to, result);
              },
          .on_acknowledged = [this](const std::string& id) { puller_.OnAcknowledged(id); }};
}

void Client::Core::OnReady(const sdk::SignedIn& signed_in) {
  const v1::LoginReply& login = signed_in.login;
  const UserId me{login.user_id()};
  if (account_.user && account_.user != me) {
    session_.Stop(StopReason::kWrongStore, "the store belongs to the user " + account_.user_name +
                                               (account_.user_name == login.user_name()
                                                    ? " of another server, or of this one before "
                                                      "it was set up anew"
                                                    : ", not to " + login.user_name()) +
                                               ": use another store");
    return;
  }
  if (account_.user != me || account_.user_name != login.user_name() ||
      account_.token != login.token()) {
    account_.user = me;
    account_.user_name = login.user_name();
    account_.token = login.token();
    saver_.store().SetAccount(me, account_.user_name, account_.token);
    saver_.Mark(Store::Durability::kDurable);
  }
  if (events_.on_connected) {
    events_.on_connected({{me, account_.user_name}, login.session_number()});
  }
  outbox_.OnReady(signed_in.hello.max_frame_bytes());
  calls_.OnReady();
  puller_.OnReady(me, login.head());
}

void Client::Core::OnStopped(StopReason reason, const std::string& text) {
  if (logging_out_ && reason == StopReason::kRevoked) reason = StopReason::kLoggedOut;
  if (reason == StopReason::kRevoked || reason == StopReason::kLoggedOut) {
    account_.token.clear();
    saver_.store().SetAccount(account_.user, account_.user_name, {});
    saver_.Mark(Store::Durability::kDurable);
  }
  stop_error_ = {Code::kCancelled, Reason::kNone, text};
  calls_.CancelAll(stop_error_);
  outbox_.CancelWaiting(stop_error_);
  if (events_.on_stopped) events_.on_stopped(reason, text);
}

void Client::Core::OnCommitted(const Result<Done>& result) {
  if (result.ok()) {
    store_failing_ = false;
  } else if (!std::exchange(store_failing_, true) && events_.on_problem) {
    events_.on_problem(result.error());
  }
  outbox_.OnCommitted(result);
}

void Client::Core::Send(int64_t number, const Conversation& to, std::string body, int timeout_ms,
                        Callback<Sent> done) {
  const auto refuse = [&](const Error& error) {
    if (done) done(error);
    if (events_.on_sent) events_.on_sent(number, to, error);
  };
  if (session_.stopped()) return refuse(stop_error_);
  if (body.size() > kMaxBodyBytes) {
    return refuse(
        {Code::kInvalidArgument, Reason::kTooLarge,
         "a message has at most 1 MiB: keep large content elsewhere and send a reference"});
  }
  outbox_.Add(number, to, std::move(body), timeout_ms, std::move(done));
}

void Client::Core::Logout(int timeout_ms, Callback<Done> done) {
  logging_out_ = true;
  Call<v1::LogoutReply>(
      v1::LOGOUT, "logout", [] { return std::string(); }, timeout_ms,
      [this, done = std::move(done)](Result<v1::LogoutReply> reply) {
        if (!reply.ok() && !session_.stopped()) {
          logging_out_ = false;
          done(reply.error());
          return;
        }
        done(Done{});
        session_.Stop(StopReason::kLoggedOut, "logged out");
      });
}

Status Client::Core::GetStatus() {
  return {.connected = session_.link() != nullptr,
          .stopped = session_.stopped(),
          .me = {account_.user, account_.user_name},
          .cursor = puller_.cursor(),
          .head = puller_.head(),
          .unsent = outbox_.size(),
          .clock_offset_ms = session_.clock_offset_ms()};
}

}  // namespace hongyan
