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
#include "hongyan/v1/session.pb.h"

namespace hongyan::bench {
namespace {

// Messages a conversation has before the lie, so that it stands in the middle of something.
constexpr int64_t kTruthful = 5;

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

FalseServer::FalseServer(const std::string& folder, Lie lie)
    : lie_(lie), admin_path_(folder + "/admin.sock") {
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
    if (poll(wanted.data(), wanted.size(), -1) < 0) continue;
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
                        v1::BodyKind kind) {
  v1::Entry entry;
  entry.set_kind(v1::ENTRY_MESSAGE);
  entry.mutable_conversation()->set_a(id.first);
  entry.mutable_conversation()->set_b(id.second);
  entry.set_conv_seq(++talk.last);
  entry.mutable_message()->set_conv_seq(talk.last);
  entry.mutable_message()->set_sender(sender);
  entry.mutable_message()->set_kind(kind);
  entry.mutable_message()->set_body(send.body());
  for (const int64_t member : talk.members) Deliver(member, entry);
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
  // There is news only above this head.
  connection.notified = false;
  if (reply.entries_size() == 0) connection.notified = true;
  proto::FrameHeader header = frame.header;
  header.flags = proto::kFlagAnswer;
  Answer(connection, header, reply.SerializeAsString());
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
  Answer(connection, header, reply.SerializeAsString());
}

void FalseServer::MakeGroup(const v1::AdminCreateGroup& wanted, v1::AdminReply* reply) {
  const int64_t group = 1'000'000 + static_cast<int64_t>(talks_.size());
  Talk& talk = talks_[{0, group}];
  talk.members.assign(wanted.member_ids().begin(), wanted.member_ids().end());
  v1::SendMessage created;
  created.set_body("created");
  Store({0, group}, talk, 0, created, v1::BODY_SYSTEM);
  reply->mutable_group()->set_group_id(group);
}

}  // namespace hongyan::bench
