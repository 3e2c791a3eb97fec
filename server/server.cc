#include "server.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/log.h"
#include "money_shard.h"
#include "storage/rocksdb/rocksdb_message_store.h"
#include "storage/rocksdb/rocksdb_money_store.h"
#include "store_pair.h"

namespace hongyan {
namespace {

constexpr size_t kStoreFiles = 1024;    // of the two stores
constexpr size_t kSpareFiles = 512;     // logs, sockets of administrators, what libraries open
constexpr size_t kAdministrators = 64;  // connections
constexpr size_t kAdminFrameBytes = 16 << 20;
constexpr int kReaderThreads = 2;
constexpr size_t kQueuedReads = 20'000;   // every client of a restarted server asks for its head
constexpr size_t kQueuedPasswords = 256;  // some seconds of hashing
constexpr int64_t kWatchMs = 1000;        // the window of the executors' figure

// Raises the soft limit to the hard one; the answer is what counts then.
size_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<size_t>(std::min<rlim_t>(limit.rlim_cur, 10'000'000));
}

base::Result<size_t> MaxConnections(const Config& config) {
  const size_t descriptors = RaiseDescriptorLimit();
  if (descriptors < kStoreFiles + kSpareFiles + 64) {
    return base::Error(base::Code::kResourceExhausted,
                       "this process may open " + std::to_string(descriptors) +
                           " files, which is too few: raise the limit to 2,048 or more (ulimit -n, "
                           "LimitNOFILE of systemd)");
  }
  const size_t room = descriptors - kStoreFiles - kSpareFiles;
  const auto wanted = static_cast<size_t>(config.limits.connections);
  if (wanted == 0) return room;
  if (wanted > room) {
    LOG_WARN("fewer_connections wanted={} possible={} descriptors={}", wanted, room, descriptors);
  }
  return std::min(wanted, room);
}

base::Result<void> MakeDataDirectory(const std::string& path) {
  struct stat there {};
  if (::stat(path.c_str(), &there) == 0) {
    if (S_ISDIR(there.st_mode)) return {};
    return base::Error(base::Code::kInvalidArgument,
                       "--data " + path + " is not a directory: name another, or move it away");
  }
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  return base::Error(base::Code::kFailedPrecondition,
                     "cannot make the data directory " + path + ": " + std::strerror(errno) +
                         "; make its parent directory first, or run as a user who may write there");
}

int LoopCount(const Config& config) {
  if (config.loops > 0) return static_cast<int>(config.loops);
  const unsigned cores = std::thread::hardware_concurrency();
  return cores <= 2 ? 1 : static_cast<int>(std::min(cores, 4u));
}

account::LoginLimits::Options LoginLimitsOf(const Config::Login& login) {
  account::LoginLimits::Options options;
  options.per_address = {static_cast<double>(login.per_address_burst),
                         static_cast<double>(login.per_address_per_minute) / 60};
  options.per_user = {static_cast<double>(login.per_user_burst),
                      static_cast<double>(login.per_user_per_minute) / 60};
  return options;
}

money::Limits LimitsOf(const Config::Money& money) {
  money::Limits out;
  out.max_total_fen = money.total_fen;
  out.max_share_fen = money.share_fen;
  out.max_shares = static_cast<int32_t>(money.shares);
  out.max_transfer_fen = money.transfer_fen;
  out.max_greeting_bytes = static_cast<int32_t>(money.greeting_bytes);
  out.life_ms = money.life_s * 1000;
  return out;
}

access::Limits LimitsOf(const Config::Limits& limits) {
  access::Limits out;
  out.frame_bytes = static_cast<size_t>(limits.frame_bytes);
  out.body_bytes = static_cast<size_t>(limits.body_bytes);
  out.requests_in_flight = static_cast<int>(limits.requests_in_flight);
  out.hello_timeout_ms = limits.hello_timeout_s * 1000;
  out.login_timeout_ms = limits.login_timeout_s * 1000;
  out.idle_timeout_ms = limits.idle_timeout_s * 1000;
  out.group_members = static_cast<size_t>(limits.group_members);
  out.group_changes = group::GroupLimits().max_changes;
  out.groups_per_user = static_cast<size_t>(limits.groups_per_user);
  return out;
}

}  // namespace

base::Result<std::unique_ptr<Server>> Server::Open(const Config& config, const std::string& data,
                                                   const std::string& admin_socket) {
  if (auto made = MakeDataDirectory(data); !made) return made.error();
  auto max_connections = MaxConnections(config);
  if (!max_connections) return max_connections.error();

  if (auto there = CheckStoresAreThere(data); !there) return there.error();
  auto clock = std::make_unique<base::SystemClock>();
  storage::RocksdbOptions options;
  options.path = data + "/messages";
  options.clock = clock.get();
  options.shards = static_cast<int>(config.shards);
  options.disk_reserve_bytes = config.storage.disk_reserve;
  options.unsafe_no_sync = config.storage.unsafe_no_sync;
  auto store = storage::RocksdbMessageStore::Open(options);
  if (!store) return store.error();
  options.path = data + "/money";
  options.shards = static_cast<int>(config.money.shards);
  auto money_store = storage::RocksdbMoneyStore::Open(options);
  if (!money_store) return money_store.error();
  if (auto pair = CheckStorePair(data, (*store)->identity(), (*money_store)->identity()); !pair) {
    return pair.error();
  }
  std::unique_ptr<Server> server(new Server(config, std::move(clock), std::move(store).value(),
                                            std::move(money_store).value(), *max_connections));
  if (auto started = server->Start(admin_socket); !started) return started.error();
  return server;
}

Server::Server(const Config& config, std::unique_ptr<base::Clock> clock,
               std::unique_ptr<storage::MessageStore> store,
               std::unique_ptr<storage::MoneyStore> money_store, size_t max_connections)
    : config_(config),
      max_connections_(max_connections),
      clock_(std::move(clock)),
      store_(std::move(store)),
      money_store_(std::move(money_store)),
      router_(store_->identity()),
      wallets_(money_store_->identity()),
      routes_(wallets_, money_store_->money_identity(), router_),
      inboxes_(store_->inboxes(), online_, store_->identity().generation),
      conversations_(store_->conversations()),
      membership_(store_->conversations(), [this] { return executor_->time_ms(); }),
      money_reader_(*money_store_, routes_),
      directory_(store_->accounts(), router_),
      tokens_(store_->identity().token_key, config.login.token_days * 24 * 3600 * 1000),
      login_limits_(*clock_, LoginLimitsOf(config.login)),
      admission_(*clock_, {.queue_ms = static_cast<double>(config.overload.queue_ms)},
                 store_->identity().incarnation ^ static_cast<uint64_t>(clock_->BootNs())),
      money_admission_(
          *clock_, {.queue_ms = static_cast<double>(config.overload.queue_ms)},
          money_store_->identity().incarnation ^ static_cast<uint64_t>(clock_->BootNs())),
      readers_("readers", kReaderThreads, kQueuedReads),
      hashers_("hashers", static_cast<int>(config.login.hash_threads), kQueuedPasswords),
      services_{.clock = *clock_,
                .router = router_,
                .online = online_,
                .inboxes = inboxes_,
                .conversations = conversations_,
                .directory = directory_,
                .tokens = tokens_,
                .passwords = passwords_,
                .login_limits = login_limits_,
                .admission = admission_,
                .money = {.routes = routes_,
                          .board = board_,
                          .reader = money_reader_,
                          .eligibility = membership_,
                          .limits = LimitsOf(config.money),
                          .admission = money_admission_},
                .readers = readers_,
                .hashers = hashers_} {}

Server::~Server() {
  // Listeners first: nobody new. Then who makes replies, then those who carry them; the loops close
  // what is open while everything their connections use is still there.
  exposition_.reset();
  if (listener_) listener_->StopAccepting();
  if (admin_listener_) admin_listener_->StopAccepting();
  if (executor_) executor_->Stop();
  if (money_executor_) money_executor_->Stop();
  readers_.Stop();
  hashers_.Stop();
  for (auto& loop : loops_) loop->Stop();
  signals_.reset();
}

base::Result<void> Server::Start(const std::string& admin_socket) {
  std::vector<net::Loop*> loops;
  for (int i = 0; i < LoopCount(config_); ++i) {
    loops_.push_back(std::make_unique<net::Loop>(i));
    loops.push_back(loops_.back().get());
  }
  front_door_ = std::make_unique<access::FrontDoor>(loops, services_, LimitsOf(config_.limits));
  if (auto opened = OpenExecutors(); !opened) return opened;
  for (net::Loop* loop : loops) loop->Start();
  signals_ = std::make_unique<net::SignalWatch>(*loops.front(), std::vector<int>{SIGTERM, SIGINT},
                                                [this](int number) { OnSignal(number); });
  executor_->Start();
  money_executor_->Start();
  WatchQueues();

  // The clients' door first: the figures, which the others show on threads of their own, count it.
  net::ListenerOptions front;
  front.address = config_.listen;
  front.max_connections = max_connections_;
  auto listener = net::Listener::Open(front, loops, front_door_->factory());
  if (!listener) return listener.error();
  listener_ = std::move(listener).value();

  const auto stats = [this] { return Stats(); };
  admin_ =
      std::make_unique<admin::Service>(*front_door_, front_door_->desk(0), *store_, *money_store_,
                                       std::vector{executor_.get(), money_executor_.get()}, stats);
  net::ListenerOptions back;
  back.address = "unix:" + admin_socket;
  back.max_connections = kAdministrators;
  back.max_payload_before_login = kAdminFrameBytes;
  auto admin_listener = net::Listener::Open(back, {loops.front()}, admin_->factory());
  if (!admin_listener) return admin_listener.error();
  admin_listener_ = std::move(admin_listener).value();

  if (!config_.metrics.listen.empty()) {
    auto exposition = admin::Exposition::Open(config_.metrics.listen, stats);
    if (!exposition) return exposition.error();
    exposition_ = std::move(exposition).value();
  }
  return {};
}

base::Result<void> Server::OpenExecutors() {
  const auto shards_of = [](const storage::ShardStore& store, model::ShardId first) {
    std::vector<model::ShardId> shards;
    for (int n = 0; n < store.identity().shards; ++n) {
      shards.push_back(static_cast<model::ShardId>(first + n));
    }
    return shards;
  };
  const auto messages = shards_of(*store_, 0);
  const auto money = shards_of(*money_store_, model::kFirstMoneyShard);
  const auto executor = [this](const char* name, const std::vector<model::ShardId>& shards,
                               storage::ShardStore& store,
                               const std::vector<model::ShardId>& elsewhere) {
    return std::make_unique<shard::Executor>(name, shards, store, carrier_, *front_door_, *clock_,
                                             shard::ExecutorLimits(), elsewhere);
  };
  executor_ = executor("messages", messages, *store_, money);
  money_executor_ = executor("money", money, *money_store_, messages);
  for (const model::ShardId shard : messages) carrier_.Register(shard, *executor_);
  for (const model::ShardId shard : money) carrier_.Register(shard, *money_executor_);
  front_door_->Connect({std::vector<shard::Executor*>(messages.size(), executor_.get()),
                        std::vector<shard::Executor*>(money.size(), money_executor_.get())});
  group::GroupLimits limits;
  limits.max_members = config_.limits.group_members;
  auto opened = executor_->Open([this, limits](model::ShardId) -> std::unique_ptr<shard::Logic> {
    return std::make_unique<MessageShard>(*store_, router_, online_, counters_, limits);
  });
  if (!opened) return opened;
  return money_executor_->Open([this](model::ShardId shard) -> std::unique_ptr<shard::Logic> {
    return std::make_unique<MoneyShard>(shard, *money_store_, routes_, board_, money_counters_,
                                        services_.money.limits);
  });
}

void Server::WatchQueues() {
  net::Loop* const loop = loops_.front().get();
  queue_watch_.on_fire = [this, loop] {
    admission_.Observe(executor_->queue_ms());
    money_admission_.Observe(money_executor_->queue_ms());
    loop->timers().Arm(queue_watch_, kWatchMs);
  };
  loop->Post([this, loop] { loop->timers().Arm(queue_watch_, kWatchMs); });
}

void Server::OnSignal(int number) {
  const std::lock_guard lock(mutex_);
  if (stopping_) {
    LOG_WARN("second_signal number={}: ending at once", number);
    std::_Exit(1);
  }
  LOG_INFO("draining signal={}", number);
  stopping_ = true;
  stop_.notify_all();
}

void Server::Run() {
  {
    std::unique_lock lock(mutex_);
    stop_.wait(lock, [this] { return stopping_; });
  }
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::seconds(config_.shutdown.timeout_s);
  listener_->StopAccepting();
  admin_->End();
  front_door_->Drain(config_.shutdown.retry_spread_s * 1000);
  while ((listener_->connections() > 0 || !admin_->ended()) &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (const size_t left = listener_->connections(); left > 0) {
    LOG_WARN("drain_timeout connections={}", left);
  }
}

}  // namespace hongyan
