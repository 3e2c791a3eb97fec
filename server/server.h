#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "access/front_door.h"
#include "account/directory.h"
#include "account/login_limits.h"
#include "account/passwords.h"
#include "account/tokens.h"
#include "admin/exposition.h"
#include "admin/service.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "cluster/local/local_carrier.h"
#include "config.h"
#include "conversation/membership.h"
#include "conversation/reader.h"
#include "inbox/reader.h"
#include "message_shard.h"
#include "money/board.h"
#include "money/counters.h"
#include "money/reader.h"
#include "money/routes.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/signals.h"
#include "net/timer_wheel.h"
#include "overload/admission.h"
#include "shard/executor.h"
#include "shard/router.h"
#include "storage/message_store.h"
#include "storage/money_store.h"

namespace hongyan {

// All rooms of one process, wired: the two embedded stores, an executor for the shards of each, the
// front door on some loops, the back door on the first. Open, then Run; everything on the main
// thread.
class Server {
 public:
  // Opens the store, starts the threads and listens. The Error is a sentence for the operator.
  static base::Result<std::unique_ptr<Server>> Open(const Config& config, const std::string& data,
                                                    const std::string& admin_socket);
  ~Server();

  // Serves until SIGTERM or SIGINT, then drains: answers what is in flight, tells clients to come
  // back, closes. A second signal ends the process at once.
  void Run();

  const std::string& listen_address() const { return listener_->address(); }
  const std::string& admin_address() const { return admin_listener_->address(); }

 private:
  Server(const Config& config, std::unique_ptr<base::Clock> clock,
         std::unique_ptr<storage::MessageStore> store,
         std::unique_ptr<storage::MoneyStore> money_store, size_t max_connections);

  base::Result<void> Start(const std::string& admin_socket);
  base::Result<void> OpenExecutors();
  void WatchQueues();
  void OnSignal(int number);               // loop thread
  std::vector<admin::Stat> Stats() const;  // stats.cc; any thread

  // In order of construction: what stands below comes first, and goes last.
  const Config config_;
  const size_t max_connections_;
  const std::unique_ptr<base::Clock> clock_;
  std::unique_ptr<storage::MessageStore> store_;
  std::unique_ptr<storage::MoneyStore> money_store_;
  shard::Router router_;
  shard::Router wallets_;  // users -> money shards
  money::Routes routes_;
  money::Board board_;
  money::Counters money_counters_;
  inbox::OnlineHeads online_;
  MessageCounters counters_;
  inbox::Reader inboxes_;
  conversation::Reader conversations_;
  conversation::Membership membership_;
  money::Reader money_reader_;
  account::Directory directory_;
  account::Tokens tokens_;
  account::Passwords passwords_;
  account::LoginLimits login_limits_;
  overload::Admission admission_;
  overload::Admission money_admission_;
  std::vector<std::unique_ptr<net::Loop>> loops_;
  net::TimerNode queue_watch_;  // on the first loop
  base::WorkerPool readers_;
  base::WorkerPool hashers_;
  access::Services services_;
  std::unique_ptr<access::FrontDoor> front_door_;
  cluster::LocalCarrier carrier_;
  std::unique_ptr<shard::Executor> executor_;
  std::unique_ptr<shard::Executor> money_executor_;
  std::unique_ptr<admin::Service> admin_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::Listener> admin_listener_;
  std::unique_ptr<admin::Exposition> exposition_;

  std::unique_ptr<net::SignalWatch> signals_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
};

}  // namespace hongyan
