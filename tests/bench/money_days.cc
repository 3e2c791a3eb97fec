#include "money_days.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "contract/temporary_directory.h"
#include "money_house.h"

namespace hongyan::bench {
namespace {

using model::PacketId;
using model::UserId;

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * kHourMs;
constexpr int32_t kFirstDay = 20'717;
constexpr int64_t kStartMs = kFirstDay * kDayMs + kHourMs;  // at one in the morning
constexpr int64_t kPeople = 20'000;
constexpr int64_t kLongPackets = 50;
constexpr int64_t kLongDays = 35;  // past the wrap of the 32 slots
constexpr int32_t kLongShares = 60;
constexpr int32_t kShares = 4;
constexpr size_t kAtOnce = 250;  // packets sent, or opened, in one go
constexpr size_t kAlone = 200;   // packets of a day that are first opened by one alone

static_assert(kLongShares > kLongDays);

// What somebody was given, to be given again.
struct Given {
  PacketId packet;
  UserId user;
  model::Opened opened;
};

class Stopwatch {
 public:
  double us() const {
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start_)
        .count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

double Quantile(std::vector<double>& values, size_t percent) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, values.size() * percent / 100)];
}

int64_t ResidentMib() {
  int64_t size = 0;
  int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE) >> 20;
}

// Of one day.
struct Figures {
  double reply_p50_us = 0;  // a lone open: until its reply, hence with a sync
  double reply_p99_us = 0;
  double crowd_p50_us = 0;  // an open among many, and its credit
  double crowd_p99_us = 0;
  double disk_bytes = 0;  // for each packet ever made, in the store and in files of days
};

class Calendar {
 public:
  explicit Calendar(const DaysOptions& options)
      : options_(options), path_(options.data.empty() ? own_.path() : options.data) {}

  int Run() {
    OpenHouse(kLongDays * kDayMs);
    house_->Deposit(0, kPeople, 100'000'000);
    long_ = Make(kLongPackets, kLongShares);
    OpenHouse(kDayMs);
    std::printf("%5s %10s %19s %19s %12s %8s\n", "", "", "a lone open, us", "in a crowd, us", "",
                "memory");
    std::printf("%5s %10s %9s %9s %9s %9s %12s %8s\n", "day", "packets", "p50", "p99", "p50", "p99",
                "disk/packet", "MiB");
    for (int32_t day = 0; day < options_.days; ++day) {
      LiveThrough(day);
      if (day > 0) Archive(day - 1);
    }
    ArchiveFirstDay();
    OpenHouse(kDayMs);  // nothing of them is remembered
    AskAgain("archived");
    BringBackAndAway(kFirstDay + 5);
    PrintFlatness();
    return Judge();
  }

 private:
  void OpenHouse(int64_t packet_life_ms) {
    house_.reset();
    MoneyHouse::Options of_house;
    of_house.path = path_;
    of_house.clock = &clock_;
    of_house.packet_life_ms = packet_life_ms;
    of_house.talk = talk_;
    of_house.number = lives_++;
    house_ = std::make_unique<MoneyHouse>(of_house);
  }

  void Wrong(const std::string& what) {
    std::printf("WRONG: %s\n", what.c_str());
    ++wrong_;
  }

  std::vector<PacketId> Make(int64_t count, int32_t shares) {
    std::vector<uint64_t> tickets;
    std::vector<PacketId> packets;
    for (int64_t i = 0; i < count; ++i) {
      tickets.push_back(house_->Send(
          house_->Lucky(MoneyHouse::User(person_++ % kPeople), int64_t{shares} * 25, shares)));
      if (tickets.size() < kAtOnce && i + 1 < count) continue;
      house_->Run();
      for (const uint64_t ticket : std::exchange(tickets, {})) {
        auto sent = house_->Take(ticket);
        if (!sent) {
          Wrong("a send was refused: " + sent.error().text);
          continue;
        }
        packets.push_back(std::get<model::PacketSending>(*sent).packet);
      }
    }
    made_ += count;
    return packets;
  }

  // Opens of packets that nobody else asks for, one after the other: microseconds to each reply.
  std::vector<double> OpenAlone(const std::vector<PacketId>& packets) {
    std::vector<double> reply_us;
    for (const PacketId packet : packets) {
      const UserId user = MoneyHouse::User(person_++ % kPeople);
      const Stopwatch watch;
      const uint64_t ticket = house_->Open(packet, user);
      house_->Await(ticket);
      reply_us.push_back(watch.us());
      const auto opened = house_->Take(ticket);
      if (!opened) {
        Wrong("an open was refused: " + opened.error().text);
      } else if (packet == packets.front()) {
        given_.push_back({packet, user, std::get<model::Opened>(*opened)});
      }
    }
    house_->Run();
    return reply_us;
  }

  // All shares that are left, but one in the last packet of ten, for its expiry; many at once.
  // Microseconds an open took of the shards' time, with its credit, for each such crowd.
  std::vector<double> OpenInCrowds(const std::vector<PacketId>& packets, size_t opened_alone) {
    std::vector<double> open_us;
    for (size_t from = 0; from < packets.size(); from += kAtOnce) {
      const size_t end = std::min(from + kAtOnce, packets.size());
      std::vector<uint64_t> tickets;
      const Stopwatch watch;
      for (size_t i = from; i < end; ++i) {
        const int32_t opens = kShares - (i < opened_alone ? 1 : 0) - (i % 10 == 9 ? 1 : 0);
        for (int32_t n = 0; n < opens; ++n) {
          tickets.push_back(house_->Open(packets[i], MoneyHouse::User(person_++ % kPeople)));
        }
      }
      house_->Run();
      open_us.push_back(watch.us() / static_cast<double>(tickets.size()));
      for (const uint64_t ticket : tickets) {
        const auto opened = house_->Take(ticket);
        if (!opened) Wrong("an open was refused: " + opened.error().text);
      }
    }
    return open_us;
  }

  void LiveThrough(int32_t day) {
    const auto packets = Make(options_.packets / options_.days, kShares);
    clock_.Advance(kHourMs);
    const size_t alone = std::min(kAlone, packets.size());
    std::vector<double> reply_us = OpenAlone({packets.begin(), packets.begin() + alone});
    std::vector<double> crowd_us = OpenInCrowds(packets, alone);
    if (day < kLongDays - 1) OpenLongOnes(day);
    Figures& today = figures_.emplace_back();
    today.reply_p50_us = Quantile(reply_us, 50);
    today.reply_p99_us = Quantile(reply_us, 99);
    today.crowd_p50_us = Quantile(crowd_us, 50);
    today.crowd_p99_us = Quantile(crowd_us, 99);
    today.disk_bytes =
        static_cast<double>(house_->store().stats().disk_bytes) / static_cast<double>(made_);
    std::printf("%5d %10lld %9.0f %9.0f %9.2f %9.2f %12.0f %8lld\n", day,
                static_cast<long long>(made_), today.reply_p50_us, today.reply_p99_us,
                today.crowd_p50_us, today.crowd_p99_us, today.disk_bytes,
                static_cast<long long>(ResidentMib()));
    std::fflush(stdout);
    clock_.Advance(kDayMs - kHourMs);
    house_->Tick();  // what was left of today's goes back
  }

  // By somebody new each day.
  void OpenLongOnes(int32_t day) {
    std::vector<uint64_t> tickets;
    for (const PacketId packet : long_) {
      tickets.push_back(house_->Open(packet, MoneyHouse::User(kPeople + day)));
    }
    house_->Run();
    for (const uint64_t ticket : tickets) {
      auto opened = house_->Take(ticket);
      if (!opened) Wrong("an open of a long packet was refused: " + opened.error().text);
    }
  }

  void Archive(int32_t day) {
    auto archived = money::ArchiveDay(house_->store(), kFirstDay + day, house_->asker());
    if (day > 0) {
      if (!archived) Wrong("day " + std::to_string(day) + ": " + archived.error().text);
    } else if (archived || archived.error().code != base::Code::kFailedPrecondition) {
      Wrong("day 0 was archived while packets of it are open");
    }
  }

  // They have expired by now, so day 0 can go, and nothing of the day in its slot goes with it.
  void ArchiveFirstDay() {
    const auto before = money::LookAtDay(house_->store(), kFirstDay + 32);
    auto archived = money::ArchiveDay(house_->store(), kFirstDay, house_->asker());
    if (!archived) return Wrong("day 0: " + archived.error().text);
    const auto after = money::LookAtDay(house_->store(), kFirstDay + 32);
    if (!before || !after || before->size() != after->size() || before->empty()) {
      return Wrong("the day in the slot of day 0 cannot be read");
    }
    for (size_t i = 0; i < before->size(); ++i) {
      if ((*before)[i].totals != (*after)[i].totals) Wrong("the day in the slot of day 0 changed");
    }
    for (const PacketId packet : long_) {
      auto found = house_->reader().Find(packet);
      if (!found) {
        Wrong("a long packet is not found in its file: " + found.error().text);
      } else if (found->status.left != kLongShares - (kLongDays - 1)) {
        Wrong("a long packet has not the shares left that it should have");
      }
    }
  }

  // Whoever opened gets the same again, and nobody else gets anything.
  void AskAgain(const char* when) {
    std::vector<double> reply_us;
    for (const Given& given : given_) {
      const Stopwatch watch;
      const uint64_t own = house_->Open(given.packet, given.user);
      house_->Await(own);
      reply_us.push_back(watch.us());
      const uint64_t other = house_->Open(given.packet, MoneyHouse::User(kPeople + 7));
      house_->Run();
      const auto again = house_->Take(own);
      if (!again) {
        Wrong(std::string(when) + ": a repeated open was refused: " + again.error().text);
        continue;
      }
      const auto& opened = std::get<model::Opened>(*again);
      if (!opened.already || opened.amount_fen != given.opened.amount_fen ||
          opened.ordinal != given.opened.ordinal || opened.time_ms != given.opened.time_ms) {
        Wrong(std::string(when) + ": a repeated open got something else");
      }
      if (house_->Take(other).ok()) Wrong(std::string(when) + ": a closed packet was opened");
    }
    std::printf("%s: a repeated open of each day took %.0f us, at most %.0f\n", when,
                Quantile(reply_us, 50), Quantile(reply_us, 100));
  }

  void BringBackAndAway(int32_t day) {
    auto restored = money::RestoreDay(house_->store(), day, house_->asker());
    if (!restored) return Wrong("restore: " + restored.error().text);
    for (const auto& state : *restored) {
      if (state.archived) Wrong("a restored day is still archived");
    }
    OpenHouse(kDayMs);
    AskAgain("after a restore");
    auto archived = money::ArchiveDay(house_->store(), day, house_->asker());
    if (!archived) Wrong("archived again: " + archived.error().text);
    AskAgain("after it was archived again");
  }

  // The first days are not counted: caches and files begin.
  void PrintFlatness() const {
    constexpr size_t kSkip = 3;
    constexpr size_t kCount = 8;
    const auto mean = [this](double Figures::*figure, size_t from) {
      double sum = 0;
      for (size_t i = from; i < from + kCount; ++i) sum += figures_[i].*figure;
      return sum / kCount;
    };
    std::printf("means of days %zu to %zu, and of the last %zu:\n", kSkip, kSkip + kCount - 1,
                kCount);
    const std::pair<const char*, double Figures::*> rows[] = {
        {"a lone open, p50 us", &Figures::reply_p50_us},
        {"a lone open, p99 us", &Figures::reply_p99_us},
        {"in a crowd, p50 us", &Figures::crowd_p50_us},
        {"disk, bytes a packet", &Figures::disk_bytes},
    };
    for (const auto& [name, figure] : rows) {
      const double first = mean(figure, kSkip);
      const double last = mean(figure, figures_.size() - kCount);
      std::printf("%-22s %9.1f %9.1f  ratio %.2f\n", name, first, last, last / first);
    }
  }

  int Judge() {
    const auto start = std::chrono::steady_clock::now();
    const auto report = house_->Audit();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("audit: verdict %d in %.1f s: %lld packets, %lld claims, %lld statement rows\n",
                static_cast<int>(report.verdict), took.count(),
                static_cast<long long>(report.packets), static_cast<long long>(report.claims),
                static_cast<long long>(report.statement_rows));
    for (const auto& finding : report.findings) {
      Wrong(finding.what + " " + finding.where + ": " + finding.text);
    }
    for (const auto& unread : report.unread) Wrong("not read: " + unread);
    if (report.packets != made_) Wrong("the audit has not read every packet");
    if (report.in_transit_fen != 0) Wrong("money is still on its way");
    if (report.verdict != money::AuditReport::Verdict::kProven) Wrong("the books are not proven");
    return wrong_ == 0 ? 0 : 1;
  }

  const DaysOptions options_;
  storage::TemporaryDirectory own_;
  const std::string path_;
  base::ManualClock clock_{kStartMs};
  std::shared_ptr<storage::MemoryState> talk_ = storage::MemoryState::Create(7, 1);
  std::unique_ptr<MoneyHouse> house_;
  uint8_t lives_ = 1;
  int64_t person_ = 0;
  int64_t made_ = 0;
  std::vector<PacketId> long_;
  std::vector<Given> given_;  // one of each day
  std::vector<Figures> figures_;
  int wrong_ = 0;
};

}  // namespace

int FortyDays(const DaysOptions& options) { return Calendar(options).Run(); }

}  // namespace hongyan::bench
