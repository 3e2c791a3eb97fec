#include <sys/resource.h>

#include <string>

#include "server.h"

namespace hongyan {
namespace {

class Figures {
 public:
  void Counter(const char* name, double value, const char* help, std::string labels = "") {
    stats_.push_back({name, std::move(labels), value, help, true});
  }
  void Gauge(const char* name, double value, const char* help, std::string labels = "") {
    stats_.push_back({name, std::move(labels), value, help, false});
  }
  std::vector<admin::Stat> Take() { return std::move(stats_); }

 private:
  std::vector<admin::Stat> stats_;
};

// Summed over the loops.
template <class Get>
double Sum(access::FrontDoor& door, Get get) {
  int64_t sum = 0;
  for (size_t i = 0; i < door.desks(); ++i) sum += get(door.desk(i).counts()).value();
  return static_cast<double>(sum);
}

void AddFrontDoor(access::FrontDoor& door, Figures& out) {
  using Counts = access::DeskCounts;
  const auto sum = [&door](access::Count Counts::*member) {
    return Sum(door, [member](const Counts& c) -> const access::Count& { return c.*member; });
  };
  out.Gauge("hongyan_sessions", sum(&Counts::sessions), "sessions logged in or logging in");
  out.Counter("hongyan_logins_total", sum(&Counts::logins), "logins that succeeded");
  out.Counter("hongyan_requests_total", sum(&Counts::requests), "requests of clients");
  out.Counter("hongyan_requests_refused_total", sum(&Counts::refused), "answered with an error");
  out.Counter("hongyan_heartbeats_total", sum(&Counts::heartbeats), "heartbeats answered");
  out.Counter("hongyan_notifies_total", sum(&Counts::notifies), "notifies sent");
  out.Counter("hongyan_syncs_total", sum(&Counts::syncs), "syncs answered from memory");
  out.Counter("hongyan_syncs_from_disk_total", sum(&Counts::syncs_from_disk),
              "syncs that had to read the disk");
}

void AddExecutor(const shard::ExecutorReport& report, Figures& out) {
  const std::string executor = "executor=\"" + report.name + "\"";
  const auto d = [](int64_t v) { return static_cast<double>(v); };
  out.Counter("hongyan_batches_total", d(report.batches), "batches committed", executor);
  out.Counter("hongyan_commands_total", d(report.commands), "commands applied", executor);
  out.Counter("hongyan_items_total", d(report.items), "channel items applied", executor);
  out.Counter("hongyan_shortcuts_total", d(report.shortcuts),
              "items applied in the commit that emitted them", executor);
  out.Counter("hongyan_refused_busy_total", d(report.refused_busy), "commands refused as busy",
              executor);
  out.Counter("hongyan_reopens_total", d(report.reopens),
              "times the store was reopened after a commit of unknown outcome", executor);
  out.Gauge("hongyan_parked_items", d(report.parked), "channel items parked now", executor);
  out.Gauge("hongyan_queued_commands", d(report.queued), "commands waiting", executor);
  out.Gauge("hongyan_queue_ms", report.queue_ms, "average queuing time of the last second",
            executor);
  out.Gauge("hongyan_stopped", report.stopped ? 1 : 0, "1: the store cannot be opened", executor);
  for (const shard::ChannelReport& channel : report.channels) {
    const std::string which =
        "channel=\"" + std::to_string(channel.source) + "-" + std::to_string(channel.target) + "\"";
    out.Gauge("hongyan_channel_oldest_age_ms", d(channel.oldest_age_ms),
              "age of the oldest item not applied yet: acknowledged but not delivered", which);
    out.Gauge("hongyan_channel_backlog_items", d(channel.backlog_items), "items not applied yet",
              which);
    out.Gauge("hongyan_channel_stopped", channel.stopped.empty() ? 0 : 1,
              "1: stopped, see hongyan-admin channels", which);
  }
}

void AddStore(const storage::StoreStats& store, const char* name, Figures& out) {
  const std::string which = std::string("store=\"") + name + "\"";
  const auto d = [](int64_t v) { return static_cast<double>(v); };
  out.Counter("hongyan_store_commits_total", d(store.commits), "commits", which);
  out.Counter("hongyan_store_records_total", d(store.records), "records written", which);
  out.Counter("hongyan_store_bytes_total", d(store.bytes), "bytes written", which);
  out.Counter("hongyan_store_syncs_total", d(store.syncs), "syncs of the log", which);
  out.Gauge("hongyan_store_disk_bytes", d(store.disk_bytes), "on disk", which);
  out.Gauge("hongyan_store_disk_free_bytes", d(store.disk_free_bytes), "free on that disk", which);
}

void AddMoney(const money::Counters& counts, const money::Board& board, Figures& out) {
  const auto d = [](const std::atomic<int64_t>& v) { return static_cast<double>(v.load()); };
  out.Counter("hongyan_packet_sends_total", d(counts.sends), "sends whose money left a wallet");
  out.Counter("hongyan_packet_sends_refused_total", d(counts.sends_refused),
              "sends that a rule of the wallet refused");
  out.Counter("hongyan_packets_total", d(counts.packets), "packets and transfers made");
  out.Counter("hongyan_packet_opens_total", d(counts.opens), "shares taken");
  out.Counter("hongyan_packet_opens_refused_total", d(counts.opens_refused),
              "opens that a rule refused in the packet's shard");
  out.Counter("hongyan_packet_credits_total", d(counts.credits), "shares credited to a wallet");
  out.Counter("hongyan_packets_finished_total", d(counts.finished), "packets wholly taken");
  out.Counter("hongyan_packets_refunded_total", d(counts.refunds),
              "packets closed with money left, which went back");
  out.Counter("hongyan_packet_sends_reversed_total", d(counts.reversed),
              "sends that never became a packet: all of it went back");
  out.Counter("hongyan_packets_quarantined_total", d(counts.quarantined),
              "packets put into quarantine");
  out.Counter("hongyan_wallet_moves_total", d(counts.moves), "deposits and withdrawals");
  out.Gauge("hongyan_board_packets", static_cast<double>(board.packets()),
            "packets whose grabs are answered without the store");
}

// The accounts of all shards, each shard as of its last commit: only the audit sees one instant.
void AddBooks(storage::MoneyStore& store, Figures& out) {
  model::Books sum;
  for (int n = 0; n < store.identity().shards; ++n) {
    const auto shard = static_cast<model::ShardId>(store.identity().first_shard + n);
    const auto books = store.ledger().ReadBooks(shard);
    if (!books) return;  // the audit says what cannot be read
    sum.wallets_fen += books->wallets_fen;
    sum.escrow_fen += books->escrow_fen;
    sum.suspense_fen += books->suspense_fen;
    sum.world_fen += books->world_fen;
    sum.transit_out_fen += books->transit_out_fen - books->transit_in_fen;
  }
  const auto account = [&out](const char* name, int64_t fen, const char* help) {
    out.Gauge("hongyan_money_fen", static_cast<double>(fen), help,
              std::string("account=\"") + name + "\"");
  };
  account("wallets", sum.wallets_fen, "in wallets");
  account("escrow", sum.escrow_fen, "held by packets");
  account("transit", sum.transit_out_fen, "on its way between shards");
  account("suspense", sum.suspense_fen, "parked or in quarantine: somebody should look");
  account("world", sum.world_fen, "withdrawn less deposited");
}

}  // namespace

std::vector<admin::Stat> Server::Stats() const {
  Figures out;
  const auto d = [](auto v) { return static_cast<double>(v); };
  out.Gauge("hongyan_connections", d(listener_->connections()), "client connections open");
  out.Gauge("hongyan_connections_not_logged_in", d(listener_->unauthenticated()),
            "of these, not logged in");
  out.Counter("hongyan_connections_total", d(listener_->accepted()), "connections accepted");
  AddFrontDoor(*front_door_, out);
  out.Counter("hongyan_messages_total", d(counters_.messages.load()), "messages stored");
  out.Counter("hongyan_inbox_entries_total", d(counters_.entries.load()), "inbox entries stored");
  out.Gauge("hongyan_users_online", d(online_.users()), "users with a session");
  out.Gauge("hongyan_admission_open", admission_.open(), "part of the request levels admitted");
  out.Counter("hongyan_admission_refused_total", d(admission_.refused()),
              "requests refused by overload");
  out.Gauge("hongyan_reads_queued", d(readers_.queued()), "reads waiting for the pool");
  out.Gauge("hongyan_hashes_queued", d(hashers_.queued()), "passwords waiting to be hashed");
  AddExecutor(executor_->report(), out);
  AddExecutor(money_executor_->report(), out);
  AddStore(store_->stats(), "messages", out);
  AddStore(money_store_->stats(), "money", out);
  AddMoney(money_counters_, board_, out);
  AddBooks(*money_store_, out);
  out.Gauge("hongyan_money_admission_open", money_admission_.open(),
            "part of the request levels of money admitted");
  out.Counter("hongyan_money_admission_refused_total", d(money_admission_.refused()),
              "requests of money refused by overload");
  for (const auto& loop : loops_) {
    const net::LoopStats stats = loop->stats();
    const std::string which = "loop=\"" + std::to_string(loop->index()) + "\"";
    out.Counter("hongyan_loop_turns_total", d(stats.turns), "turns of the loop", which);
    out.Counter("hongyan_loop_reads_total", d(stats.reads), "reads of sockets", which);
    out.Counter("hongyan_loop_writes_total", d(stats.writes), "writes to sockets", which);
    out.Counter("hongyan_loop_bytes_in_total", d(stats.bytes_in), "bytes read", which);
    out.Counter("hongyan_loop_bytes_out_total", d(stats.bytes_out), "bytes written", which);
    out.Counter("hongyan_loop_slow_readers_total", d(stats.slow_readers),
                "connections closed because they took nothing", which);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out.Counter("process_cpu_seconds_total",
              d(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                  d(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
              "CPU time of the process");
  return out.Take();
}

}  // namespace hongyan
