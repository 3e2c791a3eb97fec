// The two ends of a channel against each other, message by message.

#include <utility>
#include <vector>

#include "shard/arrivals.h"
#include "shard/courier.h"
#include "shard/executor.h"
#include "shard/item_codec.h"
#include "storage/memory/memory_message_store.h"
#include "tests/doctest_last.h"

namespace hongyan::shard {
namespace {

using cluster::ChannelItems;
using cluster::ChannelProgress;
using cluster::TravellingItem;

constexpr storage::ChannelId kChannel{0, 1};
constexpr uint64_t kIncarnation = 77;
constexpr int64_t kSecond = 1'000'000'000;

// Keeps what is sent, so that a test decides what arrives.
struct Wire final : cluster::Carrier {
  void Send(ChannelItems message) override { items.push_back(std::move(message)); }
  void Send(ChannelProgress message) override { progress.push_back(message); }
  std::vector<ChannelItems> items;
  std::vector<ChannelProgress> progress;
};

ChannelItems Hello(uint64_t meeting, int64_t oldest, int64_t head) {
  return {kChannel, meeting, kIncarnation, oldest, head, 0, 0, false, {}};
}

ChannelItems Items(uint64_t meeting, int64_t first, int64_t last) {
  ChannelItems message{kChannel, meeting, kIncarnation, 1, last, 0, 0, false, {}};
  for (int64_t n = first; n <= last; ++n) {
    message.items.push_back(
        {n, 1, std::make_shared<const model::Item>(model::DirectItem{}), {}, 0});
  }
  return message;
}

// Items that carry 100 fen each; the source counts `total_fen` by the first.
ChannelItems Money(uint64_t meeting, int64_t first, int64_t last, int64_t total_fen) {
  ChannelItems message = Items(meeting, first, last);
  for (auto& item : message.items) {
    model::CreditItem credit;
    credit.amount_fen = 100;
    item.item = std::make_shared<const model::Item>(credit);
    item.total_fen = total_fen;
    total_fen += 100;
  }
  return message;
}

// Applies what adds up.
void TakeMoney(Arrivals& target) {
  while (target.has_next() && target.FenOf(target.next())) target.Advance(target.next());
  target.Publish();
}

void ApplyAll(Arrivals& target) {
  while (target.has_next()) target.Advance(target.next());
  target.Publish();
}

struct Source {
  explicit Source(int64_t head) {
    auto batch = store.NewBatch();
    for (int64_t n = 1; n <= head; ++n) {
      store.channels().PutOutbox(*batch, kChannel, {n, n, {"not an item"}});
    }
    CHECK(store.Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
    CHECK(courier.Open(store.channels(), {head, 0}, 5, now).ok());
  }
  void Pump() { courier.Pump(store.channels(), wire, now); }

  int64_t now = 100 * kSecond;
  ExecutorLimits limits;
  storage::MemoryMessageStore store{storage::MemoryState::Create(1, 2)};
  Courier courier{kChannel, kIncarnation, limits};
  Wire wire;
};

}  // namespace

TEST_CASE("items are taken in order, doubled ones once, and a gap is asked for") {
  Arrivals target(kChannel);
  target.Open({});
  CHECK(target.Take(Hello(5, 1, 0)).has_value());
  CHECK_FALSE(target.Take(Items(5, 1, 2)).has_value());
  CHECK_FALSE(target.Take(Items(5, 1, 3)).has_value());
  const auto gap = target.Take(Items(5, 6, 7));
  REQUIRE(gap.has_value());
  CHECK(gap->resend);
  CHECK_FALSE(target.Take(Items(5, 7, 7)).has_value());  // asked already
  std::vector<int64_t> applied;
  while (target.has_next()) {
    applied.push_back(target.next().number);
    target.Advance(target.next());
  }
  CHECK(applied == std::vector<int64_t>{1, 2, 3});
}

TEST_CASE("items that were all applied before are answered: what told the source was lost") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  target.Take(Items(5, 1, 3));
  ApplyAll(target);
  CHECK(target.TakeUntold().has_value());  // and gets lost
  const auto again = target.Take(Items(5, 1, 3));
  REQUIRE(again.has_value());
  CHECK(again->applied == 3);
}

TEST_CASE("items that were applied before are not taken again with new ones behind them") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  target.Take(Items(5, 1, 3));
  ApplyAll(target);
  CHECK_FALSE(target.Take(Items(5, 2, 5)).has_value());
  REQUIRE(target.has_next());
  CHECK(target.next().number == 4);
  ApplyAll(target);
  CHECK(target.mark().applied == 5);
}

TEST_CASE("items of another meeting are not taken, and the source is asked to meet") {
  Arrivals target(kChannel);
  target.Open({});
  const auto stranger = target.Take(Items(9, 1, 3));
  REQUIRE(stranger.has_value());
  CHECK(stranger->meeting == 0);
  CHECK_FALSE(target.has_next());
}

TEST_CASE("a late hello of an old meeting is no reason to accept anything") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  target.Take(Items(5, 1, 3));
  ApplyAll(target);
  target.Take(Hello(4, 1, 1));  // from when the head was 1: looks like a lost tail
  CHECK_FALSE(target.Acceptable().ok());
  ChannelItems stopped = Hello(6, 1, 1);
  stopped.stopped = true;
  target.Take(stopped);
  const auto mark = target.Acceptable();
  REQUIRE(mark.ok());
  target.Accept(*mark);
  CHECK(target.mark().applied == 1);
}

TEST_CASE("what a dropped batch had taken comes again, in order") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  target.Take(Items(5, 1, 4));
  target.Advance(target.next());
  target.Advance(target.next());
  target.Drop();
  CHECK(target.next().number == 1);
  CHECK(target.mark().applied == 0);
  target.Advance(target.next());
  CHECK(target.next().number == 2);
}

TEST_CASE(
    "nothing is sent before the ends have met, and everything after, again until it is confirmed") {
  Source source(3);
  source.Pump();
  source.Pump();
  REQUIRE(source.wire.items.size() == 1);
  CHECK(source.wire.items[0].items.empty());
  source.courier.OnProgress({kChannel, 5, 0, 0, 0, false, {}}, source.now);
  source.Pump();
  REQUIRE(source.wire.items.size() == 2);
  CHECK(source.wire.items[1].items.size() == 3);
  source.Pump();
  CHECK(source.wire.items.size() == 2);
  source.now += 2 * kSecond;
  source.Pump();
  REQUIRE(source.wire.items.size() == 3);
  source.courier.OnProgress({kChannel, 5, kIncarnation, 2, 0, true, {}}, source.now);
  source.Pump();
  REQUIRE(source.wire.items.size() == 4);
  CHECK(source.wire.items[3].items.front().number == 3);
  source.courier.OnProgress({kChannel, 5, kIncarnation, 3, 0, false, {}}, source.now);
  source.now += 2 * kSecond;
  source.Pump();
  CHECK(source.wire.items.size() == 4);
}

TEST_CASE("ends that do not fit stop the channel, and the source says so") {
  for (const int64_t applied : {int64_t{9}, int64_t{3}}) {
    Source source(3);
    const uint64_t incarnation = applied == 9 ? kIncarnation : kIncarnation + 1;
    source.Pump();
    source.courier.OnProgress({kChannel, 5, incarnation, applied, 0, false, {}}, source.now);
    CHECK_FALSE(source.courier.stopped().empty());
    std::string why;
    CHECK_FALSE(source.courier.MayEmit(source.now, &why));
    source.Pump();
    CHECK(source.wire.items.back().items.empty());
    CHECK(source.wire.items.back().stopped);
  }
}

TEST_CASE("too many items under way, or too many bytes of them, make the source refuse more") {
  Source source(0);
  source.Pump();
  source.courier.OnProgress({kChannel, 5, 0, 0, 0, false, {}}, source.now);
  source.limits.lag_items = 10;
  source.limits.lag_bytes = 1000;
  int64_t next = 1;
  const auto give = [&](int64_t count, size_t bytes) {
    std::vector<TravellingItem> items;
    for (; count > 0; --count) {
      items.push_back({next++, 1, std::make_shared<const model::Item>(), {}, 0, bytes});
    }
    source.courier.Committed(std::move(items), source.now);
  };
  const auto confirm = [&](int64_t number) {
    source.courier.OnProgress({kChannel, 5, kIncarnation, number, 0, false, {}}, source.now);
  };
  std::string why;
  give(10, 1);
  CHECK(source.courier.MayEmit(source.now, &why));
  give(1, 1);
  CHECK_FALSE(source.courier.MayEmit(source.now, &why));
  confirm(11);
  give(1, 1000);
  CHECK(source.courier.MayEmit(source.now, &why));
  give(1, 1);
  CHECK_FALSE(source.courier.MayEmit(source.now, &why));
  confirm(12);
  CHECK(source.courier.MayEmit(source.now, &why));
}

TEST_CASE("the window of a channel holds so many bytes, the rest stays in the outbox") {
  Source source(0);
  source.limits.window_bytes = 100'000;
  source.Pump();
  source.courier.OnProgress({kChannel, 5, 0, 0, 0, false, {}}, source.now);
  // Each in a commit of its own, 30,000 bytes when encoded.
  model::CreateGroupItem large;
  large.group.id = model::GroupId(7);
  large.group.name = std::string(30'000, 'x');
  for (int64_t number = 1; number <= 20; ++number) {
    auto batch = source.store.NewBatch();
    source.store.channels().PutOutbox(*batch, kChannel,
                                      {number, number, {EncodeItem(large)}, 0, {}});
    CHECK(source.store.Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
    source.courier.Committed(
        {{number, 1, std::make_shared<const model::Item>(large), {}, 0, EncodeItem(large).size()}},
        source.now);
  }
  int64_t arrived = 0;
  while (arrived < 20) {
    source.wire.items.clear();
    source.Pump();
    REQUIRE(source.wire.items.size() == 1);
    const auto& items = source.wire.items.front().items;
    CHECK(items.size() <= 3);
    for (const auto& item : items) CHECK(item.number == ++arrived);
    source.courier.OnProgress({kChannel, 5, kIncarnation, arrived, 0, false, {}}, source.now);
  }
}

TEST_CASE("a group whose name is not UTF-8 comes out of an item as it went in") {
  model::CreateGroupItem create;
  create.group.id = model::GroupId(7);
  create.group.name = "caf\xe9";
  const auto back = DecodeItem(EncodeItem(create));
  REQUIRE(back.ok());
  CHECK(std::get<model::CreateGroupItem>(*back).group.name == create.group.name);
}

TEST_CASE("an item that waits too long makes its source refuse more") {
  Source source(1);
  std::string why;
  CHECK(source.courier.MayEmit(source.now, &why));
  source.now += 2 * kSecond;
  CHECK_FALSE(source.courier.MayEmit(source.now, &why));
  source.Pump();
  source.courier.OnProgress({kChannel, 5, kIncarnation, 1, 0, false, {}}, source.now);
  CHECK(source.courier.MayEmit(source.now, &why));
}

TEST_CASE("the money of a channel is counted by both ends") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  target.Take(Money(5, 1, 3, 100));
  CHECK(target.FenOf(target.next()) == 100);
  TakeMoney(target);
  CHECK(target.mark().total_fen == 300);
  const auto told = target.TakeUntold();
  REQUIRE(told.has_value());
  CHECK(told->total_fen == 300);
  CHECK(told->refused.empty());
}

TEST_CASE("an item whose money does not add up is not taken until the channel is accepted") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  target.Take(Money(5, 1, 2, 100));
  target.Take(Money(5, 3, 4, 350));  // 50 fen that no item carried
  CHECK_FALSE(target.Acceptable().ok());
  TakeMoney(target);
  CHECK(target.mark().applied == 2);
  CHECK(target.mark().total_fen == 200);
  CHECK_FALSE(target.has_next());
  const auto told = target.TakeUntold();
  REQUIRE(told.has_value());
  CHECK(told->refused.find("200 fen were taken by item 2") != std::string::npos);
  CHECK(told->refused.find("350") != std::string::npos);

  // Nothing that the source sends again changes that.
  target.Take(Hello(6, 1, 4));
  target.Take(Money(6, 3, 4, 350));
  CHECK_FALSE(target.has_next());

  const auto mark = target.Acceptable();
  REQUIRE(mark.ok());
  CHECK(mark->applied == 2);
  CHECK(mark->total_fen == 250);  // 50 go to suspense
  target.Accept(*mark);
  target.Publish();
  target.Take(Hello(7, 1, 4));
  target.Take(Money(7, 3, 4, 350));
  TakeMoney(target);
  CHECK(target.mark().applied == 4);
  CHECK(target.mark().total_fen == 450);
}

TEST_CASE("a disagreement that a dropped batch had found is found again behind what came before") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  target.Take(Money(5, 1, 2, 100));
  target.Take(Money(5, 3, 3, 350));
  while (target.has_next() && target.FenOf(target.next())) target.Advance(target.next());
  CHECK_FALSE(target.has_next());
  target.Drop();
  REQUIRE(target.has_next());
  CHECK(target.next().number == 1);
  TakeMoney(target);
  CHECK(target.mark().total_fen == 200);
  CHECK_FALSE(target.has_next());
}

TEST_CASE("an item that cannot be decoded carries what its source counts") {
  Arrivals target(kChannel);
  target.Open({});
  target.Take(Hello(5, 1, 0));
  ChannelItems broken = Money(5, 1, 3, 100);
  broken.items[1].item = nullptr;
  target.Take(broken);
  target.Advance(target.next());
  CHECK(target.FenOf(target.next()) == 100);
  TakeMoney(target);
  CHECK(target.mark().total_fen == 300);
}

TEST_CASE("a source whose target has taken other money than it gave is stopped, and says so") {
  Source source(3);
  source.Pump();
  source.courier.OnProgress({kChannel, 5, kIncarnation, 3, 7, false, {}}, source.now);
  CHECK(source.courier.stopped().find("has given 0 fen, the target has taken 7") !=
        std::string::npos);
  CHECK_FALSE(source.courier.met());

  // The target's word for an item in the middle counts as well, also when the ends had met.
  Source other(3);
  other.Pump();
  other.courier.OnProgress({kChannel, 5, 0, 0, 0, false, {}}, other.now);
  other.Pump();
  CHECK(other.courier.met());
  other.courier.OnProgress({kChannel, 5, kIncarnation, 1, 0, false, "it does not add up"},
                           other.now);
  CHECK(other.courier.stopped() == "it does not add up");
  other.now += 2 * kSecond;
  other.Pump();
  CHECK(other.wire.items.back().items.empty());
  CHECK(other.wire.items.back().stopped);
}

TEST_CASE("a source that lost its tail is found out, however much it has given since") {
  Source source(3);
  for (int64_t number = 4; number <= 9; ++number) {
    source.courier.Committed(
        {{number, 1, std::make_shared<const model::Item>(model::DirectItem{}), {}, 0, 10}},
        source.now);
  }
  source.Pump();
  source.courier.OnProgress({kChannel, 5, kIncarnation, 5, 0, false, {}}, source.now);
  CHECK(source.courier.stopped().find("lost its tail") != std::string::npos);
}

TEST_CASE("what the outbox says of money travels with items that are read again") {
  Source source(0);
  auto batch = source.store.NewBatch();
  source.store.channels().PutOutbox(*batch, kChannel, {1, 2, {"a", "b"}, 1000, {30, 40}});
  source.store.channels().PutOutbox(*batch, kChannel, {3, 3, {"c"}, 1070, {}});
  CHECK(source.store.Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
  CHECK(source.courier.Open(source.store.channels(), {3, 1070}, 6, source.now).ok());
  source.Pump();
  CHECK(source.wire.items.back().total_fen == 1070);
  CHECK(source.wire.items.back().oldest_total_fen == 1000);
  source.courier.OnProgress({kChannel, 6, 0, 0, 0, false, {}}, source.now);
  source.Pump();
  const auto& items = source.wire.items.back().items;
  REQUIRE(items.size() == 3);
  CHECK(items[0].total_fen == 1030);
  CHECK(items[1].total_fen == 1070);
  CHECK(items[2].total_fen == 1070);
}

TEST_CASE("under a new incarnation nothing that was applied before is applied again") {
  // What the source had when it was rolled back, what the target had applied of its former life,
  // and what the target takes once the administrator has said so: two more are given meanwhile.
  struct Case {
    int64_t head;
    int64_t applied;
    std::vector<int64_t> taken;
  };
  for (const Case& c : {Case{5, 8, {6, 7}}, Case{5, 5, {6, 7}}, Case{5, 4, {5, 6, 7}},
                        Case{0, 8, {1, 2}}, Case{0, 1, {1, 2}}}) {
    CAPTURE(c.head);
    CAPTURE(c.applied);
    Source source(c.head);
    Arrivals target(kChannel);
    target.Open({kIncarnation - 1, c.applied, 0, 0});
    for (int64_t number = c.head + 1; number <= c.head + 2; ++number) {
      auto batch = source.store.NewBatch();
      source.store.channels().PutOutbox(*batch, kChannel, {number, number, {"not an item"}});
      CHECK(source.store.Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
      source.courier.Committed(
          {{number, 1, std::make_shared<const model::Item>(model::DirectItem{}), {}, 0, 10}},
          source.now);
    }
    std::vector<int64_t> taken;
    const auto talk = [&] {
      for (int i = 0; i < 4; ++i) {
        source.now += 2 * kSecond;
        source.Pump();
        for (auto& message : std::exchange(source.wire.items, {})) {
          if (auto progress = target.Take(std::move(message))) {
            source.courier.OnProgress(*progress, source.now);
          }
        }
        while (target.has_next()) {
          taken.push_back(target.next().number);
          target.Advance(target.next());
        }
        target.Publish();
        if (auto progress = target.TakeUntold()) source.courier.OnProgress(*progress, source.now);
      }
    };
    talk();
    CHECK(taken.empty());
    CHECK(source.courier.stopped().find("another incarnation") != std::string::npos);
    const auto mark = target.Acceptable();
    REQUIRE(mark.ok());
    target.Accept(*mark);
    target.Publish();
    talk();
    CHECK(taken == c.taken);
    CHECK(source.courier.stopped().empty());
  }
}

}  // namespace hongyan::shard
