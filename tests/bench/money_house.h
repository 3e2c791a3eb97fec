#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cluster/local/local_carrier.h"
#include "money/audit.h"
#include "money/board.h"
#include "money/counters.h"
#include "money/days.h"
#include "money/limits.h"
#include "money/reader.h"
#include "shard/executor.h"
#include "storage/memory/memory_message_store.h"
#include "storage/memory/memory_state.h"
#include "storage/rocksdb/rocksdb_money_store.h"

namespace hongyan::bench {

// The money module alone: its shards on the embedded store, with real syncs, and conversations that
// take every message. No sockets, no threads of its own: everything happens in Run and Step, on the
// thread that calls.
class MoneyHouse final : public shard::Outlet {
 public:
  struct Options {
    std::string path;                    // the store's directory
    const base::Clock* clock = nullptr;  // outlives it
    int shards = 2;
    int64_t packet_life_ms = money::Limits().life_ms;
    // The conversations' side, which goes on from house to house on the same path.
    std::shared_ptr<storage::MemoryState> talk = storage::MemoryState::Create(7, 1);
    uint8_t number = 0;  // of the house on this path: no id comes twice
  };
  // Aborts where the store cannot be opened: a bench has nothing else to do then.
  explicit MoneyHouse(Options options);
  ~MoneyHouse() override;

  // Queues; the ticket names the reply.
  uint64_t Submit(model::ShardId shard, model::CommandBody body);
  // One batch of each executor; false = nobody had anything to do.
  bool Step();
  // Until nothing moves.
  void Run();
  // What time asks for, then Run.
  void Tick();
  model::Reply Take(uint64_t ticket);  // REQUIRES that it has come
  // Until the reply has come, and no longer: what a client waits for.
  void Await(uint64_t ticket);
  model::Reply Ask(model::ShardId shard, model::CommandBody body);

  // User number `index`: ids are hashes, so neighbours in a list are strangers in the store.
  static model::UserId User(int64_t index);
  // A deposit for each of the users first..first+count-1.
  void Deposit(int64_t first, int64_t count, int64_t fen);
  model::SendPacket Lucky(model::UserId sender, int64_t fen, int32_t shares);
  uint64_t Send(const model::SendPacket& send);
  uint64_t Open(model::PacketId packet, model::UserId user);
  // Money that counts as arrived.
  int64_t credits() const { return counters_.credits.load(); }

  storage::RocksdbMoneyStore& store() { return *money_store_; }
  money::AuditReport Audit() { return money::Audit(*money_store_); }
  money::Ask asker();
  money::Reader reader() const;

  void Replies(std::vector<shard::Outbound> replies) override;
  void Effects(std::vector<model::Effect>) override {}

  // Replies are dropped as they come: for those who only count.
  bool drop_replies = false;

 private:
  const base::Clock& clock_;
  const uint8_t number_;
  std::unique_ptr<storage::MemoryMessageStore> message_store_;
  std::unique_ptr<storage::RocksdbMoneyStore> money_store_;
  std::unique_ptr<shard::Router> messages_;
  std::unique_ptr<shard::Router> wallets_;
  std::unique_ptr<money::Routes> routes_;
  cluster::LocalCarrier carrier_;
  money::Board board_{500'000};
  money::Counters counters_;
  std::unique_ptr<shard::Executor> talk_;
  std::unique_ptr<shard::Executor> money_;
  std::map<uint64_t, model::Reply> replies_;
  uint64_t next_ticket_ = 1;
  uint64_t next_request_ = 1;
  int64_t next_move_ = 1;
};

}  // namespace hongyan::bench
