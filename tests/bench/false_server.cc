#include "false_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/group.pb.h"
#include "hongyan/v1/session.pb.h"

namespace hongyan::bench {
namespace {

// Messages a conversation has before the lie, so that it stands in the middle of something.
constexpr int64_t kTruthful = 5;

constexpr int64_t kPacketLifeMs = 500;
// One answer of so many about money comes late, so that who does not like to wait asks again.
constexpr int64_t kLateOneOf = 8;
constexpr int64_t kLateMs = 8;

template <class Message>
Message Parsed(const proto::Frame& frame) {
  Message message;
  CHECK(message.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())));
  return message;
}

int64_t WallMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

FalseServer::FalseServer(const std::string& folder, Lie lie, FalseBank::Lie money)
    : lie_(lie), admin_path_(folder + "/admin.sock"), bank_(money, House(), kPacketLifeMs) {
  tcp_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  CHECK(bind(tcp_fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  CHECK(getsockname(tcp_fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  CHECK(listen(tcp_fd_, 1024) == 0);
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));

  admin_fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  CHECK(admin_path_.size() < sizeof path.sun_path);
  std::memcpy(path.sun_path, admin_path_.data(), admin_path_.size());
  CHECK(bind(admin_fd_, reinterpret_cast<sockaddr*>(&path), sizeof path) == 0);
  CHECK(listen(admin_fd_, 16) == 0);
  CHECK(pipe(stop_fd_) == 0);
  thread_ = std::thread([this] { Serve(); });
}

FalseServer::~FalseServer() {
  CHECK(write(stop_fd_[1], "x", 1) == 1);
  thread_.join();
  for (const auto& connection : connections_) close(connection->fd);
  for (const int fd : {tcp_fd_, admin_fd_, stop_fd_[0], stop_fd_[1]}) close(fd);
  unlink(admin_path_.c_str());
}

void FalseServer::Serve() {
  for (;;) {
    std::vector<pollfd> wanted{
        {stop_fd_[0], POLLIN, 0}, {tcp_fd_, POLLIN, 0}, {admin_fd_, POLLIN, 0}};
    for (const auto& connection : connections_) wanted.push_back({connection->fd, POLLIN, 0});
    if (poll(wanted.data(), wanted.size(), 2) < 0) continue;
    if (wanted[0].revents != 0) return;
    const size_t known = connections_.size();
    for (const size_t listener : {size_t{1}, size_t{2}}) {
      if (wanted[listener].revents == 0) continue;
      auto connection = std::make_unique<Connection>();
      connection->fd = accept(wanted[listener].fd, nullptr, nullptr);
      if (connection->fd >= 0) connections_.push_back(std::move(connection));
    }
    for (size_t i = 0; i < known; ++i) {
      if (wanted[3 + i].revents == 0) continue;
      if (!Read(*connections_[i])) close(std::exchange(connections_[i]->fd, -1));
    }
    std::erase_if(connections_, [](const auto& connection) { return connection->fd < 0; });
    bank_.Expire();
    AnswerDelayed();
    Notify();
  }
}

bool FalseServer::Read(Connection& connection) {
  char bytes[65536];
  const ssize_t n = recv(connection.fd, bytes, sizeof bytes, 0);
  if (n <= 0) return false;
  connection.frames.Feed({bytes, static_cast<size_t>(n)});
  while (const auto frame = connection.frames.Next()) Handle(connection, *frame);
  connection.frames.Keep();
  return true;
}

void FalseServer::Answer(Connection& connection, const proto::FrameHeader& header,
                         const std::string& payload) {
  std::string out;
  proto::AppendFrame(out, header, payload);
  for (size_t sent = 0; sent < out.size();) {
    const ssize_t n = send(connection.fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
}

void FalseServer::Handle(Connection& connection, const proto::Frame& frame) {
  proto::FrameHeader header = frame.header;
  header.flags = proto::kFlagAnswer;
  switch (frame.header.command) {
    case v1::HELLO: {
      v1::HelloReply reply;
      reply.set_server_time_ms(WallMs());
      return Answer(connection, header, reply.SerializeAsString());
    }
    case v1::LOGIN_TOKEN: {
      connection.user = std::stoll(Parsed<v1::LoginToken>(frame).token());
      v1::LoginReply reply;
      reply.set_user_id(connection.user);
      reply.set_head(heads_[connection.user]);
      return Answer(connection, header, reply.SerializeAsString());
    }
    case v1::HEARTBEAT: {
      v1::HeartbeatReply reply;
      reply.set_head(heads_[connection.user]);
      return Answer(connection, header, reply.SerializeAsString());
    }
    case v1::SEND_MESSAGE:
      return OnSend(connection, frame);
    case v1::SYNC:
      return OnSync(connection, frame);
    case v1::ADMIN:
      return OnAdmin(connection, frame);
    case v1::LEAVE_GROUP:
      return OnLeave(connection, frame);
    case v1::SEND_PACKET:
    case v1::GRAB_PACKET:
    case v1::OPEN_PACKET:
    case v1::RETURN_TRANSFER:
      return OnMoney(connection, frame);
    default:
      return;
  }
}

// ---- messages ----

bool FalseServer::LieNow(Lie lie, int64_t member) {
  if (lie != lie_ || lied_ || member != victim_) return false;
  lied_ = true;
  return true;
}

void FalseServer::OnSend(Connection& connection, const proto::Frame& frame) {
  const auto send = Parsed<v1::SendMessage>(frame);
  const TalkId id{send.conversation().a(), send.conversation().b()};
  Talk& talk = talks_[id];
  if (id.first != 0 && talk.members.empty()) talk.members = {id.first, id.second};
  int64_t& place = talk.ids[send.client_msg_id()];
  if (place == 0) {
    ++talk.given;
    // The last member is no writer in any of the modes, or reads as well.
    if (victim_ == 0 && talk.given > kTruthful) {
      for (const int64_t member : talk.members)
        victim_ = member == connection.user ? victim_ : member;
    }
    Store(id, talk, connection.user, send, v1::BODY_TEXT);
    place = talk.last;
    if (victim_ != 0 && LieNow(Lie::kStoresTwice, victim_)) {
      Store(id, talk, connection.user, send, v1::BODY_TEXT);
    }
    if (victim_ != 0 && LieNow(Lie::kGivesPlaceTwice, victim_)) --place;
  }
  v1::SendMessageReply reply;
  reply.set_conv_seq(place);
  proto::FrameHeader header = frame.header;
  header.flags = proto::kFlagAnswer;
  Answer(connection, header, reply.SerializeAsString());
}

void FalseServer::Store(const TalkId& id, Talk& talk, int64_t sender, const v1::SendMessage& send,
                        v1::BodyKind kind, const std::string& sender_id) {
  v1::Entry entry;
  entry.set_kind(v1::ENTRY_MESSAGE);
  entry.mutable_conversation()->set_a(id.first);
  entry.mutable_conversation()->set_b(id.second);
  entry.set_conv_seq(++talk.last);
  entry.mutable_message()->set_conv_seq(talk.last);
  entry.mutable_message()->set_sender(sender);
  entry.mutable_message()->set_kind(kind);
  entry.mutable_message()->set_body(send.body());
  for (const int64_t member : talk.members) {
    entry.set_client_msg_id(member == sender ? sender_id : std::string());
    Deliver(member, entry);
  }
}

void FalseServer::Deliver(int64_t member, v1::Entry entry) {
  std::vector<v1::Entry>& inbox = inboxes_[member];
  int64_t& head = heads_[member];
  if (LieNow(Lie::kForgets, member)) return;
  if (lie_ == Lie::kNeverDelivers && member == victim_) {
    lied_ = true;
    return;
  }
  if (LieNow(Lie::kJumps, member)) ++head;
  if (LieNow(Lie::kChangesAByte, member)) entry.mutable_message()->mutable_body()->back() ^= 1;
  if (LieNow(Lie::kSwaps, member)) {
    held_ = entry;
    held_for_ = member;
    return;
  }
  const int times = LieNow(Lie::kTellsTwice, member) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    entry.set_seq(++head);
    inbox.push_back(entry);
  }
  if (held_for_ == member) {
    held_for_ = 0;
    held_.set_seq(++head);
    inbox.push_back(held_);
  }
  for (const auto& connection : connections_) {
    if (connection->user == member) connection->notified = false;
  }
}

void FalseServer::Notify() {
  for (const auto& connection : connections_) {
    if (connection->user == 0 || connection->notified || inboxes_[connection->user].empty())
      continue;
    connection->notified = true;
    v1::Notify notify;
    notify.set_head(heads_[connection->user]);
    Answer(*connection, {.command = v1::NOTIFY}, notify.SerializeAsString());
  }
}

void FalseServer::OnSync(Connection& connection, const proto::Frame& frame) {
  const auto sync = Parsed<v1::Sync>(frame);
  const std::vector<v1::Entry>& inbox = inboxes_[connection.user];
  v1::SyncReply reply;
  auto it = std::upper_bound(inbox.begin(), inbox.end(), sync.cursor(),
                             [](int64_t cursor, const v1::Entry& e) { return cursor < e.seq(); });
  if (it != inbox.begin() && it != inbox.end() && LieNow(Lie::kRepeats, connection.user)) --it;
  for (; it != inbox.end() && reply.entries_size() < 100; ++it) *reply.add_entries() = *it;
  reply.set_head(heads_[connection.user]);
  connection.notified = true;  // there is news only above this head
  proto::FrameHeader header = frame.header;
  header.flags = proto::kFlagAnswer;
  Answer(connection, header, reply.SerializeAsString());
}

// ---- money ----

FalseBank::House FalseServer::House() {
  FalseBank::House house;
  house.is_member = [this](const v1::ConversationId& id, int64_t user) {
    if (id.a() != 0) return id.a() == user || id.b() == user;
    const std::vector<int64_t>& members = talks_[{0, id.b()}].members;
    return std::find(members.begin(), members.end(), user) != members.end();
  };
  house.post = [this](const v1::ConversationId& id, int64_t sender, v1::BodyKind kind,
                      const v1::Body& body, const std::string& request_id) {
    Talk& talk = talks_[{id.a(), id.b()}];
    if (id.a() != 0) talk.members = {id.a(), id.b()};
    v1::SendMessage message;
    message.set_body(body.SerializeAsString());
    Store({id.a(), id.b()}, talk, sender, message, kind, request_id);
  };
  house.give_back = [this](int64_t user, const v1::ConversationId& id,
                           const v1::PacketReturned& back) {
    v1::Entry entry;
    entry.set_kind(v1::ENTRY_PACKET_RETURNED);
    *entry.mutable_conversation() = id;
    *entry.mutable_packet_returned() = back;
    Deliver(user, entry);
  };
  return house;
}

void FalseServer::OnMoney(Connection& connection, const proto::Frame& frame) {
  proto::FrameHeader header = frame.header;
  header.flags = proto::kFlagAnswer;
  std::string payload;
  const auto answer = [&payload](v1::Reason why, const auto& reply) {
    payload = reply.SerializeAsString();
    return why;
  };
  v1::SendPacketReply sent;
  v1::GrabPacketReply grabbed;
  v1::OpenPacketReply opened;
  v1::Reason why = v1::REASON_NONE;
  switch (frame.header.command) {
    case v1::SEND_PACKET:
      why = bank_.Send(connection.user, Parsed<v1::SendPacket>(frame), &sent);
      why = answer(why, sent);
      break;
    case v1::GRAB_PACKET:
      why = bank_.Grab(connection.user, Parsed<v1::GrabPacket>(frame), &grabbed);
      why = answer(why, grabbed);
      break;
    case v1::OPEN_PACKET:
      why = bank_.Open(connection.user, Parsed<v1::OpenPacket>(frame), &opened);
      why = answer(why, opened);
      break;
    default:
      why = bank_.Return(connection.user, Parsed<v1::ReturnTransfer>(frame));
  }
  if (why != v1::REASON_NONE) {
    header.flags |= proto::kFlagError;
    v1::Error error;
    error.set_code(v1::FAILED_PRECONDITION);
    error.set_reason(why);
    payload = error.SerializeAsString();
  }
  if (++money_answers_ % kLateOneOf != 0) return Answer(connection, header, payload);
  std::string bytes;
  proto::AppendFrame(bytes, header, payload);
  delayed_.push_back({WallMs() + kLateMs, connection.fd, std::move(bytes)});
}

void FalseServer::AnswerDelayed() {
  while (!delayed_.empty() && delayed_.front().due_ms <= WallMs()) {
    const Delayed late = std::move(delayed_.front());
    delayed_.erase(delayed_.begin());
    const bool here = std::any_of(connections_.begin(), connections_.end(),
                                  [&](const auto& one) { return one->fd == late.fd; });
    if (here) (void)send(late.fd, late.bytes.data(), late.bytes.size(), MSG_NOSIGNAL);
  }
}

void FalseServer::OnLeave(Connection& connection, const proto::Frame& frame) {
  Talk& talk = talks_[{0, Parsed<v1::LeaveGroup>(frame).group_id()}];
  std::erase(talk.members, connection.user);
  proto::FrameHeader header = frame.header;
  header.flags = proto::kFlagAnswer;
  Answer(connection, header, v1::GroupReply().SerializeAsString());
}

// ---- the back door ----

void FalseServer::OnAdmin(Connection& connection, const proto::Frame& frame) {
  const auto request = Parsed<v1::AdminRequest>(frame);
  v1::AdminReply reply;
  for (const auto& user : request.import_users().users()) {
    int64_t& id = users_[user.name()];
    if (id == 0) id = static_cast<int64_t>(users_.size());
    reply.mutable_import_users()->add_results()->set_user_id(id);
  }
  for (const auto& wanted : request.issue_tokens().tokens()) {
    auto* result = reply.mutable_issue_tokens()->add_results();
    result->set_user_id(users_[wanted.name()]);
    result->set_token(std::to_string(users_[wanted.name()]));
  }
  if (request.has_create_group()) MakeGroup(request.create_group(), &reply);
  if (request.has_show_user()) {
    reply.mutable_show_user()->set_head(heads_[users_[request.show_user().name()]]);
  }
  if (request.has_list_channels()) reply.mutable_list_channels();
  proto::FrameHeader header = frame.header;
  header.flags = proto::kFlagAnswer;
  if (const v1::Reason why = AdminMoney(request, &reply); why != v1::REASON_NONE) {
    header.flags |= proto::kFlagError;
    v1::Error error;
    error.set_code(v1::FAILED_PRECONDITION);
    error.set_reason(why);
    return Answer(connection, header, error.SerializeAsString());
  }
  Answer(connection, header, reply.SerializeAsString());
}

v1::Reason FalseServer::AdminMoney(const v1::AdminRequest& request, v1::AdminReply* reply) {
  for (const auto& move : request.move_funds().moves()) {
    bank_.Deposit(users_[move.name()], move.amount_fen(),
                  reply->mutable_move_funds()->add_results());
  }
  if (request.has_show_wallet()) {
    const auto& show = request.show_wallet();
    bank_.ShowWallet(users_[show.name()], show.before(), static_cast<int>(show.limit()),
                     reply->mutable_show_wallet());
  }
  if (request.has_audit()) bank_.Audit(reply->mutable_audit());
  if (request.has_end_packet()) return bank_.End(request.end_packet().packet_id());
  if (request.has_show_packet()) {
    return bank_.ShowPacket(request.show_packet().packet_id(), reply->mutable_show_packet());
  }
  return v1::REASON_NONE;
}

void FalseServer::MakeGroup(const v1::AdminCreateGroup& wanted, v1::AdminReply* reply) {
  const int64_t group = 1'000'000 + static_cast<int64_t>(talks_.size());
  Talk& talk = talks_[{0, group}];
  talk.members.assign(wanted.member_ids().begin(), wanted.member_ids().end());
  v1::SendMessage created;
  v1::Body body;
  body.mutable_system()->mutable_group_created()->set_name(wanted.name());
  created.set_body(body.SerializeAsString());
  Store({0, group}, talk, 0, created, v1::BODY_SYSTEM);
  reply->mutable_group()->set_group_id(group);
}

}  // namespace hongyan::bench
