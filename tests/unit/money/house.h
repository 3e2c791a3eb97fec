#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "money/audit.h"
#include "money/board.h"
#include "money/reader.h"
#include "money_shard.h"
#include "shard/router.h"
#include "storage/memory/memory_money_store.h"

namespace hongyan::testing {

inline constexpr int64_t kLifeMs = int64_t{24} * 3600 * 1000;  // of a packet

// Money shards on memory, driven by hand: one batch per step, channels as the executor keeps them
// (outbox, heads, marks, running totals), and the conversations' side played by the test. Speaks in
// names.
class House {
 public:
  struct Options {
    int shards = 2;
    money::Limits limits;
    MoneyShard::Held held;
  };
  House() : House(Options()) {}
  explicit House(Options options);

  // A life of the process on the same stored state: what is in memory is gone.
  void Restart();

  // -- what people do; each runs one batch and then until nothing moves, unless `settle` is off
  model::Reply Deposit(const std::string& user, int64_t fen, const std::string& id = "");
  model::Reply Withdraw(const std::string& user, int64_t fen, const std::string& id = "");
  model::Reply Freeze(const std::string& user, bool frozen = true);
  // `no`: what the edge says of it.
  model::Reply Send(const model::PacketTerms& terms, std::optional<base::Error> no = {});
  model::Reply Open(model::PacketId packet, const std::string& user, bool eligible = true);
  model::Reply Return(model::PacketId packet, const std::string& user);  // "" = the administrator
  model::Reply Mend(model::PacketId packet, model::MendPacket::How how);

  // A lucky packet in the group, ready to be opened.
  model::PacketId Lucky(const std::string& sender, int64_t fen, int32_t shares);
  // Any, of money that is deposited for it.
  model::PacketId Make(const model::PacketTerms& terms, const std::string& sender);

  model::UserId User(const std::string& name) const { return messages_->UserIdOf(name); }
  model::ConversationId Group() const { return model::ConversationId::Group(model::GroupId(77)); }
  model::ConversationId Direct(const std::string& a, const std::string& b) const {
    return model::ConversationId::Direct(User(a), User(b));
  }
  model::RequestId NewId(int64_t ago_ms = 0);
  model::PacketTerms Terms(model::PacketKind kind, const std::string& sender, int64_t fen,
                           int32_t shares = 1);
  model::PacketTerms Transfer(const std::string& sender, const std::string& to, int64_t fen);

  // -- what time and channels do
  void Pass(int64_t ms);  // and sweeps, and settles
  void Sweep(size_t max_records = 1000);
  void Run();  // delivers until nothing moves
  // One batch of one shard with these commands (and items); replies in order; none = put aside.
  std::vector<std::optional<model::Reply>> Batch(model::ShardId shard,
                                                 const std::vector<model::CommandBody>& commands);
  // An item that no channel keeps in order or once: what a broken one might bring.
  base::Result<shard::ItemOutcome> Force(model::ShardId shard, const model::Item& item);
  void RetryParked(model::ShardId shard);
  // What the executor does when the store refuses a command about it that ran alone.
  bool SetApart(model::PacketId packet);
  bool SetApartDue(model::ShardId shard);
  // What the executor does when the administrator returns a parked item; `as`: what it was.
  base::Result<void> ReturnParked(const storage::ParkedItem& row,
                                  std::optional<model::Item> as = {});

  // -- the conversations' side
  enum class Conversation { kTakes, kRefuses, kSilent };
  Conversation conversation = Conversation::kTakes;
  bool settle = true;             // deliver after each action
  bool hold_money_items = false;  // nothing travels between money shards
  bool arrivals_missing = false;  // what a send that was put aside is told
  std::function<std::string(model::ShardId)> channel_trouble;  // MayEmit's `why`; "" = none
  std::vector<model::AnnounceItem> announced;
  std::vector<model::PacketNoticeItem> notices;
  std::vector<model::PacketReturnedItem> returned;
  void Verdict(model::PacketId packet, bool announced);

  // -- what is there
  money::Reader reader() const { return {*store_, *routes_}; }
  money::AuditReport Audit() const { return money::Audit(*store_); }
  int64_t Balance(const std::string& user) const;
  model::Packet Packet(model::PacketId packet) const;
  model::Books Books() const;  // of all shards
  std::vector<model::Claim> Claims(model::PacketId packet) const;
  model::ShardId WalletShard(const std::string& user) const {
    return routes_->WalletOf(User(user));
  }
  model::ShardId PacketShard(model::PacketId packet) const { return *routes_->ShardOf(packet); }
  MoneyShard& logic(model::ShardId shard) { return *shards_.at(shard); }
  const money::Routes& routes() const { return *routes_; }
  storage::MemoryMoneyStore& store() { return *store_; }

  static model::Reason Why(const model::Reply& reply);
  static model::PacketId Packet(const model::Reply& reply);
  static model::Opened Opened(const model::Reply& reply);

  std::shared_ptr<storage::MemoryMoneyState> state;
  storage::MemoryFaults faults;
  base::ManualClock clock{1'790'000'000'000};
  money::Board board;
  money::Counters counters;
  std::vector<model::Effect> effects;
  int64_t records = 0;  // of the last batch of a command, heads and channels apart
  int64_t put_aside = 0;
  bool below_disk_reserve = false;

 private:
  class Work;
  struct Step {
    std::unique_ptr<storage::Batch> batch;
    std::map<model::ShardId, std::vector<model::Item>> emitted;  // by target
    std::vector<std::pair<uint64_t, model::Reply>> replies;
    bool waited = false;
    bool aside = false;
  };
  void Start();
  model::Reply Do(model::ShardId shard, model::CommandBody body);
  bool Finish(model::ShardId shard, Step& step);
  bool Deliver(model::ChannelId channel);
  bool Take(model::ShardId shard, const shard::ItemPlace& place, const model::Item& item,
            std::optional<storage::ChannelMark> mark);
  bool TellConversations(model::ChannelId channel);

  Options options_;
  std::unique_ptr<storage::MemoryMoneyStore> store_;
  storage::StoreIdentity message_identity_;
  std::unique_ptr<shard::Router> wallets_;
  std::unique_ptr<shard::Router> messages_;
  std::unique_ptr<money::Routes> routes_;
  std::map<model::ShardId, std::unique_ptr<MoneyShard>> shards_;
  std::map<model::ChannelId, int64_t> told_;  // by channel to messages: the last item taken
  std::map<model::ShardId, std::deque<model::VerdictItem>> verdicts_;
  uint64_t next_id_ = 1;
  bool aside_ = false;  // the last batch put a command aside
};

// The audit's verdict; says what it found.
bool Proven(const House& house);

}  // namespace hongyan::testing
