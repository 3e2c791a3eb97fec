#include "house.h"

#include <utility>

#include "base/check.h"

namespace hongyan::testing {

House::House(Options options) : options_(std::move(options)) {
  state = storage::MemoryState::Create(7, options_.shards);
  Start();
}

void House::Start() {
  store_ = std::make_unique<storage::MemoryMessageStore>(state, faults);
  router_ = std::make_unique<shard::Router>(store_->identity());
  carrier_ = std::make_unique<cluster::LocalCarrier>();
  for (int e = 0; e < options_.executors; ++e) {
    std::vector<model::ShardId> shards;
    for (int s = e; s < options_.shards; s += options_.executors) {
      shards.push_back(static_cast<model::ShardId>(s));
    }
    executors_.push_back(std::make_unique<shard::Executor>("messages-" + std::to_string(e), shards,
                                                           *store_, *carrier_, *this, clock,
                                                           options_.limits));
    for (const auto s : shards) carrier_->Register(s, *executors_.back());
  }
  for (auto& executor : executors_) {
    auto opened = executor->Open([this](model::ShardId) -> std::unique_ptr<shard::Logic> {
      auto logic = std::make_unique<MessageShard>(*store_, *router_, online, counters,
                                                  options_.group_limits);
      if (options_.around) return options_.around(std::move(logic));
      return logic;
    });
    CHECK(opened.ok());
  }
  Run();
}

model::RequestId House::NewId(int64_t ago_ms) {
  model::RequestId id;
  const int64_t ms = clock.WallMs() - ago_ms;
  for (int i = 0; i < 6; ++i)
    id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  const uint64_t n = next_id_++;
  for (int i = 0; i < 7; ++i)
    id.bytes[static_cast<size_t>(15 - i)] = static_cast<uint8_t>(n >> (8 * i));
  return id;
}

model::SendMessage House::MakeSend(const std::string& from, model::ConversationId to,
                                   const std::string& text, std::optional<model::RequestId> id) {
  v1::Body body;
  body.mutable_text()->set_text(text);
  model::SendMessage send;
  send.conversation = to;
  send.sender = User(from);
  send.client_msg_id = id.value_or(NewId());
  send.kind = model::BodyKind::kText;
  send.body = body.SerializeAsString();
  return send;
}

uint64_t House::Submit(model::ShardId shard, model::CommandBody body) {
  const uint64_t ticket = next_ticket_++;
  for (auto& executor : executors_) {
    if (!executor->drives(shard)) continue;
    model::Command command;
    command.reply_to = {0, ticket};
    command.shard = shard;
    command.body = std::move(body);
    CHECK(executor->Submit(std::move(command)).ok());
    break;
  }
  return ticket;
}

bool House::RunOnce() {
  bool moved = false;
  for (auto& executor : executors_) moved = executor->RunOnce() || moved;
  return moved;
}

void House::Run() {
  int still = 0;
  for (int i = 0; i < 100'000 && still < 4; ++i) still = RunOnce() ? 0 : still + 1;
}

std::optional<model::Reply> House::Take(uint64_t ticket) {
  const auto found = replies_.find(ticket);
  if (found == replies_.end()) return std::nullopt;
  model::Reply reply = std::move(found->second);
  replies_.erase(found);
  return reply;
}

int House::answers(uint64_t ticket) const {
  const auto found = answers_.find(ticket);
  return found == answers_.end() ? 0 : found->second;
}

model::Reply House::Await(uint64_t ticket) {
  Run();
  auto reply = Take(ticket);
  CHECK(reply.has_value());
  return *reply;
}

model::Reply House::Send(const std::string& from, model::ConversationId to, const std::string& text,
                         std::optional<model::RequestId> id,
                         std::optional<model::RequestId> after) {
  model::SendMessage send = MakeSend(from, to, text, id);
  send.after = after;
  return Await(Submit(router_->ShardOf(to), std::move(send)));
}

model::Reply House::Create(const std::string& creator, const std::string& name,
                           const std::vector<std::string>& members,
                           std::optional<model::RequestId> id) {
  model::CreateGroup create;
  create.creator = User(creator);
  create.request_id = id.value_or(NewId());
  create.id = router_->GroupIdOf(create.creator, create.request_id);
  create.name = name;
  for (const auto& member : members) create.members.push_back(User(member));
  const auto shard = router_->ShardOf(create.id);
  return Await(Submit(shard, std::move(create)));
}

model::Reply House::Change(const std::string& actor, model::GroupId group,
                           const std::vector<std::string>& add,
                           const std::vector<std::string>& remove,
                           std::optional<model::RequestId> id) {
  model::ChangeMembers change;
  change.group = group;
  if (!actor.empty()) change.actor = User(actor);
  change.request_id = id.value_or(NewId());
  for (const auto& name : add) change.add.push_back(User(name));
  for (const auto& name : remove) change.remove.push_back(User(name));
  return Await(Submit(router_->ShardOf(group), std::move(change)));
}

std::vector<storage::InboxStore::NumberedEntry> House::Entries(const std::string& name) {
  inbox::Reader reader(store_->inboxes(), online, store_->identity().generation);
  std::vector<storage::InboxStore::NumberedEntry> all;
  model::Seq cursor;
  for (;;) {
    auto page = reader.ReadPage(User(name), cursor, 100, storage::Reach::kDisk);
    CHECK(page.ok());
    for (const auto& entry : page->entries) all.push_back(entry);
    if (!page->more) return all;
    cursor = all.back().seq;
  }
}

std::vector<std::string> House::Inbox(const std::string& name) {
  std::vector<std::string> texts;
  for (const v1::Body& body : Bodies(name)) {
    texts.push_back(body.has_text() ? body.text().text() : "*");
  }
  return texts;
}

std::vector<v1::Body> House::Bodies(const std::string& name) {
  std::vector<v1::Body> all;
  for (const auto& [seq, entry] : Entries(name)) {
    v1::Body& body = all.emplace_back();
    if (entry.kind == model::EntryKind::kPacketReturned) continue;
    const storage::ConversationStore::MessageKey key{entry.conversation, entry.conv_seq};
    auto bodies = store_->conversations().ReadMessages({&key, 1}, storage::Reach::kDisk);
    CHECK(bodies.ok() && bodies->front().has_value());
    CHECK(body.ParseFromString(bodies->front()->body));
  }
  return all;
}

int64_t House::ConvSeq(const model::Reply& reply) {
  CHECK(reply.ok());
  if (const auto* sent = std::get_if<model::Sent>(&*reply)) return sent->conv_seq.value;
  return std::get<model::GroupChanged>(*reply).conv_seq.value;
}

model::GroupId House::Group(const model::Reply& reply) {
  CHECK(reply.ok());
  return std::get<model::GroupChanged>(*reply).group;
}

model::Reason House::Why(const model::Reply& reply) {
  return reply.ok() ? model::Reason::kNone : static_cast<model::Reason>(reply.error().reason);
}

void House::Replies(std::vector<shard::Outbound> replies) {
  for (const auto& reply : replies) ++answers_[reply.to.ticket];
  for (auto& reply : replies) replies_.insert_or_assign(reply.to.ticket, std::move(reply.reply));
}

void House::Effects(std::vector<model::Effect> told) {
  effects.insert(effects.end(), told.begin(), told.end());
}

}  // namespace hongyan::testing
