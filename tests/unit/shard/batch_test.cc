// A batch of an executor, with rules made for the test.

#include <memory>
#include <utility>
#include <vector>

#include "shard/executor.h"
#include "storage/memory/memory_message_store.h"
#include "tests/doctest_last.h"

namespace hongyan::shard {
namespace {

struct NoCarrier final : cluster::Carrier {
  void Send(cluster::ChannelItems message) override { items.push_back(std::move(message)); }
  void Send(cluster::ChannelProgress) override {}
  std::vector<cluster::ChannelItems> items;
};

struct NoOutlet final : Outlet {
  void Replies(std::vector<Outbound>) override {}
  void Effects(std::vector<model::Effect>) override {}
};

// Each command gives two items to the shard's own channel: one that fits into the same commit, and
// one that is too large for it. The first of them fails.
struct SmallThenLarge final : Logic {
  void Apply(UnitOfWork& work, const model::Command&) override {
    work.Emit(work.shard(), model::DirectItem{}, 1);
    work.Emit(work.shard(), model::DirectItem{}, 1000);
  }
  base::Result<ItemOutcome> ApplyItem(UnitOfWork&, const ItemPlace& place, const model::Item&,
                                      size_t) override {
    applied.push_back(place.number);
    if (applied.size() == 1) return base::Error(base::Code::kUnavailable, "not now");
    return ItemOutcome::Applied();
  }
  void Publish(std::vector<model::Effect>&) override {}
  void Drop() override {}
  void Forget(std::vector<model::Effect>&) override {}
  void AbandonWaiting(UnitOfWork&, const base::Error&) override {}

  std::vector<int64_t> applied;
};

}  // namespace

TEST_CASE("an item that fails in the emitting commit is kept before those that follow it") {
  base::ManualClock clock{1'790'000'000'000};
  storage::MemoryMessageStore store{storage::MemoryState::Create(1, 1)};
  NoCarrier carrier;
  NoOutlet outlet;
  SmallThenLarge* logic = nullptr;
  Executor executor("test", {0}, store, carrier, outlet, clock, {});
  REQUIRE(executor.Open([&logic](model::ShardId) {
    auto made = std::make_unique<SmallThenLarge>();
    logic = made.get();
    return made;
  }));
  // The ends meet: only then may an item be applied in the emitting commit.
  executor.RunOnce();
  REQUIRE(carrier.items.size() == 1);
  executor.OnItems(carrier.items.front());
  executor.RunOnce();
  executor.OnProgress({{0, 0}, carrier.items.front().meeting, 0, 0, 0, false, {}});
  executor.RunOnce();

  model::Command command;
  command.body = model::SetDisabled{};
  REQUIRE(executor.Submit(command));
  executor.RunOnce();
  REQUIRE(logic->applied == std::vector<int64_t>{1});
  const auto rows = store.channels().ReadOutbox({0, 0}, 1, 100, 1 << 20);
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().first == 1);
  CHECK(rows->front().last == 2);
}

}  // namespace hongyan::shard
