#include "tests/unit/client-sdk/fake_hongyan.h"

#include <algorithm>
#include <chrono>

using hongyan::proto::FrameHeader;
namespace v1 = hongyan::v1;

v1::Error MakeError(v1::Code code, v1::Reason reason, int64_t retry_after_ms) {
  v1::Error error;
  error.set_code(code);
  error.set_reason(reason);
  error.set_text("as the test wants it");
  error.set_retry_after_ms(retry_after_ms);
  return error;
}

FakeHongyan::FakeHongyan(int port) : port_(port) { ComeBack(); }
FakeHongyan::~FakeHongyan() { GoDown(); }

void FakeHongyan::GoDown() {
  if (server_) server_->Stop();
  server_.reset();
  std::lock_guard lock(mutex_);
  sessions_.clear();
}

void FakeHongyan::ComeBack() {
  std::lock_guard lock(mutex_);  // nothing is handled before server_ is set
  server_ = std::make_unique<FakeServer>(
      FakeServer::Events{
          .on_accept = [this](int) { ++seen.accepted; },
          .on_frame = [this](int from, const FrameHeader& header,
                             std::string_view payload) { OnFrame(from, header, payload); },
          .on_close = [this](int which) { sessions_.erase(which); }},
      port_, &mutex_);
  port_ = server_->port();
}

int64_t FakeHongyan::NowMs() const {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count() +
         knobs.clock_ahead_ms;
}

void FakeHongyan::Refuse(int to, const FrameHeader& header, const v1::Error& error) {
  server_->Answer(to, header, error.SerializeAsString(), hongyan::proto::kFlagError);
}

void FakeHongyan::OnFrame(int from, const FrameHeader& header, std::string_view payload) {
  seen.order.push_back(v1::Command_Name(header.command));
  switch (header.command) {
    case v1::HELLO: {
      v1::HelloReply reply;
      reply.set_version(1);
      reply.set_server_time_ms(NowMs());
      reply.set_max_frame_bytes(knobs.max_frame_bytes);
      server_->Answer(from, header, reply.SerializeAsString());
      return;
    }
    case v1::LOGIN:
    case v1::LOGIN_TOKEN:
      OnLogin(from, header, payload);
      return;
    default:
      break;
  }
  if (sessions_.find(from) == sessions_.end()) {
    Refuse(from, header, MakeError(v1::UNAUTHENTICATED, v1::NOT_LOGGED_IN));
    return;
  }
  switch (header.command) {
    case v1::HEARTBEAT: {
      ++seen.heartbeats;
      if (!knobs.answer_heartbeats) return;
      v1::HeartbeatReply reply;
      reply.set_head(knobs.tell_head ? inboxes_[sessions_[from]].head : -1);
      reply.set_server_time_ms(NowMs());
      server_->Answer(from, header, reply.SerializeAsString());
      return;
    }
    case v1::SEND_MESSAGE:
      OnSend(from, header, payload);
      return;
    case v1::SEND_PACKET:
      OnSendPacket(from, header, payload);
      return;
    case v1::SYNC:
      OnSync(from, header, payload);
      return;
    case v1::HISTORY:
      OnHistory(from, header, payload);
      return;
    case v1::FIND_USER:
      OnFindUser(from, header, payload);
      return;
    case v1::LOGOUT:
      std::erase_if(tokens_, [&](const auto& token) { return token.second == sessions_[from]; });
      server_->Answer(from, header, "");
      server_->CloseConnection(from);
      return;
    default:
      Refuse(from, header, MakeError(v1::UNIMPLEMENTED, v1::REASON_NONE));
      return;
  }
}

void FakeHongyan::OnLogin(int from, const FrameHeader& header, std::string_view payload) {
  if (knobs.refuse_login) {
    if (const auto error = knobs.refuse_login()) {
      Refuse(from, header, *error);
      return;
    }
  }
  int64_t user = 0;
  if (header.command == v1::LOGIN) {
    ++seen.password_logins;
    v1::Login login;
    login.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
    if (login.password() == "secret" && login.device_id().size() == 16)
      user = UserIdOf(login.user_name());
  } else {
    ++seen.token_logins;
    v1::LoginToken login;
    login.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
    const auto token = tokens_.find(login.token());
    if (token != tokens_.end()) user = token->second;
  }
  if (user == 0) {
    const v1::Reason reason = header.command == v1::LOGIN ? v1::BAD_CREDENTIALS : v1::TOKEN_REVOKED;
    Refuse(from, header, MakeError(v1::UNAUTHENTICATED, reason));
    return;
  }
  sessions_[from] = user;
  v1::LoginReply reply;
  reply.set_user_id(user);
  for (const auto& [name, id] : users_) {
    if (id == user) reply.set_user_name(name);
  }
  reply.set_session_number(++last_session_);
  if (header.command == v1::LOGIN) {
    reply.set_token("token " + std::to_string(user) + " " + std::to_string(last_session_));
    tokens_[reply.token()] = user;
  }
  reply.set_head(knobs.tell_head ? inboxes_[user].head : -1);
  reply.set_server_time_ms(NowMs());
  reply.set_heartbeat_ms(knobs.heartbeat_ms);
  server_->Answer(from, header, reply.SerializeAsString());
}

void FakeHongyan::OnSend(int from, const FrameHeader& header, std::string_view payload) {
  v1::SendMessage send;
  send.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  seen.sends.push_back(send);
  if (knobs.refuse_send) {
    if (const auto error = knobs.refuse_send(send)) {
      Refuse(from, header, *error);
      return;
    }
  }
  auto& conversation = conversations_[{send.conversation().a(), send.conversation().b()}];
  int64_t conv_seq;
  const auto known = conversation.by_id.find(send.client_msg_id());
  if (known != conversation.by_id.end()) {
    if (known->second.first != send.body()) {
      Refuse(from, header, MakeError(v1::ALREADY_EXISTS, v1::CONFLICT));
      return;
    }
    conv_seq = known->second.second;
  } else {
    conv_seq = Store(sessions_[from], send.conversation(), send.client_msg_id(), send.body(), from);
  }
  if (knobs.lose_acks > 0) {
    --knobs.lose_acks;
    sessions_.erase(from);
    server_->CloseConnection(from);
    return;
  }
  if (!knobs.answer_sends) return;
  v1::SendMessageReply reply;
  reply.set_conv_seq(conv_seq);
  reply.set_time_ms(conversation.messages[static_cast<size_t>(conv_seq - 1)].time_ms());
  server_->Answer(from, header, reply.SerializeAsString());
}

int64_t FakeHongyan::Store(int64_t sender, const v1::ConversationId& to,
                           const std::string& client_msg_id, const std::string& body, int except) {
  auto& conversation = conversations_[{to.a(), to.b()}];
  v1::Message message;
  message.set_conv_seq(static_cast<int64_t>(conversation.messages.size()) + 1);
  message.set_sender(sender);
  message.set_kind(v1::BODY_TEXT);
  message.set_time_ms(NowMs());
  message.set_body(body);
  conversation.messages.push_back(message);
  conversation.by_id[client_msg_id] = {body, message.conv_seq()};
  v1::Entry entry;
  entry.set_kind(v1::ENTRY_MESSAGE);
  entry.set_time_ms(message.time_ms());
  *entry.mutable_conversation() = to;
  entry.set_conv_seq(message.conv_seq());
  *entry.mutable_message() = message;
  for (const int64_t user : std::set<int64_t>{to.a(), to.b()}) {
    if (user == sender) entry.set_client_msg_id(client_msg_id);
    Put(user, entry, except);
    entry.clear_client_msg_id();
  }
  return message.conv_seq();
}

void FakeHongyan::Put(int64_t user, const v1::Entry& entry, int except) {
  Inbox& inbox = inboxes_[user];
  inbox.head = std::max(inbox.head, generation_ << 40) + 1;
  inbox.entries.push_back(entry);
  inbox.entries.back().set_seq(inbox.head);
  if (!knobs.notify || server_ == nullptr) return;
  v1::Notify notify;
  notify.set_head(inbox.head);
  for (const auto& [connection, who] : sessions_) {
    if (who == user && connection != except) {
      server_->Send(connection, {.command = v1::NOTIFY}, notify.SerializeAsString());
    }
  }
}

void FakeHongyan::OnSync(int from, const FrameHeader& header, std::string_view payload) {
  v1::Sync sync;
  sync.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  seen.sync_cursors.push_back(sync.cursor());
  if (knobs.refuse_sync) {
    if (const auto error = knobs.refuse_sync(sync.cursor())) {
      Refuse(from, header, *error);
      return;
    }
  }
  const Inbox& inbox = inboxes_[sessions_[from]];
  if (sync.cursor() > inbox.head) {
    Refuse(from, header, MakeError(v1::OUT_OF_RANGE, v1::CURSOR_AHEAD));
    return;
  }
  v1::SyncReply reply;
  reply.set_head(inbox.head);
  for (const v1::Entry& entry : inbox.entries) {
    if (entry.seq() <= sync.cursor()) continue;
    if (static_cast<uint32_t>(reply.entries_size()) == knobs.sync_limit) {
      reply.set_more(true);
      break;
    }
    *reply.add_entries() = entry;
  }
  if (knobs.change_sync_reply) knobs.change_sync_reply(reply);
  server_->Answer(from, header, reply.SerializeAsString());
}

void FakeHongyan::OnHistory(int from, const FrameHeader& header, std::string_view payload) {
  v1::History history;
  history.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  const auto& messages =
      conversations_[{history.conversation().a(), history.conversation().b()}].messages;
  v1::HistoryReply reply;
  for (auto at = messages.rbegin(); at != messages.rend(); ++at) {
    if (history.before() > 0 && at->conv_seq() >= history.before()) continue;
    if (history.limit() > 0 && static_cast<uint32_t>(reply.messages_size()) == history.limit()) {
      reply.set_more(true);
      break;
    }
    *reply.add_messages() = *at;
  }
  server_->Answer(from, header, reply.SerializeAsString());
}

void FakeHongyan::OnSendPacket(int from, const FrameHeader& header, std::string_view payload) {
  v1::SendPacket& send = seen.packets.emplace_back();
  send.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  const auto packet =
      packets_.emplace(send.request_id(), static_cast<int64_t>(packets_.size()) + 7000).first;
  if (!knobs.answer_packets) return;
  v1::SendPacketReply reply;
  reply.set_packet_id(packet->second);
  server_->Answer(from, header, reply.SerializeAsString());
}

void FakeHongyan::OnFindUser(int from, const FrameHeader& header, std::string_view payload) {
  v1::FindUser find;
  find.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  for (const auto& [name, id] : users_) {
    if (name != find.name() && id != find.user_id()) continue;
    v1::FindUserReply reply;
    reply.set_user_id(id);
    reply.set_name(name);
    server_->Answer(from, header, reply.SerializeAsString());
    return;
  }
  Refuse(from, header, MakeError(v1::NOT_FOUND, v1::NO_SUCH_USER));
}

// ---- deeds ----

int64_t FakeHongyan::UserIdOf(const std::string& name) {
  std::lock_guard lock(mutex_);
  return users_.emplace(name, static_cast<int64_t>(users_.size()) + 1000).first->second;
}

int64_t FakeHongyan::Say(const std::string& from, const std::string& to, const std::string& text) {
  std::lock_guard lock(mutex_);
  const int64_t sender = UserIdOf(from);
  const int64_t other = UserIdOf(to);
  v1::ConversationId id;
  id.set_a(std::min(sender, other));
  id.set_b(std::max(sender, other));
  v1::Body body;
  body.mutable_text()->set_text(text);
  const auto number = conversations_[{id.a(), id.b()}].messages.size();
  return Store(sender, id, "said " + std::to_string(number), body.SerializeAsString(), -1);
}

void FakeHongyan::RevokeTokens(const std::string& name) {
  std::lock_guard lock(mutex_);
  const int64_t user = UserIdOf(name);
  std::erase_if(tokens_, [user](const auto& token) { return token.second == user; });
}

void FakeHongyan::End(const std::string& name, v1::EndReason reason, int64_t retry_after_ms) {
  std::lock_guard lock(mutex_);
  const int64_t user = UserIdOf(name);
  v1::SessionEnded ended;
  ended.set_reason(reason);
  ended.set_retry_after_ms(retry_after_ms);
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const auto [connection, who] = *at++;
    if (who != user) continue;
    server_->Send(connection, {.command = v1::SESSION_ENDED}, ended.SerializeAsString());
    server_->CloseConnection(connection);
    sessions_.erase(connection);
  }
}

void FakeHongyan::RaiseGeneration() {
  std::lock_guard lock(mutex_);
  ++generation_;
}

void FakeHongyan::RaiseGenerationOf(const std::string& name) {
  std::lock_guard lock(mutex_);
  ++generation_;
  inboxes_[UserIdOf(name)].head = generation_ << 40;
}

void FakeHongyan::LoseInbox(const std::string& name) {
  std::lock_guard lock(mutex_);
  inboxes_.erase(UserIdOf(name));
}

std::vector<std::string> FakeHongyan::Texts(const std::string& one, const std::string& other) {
  std::lock_guard lock(mutex_);
  const int64_t a = UserIdOf(one);
  const int64_t b = UserIdOf(other);
  std::vector<std::string> texts;
  for (const v1::Message& message : conversations_[{std::min(a, b), std::max(a, b)}].messages) {
    v1::Body body;
    body.ParseFromString(message.body());
    texts.push_back(body.text().text());
  }
  return texts;
}

int64_t FakeHongyan::HeadOf(const std::string& name) {
  std::lock_guard lock(mutex_);
  return inboxes_[UserIdOf(name)].head;
}
