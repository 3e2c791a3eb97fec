#include "storage/rocksdb/rocksdb_message_store.h"

#include "storage/rocksdb/rocksdb_ports.h"
#include "storage/rocksdb/store_core.h"

namespace hongyan::storage {

namespace {

constexpr StoreCore::Kind kMessages = {
    StoreKind::kMessages, {"hongyan-message-store", "a store of messages"}, 0, 256, nullptr};

}  // namespace

struct RocksdbMessageStore::Impl {
  explicit Impl(std::unique_ptr<StoreCore> c) : core(std::move(c)) {}

  const std::unique_ptr<StoreCore> core;
  RocksdbAccountStore accounts{core->database()};
  RocksdbConversationStore conversations{core->database()};
  RocksdbInboxStore inboxes{core->database()};
};

RocksdbMessageStore::RocksdbMessageStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksdbMessageStore::~RocksdbMessageStore() = default;

base::Result<std::unique_ptr<RocksdbMessageStore>> RocksdbMessageStore::Open(
    const RocksdbOptions& options) {
  auto core = StoreCore::Open(kMessages, options);
  if (!core) return std::move(core).error();
  return std::unique_ptr<RocksdbMessageStore>(
      new RocksdbMessageStore(std::make_unique<Impl>(*std::move(core))));
}

AccountStore& RocksdbMessageStore::accounts() { return impl_->accounts; }
ConversationStore& RocksdbMessageStore::conversations() { return impl_->conversations; }
InboxStore& RocksdbMessageStore::inboxes() { return impl_->inboxes; }
ChannelStore& RocksdbMessageStore::channels() { return impl_->core->channels(); }
const StoreIdentity& RocksdbMessageStore::identity() const { return impl_->core->identity(); }
bool RocksdbMessageStore::BelowDiskReserve() const { return impl_->core->BelowDiskReserve(); }

std::unique_ptr<Batch> RocksdbMessageStore::NewBatch() {
  return std::make_unique<RocksdbBatch>(impl_->core->database());
}

CommitOutcome RocksdbMessageStore::Commit(std::unique_ptr<Batch> batch) {
  return impl_->core->Commit(static_cast<RocksdbBatch&>(*batch));
}

base::Result<void> RocksdbMessageStore::Reopen() { return impl_->core->Reopen(); }
StoreStats RocksdbMessageStore::stats() const { return impl_->core->stats(); }
base::Result<void> RocksdbMessageStore::Compact() { return impl_->core->Compact(); }

base::Result<AcceptedStore> AcceptStore(const RocksdbOptions& options) {
  return StoreCore::Accept(kMessages, options);
}

}  // namespace hongyan::storage
