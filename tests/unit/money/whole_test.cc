#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cluster/local/local_carrier.h"
#include "inbox/online_heads.h"
#include "inbox/reader.h"
#include "message_shard.h"
#include "money/audit.h"
#include "money/reader.h"
#include "money_shard.h"
#include "shard/executor.h"
#include "storage/memory/memory_message_store.h"
#include "storage/memory/memory_money_store.h"
#include "tests/doctest_last.h"

// Message shards and money shards, each on their executor and store, with nothing faked between
// them.

namespace hongyan::testing {
namespace {

using model::PacketKind;

constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;

class Town final : public shard::Outlet {
 public:
  explicit Town(shard::ExecutorLimits limits = {}) : limits_(limits) { Start(); }

  // A life of both on what is stored.
  void Restart() {
    executors_.clear();
    message_store_.reset();
    money_store_.reset();
    message_state_->Crash();
    money_state_->Crash();
    board_.Forget();
    Start();
  }

  model::UserId User(const std::string& name) const { return messages_->UserIdOf(name); }

  model::RequestId NewId() {
    model::RequestId id;
    const int64_t ms = clock.WallMs();
    for (int i = 0; i < 6; ++i) {
      id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(ms >> (40 - 8 * i));
    }
    id.bytes[6] = 0x70;
    const uint64_t n = next_id_++;
    for (int i = 0; i < 7; ++i) {
      id.bytes[static_cast<size_t>(15 - i)] = static_cast<uint8_t>(n >> (8 * i));
    }
    return id;
  }

  uint64_t Submit(model::ShardId shard, model::CommandBody body) {
    model::Command command;
    command.reply_to = {0, next_id_++};
    command.shard = shard;
    command.body = std::move(body);
    const uint64_t ticket = command.reply_to.ticket;
    auto& executor = *executors_.at(model::IsMoneyShard(shard) ? 1 : 0);
    CHECK(executor.Submit(std::move(command)).ok());
    return ticket;
  }
  void RunMoneyOnce() { CHECK(executors_[1]->RunOnce()); }
  model::Reply Take(uint64_t ticket) {
    const auto found = replies_.find(ticket);
    CHECK(found != replies_.end());
    return found->second;
  }
  model::Reply Ask(model::ShardId shard, model::CommandBody body) {
    const uint64_t ticket = Submit(shard, std::move(body));
    Run();
    return Take(ticket);
  }
  void Run() {
    for (int quiet = 0; quiet < 4;) {
      bool moved = false;
      for (auto& executor : executors_) moved = executor->RunOnce() || moved;
      quiet = moved ? 0 : quiet + 1;
    }
  }
  void Pass(int64_t ms) {
    clock.Advance(ms);
    for (auto& executor : executors_) executor->Tick();
    Run();
  }

  model::GroupId Group(const std::string& owner, const std::vector<std::string>& members) {
    model::CreateGroup create;
    create.creator = User(owner);
    create.request_id = NewId();
    create.id = messages_->GroupIdOf(create.creator, create.request_id);
    create.name = "new year";
    for (const auto& member : members) create.members.push_back(User(member));
    CHECK(Ask(messages_->ShardOf(create.id), create).ok());
    return create.id;
  }
  void Deposit(const std::string& user, int64_t fen) {
    model::MoveManyFunds moves;
    moves.moves.push_back({User(user), "move-" + std::to_string(next_id_++), fen, "test"});
    CHECK(Ask(routes_->WalletOf(User(user)), moves).ok());
  }
  model::PacketTerms Terms(const std::string& sender, model::GroupId group, int64_t fen,
                           int32_t shares) {
    model::PacketTerms terms;
    terms.kind = PacketKind::kLucky;
    terms.conversation = model::ConversationId::Group(group);
    terms.sender = User(sender);
    terms.request_id = NewId();
    terms.total_fen = fen;
    terms.shares = shares;
    return terms;
  }
  model::Reply Send(const model::PacketTerms& terms) {
    return Ask(routes_->WalletOf(terms.sender), model::SendPacket{terms});
  }
  model::Reply Open(model::PacketId packet, const std::string& user) {
    return Ask(*routes_->ShardOf(packet), model::OpenPacket{packet, User(user), {true, 1}});
  }
  int64_t Balance(const std::string& user) { return Reader().FindWallet(User(user))->balance_fen; }
  money::Reader Reader() { return {*money_store_, *routes_}; }
  std::vector<model::Entry> Inbox(const std::string& user) {
    inbox::Reader reader(message_store_->inboxes(), online_, message_store_->identity().generation);
    auto page = reader.ReadPage(User(user), model::Seq(), 100, storage::Reach::kDisk);
    CHECK(page.ok());
    std::vector<model::Entry> entries;
    for (const auto& numbered : page->entries) entries.push_back(numbered.entry);
    return entries;
  }
  money::AuditReport Audit() { return money::Audit(*money_store_); }
  const money::Routes& routes() { return *routes_; }

  void Replies(std::vector<shard::Outbound> replies) override {
    for (auto& reply : replies) replies_.insert_or_assign(reply.to.ticket, std::move(reply.reply));
  }
  void Effects(std::vector<model::Effect>) override {}

  base::ManualClock clock{1'790'000'000'000};
  std::optional<storage::CommitFate> fate;  // of the next commit of money

 private:
  void Start() {
    message_store_ = std::make_unique<storage::MemoryMessageStore>(message_state_);
    storage::MemoryFaults faults;
    faults.commit = [this] {
      return std::exchange(fate, std::nullopt).value_or(storage::CommitFate::kApply);
    };
    money_store_ = std::make_unique<storage::MemoryMoneyStore>(money_state_, std::move(faults));
    messages_ = std::make_unique<shard::Router>(message_store_->identity());
    wallets_ = std::make_unique<shard::Router>(money_store_->identity());
    routes_ =
        std::make_unique<money::Routes>(*wallets_, money_store_->money_identity(), *messages_);
    carrier_ = std::make_unique<cluster::LocalCarrier>();
    const std::vector<model::ShardId> talk = {0, 1, 2, 3};
    const std::vector<model::ShardId> cash = {model::kFirstMoneyShard, model::kFirstMoneyShard + 1};
    executors_.push_back(std::make_unique<shard::Executor>("messages", talk, *message_store_,
                                                           *carrier_, *this, clock, limits_, cash));
    executors_.push_back(std::make_unique<shard::Executor>("money", cash, *money_store_, *carrier_,
                                                           *this, clock, limits_, talk));
    for (const auto shard : talk) carrier_->Register(shard, *executors_[0]);
    for (const auto shard : cash) carrier_->Register(shard, *executors_[1]);
    CHECK(executors_[0]
              ->Open([this](model::ShardId) -> std::unique_ptr<shard::Logic> {
                return std::make_unique<MessageShard>(*message_store_, *messages_, online_,
                                                      message_counters_, group::GroupLimits());
              })
              .ok());
    CHECK(executors_[1]
              ->Open([this](model::ShardId shard) -> std::unique_ptr<shard::Logic> {
                return std::make_unique<MoneyShard>(shard, *money_store_, *routes_, board_,
                                                    counters_, money::Limits());
              })
              .ok());
    Run();
  }

  const shard::ExecutorLimits limits_;
  std::shared_ptr<storage::MemoryState> message_state_ = storage::MemoryState::Create(7, 4);
  std::shared_ptr<storage::MemoryMoneyState> money_state_ = storage::MemoryMoneyState::Create(9, 2);
  std::unique_ptr<storage::MemoryMessageStore> message_store_;
  std::unique_ptr<storage::MemoryMoneyStore> money_store_;
  std::unique_ptr<shard::Router> messages_;
  std::unique_ptr<shard::Router> wallets_;
  std::unique_ptr<money::Routes> routes_;
  std::unique_ptr<cluster::LocalCarrier> carrier_;
  inbox::OnlineHeads online_;
  MessageCounters message_counters_;
  money::Board board_;
  money::Counters counters_;
  std::vector<std::unique_ptr<shard::Executor>> executors_;
  std::map<uint64_t, model::Reply> replies_;
  uint64_t next_id_ = 1;
};

void Prove(Town& town) {
  const auto report = town.Audit();
  for (const auto& finding : report.findings) {
    MESSAGE(finding.what << " " << finding.where << " " << finding.text);
  }
  CHECK(report.verdict == money::AuditReport::Verdict::kProven);
  CHECK(report.in_transit_fen == 0);
}

}  // namespace

TEST_CASE("a packet travels from wallet to chat to wallets, over both stores and back") {
  Town town;
  const auto group = town.Group("anna", {"bert", "carl"});
  town.Deposit("anna", 1'000);
  const auto terms = town.Terms("anna", group, 1'000, 3);
  const auto sent = town.Send(terms);
  REQUIRE(sent.ok());
  const model::PacketId packet = std::get<model::PacketSending>(*sent).packet;
  CHECK(town.Reader().FindSend(town.User("anna"), terms.request_id)->state ==
        money::Reader::SendState::kSent);
  CHECK(town.Inbox("bert").size() == 2);  // the group, the packet
  int64_t sum = 0;
  for (const char* name : {"bert", "carl", "anna"}) {
    const auto opened = town.Open(packet, name);
    REQUIRE(opened.ok());
    sum += std::get<model::Opened>(*opened).amount_fen;
  }
  CHECK(sum == 1'000);
  CHECK(town.Balance("anna") + town.Balance("bert") + town.Balance("carl") == 1'000);
  CHECK(town.Inbox("bert").size() == 3);  // all is taken
  Prove(town);
  town.Restart();
  CHECK(town.Inbox("bert").size() == 3);
  CHECK(std::get<model::Opened>(*town.Open(packet, "bert")).already);
  Prove(town);
}

TEST_CASE("a packet whose money is on its way is not unknown to who has sent it") {
  shard::ExecutorLimits limits;
  limits.shortcut_entries = 0;  // the money goes by the outbox, as after a restart
  Town town(limits);
  const auto group = town.Group("anna", {"bert"});
  town.Deposit("anna", 1'000);
  const auto terms = town.Terms("anna", group, 1'000, 2);
  const uint64_t ticket =
      town.Submit(town.routes().WalletOf(terms.sender), model::SendPacket{terms});
  town.RunMoneyOnce();
  const auto sent = town.Take(ticket);
  REQUIRE(sent.ok());
  const model::PacketId packet = std::get<model::PacketSending>(*sent).packet;
  const auto early = town.Reader().Find(packet);
  REQUIRE_FALSE(early.ok());
  CHECK(early.error().reason == static_cast<uint16_t>(model::Reason::kBusy));
  CHECK(early.error().retry_after_ms > 0);
  town.Run();
  CHECK(town.Reader().Find(packet).ok());
  // Nothing is on its way any more: an id that was never given is nobody's.
  const auto never = town.Reader().Find(model::PacketId(packet.value + 1'000));
  REQUIRE_FALSE(never.ok());
  CHECK(never.error().reason == static_cast<uint16_t>(model::Reason::kNoSuchPacket));
}

TEST_CASE("an expired packet goes home, and its sender's inbox says so") {
  Town town;
  const auto group = town.Group("anna", {"bert"});
  town.Deposit("anna", 100);
  const auto terms = town.Terms("anna", group, 100, 2);
  CHECK(town.Send(terms).ok());
  town.Pass(kDayMs);
  CHECK(town.Balance("anna") == 100);
  const auto entries = town.Inbox("anna");
  REQUIRE_FALSE(entries.empty());
  const auto returned = std::find_if(entries.begin(), entries.end(), [](const model::Entry& entry) {
    return entry.kind == model::EntryKind::kPacketReturned;
  });
  REQUIRE(returned != entries.end());
  CHECK(returned->returned_fen == 100);
  CHECK(returned->client_msg_id == terms.request_id);
  Prove(town);
}

TEST_CASE("a packet into a conversation that does not take it comes back at once") {
  Town town;
  const auto group = town.Group("anna", {"bert"});
  town.Deposit("carl", 100);
  const auto terms = town.Terms("carl", group, 100, 2);  // not a member
  CHECK(town.Send(terms).ok());
  CHECK(town.Balance("carl") == 100);
  CHECK(town.Reader().FindSend(town.User("carl"), terms.request_id)->state ==
        money::Reader::SendState::kReturned);
  CHECK(town.Inbox("bert").size() == 1);
  Prove(town);
}

TEST_CASE("who opens and sends on in the same moment is not refused for want of funds") {
  Town town;
  const auto group = town.Group("anna", {"bert", "carl", "dora", "emil"});
  town.Deposit("anna", 400);
  const auto sent = town.Send(town.Terms("anna", group, 400, 4));
  const model::PacketId packet = std::get<model::PacketSending>(*sent).packet;
  std::map<std::string, uint64_t> tickets;
  for (const char* name : {"bert", "carl", "dora", "emil"}) {
    town.Submit(*town.routes().ShardOf(packet),
                model::OpenPacket{packet, town.User(name), {true, 1}});
    const auto terms = town.Terms(name, group, 1, 1);
    tickets[name] = town.Submit(town.routes().WalletOf(terms.sender), model::SendPacket{terms});
  }
  town.Run();
  for (const auto& [name, ticket] : tickets) CHECK(town.Take(ticket).ok());
  // And who has nothing coming is told so, not that it may come.
  const auto poor = town.Send(town.Terms("fred", group, 1, 1));
  CHECK(poor.error().reason == static_cast<uint16_t>(model::Reason::kNoFunds));
  Prove(town);
}

TEST_CASE("failure 26: gone is not said because of an open whose commit is lost") {
  for (const auto lost :
       {storage::CommitFate::kUnknownLost, storage::CommitFate::kUnknownApplied}) {
    Town town;
    const auto group = town.Group("anna", {"bert", "carl"});
    town.Deposit("anna", 100);
    const auto sent = town.Send(town.Terms("anna", group, 100, 1));
    const model::PacketId packet = std::get<model::PacketSending>(*sent).packet;
    town.fate = lost;
    const auto shard = *town.routes().ShardOf(packet);
    const auto berts = town.Submit(shard, model::OpenPacket{packet, town.User("bert"), {true, 1}});
    const auto carls = town.Submit(shard, model::OpenPacket{packet, town.User("carl"), {true, 1}});
    town.Run();
    const bool kept = lost == storage::CommitFate::kUnknownApplied;
    CHECK(town.Take(berts).ok() == kept);
    CHECK(town.Take(carls).error().reason ==
          static_cast<uint16_t>(kept ? model::Reason::kPacketDone : model::Reason::kStoreStopped));
    CHECK(town.Open(packet, "carl").ok() != kept);
    Prove(town);
  }
}

}  // namespace hongyan::testing
