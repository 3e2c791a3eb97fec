#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "access/front_door.h"
#include "admin/service.h"
#include "cluster/local/local_carrier.h"
#include "conversation/membership.h"
#include "hongyan/v1/admin.pb.h"
#include "hongyan/v1/money.pb.h"
#include "message_shard.h"
#include "model/reason.h"
#include "money_shard.h"
#include "raw_client.h"
#include "storage/memory/memory_message_store.h"
#include "storage/memory/memory_money_store.h"

#include "tests/doctest_last.h"

// A whole server on stores in memory, whose front and back doors are asked over sockets.

namespace hongyan::testing {

using integration::Answer;
using integration::RawClient;
using model::UserId;

inline constexpr int64_t kHourMs = 3'600'000;
inline constexpr auto kDrainPatience = std::chrono::seconds(2);
inline constexpr shard::ExecutorLimits kLimits{.resend_ms = 100};

// The system's clocks, moved ahead.
class ShiftedClock final : public base::Clock {
 public:
  int64_t WallMs() const override { return system_.WallMs() + ahead_ms; }
  int64_t BootNs() const override { return system_.BootNs() + ahead_ms * 1'000'000; }
  std::atomic<int64_t> ahead_ms{0};

 private:
  const base::SystemClock system_;
};

// Loses, while told so, what goes from one money shard to another: it is sent again later. And
// stops whoever sends out of one shard, so that what it is asked meanwhile stays in its queue.
class LosingCarrier final : public cluster::Carrier {
 public:
  void Send(cluster::ChannelItems items) override {
    const bool money =
        model::IsMoneyShard(items.channel.source) && model::IsMoneyShard(items.channel.target);
    if (loses_money && money && !items.items.empty()) return;
    if (items.channel.source == held_shard) {
      holding = true;
      held_shard.wait(items.channel.source);
    }
    ends.Send(std::move(items));
  }
  void Send(cluster::ChannelProgress progress) override { ends.Send(std::move(progress)); }

  void LetGo() {
    held_shard = kNone;
    held_shard.notify_all();
  }

  static constexpr model::ShardId kNone = model::ShardId(-1);
  std::atomic<bool> loses_money{false};
  std::atomic<model::ShardId> held_shard{kNone};
  std::atomic<bool> holding{false};
  cluster::LocalCarrier ends;
};

// One message shard and two money shards, each with an executor and a clock of its own.
class OpenHouse {
 public:
  OpenHouse() {
    const auto first = model::kFirstMoneyShard;
    const std::vector<model::ShardId> money{first, first + 1};
    executors_.push_back(
        std::make_unique<shard::Executor>("messages", std::vector<model::ShardId>{0}, messages_,
                                          carrier, door_, clock_, kLimits, money));
    for (size_t i = 0; i < money.size(); ++i) {
      executors_.push_back(std::make_unique<shard::Executor>(
          "money", std::vector<model::ShardId>{money[i]}, money_, carrier, door_, money_clocks[i],
          kLimits, std::vector<model::ShardId>{0}));
      carrier.ends.Register(money[i], *executors_.back());
    }
    carrier.ends.Register(0, *executors_.front());
    door_.Connect({{executors_[0].get()}, {executors_[1].get(), executors_[2].get()}});
    REQUIRE(executors_[0]
                ->Open([this](model::ShardId) -> std::unique_ptr<shard::Logic> {
                  return std::make_unique<MessageShard>(messages_, router_, online_, counters_,
                                                        group::GroupLimits());
                })
                .ok());
    for (size_t i : {1, 2}) {
      REQUIRE(executors_[i]
                  ->Open([this](model::ShardId shard) -> std::unique_ptr<shard::Logic> {
                    return std::make_unique<MoneyShard>(shard, money_, routes_, board_,
                                                        money_counters_, services_.money.limits);
                  })
                  .ok());
    }
    admin_.emplace(door_, door_.desk(0), messages_, money_,
                   std::vector{executors_[0].get(), executors_[1].get(), executors_[2].get()},
                   admin::Stats(), kDrainPatience);
    loop_.Start();
    for (auto& executor : executors_) executor->Start();
    front_ = Listen(door_.factory());
    back_ = Listen(admin_->factory());
  }
  ~OpenHouse() {
    carrier.LetGo();
    front_->StopAccepting();
    back_->StopAccepting();
    for (auto& executor : executors_) executor->Stop();
    readers_.Stop();
    hashers_.Stop();
    loop_.Stop();
  }

  int port() const { return PortOf(*front_); }
  int admin_port() const { return PortOf(*back_); }
  UserId User(const std::string& name) const { return router_.UserIdOf(name); }
  model::ShardId WalletShard(int64_t user) const { return routes_.WalletOf(UserId(user)); }
  model::ShardId PacketShard(int64_t packet) const {
    return *routes_.ShardOf(model::PacketId(packet));
  }

  void Deposit(const std::string& name, int64_t fen) {
    Submit(routes_.WalletOf(User(name)),
           model::MoveManyFunds{{{User(name), "first", fen, "start"}}});
    while (Balance(name) != fen) std::this_thread::yield();
  }
  // An account with a password, "pw", and money.
  void Add(const std::string& name, int64_t fen) {
    model::User user;
    user.id = User(name);
    user.name = name;
    user.password_hash = *passwords_.Hash("pw");
    Submit(0, model::CreateUsers{{user}});
    while (!*directory_.Exists(user.id)) std::this_thread::yield();
    if (fen != 0) Deposit(name, fen);
  }
  int64_t Balance(const std::string& name) const {
    return reader_.FindWallet(User(name))->balance_fen;
  }
  void ForgetBoard() { board_.Forget(); }
  // The message store stays closed after its next commit, until it is opened again.
  void StopMessages() {
    messages_fail = true;
    while (!executors_[0]->stopped()) {
      Submit(0, model::SetPassword{User("anna"), "x"});
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void OpenMessages() {
    messages_fail = false;
    while (executors_[0]->stopped()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  ShiftedClock money_clocks[2];
  std::atomic<bool> messages_fail{false};
  LosingCarrier carrier;
  const base::ManualClock one_hour{0};  // who is refused first changes by the hour
  overload::Admission chat_admission{one_hour, {}, 1};
  overload::Admission money_admission{one_hour, {}, 1};

 private:
  std::unique_ptr<net::Listener> Listen(net::Listener::Factory factory) {
    auto listener = net::Listener::Open({.address = "127.0.0.1:0"}, {&loop_}, std::move(factory));
    REQUIRE(listener.ok());
    return *std::move(listener);
  }
  static int PortOf(const net::Listener& listener) {
    const std::string& address = listener.address();
    return std::stoi(address.substr(address.rfind(':') + 1));
  }
  void Submit(model::ShardId shard, model::CommandBody body) {
    model::Command command;
    command.shard = shard;
    command.body = std::move(body);
    const size_t at = shard == 0 ? 0 : static_cast<size_t>(shard - model::kFirstMoneyShard) + 1;
    CHECK(executors_[at]->Submit(std::move(command)).ok());
  }
  storage::MemoryFaults Faults() {
    storage::MemoryFaults faults;
    faults.commit = [this] {
      return messages_fail ? storage::CommitFate::kUnknownLost : storage::CommitFate::kApply;
    };
    faults.reopen_fails = [this] { return messages_fail.load(); };
    return faults;
  }

  ShiftedClock clock_;
  storage::MemoryMessageStore messages_{storage::MemoryState::Create(1, 1), Faults()};
  storage::MemoryMoneyStore money_{storage::MemoryMoneyState::Create(2, 2)};
  const shard::Router router_{messages_.identity()};
  const shard::Router wallets_{money_.identity()};
  const money::Routes routes_{wallets_, money_.money_identity(), router_};
  money::Board board_;
  money::Counters money_counters_;
  MessageCounters counters_;
  inbox::OnlineHeads online_;
  const inbox::Reader inboxes_{messages_.inboxes(), online_, messages_.identity().generation};
  const conversation::Reader conversations_{messages_.conversations()};
  const conversation::Membership membership_{messages_.conversations(),
                                             [this] { return clock_.WallMs(); }};
  const money::Reader reader_{money_, routes_};
  const account::Directory directory_{messages_.accounts(), router_};
  const account::Tokens tokens_{messages_.identity().token_key};
  const account::Passwords passwords_;
  account::LoginLimits login_limits_{clock_, {}};
  base::WorkerPool readers_{"readers", 1, 1000};
  base::WorkerPool hashers_{"hashers", 1, 100};
  const access::Services services_{.clock = clock_,
                                   .router = router_,
                                   .online = online_,
                                   .inboxes = inboxes_,
                                   .conversations = conversations_,
                                   .directory = directory_,
                                   .tokens = tokens_,
                                   .passwords = passwords_,
                                   .login_limits = login_limits_,
                                   .admission = chat_admission,
                                   .money = {.routes = routes_,
                                             .board = board_,
                                             .reader = reader_,
                                             .eligibility = membership_,
                                             .limits = {.life_ms = kHourMs},
                                             .admission = money_admission},
                                   .readers = readers_,
                                   .hashers = hashers_};
  net::Loop loop_{0};
  access::FrontDoor door_{{&loop_}, services_, access::Limits()};
  std::vector<std::unique_ptr<shard::Executor>> executors_;
  std::optional<admin::Service> admin_;
  std::unique_ptr<net::Listener> front_, back_;
};

// Somebody with a session.
struct Guest {
  Guest(OpenHouse& house, const std::string& name, int64_t fen = 0)
      : id(house.User(name).value), client((house.Add(name, fen), house.port())) {
    client.Hello();
    REQUIRE(client.LogIn(name, "pw", integration::Device(1)).ok);
  }
  Answer<v1::SendPacketReply> Send(const v1::SendPacket& request) {
    return client.Ask<v1::SendPacketReply>(v1::SEND_PACKET, request);
  }
  Answer<v1::OpenPacketReply> Open(int64_t packet) {
    v1::OpenPacket request;
    request.set_packet_id(packet);
    for (;;) {
      auto answer = client.Ask<v1::OpenPacketReply>(v1::OPEN_PACKET, request);
      if (answer.ok || answer.error.reason() != v1::BUSY) return answer;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  v1::PacketDetailReply Detail(int64_t packet) {
    v1::PacketDetail request;
    request.set_packet_id(packet);
    const auto answer = client.Ask<v1::PacketDetailReply>(v1::PACKET_DETAIL, request);
    REQUIRE_MESSAGE(answer.ok, answer.error.text());
    return answer.reply;
  }
  v1::ConversationId MakeGroup(const std::vector<int64_t>& members) {
    v1::CreateGroup request;
    request.set_request_id(integration::NewRequestId());
    request.set_name("Team");
    for (const int64_t member : members) request.add_members(member);
    const auto answer = client.Ask<v1::GroupReply>(v1::CREATE_GROUP, request);
    REQUIRE_MESSAGE(answer.ok, answer.error.text());
    return integration::Group(answer.reply.group_id());
  }

  v1::Error Return(int64_t packet) {
    v1::ReturnTransfer request;
    request.set_packet_id(packet);
    return client.Ask<v1::ReturnTransferReply>(v1::RETURN_TRANSFER, request).error;
  }

  const int64_t id;
  RawClient client;
};

// What the administrator is told who ends the packet.
inline v1::Error End(OpenHouse& house, int64_t packet) {
  v1::AdminRequest request;
  request.mutable_end_packet()->set_packet_id(packet);
  return RawClient(house.admin_port()).Ask<v1::AdminReply>(v1::ADMIN, request).error;
}

inline v1::SendPacket Packet(const v1::ConversationId& where, int64_t fen, int32_t shares) {
  v1::SendPacket request;
  request.set_request_id(integration::NewRequestId());
  request.set_kind(v1::PACKET_LUCKY);
  *request.mutable_conversation() = where;
  request.set_amount_fen(fen);
  request.set_shares(shares);
  return request;
}

}  // namespace hongyan::testing
