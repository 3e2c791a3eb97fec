#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "load_client.h"
#include "mariadb/database.h"
#include "mariadb/private_mariadb.h"
#include "outcome.h"

// The yardstick of red packets: the same rows (claim, packet, wallet, statement) written the common
// way, one transaction an open, each commit flushed. What it does is what most red-packet code on a
// relational database does.

namespace hongyan::bench {
namespace {

constexpr int64_t kShares = 500;
constexpr int64_t kFenAShare = 20;
constexpr int64_t kLifeMs = 86'400'000;
constexpr const char* kSchema = "redpacket";

struct Options {
  int connections = 32;
  int packets = 64;  // opened at a time
  int64_t wallets = 1'000'000;
  int64_t prepare = 500'000;  // opens that packets are made for
  double warmup_s = 10;
  double seconds = 30;
  std::string work_dir;
  std::string json;
};

int64_t WallMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Rows in INSERTs of a few thousand.
template <class Row>
void Fill(Database& db, const std::string& into, int64_t rows, Row row) {
  std::string sql;
  for (int64_t i = 1; i <= rows; ++i) {
    sql += sql.empty() ? "INSERT INTO " + into + " VALUES " : ",";
    sql += row(i);
    if (i % 5000 == 0 || i == rows) {
      db.Run(sql);
      sql.clear();
    }
  }
}

void MakeTables(const std::string& socket, const Options& options, int64_t packets) {
  {
    Database root(socket);
    root.Run(std::string("CREATE DATABASE ") + kSchema);
  }
  Database db(socket, kSchema);
  db.Run(
      "CREATE TABLE packet (id BIGINT PRIMARY KEY, sender BIGINT NOT NULL, total_fen BIGINT NOT "
      "NULL, shares INT NOT NULL, created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL, state "
      "TINYINT NOT NULL, left_fen BIGINT NOT NULL, left_shares INT NOT NULL) ENGINE=InnoDB");
  db.Run(
      "CREATE TABLE claim (packet BIGINT NOT NULL, user BIGINT NOT NULL, ordinal INT NOT NULL, "
      "amount_fen BIGINT NOT NULL, time_ms BIGINT NOT NULL, PRIMARY KEY (packet, user)) "
      "ENGINE=InnoDB");
  db.Run(
      "CREATE TABLE wallet (user BIGINT PRIMARY KEY, balance_fen BIGINT NOT NULL, account_seq "
      "BIGINT NOT NULL) ENGINE=InnoDB");
  db.Run(
      "CREATE TABLE statement (user BIGINT NOT NULL, account_seq BIGINT NOT NULL, kind TINYINT NOT "
      "NULL, amount_fen BIGINT NOT NULL, balance_fen BIGINT NOT NULL, packet BIGINT NOT NULL, "
      "time_ms BIGINT NOT NULL, PRIMARY KEY (user, account_seq)) ENGINE=InnoDB");
  Fill(db, "wallet", options.wallets,
       [](int64_t user) { return "(" + std::to_string(user) + ",0,0)"; });
  const int64_t now = WallMs();
  Fill(db, "packet", packets, [now](int64_t id) {
    return "(" + std::to_string(id) + ",1," + std::to_string(kShares * kFenAShare) + "," +
           std::to_string(kShares) + "," + std::to_string(now) + "," +
           std::to_string(now + kLifeMs) + ",2," + std::to_string(kShares * kFenAShare) + "," +
           std::to_string(kShares) + ")";
  });
}

// Which open is next: so many packets at a time, each opened by as many users as it has shares.
class Tickets {
 public:
  Tickets(int64_t packets, int64_t at_a_time, int64_t wallets)
      : packets_(packets), at_a_time_(at_a_time), wallets_(wallets) {}

  // False: all is opened.
  bool Next(int64_t* packet, int64_t* user) {
    const int64_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
    if (ticket >= packets_ * kShares) return false;
    const int64_t set = ticket / (at_a_time_ * kShares);
    const int64_t place = std::min(packets_ - 1, set * at_a_time_ + ticket % at_a_time_);
    const int64_t share = ticket / at_a_time_ % kShares;
    *packet = 1 + place;
    // Scattered, and nobody twice in a packet: there are more wallets than shares.
    *user = 1 + (place * kShares + share) * 7919 % wallets_;
    return true;
  }

 private:
  const int64_t packets_;
  const int64_t at_a_time_;
  const int64_t wallets_;
  std::atomic<int64_t> next_{0};
};

// One connection that opens packets.
class Opener {
 public:
  Opener(const std::string& socket, uint64_t seed)
      : db_(socket, kSchema),
        random_(seed),
        read_packet_(db_,
                     "SELECT state, expires_ms, left_fen, left_shares, shares FROM packet WHERE "
                     "id = ? FOR UPDATE",
                     5),
        add_claim_(db_, "INSERT INTO claim VALUES (?, ?, ?, ?, ?)"),
        set_packet_(db_, "UPDATE packet SET state = ?, left_fen = ?, left_shares = ? WHERE id = ?"),
        read_wallet_(db_, "SELECT balance_fen, account_seq FROM wallet WHERE user = ? FOR UPDATE",
                     2),
        set_wallet_(db_, "UPDATE wallet SET balance_fen = ?, account_seq = ? WHERE user = ?"),
        add_statement_(db_, "INSERT INTO statement VALUES (?, ?, 4, ?, ?, ?, ?)") {}

  void Open(int64_t packet, int64_t user) {
    for (;;) {
      try {
        return Try(packet, user);
      } catch (const DatabaseError& error) {
        if (!error.is_conflict()) throw;
        ++conflicts_;
        db_.Run("ROLLBACK");
      }
    }
  }
  int64_t conflicts() const { return conflicts_; }

 private:
  void Try(int64_t packet, int64_t user) {
    db_.Run("BEGIN");
    if (!read_packet_.Run({packet})) throw DatabaseError{0, "there is no such packet"};
    const int64_t now = WallMs();
    const int64_t left_fen = read_packet_.row()[2];
    const int64_t left = read_packet_.row()[3];
    if (read_packet_.row()[0] != 2 || read_packet_.row()[1] <= now || left == 0) {
      throw DatabaseError{0, "a packet is gone that should not be"};
    }
    // Between one fen and twice the mean of what is left, as commonly done.
    const int64_t most = std::max<int64_t>(1, std::min(left_fen - left + 1, 2 * left_fen / left));
    const int64_t fen =
        left == 1 ? left_fen : std::uniform_int_distribution<int64_t>(1, most)(random_);
    add_claim_.Run({packet, user, read_packet_.row()[4] - left + 1, fen, now});
    set_packet_.Run({left == 1 ? 3 : 2, left_fen - fen, left - 1, packet});
    if (!read_wallet_.Run({user})) throw DatabaseError{0, "there is no such wallet"};
    const int64_t balance = read_wallet_.row()[0] + fen;
    const int64_t seq = read_wallet_.row()[1] + 1;
    set_wallet_.Run({balance, seq, user});
    add_statement_.Run({user, seq, fen, balance, packet, now});
    db_.Run("COMMIT");
  }

  Database db_;
  std::mt19937_64 random_;
  Statement read_packet_;
  Statement add_claim_;
  Statement set_packet_;
  Statement read_wallet_;
  Statement set_wallet_;
  Statement add_statement_;
  int64_t conflicts_ = 0;
};

// What all threads do; each measures for itself.
struct Load {
  std::atomic<bool> measuring{false};
  std::atomic<bool> stop{false};
  std::atomic<bool> ran_out{false};
  std::atomic<int64_t> opens{0};
  std::mutex mutex;  // guards what follows
  Histogram latency;
  int64_t conflicts = 0;
  std::vector<std::string> failures;
};

void OpenUntilStopped(const std::string& socket, uint64_t seed, Tickets& tickets, Load& load) {
  std::vector<int64_t> times;
  try {
    Opener opener(socket, seed);
    int64_t packet = 0;
    int64_t user = 0;
    while (!load.stop) {
      if (!tickets.Next(&packet, &user)) {
        load.ran_out = true;
        break;
      }
      const int64_t start_ns = NowNs();
      opener.Open(packet, user);
      if (!load.measuring) continue;
      load.opens.fetch_add(1, std::memory_order_relaxed);
      times.push_back(NowNs() - start_ns);
    }
    const std::lock_guard lock(load.mutex);
    load.conflicts += opener.conflicts();
    for (const int64_t ns : times) load.latency.AddNs(ns);
  } catch (const DatabaseError& error) {
    load.stop = true;
    const std::lock_guard lock(load.mutex);
    load.failures.push_back("MariaDB: " + error.text);
  }
}

// Every fen of every claim is in a wallet and its statement, and missing from its packet.
void Check(const std::string& socket, Outcome& outcome) {
  Database db(socket, kSchema);
  const int64_t claimed = db.Number("SELECT SUM(amount_fen) FROM claim");
  const std::pair<const char*, int64_t> others[] = {
      {"packets gave", db.Number("SELECT SUM(total_fen - left_fen) FROM packet")},
      {"wallets hold", db.Number("SELECT SUM(balance_fen) FROM wallet")},
      {"statements say", db.Number("SELECT SUM(amount_fen) FROM statement")}};
  for (const auto& [what, fen] : others) {
    if (fen == claimed) continue;
    outcome.failures.push_back(std::string(what) + " " + std::to_string(fen) + " fen, claims " +
                               std::to_string(claimed));
  }
}

Outcome Measure(const Options& options) {
  Outcome outcome;
  outcome.mode = "redpacket-mariadb";
  outcome.seed = 1;
  auto server = PrivateMariadb::Start(options.work_dir);
  if (!server.ok()) {
    outcome.failures.push_back(server.error().text);
    return outcome;
  }
  const std::string& socket = (*server)->socket();
  const int64_t packets = std::max<int64_t>(1, options.prepare / kShares);
  MakeTables(socket, options, packets);
  Tickets tickets(packets, std::min<int64_t>(options.packets, packets), options.wallets);
  Load load;
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) {
    threads.emplace_back(
        [&, i] { OpenUntilStopped(socket, static_cast<uint64_t>(i), tickets, load); });
  }
  const auto wait = [&load](double s) {
    const int64_t end_ns = NowNs() + static_cast<int64_t>(s * 1e9);
    while (NowNs() < end_ns && !load.stop && !load.ran_out) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  wait(options.warmup_s);
  const Usage before = UsageOf((*server)->pid());
  const Usage tool_before = UsageOf(0);
  const int64_t start_ns = NowNs();
  load.measuring = true;
  wait(options.seconds);
  load.measuring = false;
  outcome.acked = outcome.delivered = outcome.sent = load.opens;
  outcome.seconds = static_cast<double>(NowNs() - start_ns) / 1e9;
  outcome.server = UsageOf((*server)->pid());
  outcome.server.cpu_s -= before.cpu_s;
  outcome.server_known = true;
  outcome.tool = UsageOf(0);
  outcome.tool.cpu_s -= tool_before.cpu_s;
  load.stop = true;
  for (std::thread& thread : threads) thread.join();
  outcome.ack = load.latency;
  outcome.failures = load.failures;
  if (load.ran_out) {
    outcome.failures.push_back("the packets were all opened before the end: say --prepare N");
  }
  outcome.rate_per_s = static_cast<double>(outcome.acked) / outcome.seconds;
  outcome.more["opens_per_s"] = outcome.rate_per_s;
  outcome.more["open_ms"] = PercentilesMs(load.latency);
  outcome.more["conflicts"] = load.conflicts;
  outcome.more["connections"] = options.connections;
  outcome.more["packets_at_a_time"] = options.packets;
  outcome.more["wallets"] = options.wallets;
  Check(socket, outcome);
  return outcome;
}

}  // namespace
}  // namespace hongyan::bench

int main(int argc, char** argv) {
  using namespace hongyan::bench;
  Options options;
  CLI::App app(
      "hongyan-bench-mariadb: opens of red packets as transactions on a private MariaDB with every "
      "commit flushed, the yardstick of hongyan-bench redpacket");
  app.footer(
      "Examples:\n"
      "  hongyan-bench-mariadb --packets 1     one packet of 500 shares after the other\n"
      "  hongyan-bench-mariadb --packets 64    spread over 64 of them\n"
      "Exit codes: 0 fine; 1 the sums are wrong, or it could not be finished; 2 wrong usage.");
  app.add_option("--connections", options.connections, "that open")
      ->capture_default_str()
      ->check(CLI::Range(1, 190));
  app.add_option("--packets", options.packets, "opened at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  app.add_option("--wallets", options.wallets, "that exist")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1000}, int64_t{100'000'000}));
  app.add_option("--prepare", options.prepare, "opens to make packets for")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{500}, int64_t{100'000'000}));
  app.add_option("--warmup", options.warmup_s, "seconds before the measured window")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seconds", options.seconds, "length of the measured window")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--work-dir", options.work_dir,
                 "where the temporary directory is made (default: the system's)");
  app.add_option("--json", options.json, "write the result to this file as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  Outcome outcome;
  try {
    outcome = Measure(options);
  } catch (const DatabaseError& error) {
    outcome.mode = "redpacket-mariadb";
    outcome.failures.push_back("MariaDB: " + error.text);
  }
  PrintTable(outcome);
  if (!options.json.empty() && !WriteJson(outcome, options.json)) return 1;
  return outcome.ok() ? 0 : 1;
}
