#include "access/joining.h"

#include <memory>
#include <utility>

#include "access/session.h"
#include "account/refusals.h"
#include "base/bytes.h"
#include "base/log.h"
#include "model/reason.h"

namespace hongyan::access {
namespace {

using base::Code;
using model::Reason;
using model::Refuse;

constexpr uint32_t kProtocolVersion = 1;
constexpr size_t kMaxClientBytes = 128;
constexpr uint32_t kHeartbeatMs = 240'000;  // advised; the idle timeout is longer

base::Error Invalid(const char* text) { return {Code::kInvalidArgument, text}; }

base::Error BadCredentials() {
  return Refuse(Code::kUnauthenticated, Reason::kBadCredentials, "wrong user name or password");
}

// Credentials are good: effects are heard from here on, then the user's shard opens the session.
void Join(Session& session) {
  const Joining& joining = *session.joining();
  model::OpenSession open;
  open.user = joining.token.user;
  open.device = joining.token.device;
  open.device_class = joining.device_class;
  open.token_number = joining.token.number;
  session.BeginJoining();
  session.Submit(joining.command, joining.request_id,
                 session.desk().services().router.ShardOf(open.user), std::move(open));
}

// What may have happened to the session while it was opened.
bool Ended(Session& session) {
  const Joining& joining = *session.joining();
  if (joining.ended_below <= joining.opened.session_number) return false;
  switch (joining.ended_why) {
    case model::EndReason::kReplaced:
      session.FailJoining(Refuse(Code::kAborted, Reason::kReplaced,
                                 "this device logged in again elsewhere meanwhile"));
      break;
    case model::EndReason::kRevoked:
      session.FailJoining(account::TokenRevoked());
      break;
    case model::EndReason::kDisabled:
      session.FailJoining(account::UserDisabled());
      break;
  }
  return true;
}

void Welcome(Session& session, std::optional<model::Seq> head) {
  if (Ended(session)) return;
  const Services& services = session.desk().services();
  Joining& joining = *session.joining();
  const int64_t now_ms = services.clock.WallMs();
  v1::LoginReply reply;
  reply.set_user_id(joining.token.user.value);
  reply.set_user_name(joining.opened.user_name);
  reply.set_session_number(joining.opened.session_number);
  reply.set_head(head.has_value() ? head->value : -1);
  reply.set_server_time_ms(session.desk().server_time_ms());
  reply.set_heartbeat_ms(kHeartbeatMs);
  reply.set_token_expires_ms(joining.token.expires_ms);
  if (joining.token.number == 0 || services.tokens.WorthRenewing(joining.token, now_ms)) {
    account::Token token = joining.token;
    token.number = joining.opened.token_number;
    reply.set_token(services.tokens.Issue(token, now_ms));
    reply.set_token_expires_ms(now_ms + services.tokens.life_ms());
  }
  if (head.has_value()) session.told().Say(*head);
  session.desk().counts().logins.Add();
  session.Answer(joining.command, joining.request_id, reply);
  session.BecomeOnline();
}

}  // namespace

void Hello(Session& session, const proto::Frame& frame) {
  v1::Hello hello;
  if (!session.Parse(frame, hello)) return;
  const auto& header = frame.header;
  if (hello.version() < kProtocolVersion) {
    session.Refuse(header.command, header.request_id,
                   Refuse(Code::kFailedPrecondition, Reason::kVersionUnsupported,
                          "this server speaks version 1 of the protocol: update the client"));
    session.connection().Close(true);
    return;
  }
  if (hello.client().size() > kMaxClientBytes) {
    session.Refuse(header.command, header.request_id, Invalid("client has at most 128 bytes"));
    session.Misused();
    return;
  }
  v1::HelloReply reply;
  reply.set_version(kProtocolVersion);
  reply.set_server_time_ms(session.desk().server_time_ms());
  reply.set_max_frame_bytes(static_cast<uint32_t>(session.desk().limits().frame_bytes));
  reply.set_server("hongyand/" HONGYAN_VERSION);
  session.Answer(header.command, header.request_id, reply);
  session.Greet();
}

void Login(Session& session, const proto::Frame& frame) {
  v1::Login login;
  if (!session.Parse(frame, login)) return;
  const auto refuse = [&session, &frame](const base::Error& error) {
    session.Refuse(frame.header.command, frame.header.request_id, error);
    session.Misused();
  };
  auto joining = std::make_unique<Joining>();
  joining->command = frame.header.command;
  joining->request_id = frame.header.request_id;
  joining->device_class = login.device_class();
  if (!joining->token.device.Assign(login.device_id()) || joining->token.device.is_zero()) {
    return refuse(Invalid("a device id is 16 bytes, drawn at random at the client's first start"));
  }
  if (auto label = account::CheckDeviceClass(login.device_class()); !label) {
    return refuse(label.error());
  }
  if (auto name = account::CheckUserName(login.user_name()); !name) return refuse(name.error());

  const Services& services = session.desk().services();
  const model::UserId user = services.directory.IdOf(login.user_name());
  if (auto admitted = services.admission.Admit(model::Priority::kLogin, user); !admitted) {
    return refuse(admitted.error());
  }
  if (auto may = services.login_limits.Admit(session.connection().peer(), login.user_name());
      !may) {
    return refuse(may.error());
  }
  const auto verify = [&services, name = login.user_name(),
                       password = login.password()]() -> base::Result<model::UserId> {
    auto found = services.directory.Find(name);
    if (!found) return std::move(found).error();
    // The same work for a user who is not there.
    const bool good = services.passwords.Verify(
        found->has_value() ? (*found)->password_hash : std::string(), password);
    if (!good) return BadCredentials();
    return (*found)->id;
  };
  const auto verified = [](Session& it, base::Result<model::UserId> who) {
    if (it.joining() == nullptr) return;  // too late
    if (!who) return it.FailJoining(who.error());
    it.joining()->token.user = *who;
    Join(it);
  };
  if (session.OnPool(services.hashers, frame.header.command, frame.header.request_id, verify,
                     verified)) {
    session.BeginLogin(std::move(joining));
  }
}

void LoginToken(Session& session, const proto::Frame& frame) {
  v1::LoginToken login;
  if (!session.Parse(frame, login)) return;
  const auto refuse = [&session, &frame](const base::Error& error) {
    session.Refuse(frame.header.command, frame.header.request_id, error);
    session.Misused();
  };
  const Services& services = session.desk().services();
  auto token = services.tokens.Verify(login.token(), services.clock.WallMs());
  if (!token) return refuse(token.error());
  if (login.device_id() != token->device.view()) {
    return refuse(Refuse(Code::kUnauthenticated, Reason::kBadCredentials,
                         "this token was given to another device: log in with the password"));
  }
  if (auto admitted = services.admission.Admit(model::Priority::kLogin, token->user); !admitted) {
    return refuse(admitted.error());
  }
  auto joining = std::make_unique<Joining>();
  joining->command = frame.header.command;
  joining->request_id = frame.header.request_id;
  joining->token = *token;
  session.BeginLogin(std::move(joining));
  Join(session);
}

void SessionOpened(Session& session, uint16_t command, uint32_t request_id, model::Reply reply) {
  if (session.joining() == nullptr) return;  // too late
  if (!reply) {
    session.FailJoining(reply.error());
    return;
  }
  Joining& joining = *session.joining();
  joining.opened = std::get<model::SessionOpened>(std::move(reply).value());
  const Services& services = session.desk().services();
  // Another device of the user is online: the head is known.
  if (const auto head = services.online.Head(session.user())) return Welcome(session, head);
  session.OnPool(
      services.readers, command, request_id,
      [&services, user = session.user()] {
        return services.inboxes.Head(user, storage::Reach::kDisk);
      },
      [](Session& it, base::Result<model::Seq> head) {
        if (it.joining() == nullptr) return;
        if (!head) {
          LOG_WARN("head_unknown user={} why=\"{}\"", it.user().value, head.error().text);
          return Welcome(it, std::nullopt);
        }
        Welcome(it, *head);
      });
}

void Logout(Session& session, const proto::Frame& frame) {
  session.Submit(frame, session.desk().services().router.ShardOf(session.user()),
                 model::RevokeTokens{session.user(), session.device()});
}

void LoggedOut(Session& session, uint16_t command, uint32_t request_id, model::Reply reply) {
  if (!reply) {
    session.Refuse(command, request_id, reply.error());
    return;
  }
  session.Answer(command, request_id, v1::LogoutReply());
  session.CloseAfterAnswer();
}

}  // namespace hongyan::access
