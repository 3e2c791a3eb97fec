#include "storage/memory/memory_money_store.h"

namespace hongyan::storage {

namespace {

// A copy of the whole state.
class MemorySnapshot final : public MoneyStore::Snapshot {
 public:
  explicit MemorySnapshot(const MemoryMoneyState& state)
      : door_(std::make_shared<MemoryMoneyState>(state)) {}

  const LedgerStore& ledger() const override { return ledger_; }
  const PacketStore& packets() const override { return packets_; }
  const ChannelStore& channels() const override { return channels_; }

 private:
  MoneyDoor door_;
  MemoryLedgerStore ledger_{door_};
  MemoryPacketStore packets_{door_};
  MemoryChannelStore<MemoryMoneyState> channels_{door_};
};

}  // namespace

base::Result<std::unique_ptr<MoneyStore::Snapshot>> MemoryMoneyStore::TakeSnapshot() const {
  return door_.Look([](const MemoryMoneyState& state) -> base::Result<std::unique_ptr<Snapshot>> {
    return std::unique_ptr<Snapshot>(std::make_unique<MemorySnapshot>(state));
  });
}

}  // namespace hongyan::storage
