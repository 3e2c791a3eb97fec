#include "money_days.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
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

static_assert(kLongShares > kLongDays);

// What somebody was given, to be given again.
struct Given {
  PacketId packet;
  UserId user;
  model::Opened opened;
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
    std::printf("%5s %10s %12s %12s %12s\n", "day", "packets", "open us", "p99 us", "disk/packet");
    for (int32_t day = 0; day < options_.days; ++day) {
      LiveThrough(day);
      if (day > 0) Archive(day - 1);
    }
    ArchiveFirstDay();
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

  // The last packet of ten is left with a share for its expiry.
  void OpenAll(const std::vector<PacketId>& packets, std::vector<double>* open_us) {
    for (size_t from = 0; from < packets.size(); from += kAtOnce) {
      const size_t end = std::min(from + kAtOnce, packets.size());
      std::vector<std::pair<uint64_t, Given>> asked;
      const auto start = std::chrono::steady_clock::now();
      for (size_t i = from; i < end; ++i) {
        const int32_t opens = i % 10 == 9 ? kShares - 1 : kShares;
        for (int32_t n = 0; n < opens; ++n) {
          const UserId user = MoneyHouse::User(person_++ % kPeople);
          asked.push_back({house_->Open(packets[i], user), {packets[i], user, {}}});
        }
      }
      house_->Run();
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - start;
      open_us->push_back(took.count() / static_cast<double>(asked.size()));
      for (auto& [ticket, given] : asked) {
        auto opened = house_->Take(ticket);
        if (!opened) {
          Wrong("an open was refused: " + opened.error().text);
          continue;
        }
        given.opened = std::get<model::Opened>(*opened);
        if (given.packet == packets.front() && given.opened.ordinal == 1) given_.push_back(given);
      }
    }
  }

  void LiveThrough(int32_t day) {
    const auto packets = Make(options_.packets / options_.days, kShares);
    clock_.Advance(kHourMs);
    std::vector<double> open_us;
    OpenAll(packets, &open_us);
    if (day < kLongDays - 1) OpenLongOnes();
    std::sort(open_us.begin(), open_us.end());
    medians_.push_back(open_us[open_us.size() / 2]);
    disk_.push_back(static_cast<double>(house_->store().stats().disk_bytes) /
                    static_cast<double>(made_));
    std::printf("%5d %10lld %12.2f %12.2f %12.0f\n", day, static_cast<long long>(made_),
                medians_.back(), open_us[open_us.size() * 99 / 100], disk_.back());
    std::fflush(stdout);
    clock_.Advance(kDayMs - kHourMs);
    house_->Tick();  // what was left of today's goes back
  }

  // By somebody new each day.
  void OpenLongOnes() {
    std::vector<uint64_t> tickets;
    for (const PacketId packet : long_) {
      tickets.push_back(house_->Open(packet, MoneyHouse::User(person_++ % kPeople)));
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
    for (const Given& given : given_) {
      const uint64_t own = house_->Open(given.packet, given.user);
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
  }

  void BringBackAndAway(int32_t day) {
    auto restored = money::RestoreDay(house_->store(), day, house_->asker());
    if (!restored) return Wrong("restore: " + restored.error().text);
    for (const auto& state : *restored) {
      if (state.archived) Wrong("a restored day is still archived");
    }
    AskAgain("after a restore");
    auto archived = money::ArchiveDay(house_->store(), day, house_->asker());
    if (!archived) Wrong("archived again: " + archived.error().text);
    AskAgain("after it was archived again");
  }

  // The first days are not counted: caches and files begin.
  void PrintFlatness() const {
    const auto mean = [](const std::vector<double>& values, size_t from, size_t count) {
      double sum = 0;
      for (size_t i = from; i < from + count; ++i) sum += values[i];
      return sum / static_cast<double>(count);
    };
    constexpr size_t kSkip = 3;
    constexpr size_t kCount = 8;
    const size_t last = medians_.size() - kCount;
    std::printf("open: %.2f us on days %zu to %zu, %.2f us on the last %zu\n",
                mean(medians_, kSkip, kCount), kSkip, kSkip + kCount - 1,
                mean(medians_, last, kCount), kCount);
    std::printf("disk: %.0f bytes a packet on days %zu to %zu, %.0f on the last %zu\n",
                mean(disk_, kSkip, kCount), kSkip, kSkip + kCount - 1, mean(disk_, last, kCount),
                kCount);
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
  std::vector<Given> given_;  // one a day
  std::vector<double> medians_;
  std::vector<double> disk_;
  int wrong_ = 0;
};

}  // namespace

int FortyDays(const DaysOptions& options) { return Calendar(options).Run(); }

}  // namespace hongyan::bench
