#include "admin_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/clock.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/error.pb.h"

namespace hongyan::bench {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr size_t kUsersPerCall = 1000;
constexpr size_t kMaxReplyBytes = 64 << 20;

Error Broken(const std::string& what) {
  return Error(Code::kUnavailable, "admin socket: " + what + ": " + std::strerror(errno));
}

Result<void> WaitFor(int fd, short events, int64_t until_ns) {
  for (;;) {
    const int64_t left_ms = (until_ns - NowNs()) / 1'000'000;
    if (left_ms <= 0) return Error(Code::kDeadlineExceeded, "admin socket: no answer in time");
    pollfd one{fd, events, 0};
    const int ready = poll(&one, 1, static_cast<int>(left_ms) + 1);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return Broken("poll");
  }
}

std::string DrawBytes16(std::mt19937_64& random) {
  const uint64_t words[2] = {random(), random()};
  return std::string(reinterpret_cast<const char*>(words), sizeof words);
}

std::string DrawRequestId(std::mt19937_64& random) {
  std::string id = DrawBytes16(random);
  const int64_t ms = base::SystemClock().WallMs();
  for (size_t i = 0; i < 6; ++i) id[i] = static_cast<char>(ms >> (40 - 8 * i));
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x70);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

Error Refused(const std::string& what, const std::string& why) {
  return Error(Code::kFailedPrecondition, what + " was refused: " + why);
}

}  // namespace

AdminSocket::~AdminSocket() { Disconnect(); }

void AdminSocket::Disconnect() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Result<void> AdminSocket::Connect() {
  if (fd_ >= 0) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) {
    return Error(Code::kInvalidArgument, "the path of the admin socket is too long: " + path_);
  }
  std::memcpy(address.sun_path, path_.data(), path_.size());
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return Broken("socket");
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const Error error = Broken("cannot connect to " + path_);
    Disconnect();
    return error;
  }
  return {};
}

Result<v1::AdminReply> AdminSocket::Call(const v1::AdminRequest& request, int timeout_ms) {
  const bool was_connected = fd_ >= 0;
  auto reply = TryCall(request, timeout_ms);
  if (reply.ok() || fd_ >= 0 || !was_connected) return reply;
  return TryCall(request, timeout_ms);
}

Result<v1::AdminReply> AdminSocket::TryCall(const v1::AdminRequest& request, int timeout_ms) {
  if (const auto connected = Connect(); !connected.ok()) return connected.error();
  const int64_t until_ns = NowNs() + int64_t{timeout_ms} * 1'000'000;
  const auto broken = [this](Error error) {
    Disconnect();
    return error;
  };
  std::string out;
  proto::AppendFrame(out, {.command = v1::ADMIN, .request_id = ++last_id_},
                     request.SerializeAsString());
  for (size_t sent = 0; sent < out.size();) {
    const ssize_t n = send(fd_, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return broken(Broken("send"));
    sent += static_cast<size_t>(n);
  }
  proto::FrameSplitter frames(kMaxReplyBytes);
  for (;;) {
    if (const auto ready = WaitFor(fd_, POLLIN, until_ns); !ready.ok())
      return broken(ready.error());
    char bytes[16 << 10];
    const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return broken(Broken("receive"));
    if (n == 0) return broken(Error(Code::kUnavailable, "admin socket: the server closed it"));
    frames.Feed({bytes, static_cast<size_t>(n)});
    while (const auto frame = frames.Next()) {
      if (!frame->header.is_answer() || frame->header.request_id != last_id_) continue;
      if (frame->header.is_error()) {
        v1::Error error;
        error.ParseFromArray(frame->payload.data(), static_cast<int>(frame->payload.size()));
        return Error(static_cast<Code>(error.code()), static_cast<uint16_t>(error.reason()),
                     error.text(), error.retry_after_ms());
      }
      v1::AdminReply reply;
      if (!reply.ParseFromArray(frame->payload.data(), static_cast<int>(frame->payload.size()))) {
        return broken(Error(Code::kDataLoss, "admin socket: the answer cannot be read"));
      }
      return reply;
    }
    frames.Keep();
    if (frames.refused()) return broken(Error(Code::kDataLoss, "admin socket: a frame too large"));
  }
}

Result<std::vector<Account>> AdminSocket::MakeUsers(const std::vector<std::string>& names) {
  std::vector<Account> accounts(names.size());
  for (size_t from = 0; from < names.size(); from += kUsersPerCall) {
    const size_t to = std::min(names.size(), from + kUsersPerCall);
    v1::AdminRequest request;
    for (size_t i = from; i < to; ++i) {
      request.mutable_import_users()->add_users()->set_name(names[i]);
    }
    auto reply = Call(request);
    if (!reply.ok()) return std::move(reply).error();
    const auto& results = reply->import_users().results();
    if (static_cast<size_t>(results.size()) != to - from) {
      return Error(Code::kInternal, "importing users: the answer does not fit the request");
    }
    for (size_t i = from; i < to; ++i) {
      const auto& result = results[static_cast<int>(i - from)];
      if (result.user_id() == 0) return Refused("user '" + names[i] + "'", result.refused());
      accounts[i].name = names[i];
      accounts[i].user_id = result.user_id();
    }
  }
  return accounts;
}

Result<void> AdminSocket::IssueTokens(std::vector<Account>& accounts, size_t from, size_t to,
                                      std::mt19937_64& random) {
  for (size_t begin = from; begin < to; begin += kUsersPerCall) {
    const size_t end = std::min(to, begin + kUsersPerCall);
    v1::AdminRequest request;
    for (size_t i = begin; i < end; ++i) {
      accounts[i].device_id = DrawBytes16(random);
      auto* one = request.mutable_issue_tokens()->add_tokens();
      one->set_name(accounts[i].name);
      one->set_device_id(accounts[i].device_id);
      one->set_device_class("bench");
    }
    auto reply = Call(request);
    if (!reply.ok()) return std::move(reply).error();
    const auto& results = reply->issue_tokens().results();
    if (static_cast<size_t>(results.size()) != end - begin) {
      return Error(Code::kInternal, "issuing tokens: the answer does not fit the request");
    }
    for (size_t i = begin; i < end; ++i) {
      const auto& result = results[static_cast<int>(i - begin)];
      if (result.user_id() == 0)
        return Refused("token of '" + accounts[i].name + "'", result.refused());
      accounts[i].token = result.token();
    }
  }
  return {};
}

Result<int64_t> AdminSocket::MakeGroup(const std::string& name, const std::vector<int64_t>& members,
                                       const std::string& owner_name, std::mt19937_64& random) {
  v1::AdminRequest request;
  auto* create = request.mutable_create_group();
  create->set_request_id(DrawRequestId(random));
  create->set_name(name);
  create->set_owner(owner_name);
  for (const int64_t member : members) create->add_member_ids(member);
  auto reply = Call(request);
  if (!reply.ok()) return std::move(reply).error();
  return reply->group().group_id();
}

Result<int64_t> AdminSocket::HeadOf(const std::string& name) {
  v1::AdminRequest request;
  request.mutable_show_user()->set_name(name);
  auto reply = Call(request);
  if (!reply.ok()) return std::move(reply).error();
  return reply->show_user().head();
}

Result<v1::ListChannelsReply> AdminSocket::Channels() {
  v1::AdminRequest request;
  request.mutable_list_channels();
  auto reply = Call(request);
  if (!reply.ok()) return std::move(reply).error();
  return reply->list_channels();
}

// ---- money ----

Result<void> AdminSocket::Deposit(const std::vector<Account>& accounts, size_t from, size_t to,
                                  int64_t fen, const std::string& id) {
  for (size_t begin = from; begin < to; begin += kUsersPerCall) {
    const size_t end = std::min(to, begin + kUsersPerCall);
    std::vector<size_t> left;
    for (size_t i = begin; i < end; ++i) left.push_back(i);
    for (int tries = 0; !left.empty(); ++tries) {
      v1::AdminRequest request;
      for (const size_t i : left) {
        auto* move = request.mutable_move_funds()->add_moves();
        move->set_name(accounts[i].name);
        move->set_id(id);
        move->set_amount_fen(fen);
        move->set_reason("hongyan-bench");
      }
      auto reply = Call(request);
      if (!reply.ok()) return std::move(reply).error();
      const auto& results = reply->move_funds().results();
      if (static_cast<size_t>(results.size()) != left.size()) {
        return Error(Code::kInternal, "depositing: the answer does not fit the request");
      }
      std::vector<size_t> again;
      for (int i = 0; i < results.size(); ++i) {
        const size_t account = left[static_cast<size_t>(i)];
        if (results[i].refused().empty()) continue;
        if (results[i].retry_after_ms() == 0 || tries == 1000) {
          return Refused("a deposit for '" + accounts[account].name + "'", results[i].refused());
        }
        again.push_back(account);
      }
      left = std::move(again);
      if (!left.empty()) poll(nullptr, 0, 20);
    }
  }
  return {};
}

Result<v1::ShowWalletReply> AdminSocket::Wallet(const std::string& name, int64_t before,
                                                uint32_t rows) {
  v1::AdminRequest request;
  request.mutable_show_wallet()->set_name(name);
  request.mutable_show_wallet()->set_before(before);
  request.mutable_show_wallet()->set_limit(rows);
  auto reply = Call(request);
  if (!reply.ok()) return std::move(reply).error();
  return std::move(*reply->mutable_show_wallet());
}

Result<v1::ShowPacketReply> AdminSocket::Packet(int64_t id) {
  v1::AdminRequest request;
  request.mutable_show_packet()->set_packet_id(id);
  auto reply = Call(request);
  if (!reply.ok()) return std::move(reply).error();
  return std::move(*reply->mutable_show_packet());
}

Result<void> AdminSocket::EndPacket(int64_t id) {
  v1::AdminRequest request;
  request.mutable_end_packet()->set_packet_id(id);
  auto reply = Call(request);
  if (!reply.ok()) return std::move(reply).error();
  return {};
}

Result<v1::AuditReply> AdminSocket::Audit() {
  v1::AdminRequest request;
  request.mutable_audit()->set_wait_drained(true);
  // It waits a minute for the drain, and reads everything before and after.
  auto reply = Call(request, 600'000);
  if (!reply.ok()) return std::move(reply).error();
  return std::move(*reply->mutable_audit());
}

Result<double> AdminSocket::Stat(const std::string& name) {
  v1::AdminRequest request;
  request.mutable_stats();
  auto reply = Call(request);
  if (!reply.ok()) return std::move(reply).error();
  for (const auto& value : reply->stats().values()) {
    if (value.name() == name) return value.value();
  }
  return Error(Code::kNotFound, "the server has no figure " + name);
}

}  // namespace hongyan::bench
