#include "access/front_door.h"

#include <chrono>
#include <future>
#include <utility>

#include "access/session.h"

namespace hongyan::access {

FrontDoor::FrontDoor(std::vector<net::Loop*> loops, const Services& services, const Limits& limits)
    : loops_(std::move(loops)) {
  for (net::Loop* loop : loops_) {
    desks_.push_back(std::make_unique<Desk>(*loop, services, limits, executors_));
  }
}

FrontDoor::~FrontDoor() = default;

net::Listener::Factory FrontDoor::factory() {
  return [this](net::Connection& connection) -> std::unique_ptr<net::ConnectionHandler> {
    Desk& desk = *desks_[static_cast<size_t>(connection.loop().index())];
    return std::make_unique<Session>(desk, connection);
  };
}

std::vector<model::DeviceId> FrontDoor::OnlineDevices(model::UserId user) {
  std::vector<model::DeviceId> online;
  for (size_t i = 0; i < desks_.size(); ++i) {
    const auto answer = std::make_shared<std::promise<std::vector<model::DeviceId>>>();
    auto devices = answer->get_future();
    Desk* const desk = desks_[i].get();
    const bool asked =
        loops_[i]->Post([desk, user, answer] { answer->set_value(desk->OnlineDevices(user)); });
    if (!asked || devices.wait_for(std::chrono::seconds(1)) != std::future_status::ready) continue;
    const auto here = devices.get();
    online.insert(online.end(), here.begin(), here.end());
  }
  return online;
}

void FrontDoor::Replies(std::vector<shard::Outbound> replies) {
  const auto post = [this](size_t loop, std::vector<shard::Outbound> part) {
    Desk* const desk = desks_[loop].get();
    loops_[loop]->Post(
        [desk, part = std::move(part)]() mutable { desk->OnReplies(std::move(part)); });
  };
  if (loops_.size() == 1) return post(0, std::move(replies));
  std::vector<std::vector<shard::Outbound>> parts(loops_.size());
  for (shard::Outbound& outbound : replies) {
    if (outbound.to.ticket != 0) parts.at(outbound.to.loop).push_back(std::move(outbound));
  }
  for (size_t loop = 0; loop < parts.size(); ++loop) {
    if (!parts[loop].empty()) post(loop, std::move(parts[loop]));
  }
}

void FrontDoor::Effects(std::vector<model::Effect> effects) {
  // A user's sessions may be on any loop; each knows its own.
  const auto shared = std::make_shared<const std::vector<model::Effect>>(std::move(effects));
  for (size_t i = 0; i < desks_.size(); ++i) {
    Desk* const desk = desks_[i].get();
    loops_[i]->Post([desk, shared] { desk->OnEffects(*shared); });
  }
}

void FrontDoor::Drain(int64_t spread_ms) {
  for (size_t i = 0; i < desks_.size(); ++i) {
    Desk* const desk = desks_[i].get();
    loops_[i]->Post([desk, spread_ms] { desk->Drain(spread_ms); });
  }
}

}  // namespace hongyan::access
