// What one commit of the embedded store costs, in the two shapes that matter, and the reads of a
// sync.
//   storage_bench [--benchmark_filter=...]   data under TMPDIR; syncs are real
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <random>
#include <vector>

#include "base/clock.h"
#include "contract/temporary_directory.h"
#include "storage/rocksdb/rocksdb_message_store.h"

namespace hongyan::storage {

namespace {

constexpr int64_t kManyUsers = 100'000;
constexpr int64_t kStartMs = 1'790'000'000'000;

// An open store, and the numbers that the shards would know.
class Bench {
 public:
  explicit Bench(int64_t users)
      : users_(users),
        next_seq_(static_cast<size_t>(users), 1),
        next_conv_seq_(static_cast<size_t>(users), 1) {
    RocksdbOptions options;
    options.path = directory_.path();
    options.clock = &clock_;
    options.disk_reserve_bytes = 0;
    store_ = *RocksdbMessageStore::Open(options);
  }

  RocksdbMessageStore& store() { return *store_; }
  const std::string& path() const { return directory_.path(); }
  model::UserId RandomUser() { return User(static_cast<int64_t>(random_() % users_)); }
  // Ids are hashes, so neighbours in a list are strangers in the store.
  static model::UserId User(int64_t index) {
    return model::UserId(
        static_cast<int64_t>((static_cast<uint64_t>(index) * 0x9e3779b97f4a7c15) >> 1));
  }
  int64_t RandomIndex() { return static_cast<int64_t>(random_() % users_); }
  model::Seq NextSeq(int64_t index) { return model::Seq(next_seq_[static_cast<size_t>(index)]++); }
  int64_t LastSeq(int64_t index) const { return next_seq_[static_cast<size_t>(index)] - 1; }

  // A 1:1 message: body, receipt, two entries.
  void StageDirect(Batch& batch) {
    const int64_t from = RandomIndex();
    const int64_t to = (from + 1) % users_;
    model::Message message;
    message.seq = model::ConvSeq(next_conv_seq_[static_cast<size_t>(from)]++);
    message.sender = User(from);
    message.kind = model::BodyKind::kText;
    message.time_ms = ++time_ms_;
    message.ordinal = message.seq.value;
    message.client_msg_id = NextRequestId();
    message.body.assign(100, 'x');
    const auto conversation = model::ConversationId::Direct(User(from), User(to));
    store_->conversations().AppendMessage(batch, conversation, message, random_());
    model::Entry entry{model::EntryKind::kMessage, message.time_ms, conversation, message.seq,
                       message.client_msg_id};
    const InboxStore::Recipient sender{User(from), NextSeq(from)};
    store_->inboxes().Append(batch, {&sender, 1}, entry);
    entry.client_msg_id = {};
    const InboxStore::Recipient receiver{User(to), NextSeq(to)};
    store_->inboxes().Append(batch, {&receiver, 1}, entry);
  }

  // `messages` group messages to the same `members` users.
  void StageGroup(Batch& batch, int64_t group, int64_t messages, int64_t members) {
    for (int64_t m = 0; m < messages; ++m) {
      model::Message message;
      message.seq = model::ConvSeq(next_conv_seq_[static_cast<size_t>(group)]++);
      message.sender = User(group);
      message.kind = model::BodyKind::kText;
      message.time_ms = ++time_ms_;
      message.client_msg_id = NextRequestId();
      message.body.assign(100, 'x');
      const auto conversation = model::ConversationId::Group(model::GroupId(group + 1));
      store_->conversations().AppendMessage(batch, conversation, message, random_());
      recipients_.clear();
      for (int64_t i = 0; i < members; ++i) {
        const int64_t index = (group * members + i) % users_;
        recipients_.push_back({User(index), NextSeq(index)});
      }
      store_->inboxes().Append(
          batch, recipients_,
          {model::EntryKind::kMessage, message.time_ms, conversation, message.seq, {}});
    }
  }

  void StageHead(Batch& batch) {
    ShardHead head;
    head.batch = ++batch_;
    head.time_ms = time_ms_;
    store_->channels().PutHead(batch, 0, head);
  }

  void Commit(benchmark::State& state, std::unique_ptr<Batch> batch) {
    StageHead(*batch);
    if (store_->Commit(std::move(batch)) != CommitOutcome::kCommitted) {
      state.SkipWithError("a commit failed");
    }
  }

  model::RequestId NextRequestId() {
    model::RequestId id;
    const auto ms = static_cast<uint64_t>(time_ms_ / 16 + kStartMs);
    for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(ms >> (40 - 8 * i));
    for (size_t i = 6; i < 16; ++i) id.bytes[i] = static_cast<uint8_t>(random_());
    return id;
  }

 private:
  const int64_t users_;
  TemporaryDirectory directory_;
  base::SystemClock clock_;
  std::unique_ptr<RocksdbMessageStore> store_;
  std::mt19937_64 random_{42};
  std::vector<int64_t> next_seq_;
  std::vector<int64_t> next_conv_seq_;
  std::vector<InboxStore::Recipient> recipients_;
  int64_t batch_ = 0;
  int64_t time_ms_ = kStartMs;
};

// Messages per second, 1:1, `range(0)` to a batch among `range(1)` users: body, receipt, two
// entries each.
void CommitDirect(benchmark::State& state) {
  Bench bench(state.range(1));
  for (auto _ : state) {
    auto batch = bench.store().NewBatch();
    for (int64_t i = 0; i < state.range(0); ++i) bench.StageDirect(*batch);
    bench.Commit(state, std::move(batch));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(CommitDirect)
    ->Args({1, 2000})
    ->Args({10, 2000})
    ->Args({250, 2000})
    ->Args({250, kManyUsers})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->MinTime(4);

// Entries per second, groups of 500, `range(0)` messages of one group to a batch.
void CommitGroup(benchmark::State& state) {
  constexpr int64_t kMembers = 500;
  Bench bench(kManyUsers);
  int64_t group = 0;
  for (auto _ : state) {
    auto batch = bench.store().NewBatch();
    bench.StageGroup(*batch, group++ % 20, state.range(0), kMembers);
    bench.Commit(state, std::move(batch));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * kMembers);
}
BENCHMARK(CommitGroup)
    ->Arg(1)
    ->Arg(2)
    ->Arg(16)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->MinTime(4);

// What each send asks: a receipt that is not there.
void FindNoReceipt(benchmark::State& state) {
  Bench bench(kManyUsers);
  for (int i = 0; i < 400; ++i) {
    auto batch = bench.store().NewBatch();
    for (int m = 0; m < 250; ++m) bench.StageDirect(*batch);
    bench.Commit(state, std::move(batch));
  }
  for (auto _ : state) {
    const auto user = bench.RandomUser();
    auto found = bench.store().conversations().FindReceipt(
        model::ConversationId::Direct(user, user), user, bench.NextRequestId());
    benchmark::DoNotOptimize(found);
  }
}
BENCHMARK(FindNoReceipt);

// A cold inbox head: one reverse seek.
void LastSeq(benchmark::State& state) {
  Bench bench(kManyUsers);
  for (int i = 0; i < 400; ++i) {
    auto batch = bench.store().NewBatch();
    for (int m = 0; m < 250; ++m) bench.StageDirect(*batch);
    bench.Commit(state, std::move(batch));
  }
  for (auto _ : state) {
    auto last = bench.store().inboxes().LastSeq(bench.RandomUser(), Reach::kDisk);
    benchmark::DoNotOptimize(last);
  }
}
BENCHMARK(LastSeq);

// A sync of `range(0)` group messages: entries, then bodies.
void SyncGroup(benchmark::State& state) {
  Bench bench(kManyUsers);
  for (int i = 0; i < 1600; ++i) {
    auto batch = bench.store().NewBatch();
    bench.StageGroup(*batch, i % 20, 4, 500);
    bench.Commit(state, std::move(batch));
  }
  std::vector<ConversationStore::MessageKey> keys;
  for (auto _ : state) {
    const int64_t index = bench.RandomIndex() % 10'000;
    const int64_t head = bench.LastSeq(index);
    auto entries =
        bench.store().inboxes().ReadEntries(Bench::User(index), model::Seq(head - state.range(0)),
                                            model::Seq(head), 1000, Reach::kDisk);
    keys.clear();
    for (const auto& entry : *entries)
      keys.push_back({entry.entry.conversation, entry.entry.conv_seq});
    auto bodies = bench.store().conversations().ReadMessages(keys, Reach::kDisk);
    benchmark::DoNotOptimize(bodies);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(SyncGroup)->Arg(1)->Arg(20)->Arg(100);

// Opening after a kill: what is in the logs is replayed. `range(0)` batches of 250 1:1 messages
// before it.
void OpenAfterKill(benchmark::State& state) {
  Bench bench(kManyUsers);
  for (int64_t i = 0; i < state.range(0); ++i) {
    auto batch = bench.store().NewBatch();
    for (int m = 0; m < 250; ++m) bench.StageDirect(*batch);
    bench.Commit(state, std::move(batch));
  }
  base::SystemClock clock;
  for (auto _ : state) {
    state.PauseTiming();
    TemporaryDirectory killed;  // what the disk holds now is what a kill leaves
    std::filesystem::copy(bench.path(), killed.path(), std::filesystem::copy_options::recursive);
    RocksdbOptions options;
    options.path = killed.path();
    options.clock = &clock;
    state.ResumeTiming();
    auto store = RocksdbMessageStore::Open(options);
    state.PauseTiming();
    if (!store.ok()) state.SkipWithError(store.error().text.c_str());
    store->reset();
    state.ResumeTiming();
  }
}
BENCHMARK(OpenAfterKill)
    ->Arg(100)
    ->Arg(1000)
    ->Arg(2500)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(2);

}  // namespace

}  // namespace hongyan::storage

BENCHMARK_MAIN();
