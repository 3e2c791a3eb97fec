#include "simulation/front_door.h"

#include <algorithm>
#include <utility>

#include "model/reason.h"

namespace hongyan::simulation {
namespace {

constexpr int64_t kNsPerUs = 1000;
constexpr int64_t kNsPerMs = 1'000'000;

}  // namespace

// Where a command goes, as access routes it.
model::ShardId FrontDoor::ShardOf(const model::CommandBody& body) const {
  const shard::Router& router = server_.router;
  const money::Routes& routes = server_.routes;
  if (const auto* send = std::get_if<model::SendMessage>(&body))
    return router.ShardOf(send->conversation);
  if (const auto* create = std::get_if<model::CreateGroup>(&body))
    return router.ShardOf(create->id);
  if (const auto* change = std::get_if<model::ChangeMembers>(&body))
    return router.ShardOf(change->group);
  if (const auto* users = std::get_if<model::CreateUsers>(&body))
    return router.ShardOf(users->users[0].id);
  if (const auto* open = std::get_if<model::OpenSession>(&body)) return router.ShardOf(open->user);
  if (const auto* confirm = std::get_if<model::ConfirmCursor>(&body))
    return router.ShardOf(confirm->user);
  if (const auto* revoke = std::get_if<model::RevokeTokens>(&body))
    return router.ShardOf(revoke->user);
  if (const auto* retry = std::get_if<model::RetryParked>(&body)) return retry->target;
  if (const auto* back = std::get_if<model::ReturnParked>(&body)) return back->target;
  if (const auto* accept = std::get_if<model::AcceptChannel>(&body)) return accept->target;
  if (const auto* packet = std::get_if<model::SendPacket>(&body))
    return routes.WalletOf(packet->terms.sender);
  if (const auto* moves = std::get_if<model::MoveManyFunds>(&body))
    return routes.WalletOf(moves->moves[0].user);
  if (const auto* freeze = std::get_if<model::SetFrozen>(&body))
    return routes.WalletOf(freeze->user);
  // An id that nobody gave is anybody's.
  if (const auto* grab = std::get_if<model::OpenPacket>(&body))
    return routes.ShardOf(grab->packet).value_or(model::kFirstMoneyShard);
  if (const auto* back = std::get_if<model::ReturnPacket>(&body))
    return routes.ShardOf(back->packet).value_or(model::kFirstMoneyShard);
  throw Broken("the front door does not know where this command goes");
}

FrontDoor::FrontDoor(Server server, Ground ground, uint64_t first_connection)
    : server_(std::move(server)),
      ground_(ground),
      inbox_(server_.store.inboxes(), server_.online, server_.store.identity().generation),
      conversations_(server_.store.conversations()),
      membership_(server_.store.conversations(), [this] { return time_ms(); }),
      next_connection_(first_connection) {}

FrontDoor::~FrontDoor() {
  *alive_ = false;
  const auto sessions = std::move(sessions_);
  for (const auto& [connection, session] : sessions) session.caller->OnGone(connection);
}

template <class Fn>
void FrontDoor::Later(int64_t delay_ns, Fn what) {
  ground_.events.In(delay_ns, [alive = alive_, what = std::move(what)] {
    if (*alive) what();
  });
}

int64_t FrontDoor::Late() {
  return ground_.random.Chance(0.7) ? 0 : ground_.random.Below(20'000) * kNsPerUs;
}

// -- connections
// -----------------------------------------------------------------------------------------

uint64_t FrontDoor::Connect(Caller& caller) {
  const uint64_t connection = next_connection_++;
  sessions_[connection].caller = &caller;
  return connection;
}

void FrontDoor::HangUp(uint64_t connection) {
  const auto found = sessions_.find(connection);
  if (found == sessions_.end()) return;
  if (found->second.registered) server_.online.Unregister(found->second.user);
  Caller* caller = found->second.caller;
  sessions_.erase(found);
  caller->OnGone(connection);
}

std::vector<uint64_t> FrontDoor::connections() const {
  std::vector<uint64_t> all;
  for (const auto& [connection, session] : sessions_) all.push_back(connection);
  return all;
}

void FrontDoor::Send(uint64_t connection, Request request) {
  const auto found = sessions_.find(connection);
  if (found == sessions_.end()) return;
  const int64_t now = ground_.clock.BootNs();
  int64_t& last = found->second.last_in_ns;
  last = std::max(last, now + Late());
  Later(last - now,
        [this, connection, request = std::move(request)] { OnRequest(connection, request); });
}

void FrontDoor::Deliver(uint64_t connection, Answer answer) {
  const auto found = sessions_.find(connection);
  if (found == sessions_.end()) return;
  const int64_t now = ground_.clock.BootNs();
  int64_t& last = found->second.last_out_ns;
  last = std::max(last, now + Late());
  Later(last - now, [this, connection, answer = std::move(answer)] {
    const auto session = sessions_.find(connection);
    if (session != sessions_.end()) session->second.caller->OnAnswer(connection, answer);
  });
}

// -- requests
// --------------------------------------------------------------------------------------------

void FrontDoor::OnRequest(uint64_t connection, const Request& request) {
  const auto found = sessions_.find(connection);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  const uint64_t number = request.number;
  if (const auto* login = std::get_if<Login>(&request.body)) {
    OnLogin(connection, number, *login);
  } else if (std::holds_alternative<Heartbeat>(request.body)) {
    const auto head = server_.online.Head(session.user);
    if (head.has_value()) {
      ground_.witness.HeadShown(session.user, *head);
      session.told.Say(*head);
    }
    Deliver(connection, {number, Beat{head, time_ms()}});
  } else if (const auto* sync = std::get_if<Sync>(&request.body)) {
    OnSync(connection, session, number, *sync);
  } else if (const auto* send = std::get_if<model::SendMessage>(&request.body)) {
    OnCommand(connection, number, *send);
  } else if (const auto* create = std::get_if<model::CreateGroup>(&request.body)) {
    OnCommand(connection, number, *create);
  } else if (const auto* change = std::get_if<model::ChangeMembers>(&request.body)) {
    OnCommand(connection, number, *change);
  }
}

// A session is registered for effects before its head is read.
void FrontDoor::OnLogin(uint64_t connection, uint64_t number, const Login& login) {
  Session& session = sessions_.at(connection);
  session.user = login.user;
  session.device = login.device;
  session.registered = true;
  server_.online.Register(login.user);
  model::OpenSession open;
  open.user = login.user;
  open.device = login.device;
  open.device_class = "phone";
  Submit({{}, model::Priority::kLogin, 0, 0, open}, [this, connection,
                                                     number](const model::Reply& reply) {
    const auto found = sessions_.find(connection);
    if (found == sessions_.end()) return;
    Session& me = found->second;
    if (!reply.ok()) return Deliver(connection, {number, Failed{reply.error()}});
    const auto head = inbox::StoredHead(server_.store.inboxes(), me.user,
                                        server_.store.identity().generation, storage::Reach::kDisk);
    if (!head) return Deliver(connection, {number, Failed{head.error()}});
    server_.online.Prime(me.user, *head);
    me.session_number = std::get<model::SessionOpened>(*reply).session_number;
    if (me.session_number < me.ended_below) return HangUp(connection);
    me.logged_in = true;
    me.told.Say(*head);
    Deliver(connection, {number, LoggedIn{*head, time_ms()}});
  });
}

base::Result<SyncPage> FrontDoor::ReadPage(model::UserId user, const Sync& sync) const {
  // As a loop asks: memory first, then the disk.
  auto page = inbox_.ReadPage(user, sync.cursor, sync.limit, storage::Reach::kMemory);
  if (!page && page.error().code == base::Code::kUnavailable && page.error().reason == 0) {
    page = inbox_.ReadPage(user, sync.cursor, sync.limit, storage::Reach::kDisk);
  }
  if (!page) return page.error();
  INVARIANT(!page->truncated, "a sync of user {} is truncated although nothing was ever trimmed",
            user.value);
  SyncPage answer;
  answer.head = page->head;
  std::vector<storage::ConversationStore::MessageKey> keys;
  for (const auto& entry : page->entries) {
    if (entry.entry.kind == model::EntryKind::kMessage)
      keys.push_back({entry.entry.conversation, entry.entry.conv_seq});
  }
  auto bodies = conversations_.Bodies(keys, storage::Reach::kDisk);
  if (!bodies) return bodies.error();
  auto body = bodies->begin();
  for (const auto& entry : page->entries) {
    answer.messages.emplace_back();
    if (entry.entry.kind != model::EntryKind::kMessage) continue;
    INVARIANT(body->has_value(), "an entry of user {} has no body", user.value);
    answer.messages.back() = **body++;
  }
  answer.entries = std::move(page->entries);
  return answer;
}

void FrontDoor::OnSync(uint64_t connection, Session& session, uint64_t number, const Sync& sync) {
  auto page = ReadPage(session.user, sync);
  if (!page) {
    // The only reason is a store that waits to be reopened.
    INVARIANT(page.error().code == base::Code::kUnavailable, "a sync of user {} from {} failed: {}",
              session.user.value, sync.cursor.value, page.error().text);
    session.told.SyncFailed();
    return Deliver(connection, {number, Failed{page.error()}});
  }
  ground_.witness.HeadShown(session.user, page->head);
  session.told.Synced(page->head);
  Deliver(connection, {number, std::move(page).value()});
  if (ground_.random.Chance(0.1)) {
    Submit({{},
            model::Priority::kSync,
            0,
            0,
            model::ConfirmCursor{session.user, session.device, sync.cursor}},
           {});
  }
}

void FrontDoor::OnCommand(uint64_t connection, uint64_t number, model::CommandBody body) {
  if (ground_.random.Chance(ground_.faults.asked_twice))
    Submit({{}, model::Priority::kChat, 0, 0, body}, {});
  Submit({{}, model::Priority::kChat, 0, 0, std::move(body)},
         [this, connection, number](const model::Reply& reply) {
           if (reply.ok()) return Deliver(connection, {number, *reply});
           Deliver(connection, {number, Failed{reply.error()}});
         });
}

// -- to the shards and back
// ------------------------------------------------------------------------------

void FrontDoor::Submit(model::Command command, std::function<void(const model::Reply&)> done) {
  const bool says_so = std::holds_alternative<model::ArchiveDay>(command.body) ||
                       std::holds_alternative<model::RestoreDay>(command.body);
  if (!says_so) command.shard = ShardOf(command.body);
  command.reply_to = {0, next_ticket_++};
  const uint64_t ticket = command.reply_to.ticket;
  waiting_[ticket] = {command.body, std::move(done)};
  auto submitted = server_.executor_of(command.shard).Submit(std::move(command));
  if (submitted.ok()) return;
  const auto waiting = waiting_.extract(ticket);
  if (waiting.mapped().done) waiting.mapped().done(submitted.error());
}

void FrontDoor::Answered(const Waiting& waiting, const model::Reply& reply) {
  if (const auto* send = std::get_if<model::SendMessage>(&waiting.command)) {
    ground_.witness.Answered(*send, reply);
  } else if (const auto* create = std::get_if<model::CreateGroup>(&waiting.command)) {
    ground_.witness.Answered(*create, reply);
  } else if (const auto* change = std::get_if<model::ChangeMembers>(&waiting.command)) {
    ground_.witness.Answered(*change, reply);
  } else {
    ground_.money.Answered(waiting.command, reply);
  }
}

base::Result<money::Board::Grab> FrontDoor::Grab(model::PacketId packet, model::UserId user,
                                                 const model::Eligible* eligible) {
  const auto shard = server_.routes.ShardOf(packet);
  if (!shard) return money::Board::Grab{};
  const shard::Executor& executor = server_.executor_of(*shard);
  auto grab = server_.board.Look(packet, user, eligible, executor.time_ms(),
                                 executor.opens_in_flight(packet));
  ground_.money.Grabbed(packet, user, grab);
  return grab;
}

void FrontDoor::Replies(std::vector<shard::Outbound> replies) {
  if (silent_) return;
  for (auto& outbound : replies) {
    const auto waiting = waiting_.find(outbound.to.ticket);
    INVARIANT(waiting != waiting_.end(), "command {} was answered twice", outbound.to.ticket);
    ground_.trace.Note("reply {} {}", outbound.to.ticket,
                       outbound.reply.ok() ? std::string_view("ok")
                                           : std::string_view(outbound.reply.error().text));
    Answered(waiting->second, outbound.reply);
    auto done = std::move(waiting->second.done);
    waiting_.erase(waiting);
    if (!done) continue;
    Later(Late(), [done = std::move(done), reply = std::move(outbound.reply)] { done(reply); });
  }
}

void FrontDoor::Effects(std::vector<model::Effect> effects) {
  if (silent_) return;
  for (const auto& effect : effects) {
    if (const auto* moved = std::get_if<model::HeadMoved>(&effect)) {
      ground_.trace.Note("head {} {}..{}", moved->user.value, moved->first_new.value,
                         moved->head.value);
      ground_.witness.HeadShown(moved->user, moved->head);
      if (ground_.random.Chance(ground_.faults.effect_lost)) continue;
    }
    const int copies = ground_.random.Chance(ground_.faults.effect_twice) ? 2 : 1;
    for (int i = 0; i < copies; ++i) Later(Late(), [this, effect] { OnEffect(effect); });
  }
}

void FrontDoor::OnEffect(const model::Effect& effect) {
  if (const auto* moved = std::get_if<model::HeadMoved>(&effect)) {
    for (auto& [connection, session] : sessions_) {
      if (session.registered && session.user == moved->user) {
        session.told.Heard(*moved, moved->all_from == session.device);
      }
    }
    return;
  }
  if (std::holds_alternative<model::WalletChanged>(effect)) return;
  const auto& ended = std::get<model::SessionsEnded>(effect);
  std::vector<uint64_t> over;
  for (auto& [connection, session] : sessions_) {
    const bool meant = session.registered && session.user == ended.user &&
                       (ended.device.is_zero() || session.device == ended.device);
    if (!meant) continue;
    session.ended_below = std::max(session.ended_below, ended.below);
    if (session.logged_in && session.session_number < ended.below) over.push_back(connection);
  }
  for (const uint64_t connection : over) HangUp(connection);
}

void FrontDoor::Poll() {
  const int64_t now_ms = ground_.clock.BootNs() / kNsPerMs;
  for (auto& [connection, session] : sessions_) {
    if (!session.logged_in) continue;
    if (const auto head = session.told.Notify(now_ms)) {
      ground_.witness.HeadShown(session.user, *head);
      Deliver(connection, {0, Notify{*head}});
    }
  }
  CheckHeads();
}

void FrontDoor::CheckSessions() const {
  for (const auto& [connection, session] : sessions_) {
    if (!session.logged_in) continue;
    const auto row = server_.store.accounts().FindDevice(session.user, session.device);
    INVARIANT(row.ok() && row->has_value(), "user {} is logged in on a device without a row",
              session.user.value);
    const model::Device& device = **row;
    INVARIANT(session.session_number == device.session_number &&
                  device.lowest_token_number < device.next_token_number,
              "session {} of user {} lives on although {}", session.session_number,
              session.user.value,
              session.session_number == device.session_number ? "its tokens are revoked"
                                                              : "a later one replaced it");
  }
}

// Committed heads shown to readers never fall and never run ahead of the store.
void FrontDoor::CheckHeads() {
  for (const auto& [connection, session] : sessions_) {
    if (!session.registered) continue;
    const auto head = server_.online.Head(session.user);
    if (!head.has_value()) continue;
    ground_.witness.HeadShown(session.user, *head);
    model::Seq& shown = shown_[session.user];
    // It is forgotten with the last session and read anew, so it may start below only then.
    INVARIANT(*head >= shown, "the head shown for user {} falls from {} to {}", session.user.value,
              shown.value, head->value);
    shown = *head;
  }
}

}  // namespace hongyan::simulation
