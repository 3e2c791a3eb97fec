#include "storage/rocksdb/rocksdb_money_store.h"

#include <sodium.h>
#include <sys/stat.h>

#include "model/reason.h"
#include "storage/rocksdb/money_rows.h"
#include "storage/rocksdb/rocksdb_channels.h"
#include "storage/rocksdb/rocksdb_money_ports.h"
#include "storage/rocksdb/store_core.h"

namespace hongyan::storage {

namespace {

constexpr std::string_view kCellsFile = "CELLS";
constexpr std::string_view kSecretsFile = "SECRETS";

base::Result<void> DrawMoney(const DataDir& dir, const StoreIdentity& identity) {
  MoneyIdentity money;
  money.cells = EvenCells(identity.shards);
  auto& secret = money.secrets.emplace_back();
  randombytes_buf(secret.data(), secret.size());
  if (auto written = dir.WriteChecked(kCellsFile, EncodeCells(money)); !written) return written;
  return dir.WriteChecked(kSecretsFile, EncodeSecrets(money));
}

base::Error LostFile(const DataDir& dir, std::string_view name, const char* loss) {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       dir.path() + "/" + std::string(name) +
                           " is missing or damaged; without it " + loss +
                           ": restore it from a backup of this store");
}

// Who has the secrets knows every share before it is taken.
base::Result<void> CheckPrivate(const DataDir& dir, std::string_view name) {
  const std::string path = dir.path() + "/" + std::string(name);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || (status.st_mode & 077) == 0) return {};
  return base::Error(base::Code::kFailedPrecondition,
                     path +
                         " can be read by others than its owner, who could tell what each share of "
                         "a packet will be: chmod 600 it, and look who has read it");
}

base::Result<MoneyIdentity> ReadMoney(const DataDir& dir, const StoreIdentity& identity) {
  MoneyIdentity money;
  const auto cells = dir.ReadChecked(kCellsFile);
  if (!cells) return cells.error();
  if (!cells->has_value() || !DecodeCells(**cells, identity, &money)) {
    return LostFile(dir, kCellsFile, "no packet can be found");
  }
  if (auto closed = CheckPrivate(dir, kSecretsFile); !closed) return closed.error();
  const auto secrets = dir.ReadChecked(kSecretsFile);
  if (!secrets) return secrets.error();
  if (!secrets->has_value() || !DecodeSecrets(**secrets, &money)) {
    return LostFile(dir, kSecretsFile, "no share can be drawn or proven");
  }
  return money;
}

constexpr StoreCore::Kind kMoney = {StoreKind::kMoney,
                                    {"hongyan-money-store", "a store of money"},
                                    model::kFirstMoneyShard,
                                    model::kMaxMoneyShards,
                                    DrawMoney};

class PinnedMoney final : public MoneyStore::Snapshot {
 public:
  PinnedMoney(const View& view, const DayFiles& files, const base::Clock& clock)
      : ledger_(view), packets_(view, files), channels_(view, clock) {}

  const LedgerStore& ledger() const override { return ledger_; }
  const PacketStore& packets() const override { return packets_; }
  const ChannelStore& channels() const override { return channels_; }

 private:
  const RocksdbLedgerStore ledger_;
  const RocksdbPacketStore packets_;
  const RocksdbChannelStore channels_;
};

}  // namespace

struct RocksdbMoneyStore::Impl {
  Impl(std::unique_ptr<StoreCore> c, MoneyIdentity i, const base::Clock& k)
      : core(std::move(c)), identity(std::move(i)), clock(k) {}

  const std::unique_ptr<StoreCore> core;
  const MoneyIdentity identity;
  const base::Clock& clock;
  RocksdbLedgerStore ledger{core->database()};
  DayFiles files{core->dir().path() + "/days", core->database()};
  RocksdbPacketStore packets{core->database(), files};
  RocksdbDayStore days{core->database(), files};
};

RocksdbMoneyStore::RocksdbMoneyStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksdbMoneyStore::~RocksdbMoneyStore() = default;

base::Result<std::unique_ptr<RocksdbMoneyStore>> RocksdbMoneyStore::Open(
    const RocksdbOptions& options) {
  auto core = StoreCore::Open(kMoney, options);
  if (!core) return std::move(core).error();
  auto money = ReadMoney((*core)->dir(), (*core)->identity());
  if (!money) return std::move(money).error();
  auto impl = std::make_unique<Impl>(*std::move(core), *std::move(money), *options.clock);
  if (auto loaded = impl->files.Load(); !loaded) return loaded.error();
  return std::unique_ptr<RocksdbMoneyStore>(new RocksdbMoneyStore(std::move(impl)));
}

LedgerStore& RocksdbMoneyStore::ledger() { return impl_->ledger; }
PacketStore& RocksdbMoneyStore::packets() { return impl_->packets; }
DayStore& RocksdbMoneyStore::days() { return impl_->days; }
ChannelStore& RocksdbMoneyStore::channels() { return impl_->core->channels(); }
const StoreIdentity& RocksdbMoneyStore::identity() const { return impl_->core->identity(); }
const MoneyIdentity& RocksdbMoneyStore::money_identity() const { return impl_->identity; }
bool RocksdbMoneyStore::BelowDiskReserve() const { return impl_->core->BelowDiskReserve(); }

std::unique_ptr<Batch> RocksdbMoneyStore::NewBatch() {
  return std::make_unique<RocksdbBatch>(impl_->core->database());
}

CommitOutcome RocksdbMoneyStore::Commit(std::unique_ptr<Batch> batch) {
  return impl_->core->Commit(static_cast<RocksdbBatch&>(*batch));
}

base::Result<void> RocksdbMoneyStore::Reopen() { return impl_->core->Reopen(); }
StoreStats RocksdbMoneyStore::stats() const { return impl_->core->stats(); }
base::Result<void> RocksdbMoneyStore::Compact() { return impl_->core->Compact(); }

base::Result<std::unique_ptr<MoneyStore::Snapshot>> RocksdbMoneyStore::TakeSnapshot() const {
  const Database& database = impl_->core->database();
  auto pin = database.PinNow();
  if (!pin) return pin.error();
  const View view(database, *std::move(pin));
  return std::unique_ptr<Snapshot>(std::make_unique<PinnedMoney>(view, impl_->files, impl_->clock));
}

base::Result<AcceptedStore> AcceptMoneyStore(const RocksdbOptions& options) {
  return StoreCore::Accept(kMoney, options);
}

}  // namespace hongyan::storage
