#include "crowd.h"

#include <algorithm>

namespace hongyan::bench {
namespace {

constexpr size_t kAtOnce = 400;

}  // namespace

Crowd::Crowd(Stage& stage, const std::vector<Account>& accounts) : stage_(stage) {
  stage_.Run([&] {
    clients_.reserve(accounts.size());
    for (size_t i = 0; i < accounts.size(); ++i) {
      clients_.push_back(std::make_unique<LoadClient>(
          stage_.thread(), *this, accounts[i], stage_.SourceOf(i, accounts.size()),
          LoadClient::Pulls::kNo, static_cast<uint32_t>(i)));
    }
  });
}

Crowd::~Crowd() {
  stage_.Run([this] { clients_.clear(); });
}

bool Crowd::AllOnline() const {
  return std::all_of(clients_.begin(), clients_.end(),
                     [](const auto& one) { return one->online(); });
}

bool Crowd::Connect() {
  size_t started = 0;
  return stage_.WaitUntil("all " + std::to_string(clients_.size()) + " clients are logged in", [&] {
    size_t coming = 0;
    for (size_t i = 0; i < started; ++i) coming += clients_[i]->online() ? 0 : 1;
    for (; coming < kAtOnce && started < clients_.size(); ++coming) clients_[started++]->GoOnline();
    return coming == 0;
  });
}

int64_t Crowd::Heartbeats() {
  size_t asked = 0;
  stage_.Run([this] { heads_ = 0; });
  (void)stage_.WaitUntil("every heartbeat is answered", [&] {
    if (static_cast<int64_t>(asked) - heads_ < static_cast<int64_t>(kAtOnce)) {
      const size_t to = std::min(clients_.size(), asked + kAtOnce);
      for (; asked < to; ++asked) clients_[asked]->Heartbeat();
    }
    return heads_ >= static_cast<int64_t>(clients_.size());
  });
  return stage_.Run([this] { return heads_; });
}

}  // namespace hongyan::bench
