#include "money_rush.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <random>
#include <utility>
#include <vector>

#include "base/check.h"
#include "contract/temporary_directory.h"
#include "money_house.h"

namespace hongyan::bench {
namespace {

constexpr int64_t kSenders = 1000;
constexpr int32_t kHotShares = 500;
constexpr size_t kQueued = 2000;            // opens that wait at any time: two full batches
constexpr int64_t kIdleSteps = 10'000'000;  // then something was refused, and the books will say
constexpr int64_t kBytesPerOpen = 300;      // and its credit
constexpr int64_t kRecordsPerOpen = 4;

// What this thread, which is all of the module, has worked.
double CpuSeconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

struct Figures {
  int64_t opens = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  storage::StoreStats cost;
};

storage::StoreStats Difference(const storage::StoreStats& a, const storage::StoreStats& b) {
  storage::StoreStats cost;
  cost.commits = b.commits - a.commits;
  cost.records = b.records - a.records;
  cost.bytes = b.bytes - a.bytes;
  cost.syncs = b.syncs - a.syncs;
  return cost;
}

class Crowd {
 public:
  Crowd(MoneyHouse& house, int64_t wallets) : house_(house), wallets_(wallets) {}

  // Packets that are announced, and thereby open.
  std::vector<model::PacketId> Make(int64_t count, int32_t shares) {
    std::vector<uint64_t> tickets;
    std::vector<model::PacketId> packets;
    for (int64_t i = 0; i < count; ++i) {
      tickets.push_back(
          house_.Send(house_.Lucky(MoneyHouse::User(i % kSenders), int64_t{shares} * 100, shares)));
      if (tickets.size() < 250 && i + 1 < count) continue;
      house_.Run();
      for (const uint64_t ticket : std::exchange(tickets, {})) {
        auto sent = house_.Take(ticket);
        CHECK(sent.ok());
        packets.push_back(std::get<model::PacketSending>(*sent).packet);
      }
    }
    return packets;
  }

  // One opener for each place in `packets`, each another one of its packet.
  Figures Open(const std::vector<model::PacketId>& packets) {
    Figures figures;
    figures.opens = static_cast<int64_t>(packets.size());
    house_.drop_replies = true;
    const int64_t before = house_.credits();
    const storage::StoreStats stats = house_.store().stats();
    const auto start = std::chrono::steady_clock::now();
    const double cpu_before = CpuSeconds();
    int64_t idle = 0;
    for (size_t next = 0; house_.credits() - before < figures.opens;) {
      const auto done = static_cast<size_t>(house_.credits() - before);
      for (; next < packets.size() && next < done + kQueued; ++next) {
        house_.Open(packets[next], MoneyHouse::User(place_++ * kStride % wallets_));
      }
      idle = house_.Step() ? 0 : idle + 1;
      CHECK(idle < kIdleSteps);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    figures.seconds = took.count();
    figures.cpu_seconds = CpuSeconds() - cpu_before;
    figures.cost = Difference(stats, house_.store().stats());
    house_.Run();
    house_.drop_replies = false;
    return figures;
  }

 private:
  static constexpr int64_t kStride = 104'729;  // a prime: through all wallets, never in their order
  MoneyHouse& house_;
  const int64_t wallets_;
  int64_t place_ = 0;
};

// What may be written where each open is of another packet: claim and state, wallet and statement.
// A hot packet's state is one record for all of its opens in a batch.
bool Prints(const char* name, const Figures& figures, int shards) {
  const auto opens = static_cast<double>(figures.opens);
  const storage::StoreStats& cost = figures.cost;
  std::printf(
      "%-10s %10.0f opens/s  %6.2f us of the thread  %5.2f records  %5.0f bytes  %7.5f syncs per "
      "open  %6.0f opens a batch\n",
      name, opens / figures.seconds, figures.cpu_seconds * 1e6 / opens,
      static_cast<double>(cost.records) / opens, static_cast<double>(cost.bytes) / opens,
      static_cast<double>(cost.syncs) / opens, opens / static_cast<double>(cost.commits));
  // Two for each channel that a batch may touch: all between money shards, and to conversations.
  const int64_t per_batch = 6 + 2 * (shards * shards + shards);
  bool within = true;
  if (cost.records > kRecordsPerOpen * figures.opens + per_batch * cost.commits) {
    std::printf("%s: more records than %lld per open and credit, and %lld per batch\n", name,
                static_cast<long long>(kRecordsPerOpen), static_cast<long long>(per_batch));
    within = false;
  }
  if (cost.bytes > kBytesPerOpen * figures.opens) {
    std::printf("%s: more than %lld bytes of log per open and credit\n", name,
                static_cast<long long>(kBytesPerOpen));
    within = false;
  }
  if (cost.syncs > cost.commits) {
    std::printf("%s: more syncs than commits\n", name);
    within = false;
  }
  return within;
}

}  // namespace

int Rush(const RushOptions& options) {
  storage::TemporaryDirectory own;
  base::SystemClock clock;
  MoneyHouse::Options of_house;
  of_house.path = options.data.empty() ? own.path() : options.data;
  of_house.clock = &clock;
  of_house.shards = options.shards;
  MoneyHouse house(of_house);
  house.Deposit(0, options.wallets, 10'000'000);
  Crowd crowd(house, options.wallets);

  const int64_t packets = std::min<int64_t>(1000, options.opens);
  const auto shares = static_cast<int32_t>(options.opens / packets);
  const auto many = crowd.Make(packets, shares);
  std::vector<model::PacketId> spread;
  for (int32_t share = 0; share < shares; ++share) {
    spread.insert(spread.end(), many.begin(), many.end());
  }
  std::mt19937_64 random(42);
  std::shuffle(spread.begin(), spread.end(), random);
  const auto one_by_one = crowd.Make((options.opens + kHotShares - 1) / kHotShares, kHotShares);
  std::vector<model::PacketId> hot;
  for (const auto packet : one_by_one) hot.insert(hot.end(), kHotShares, packet);

  bool good = Prints("spread", crowd.Open(spread), options.shards);
  good = Prints("hot", crowd.Open(hot), options.shards) && good;
  const auto report = house.Audit();
  std::printf("audit: verdict %d, %lld wallets, %lld claims, %lld fen on the way\n",
              static_cast<int>(report.verdict), static_cast<long long>(report.wallets),
              static_cast<long long>(report.claims), static_cast<long long>(report.in_transit_fen));
  for (const auto& finding : report.findings) {
    std::printf("  %s %s: %s\n", finding.what.c_str(), finding.where.c_str(), finding.text.c_str());
  }
  good = good && report.verdict == money::AuditReport::Verdict::kProven;
  return good ? 0 : 1;
}

}  // namespace hongyan::bench
