#include <chrono>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "admin/day_wire.h"
#include "admin/errand.h"
#include "admin/service.h"
#include "model/reason.h"

namespace hongyan::admin {
namespace {

base::Result<v1::AdminReply> Answer(base::Result<std::vector<money::DayState>> states) {
  if (!states) return std::move(states).error();
  v1::AdminReply reply;
  v1::MoveDayReply& moved = *reply.mutable_move_day();
  for (const money::DayState& state : *states) {
    moved.set_packets(moved.packets() + state.totals.packets);
    if (state.archived) Fill(state.shard, *state.archived, moved.add_files());
  }
  return reply;
}

}  // namespace

money::Ask Service::AskShards() {
  return [this](model::ShardId shard, model::CommandBody body) -> model::Reply {
    constexpr auto kLook = std::chrono::milliseconds(100);  // whether the server is ending
    auto promise = std::make_shared<std::promise<model::Reply>>();
    auto reply = promise->get_future();
    desk_.loop().Post([this, shard, body = std::move(body), promise]() mutable {
      desk_.Submit(model::Priority::kMoney, shard, std::move(body),
                   [promise](model::Reply answer) { promise->set_value(std::move(answer)); });
    });
    while (reply.wait_for(kLook) != std::future_status::ready) {
      if (!ending_) continue;
      return model::Refuse(base::Code::kUnavailable, model::Reason::kDraining,
                           "the server is going down: do the same again later", 1000);
    }
    return reply.get();
  };
}

void Service::ArchiveDay(ErrandPtr errand, const v1::ArchiveDay& request) {
  ReadLong(std::move(errand), [this, day = request.day()] {
    return Answer(
        money::ArchiveDay(money_store_, day, AskShards(), [this] { return ending_.load(); }));
  });
}

void Service::RestoreDay(ErrandPtr errand, const v1::RestoreDay& request) {
  ReadLong(std::move(errand), [this, day = request.day()] {
    return Answer(
        money::RestoreDay(money_store_, day, AskShards(), [this] { return ending_.load(); }));
  });
}

}  // namespace hongyan::admin
