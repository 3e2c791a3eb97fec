#include <spdlog/sinks/ostream_sink.h>

#include <atomic>
#include <set>
#include <sstream>
#include <thread>

#include "adapters.h"
#include "base/log.h"
#include "model/reason.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

model::User NumberedUser(int64_t number) {
  model::User user;
  user.id = model::UserId(number);
  user.name = "user" + std::to_string(number);
  return user;
}

CommitOutcome CommitUser(MessageStore& store, int64_t number) {
  return Commit(store, [&](Batch& batch) {
    ShardHead head;
    head.batch = number;
    store.channels().PutHead(batch, 1, head);
    store.accounts().PutUser(batch, NumberedUser(number));
  });
}

bool HasUser(MessageStore& store, int64_t number) {
  const auto found = store.accounts().FindUser(model::UserId(number));
  REQUIRE(found.ok());
  return found->has_value();
}

// Hears what is logged while it lives. Make it before the store, so that no other thread logs yet.
class Listener {
 public:
  Listener() { spdlog::default_logger()->sinks().push_back(sink_); }
  ~Listener() { spdlog::default_logger()->sinks().pop_back(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // REQUIRES that nobody logs meanwhile.
  int64_t lines_with(const std::string& what) const {
    const std::string text = text_.str();
    int64_t count = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
      ++count;
    }
    return count;
  }

 private:
  std::ostringstream text_;
  spdlog::sink_ptr sink_ = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
};

template <class T>
void CheckStopped(const base::Result<T>& result) {
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().code == base::Code::kUnavailable);
  CHECK(result.error().reason == static_cast<uint16_t>(model::Reason::kStoreStopped));
}

}  // namespace

TEST_CASE_TEMPLATE("an identity is drawn once and stays", Adapter, ADAPTERS) {
  Adapter adapter;
  const StoreIdentity first = adapter.store().identity();
  CHECK(first.generation == 0);
  CHECK(first.incarnation != 0);
  CHECK(first.shards == 4);
  CHECK(std::set<uint8_t>(first.token_key.begin(), first.token_key.end()).size() > 8);
  CHECK(std::set<model::ShardId>(first.slots.begin(), first.slots.end()) ==
        std::set<model::ShardId>{0, 1, 2, 3});
  adapter.Restart();
  const StoreIdentity& second = adapter.store().identity();
  CHECK(second.incarnation == first.incarnation);
  CHECK(second.id_key == first.id_key);
  CHECK(second.token_key == first.token_key);
  CHECK(second.slots == first.slots);
}

TEST_CASE_TEMPLATE("a batch that is dropped leaves nothing", Adapter, ADAPTERS) {
  Adapter adapter;
  {
    auto batch = adapter.store().NewBatch();
    adapter.store().accounts().PutUser(*batch, NumberedUser(1));
  }
  CHECK_FALSE(HasUser(adapter.store(), 1));
}

TEST_CASE_TEMPLATE("a commit is counted with its records and its sync", Adapter, ADAPTERS) {
  Adapter adapter;
  CommitUser(adapter.store(), 1);
  CommitUser(adapter.store(), 2);
  const StoreStats stats = adapter.store().stats();
  CHECK(stats.commits == 2);
  CHECK(stats.records == 4);
  CHECK(stats.syncs == 2);
  CHECK(stats.bytes > 0);
}

TEST_CASE_TEMPLATE("a batch above the limit is rejected, and the store goes on", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  const auto outcome = Commit(adapter.store(), [&](Batch& batch) {
    model::Message message;
    message.sender = model::UserId(1);
    message.kind = model::BodyKind::kText;
    message.body.assign(kMaxBatchBytes / 4, 'x');
    for (int64_t seq = 1; seq <= 5; ++seq) {
      message.seq = model::ConvSeq(seq);
      adapter.store().conversations().AppendMessage(batch, {1, 2}, message, 0);
    }
  });
  CHECK(outcome == CommitOutcome::kRejected);
  CHECK_FALSE(adapter.store().conversations().LastMessage({1, 2})->has_value());
  CHECK(CommitUser(adapter.store(), 1) == CommitOutcome::kCommitted);
}

TEST_CASE_TEMPLATE("after an unknown ending nothing is read or committed until it is opened again",
                   Adapter, ADAPTERS) {
  Adapter adapter;
  MessageStore& store = adapter.store();
  CHECK(CommitUser(store, 1) == CommitOutcome::kCommitted);
  adapter.Break();
  CHECK(CommitUser(store, 2) == CommitOutcome::kUnknown);
  for (int time = 0; time < 2; ++time) {
    CHECK(CommitUser(store, 3) == CommitOutcome::kUnknown);
    CheckStopped(store.accounts().FindUser(model::UserId(1)));
    CheckStopped(store.accounts().ListUsers(model::UserId(0), 10));
    CheckStopped(store.inboxes().LastSeq(model::UserId(1), Reach::kDisk));
    CheckStopped(store.conversations().ReadMessages({}, Reach::kMemory));
    CheckStopped(store.channels().ReadHead(1));
    CheckStopped(store.channels().TrimOutbox({0, 1}, 1));
    CHECK_FALSE(store.Reopen().ok());  // it stays broken
  }

  adapter.Heal();
  const auto reopened = store.Reopen();
  REQUIRE_MESSAGE(reopened.ok(), reopened.error().text);
  CHECK(HasUser(store, 1));
  CHECK_FALSE(HasUser(store, 3));
  CHECK(store.channels().ReadHead(1)->batch == (HasUser(store, 2) ? 2 : 1));
  CHECK(CommitUser(store, 4) == CommitOutcome::kCommitted);
  adapter.Restart();
  CHECK(HasUser(adapter.store(), 1));
  CHECK(HasUser(adapter.store(), 4));
}

TEST_CASE("a disk that stays full does not fill the log, and says what to do") {
  Listener log;
  RocksdbAdapter adapter;
  CHECK(CommitUser(adapter.store(), 1) == CommitOutcome::kCommitted);
  adapter.Break();
  CHECK(CommitUser(adapter.store(), 2) == CommitOutcome::kUnknown);
  for (int tries = 0; tries < 200; ++tries) {
    const auto reopened = adapter.store().Reopen();
    REQUIRE_FALSE(reopened.ok());
    CHECK(reopened.error().text.find("is full") != std::string::npos);
  }
  CHECK(log.lines_with("store_commit_unknown") == 1);
  CHECK(log.lines_with("\n") < 100);

  // A server that is started then is told what is true for it.
  adapter.Close();
  const auto opened = RocksdbMessageStore::Open(adapter.options());
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().text.find("free some space") != std::string::npos);
  CHECK(opened.error().text.find("to be started again") != std::string::npos);
  adapter.Heal();
  adapter.Restart();
  CHECK(HasUser(adapter.store(), 1));
}

TEST_CASE("a disk reserve that the log alone could use up is warned of") {
  Listener log;
  RocksdbAdapter adapter;
  adapter.Close();
  RocksdbOptions options = adapter.options();
  const int64_t before = log.lines_with("set storage.disk_reserve above");
  options.disk_reserve_bytes = 96 << 20;
  REQUIRE(RocksdbMessageStore::Open(options).ok());
  CHECK(log.lines_with("set storage.disk_reserve above") == before);
  --options.disk_reserve_bytes;
  REQUIRE(RocksdbMessageStore::Open(options).ok());
  CHECK(log.lines_with("set storage.disk_reserve above") == before + 1);
}

TEST_CASE_TEMPLATE("opening again without need does nothing", Adapter, ADAPTERS) {
  Adapter adapter;
  CommitUser(adapter.store(), 1);
  CHECK(adapter.store().Reopen().ok());
  CHECK(HasUser(adapter.store(), 1));
}

TEST_CASE("a failed sync ends unknown, is not tried again, and the store opens again") {
  RocksdbAdapter adapter;
  MessageStore& store = adapter.store();
  CHECK(CommitUser(store, 1) == CommitOutcome::kCommitted);
  adapter.files().fail_log_syncs = true;
  const int syncs_before = adapter.files().log_syncs;
  CHECK(CommitUser(store, 2) == CommitOutcome::kUnknown);
  CHECK(adapter.files().log_syncs == syncs_before + 1);
  CHECK(CommitUser(store, 3) == CommitOutcome::kUnknown);
  CHECK(adapter.files().log_syncs == syncs_before + 1);
  CheckStopped(store.accounts().FindUser(model::UserId(2)));

  adapter.files().fail_log_syncs = false;
  REQUIRE(store.Reopen().ok());
  CHECK(HasUser(store, 1));
  CHECK_FALSE(HasUser(store, 3));
  // What can be read now is durable: it is still so after another life.
  const bool second = HasUser(store, 2);
  adapter.Restart();
  CHECK(HasUser(adapter.store(), 2) == second);
}

TEST_CASE(
    "what was staged while the store was closed lands where it belongs once it is open again") {
  RocksdbAdapter adapter;
  MessageStore& store = adapter.store();
  CommitUser(store, 1);
  adapter.Break();
  CHECK(CommitUser(store, 2) == CommitOutcome::kUnknown);
  CHECK_FALSE(store.Reopen().ok());  // closed now
  auto batch = store.NewBatch();
  const InboxStore::Recipient recipient{model::UserId(7), model::Seq(1)};
  store.inboxes().Append(*batch, {&recipient, 1}, model::Entry{});
  store.channels().PutOutbox(*batch, {0, 1}, {1, 1, {"item"}});
  store.accounts().PutUser(*batch, NumberedUser(3));
  adapter.Heal();
  REQUIRE(store.Reopen().ok());
  CHECK(store.Commit(std::move(batch)) == CommitOutcome::kCommitted);
  CHECK(*store.inboxes().LastSeq(model::UserId(7), Reach::kDisk) == model::Seq(1));
  CHECK(*store.channels().OldestKept({0, 1}) == 1);
  CHECK(HasUser(store, 3));
}

TEST_CASE("readers beside a failing and reopening store get answers or a clear error") {
  RocksdbAdapter adapter;
  MessageStore& store = adapter.store();
  CommitUser(store, 1);
  std::atomic<bool> stop{false};
  std::atomic<int64_t> wrong{0};
  std::atomic<int64_t> answered{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const auto user = store.accounts().FindUser(model::UserId(1));
        if (user.ok() ? !user->has_value() : user.error().code != base::Code::kUnavailable) ++wrong;
        const auto users = store.accounts().ListUsers(model::UserId(0), 100);
        if (users.ok() && users->empty()) ++wrong;
        ++answered;
      }
    });
  }
  int64_t number = 2;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 20; ++i) CHECK(CommitUser(store, number++) == CommitOutcome::kCommitted);
    adapter.files().fail_log_syncs = true;
    CHECK(CommitUser(store, number++) == CommitOutcome::kUnknown);
    adapter.files().fail_log_syncs = false;
    REQUIRE(store.Reopen().ok());
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(answered > 0);
}

TEST_CASE("the disk reserve is looked at and reported") {
  RocksdbAdapter adapter;
  CHECK_FALSE(adapter.store().BelowDiskReserve());
  CHECK(adapter.store().stats().disk_free_bytes > 0);
  CHECK(adapter.store().stats().disk_bytes > 0);
  adapter.Close();
  RocksdbOptions options = adapter.options();
  options.disk_reserve_bytes = INT64_MAX;
  auto store = *RocksdbMessageStore::Open(options);
  CHECK(store->BelowDiskReserve());
  CHECK(CommitUser(*store, 1) == CommitOutcome::kCommitted);  // what settles goes on
}

TEST_CASE("a memory store ends commits as it is told") {
  auto state = MemoryState::Create(1, 4);
  CommitFate fate = CommitFate::kApply;
  MemoryFaults faults;
  faults.commit = [&fate] { return fate; };
  MemoryMessageStore store(state, faults);
  const auto commit = [&](CommitFate next, int64_t number) {
    fate = next;
    const auto outcome = CommitUser(store, number);
    REQUIRE(store.Reopen().ok());
    return outcome;
  };
  CHECK(commit(CommitFate::kReject, 1) == CommitOutcome::kRejected);
  CHECK(commit(CommitFate::kGuard, 2) == CommitOutcome::kGuardFired);
  CHECK(commit(CommitFate::kUnknownLost, 3) == CommitOutcome::kUnknown);
  CHECK(commit(CommitFate::kUnknownApplied, 4) == CommitOutcome::kUnknown);
  for (const int64_t number : {1, 2, 3}) CHECK_FALSE(HasUser(store, number));
  CHECK(HasUser(store, 4));

  // The state is a value: copied, it can be put back.
  const MemoryState before = *state;
  commit(CommitFate::kApply, 5);
  CHECK(HasUser(store, 5));
  *state = before;
  CHECK_FALSE(HasUser(store, 5));
}

TEST_CASE("a memory store fires the guard for a number that is given twice") {
  MemoryMessageStore store(MemoryState::Create(1, 4));
  const InboxStore::Recipient recipient{model::UserId(1), model::Seq(1)};
  const auto append = [&] {
    return Commit(store, [&](Batch& batch) {
      store.inboxes().Append(batch, {&recipient, 1}, model::Entry{});
      store.accounts().PutUser(batch, NumberedUser(9));
    });
  };
  CHECK(append() == CommitOutcome::kCommitted);
  CHECK(store.collisions() == 0);
  CHECK(append() == CommitOutcome::kGuardFired);
  CHECK(store.collisions() == 1);
}

}  // namespace hongyan::storage
