#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "shard/unit_of_work.h"
#include "simulation/trace.h"

namespace hongyan::simulation {

// The real logic of a shard, watched at its door: what is refused, put aside or failed has written
// nothing and sent nothing (a send of money may have its refusal remembered), and nothing is
// published while its commit is open. Shard thread.
class WatchedLogic final : public shard::Logic {
 public:
  explicit WatchedLogic(std::unique_ptr<shard::Logic> logic) : logic_(std::move(logic)) {}

  void Apply(shard::UnitOfWork& work, const model::Command& command) override {
    Watch watch(work);
    const size_t before = work.batch().records();
    logic_->Apply(watch, command);
    const size_t remembered = std::holds_alternative<model::SendPacket>(command.body) ? 1 : 0;
    INVARIANT(!watch.aside || (work.batch().records() == before && watch.emitted == 0),
              "a command was put aside and yet has written {} records and {} items",
              work.batch().records() - before, watch.emitted);
    INVARIANT(
        !watch.refused || (work.batch().records() <= before + remembered && watch.emitted == 0),
        "a command was refused ({}) and yet has written {} records and {} items", watch.why,
        work.batch().records() - before, watch.emitted);
  }

  base::Result<shard::ItemOutcome> ApplyItem(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                             const model::Item& item, size_t max_records) override {
    Watch watch(work);
    const size_t before = work.batch().records();
    auto outcome = logic_->ApplyItem(watch, place, item, max_records);
    INVARIANT(outcome.ok() || (work.batch().records() == before && watch.emitted == 0),
              "an item of kind {} failed ({}) and yet has written {} records and {} items",
              item.index(), outcome.ok() ? "" : outcome.error().text,
              work.batch().records() - before, watch.emitted);
    return outcome;
  }

  base::Result<void> Suspend(shard::UnitOfWork& work, int64_t fen) override {
    return logic_->Suspend(work, fen);
  }
  base::Result<void> SendOn(shard::UnitOfWork& work, const model::Item& item) override {
    return logic_->SendOn(work, item);
  }
  bool Due(int64_t time_ms) const override { return logic_->Due(time_ms); }
  void ApplyDue(shard::UnitOfWork& work, size_t max_records) override {
    logic_->ApplyDue(work, max_records);
  }
  bool SetApart(shard::UnitOfWork& work, const model::Command& command) override {
    return logic_->SetApart(work, command);
  }
  void SetApartDue(shard::UnitOfWork& work) override { logic_->SetApartDue(work); }
  void Publish(std::vector<model::Effect>& effects) override { logic_->Publish(effects); }
  void Drop() override { logic_->Drop(); }
  void Forget(std::vector<model::Effect>& effects) override { logic_->Forget(effects); }
  void AbandonWaiting(shard::UnitOfWork& work, const base::Error& error) override {
    logic_->AbandonWaiting(work, error);
  }

 private:
  struct Watch final : shard::UnitOfWork {
    explicit Watch(shard::UnitOfWork& w) : UnitOfWork(w.shard(), w.time_ms(), w.batch()), work(w) {}

    void Emit(model::ShardId target, model::Item item, int32_t entries) override {
      ++emitted;
      work.Emit(target, std::move(item), entries);
    }
    void Reply(const model::ReplyTo& to, model::Reply reply) override {
      if (!reply.ok()) {
        refused = true;
        why = reply.error().text;
      }
      work.Reply(to, std::move(reply));
    }
    bool MayEmit(model::ShardId target, std::string* reason) const override {
      return work.MayEmit(target, reason);
    }
    void AwaitArrivals() override {
      aside = true;
      work.AwaitArrivals();
    }
    bool waited() const override { return work.waited(); }
    bool arrivals_missing() const override { return work.arrivals_missing(); }
    bool BelowDiskReserve() const override { return work.BelowDiskReserve(); }

    shard::UnitOfWork& work;
    bool refused = false;
    bool aside = false;
    int emitted = 0;
    std::string why;
  };

  std::unique_ptr<shard::Logic> logic_;
};

}  // namespace hongyan::simulation
