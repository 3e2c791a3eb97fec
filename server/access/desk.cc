#include "access/desk.h"

#include <utility>

#include "access/session.h"
#include "base/check.h"

namespace hongyan::access {
namespace {

constexpr size_t kKnownUsers = 200'000;

}  // namespace

Desk::Desk(net::Loop& loop, const Services& services, const Limits& limits,
           const Executors& executors)
    : loop_(loop),
      services_(services),
      limits_(limits),
      executors_(executors),
      known_users_(kKnownUsers) {}

Desk::~Desk() = default;

// -- sessions

void Desk::Register(Session& session) {
  Session*& first = online_[session.user()];
  session.next_of_user = first;
  first = &session;
  services_.online.Register(session.user());
  counts_.sessions.Add();
}

void Desk::Unregister(Session& session) {
  const auto it = online_.find(session.user());
  CHECK(it != online_.end());
  Session** link = &it->second;
  while (*link != &session) link = &(*link)->next_of_user;
  *link = session.next_of_user;
  session.next_of_user = nullptr;
  if (it->second == nullptr) online_.erase(it);
  services_.online.Unregister(session.user());
  counts_.sessions.Add(-1);
}

std::vector<model::DeviceId> Desk::OnlineDevices(model::UserId user) const {
  std::vector<model::DeviceId> devices;
  const auto it = online_.find(user);
  if (it == online_.end()) return devices;
  for (const Session* session = it->second; session != nullptr; session = session->next_of_user) {
    if (session->online()) devices.push_back(session->device());
  }
  return devices;
}

// -- to the shards

void Desk::Submit(Session& session, uint32_t request_id, const Request& request,
                  model::ShardId shard, model::CommandBody body) {
  Waiting waiting;
  waiting.session = session.name();
  waiting.request_id = request_id;
  waiting.request = &request;
  model::Command command;
  command.reply_to.loop = static_cast<uint32_t>(loop_.index());
  command.reply_to.ticket = waiting_.Put(std::move(waiting));
  command.priority = request.priority;
  command.shard = shard;
  command.body = std::move(body);
  Gather(shard, std::move(command));
}

void Desk::Submit(model::Priority priority, model::ShardId shard, model::CommandBody body,
                  std::function<void(model::Reply)> done) {
  model::Command command;
  command.reply_to.loop = static_cast<uint32_t>(loop_.index());
  if (done) {
    Waiting waiting;
    waiting.done = std::make_unique<std::function<void(model::Reply)>>(std::move(done));
    command.reply_to.ticket = waiting_.Put(std::move(waiting));
  }
  command.priority = priority;
  command.shard = shard;
  command.body = std::move(body);
  Gather(shard, std::move(command));
}

void Desk::Gather(model::ShardId shard, model::Command command) {
  shard::Executor* const executor = &executors_.Of(shard);
  Gathered* gathered = nullptr;
  for (Gathered& candidate : gathered_) {
    if (candidate.executor == executor) gathered = &candidate;
  }
  if (gathered == nullptr) gathered = &gathered_.emplace_back(Gathered{executor, {}});
  gathered->commands.push_back(std::move(command));
  if (handing_over_) return;
  handing_over_ = true;
  loop_.AtTurnEnd([this] { HandOver(); });
}

void Desk::HandOver() {
  handing_over_ = false;
  for (Gathered& gathered : gathered_) {
    if (gathered.commands.empty()) continue;
    std::vector<uint64_t> tickets;
    tickets.reserve(gathered.commands.size());
    for (const model::Command& command : gathered.commands) {
      tickets.push_back(command.reply_to.ticket);
    }
    const size_t usual = gathered.commands.size();
    auto submitted = gathered.executor->SubmitAll(std::exchange(gathered.commands, {}));
    gathered.commands.reserve(usual);
    if (submitted.ok()) continue;
    // The queue is full: none was taken. Each gets its own pause, so that they do not come back
    // together.
    for (const uint64_t ticket : tickets) OnReply(ticket, services_.admission.Busy());
  }
}

// -- from the shards

void Desk::OnReplies(std::vector<shard::Outbound> replies) {
  for (shard::Outbound& outbound : replies) OnReply(outbound.to.ticket, std::move(outbound.reply));
}

void Desk::OnReply(uint64_t ticket, model::Reply reply) {
  Waiting* const found = waiting_.Find(ticket);
  if (found == nullptr) return;  // nobody waits
  const Waiting waiting = std::move(*found);
  waiting_.Remove(ticket);
  if (waiting.request == nullptr) {
    (*waiting.done)(std::move(reply));
    return;
  }
  Session* session = FindSession(waiting.session);
  if (session == nullptr) return;  // its connection has gone
  waiting.request->replied(*session, waiting.request->command, waiting.request_id,
                           std::move(reply));
  session = FindSession(waiting.session);
  if (session != nullptr) session->Replied(*waiting.request);
}

void Desk::OnEffects(const std::vector<model::Effect>& effects) {
  for (const model::Effect& effect : effects) {
    std::visit([this](const auto& what) { Apply(what); }, effect);
  }
}

void Desk::Apply(const model::HeadMoved& moved) {
  const auto it = online_.find(moved.user);
  if (it == online_.end()) return;
  for (Session* session = it->second; session != nullptr; session = session->next_of_user) {
    session->Heard(moved);
  }
}

void Desk::Apply(const model::SessionsEnded& ended) {
  const auto it = online_.find(ended.user);
  if (it == online_.end()) return;
  for (Session* session = it->second; session != nullptr;) {
    Session* const next = session->next_of_user;  // an ended one leaves the list
    session->Heard(ended);
    session = next;
  }
}

void Desk::Apply(const model::WalletChanged& changed) {
  const auto it = online_.find(changed.user);
  if (it == online_.end()) return;
  for (Session* session = it->second; session != nullptr; session = session->next_of_user) {
    session->Heard(changed);
  }
}

// -- answers

std::string_view Desk::Encode(const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  if (encoded_.size() < size) encoded_.resize(size);
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(encoded_.data()));
  return {encoded_.data(), size};
}

void Desk::Drain(int64_t spread_ms) {
  draining_ = true;
  drain_spread_ms_ = spread_ms;
  std::vector<Session*> sessions;
  sessions_.ForEach([&sessions](Session* session) { sessions.push_back(session); });
  std::vector<uint64_t> names;
  for (const Session* session : sessions) names.push_back(session->name());
  for (const uint64_t name : names) {
    if (Session* const session = FindSession(name)) session->Drain();
  }
}

}  // namespace hongyan::access
