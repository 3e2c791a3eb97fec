#include "simulation/world.h"

#include <algorithm>
#include <utility>

#include "model/reason.h"
#include "money/audit.h"

namespace hongyan::simulation {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;
constexpr int64_t kMidnightMs = int64_t{20'834} * kDayMs;
constexpr int64_t kWallStepMs = 12 * 3600 * 1000;  // the wall clock stays within half of it
constexpr int64_t kCalmMs = 120'000;               // by then everything has come to rest

}  // namespace

World::World(uint64_t seed, Trace& trace)
    : trace_(trace),
      random_(seed),
      plan_(DrawPlan(random_)),
      clock_(kMidnightMs - plan_.to_midnight_ms),
      events_(clock_),
      state_(storage::MemoryState::Create(random_.Next(), plan_.shards)),
      router_(state_->identity),
      money_state_(storage::MemoryMoneyState::Create(random_.Next(), plan_.money_shards)),
      wallets_(money_state_->identity),
      routes_(wallets_, money_state_->money, router_),
      carrier_(events_, random_, faults_, plan_, trace_) {}

World::~World() = default;

FrontDoor* World::door() { return life_ ? life_->door.get() : nullptr; }

Summary World::Run() {
  trace_.Note(
      "plan shards {} executors {} users {} crowd {} steps {} batch {} slice {} shortcut {} "
      "money {}",
      plan_.shards, plan_.executors, plan_.users, plan_.crowd, plan_.steps,
      plan_.limits.batch_records, plan_.limits.slice_at_least, plan_.limits.shortcut_entries,
      plan_.money() ? plan_.money_shards : 0);
  CreateUsers();
  Storm();
  Calm();
  witness_->LookAtTheEnd();
  if (plan_.money()) {
    money_->LookAtTheEnd();
    money_->AskForSends({*life_->money_store, life_->routes});
    AuditMoney(true);
  }
  summary_.money = money_->TallyUp();
  summary_.messages = witness_->messages();
  summary_.entries = witness_->entries();
  if (plan_.lost_tail != Plan::LostTail::kNone) {
    LoseTail();
  } else if (plan_.money()) {
    MoveDays();
  }
  summary_.steps = trace_.step;
  return summary_;
}

// -- the beginning
// ---------------------------------------------------------------------------------------

void World::CreateUsers() {
  std::vector<model::UserId> users;
  std::vector<model::User> rows;
  for (int i = 0; i < plan_.users + plan_.crowd; ++i) {
    model::User user;
    user.name = fmt::format("u{}", i);
    user.id = router_.UserIdOf(user.name);
    users.push_back(user.id);
    rows.push_back(std::move(user));
  }
  witness_ = std::make_unique<Witness>(*state_, users);
  money_ = std::make_unique<MoneyWitness>(*money_state_, *witness_, routes_);
  purses_ = std::make_unique<Purses>(
      Purses::Ground{random_, clock_, plan_, faults_, trace_, *witness_, *money_});
  app_users_.assign(users.begin(), users.begin() + plan_.users);
  Start();
  for (const auto& user : rows) {
    bool created = false;
    for (int tries = 0; tries < 100 && !created; ++tries) {
      life_->door->Submit({{}, model::Priority::kLogin, 0, 0, model::CreateUsers{{user}}},
                          [&created](const model::Reply& reply) { created = reply.ok(); });
      for (int i = 0; i < 100 && !created; ++i) Step();
    }
    INVARIANT(created, "a user was not created");
  }
  if (plan_.money()) purses_->Endow();
  for (const auto user : app_users_) {
    for (int64_t n = random_.Between(1, 3); n > 0; --n) {
      devices_.push_back(std::make_unique<Device>(
          static_cast<int>(devices_.size()), user,
          Device::Ground{random_, clock_, plan_, trace_, *witness_, router_}));
    }
  }
}

void World::Storm() {
  faults_ = plan_.faults;
  for (int i = 0; i < plan_.steps; ++i) {
    Step();
    Mischief();
    if (i != plan_.copied_at || plan_.lost_tail == Plan::LostTail::kNone) continue;
    old_messages_ = *state_;
    old_money_ = *money_state_;
  }
}

// No more faults, nothing new: everything acknowledged must arrive, and nothing may wait for ever.
void World::Calm() {
  trace_.Note("calm");
  calm_ = true;
  faults_ = Faults{};
  if (!life_) Start();
  for (const auto& device : devices_) device->StayOnline();
  RestUntil(clock_.BootNs() + kCalmMs * kNsPerMs);
  if (life_->trims_are_back) {
    Kill("at rest");
    Start();
    RestUntil(clock_.BootNs() + kCalmMs * kNsPerMs);
  }
  if (plan_.money()) OutliveThePackets();
  // Whoever has only copies of its own to pull learns of them by the next heartbeat; a slice that
  // rotted is found by the next message of its group.
  for (const auto& device : devices_) device->BeatNow();
  TouchGroups();
  for (int i = 0; i < 16; ++i) Step();
  RestUntil(clock_.BootNs() + kCalmMs * kNsPerMs);
  for (const auto& device : devices_) device->BeatNow();
  for (int i = 0; i < 10'000 && clock_.BootNs() > 0; ++i) {
    Step();
    if (std::all_of(devices_.begin(), devices_.end(), [](const auto& device) {
          return device->removed() || (device->online() && device->caught_up());
        })) {
      break;
    }
    INVARIANT(i < 9'999, "a device does not get its own copies although it asked for the head");
  }
  const int64_t heard_ns = clock_.BootNs() + 100 * kNsPerMs;  // effects are under way 20 ms
  while (clock_.BootNs() < heard_ns) Step();
  life_->door->CheckSessions();
  ReadHistories();
}

// Every packet's time comes; then nothing of money is left anywhere but in wallets.
void World::OutliveThePackets() {
  trace_.Note("all packets expire");
  clock_.Advance(plan_.money_limits.life_ms + plan_.money_limits.life_ms / 50 + 1000);
  const int64_t until_ns = clock_.BootNs() + kCalmMs * kNsPerMs;
  while (!money_->AllClosed()) {
    INVARIANT(clock_.BootNs() < until_ns, "a packet is open {} s after the end of its life",
              kCalmMs / 1000);
    Step();
  }
  RestUntil(clock_.BootNs() + kCalmMs * kNsPerMs);
}

// What the administrator's audit says of the books is what is true of them.
void World::AuditMoney(bool drained) {
  if (!life_) return;
  const auto report = money::Audit(*life_->money_store);
  using Verdict = money::AuditReport::Verdict;
  // A store that waits to be reopened cannot be read.
  if (!drained && report.verdict == Verdict::kNotProven && report.findings.empty()) return;
  INVARIANT(report.verdict == Verdict::kProven, "the audit finds {} at {}: {}",
            report.findings.empty() ? "nothing" : report.findings.front().what,
            report.findings.empty() ? "" : report.findings.front().where,
            report.findings.empty() ? report.unread.front() : report.findings.front().text);
  INVARIANT(!drained || report.in_transit_fen == 0, "{} fen are still on their way",
            report.in_transit_fen);
}

void World::RestUntil(int64_t until_ns) {
  do {
    Step();
    if (trace_.step % 32 == 0 && Rest()) return;
  } while (clock_.BootNs() < until_ns);
  INVARIANT(false, "{} s without any fault, and still: {}", kCalmMs / 1000, WhatIsStillBusy());
}

void World::SendUntilAccepted(model::SendMessage send) {
  life_->door->Submit({{}, model::Priority::kChat, 0, 0, send}, [this,
                                                                 send](const model::Reply& reply) {
    if (reply.ok()) {
      --touching_;
      return;
    }
    INVARIANT(reply.error().retry_after_ms > 0, "a good send was refused for ever: {}",
              reply.error().text);
    events_.In(reply.error().retry_after_ms * kNsPerMs, [this, send] { SendUntilAccepted(send); });
  });
}

void World::TouchGroups() {
  for (const auto group : witness_->groups()) {
    const auto members = witness_->MembersOf(group);
    if (members.empty()) continue;
    model::SendMessage send;
    send.conversation = model::ConversationId::Group(group);
    send.sender = members.front();
    send.client_msg_id = IdAt(life_->door->time_ms());
    send.kind = model::BodyKind::kText;
    send.body = "is everybody there?";
    witness_->Asked(send, -1, 0);
    ++touching_;
    SendUntilAccepted(std::move(send));
  }
}

// What a member may read of a group is what was said while it was one, page by page and in either
// direction.
void World::ReadHistories() {
  witness_->Look();
  const conversation::Reader reader(life_->store->conversations());
  for (const auto user : app_users_) {
    for (const auto group : witness_->groups()) {
      conversation::Reader::HistoryQuery query;
      query.conversation = model::ConversationId::Group(group);
      query.limit = static_cast<size_t>(random_.Between(1, 20));
      query.forward = random_.Chance(0.5);
      const auto expected = witness_->VisibleTo(user, group);
      std::vector<model::ConvSeq> seen;
      for (;;) {
        auto page = reader.History(user, query, storage::Reach::kDisk);
        INVARIANT(page.ok() == expected.has_value(), "the history of group {} {} user {}",
                  group.value, page.ok() ? "is shown to" : "is hidden from", user.value);
        if (!page) break;
        for (const auto& message : page->messages) seen.push_back(message.seq);
        INVARIANT(!page->more || !page->messages.empty(),
                  "a page of history is empty and yet not the last");
        if (!page->more) break;
        (query.forward ? query.after : query.before) = seen.back();
      }
      if (!query.forward) std::reverse(seen.begin(), seen.end());
      INVARIANT(!expected.has_value() || seen == *expected,
                "user {} sees {} messages of group {}, not {}", user.value, seen.size(),
                group.value, expected->size());
    }
  }
}

std::string World::WhatIsStillBusy() const {
  std::string busy;
  for (const auto& device : devices_) {
    if (!device->removed() && (!device->idle() || !device->knows_all()))
      busy += device->Describe() + "; ";
  }
  if (touching_ > 0) busy += fmt::format("{} groups are not touched yet; ", touching_);
  if (life_->door->waiting() > 0)
    busy += fmt::format("{} commands wait for a reply; ", life_->door->waiting());
  if (!purses_->idle()) busy += purses_->Describe() + "; ";
  busy += money_->WhatIsUnderWay();
  if (!state_->parked.empty()) {
    busy += fmt::format("{} items are parked, the first because {}; ", state_->parked.size(),
                        state_->parked.begin()->second.why);
  }
  for (const auto& driver : life_->drivers) {
    for (const auto& channel : driver.executor->report().channels) {
      if (channel.backlog_items == 0 && channel.stopped.empty()) continue;
      busy += fmt::format("channel {}>{} has {} items under way {}; ", channel.source,
                          channel.target, channel.backlog_items, channel.stopped);
    }
  }
  if (!busy.empty() || life_->trims_are_back) return busy;
  for (const auto* outbox : {&state_->outbox, &money_state_->outbox}) {
    if (outbox->empty()) continue;
    const auto& [channel, last] = outbox->begin()->first;
    busy += fmt::format("delivered items up to {} of channel {}>{} stay in the outbox; ", last,
                        channel.source, channel.target);
  }
  return busy;
}

bool World::Rest() const { return life_ != nullptr && WhatIsStillBusy().empty(); }

// -- a step
// ----------------------------------------------------------------------------------------------

void World::Step() {
  ++trace_.step;
  PassTime();
  events_.RunDue();
  if (!life_ && random_.Chance(0.2)) Start();
  RunExecutors();
  if (life_) life_->door->Poll();
  for (int i = 0; i < 3 && !devices_.empty(); ++i) {
    Device& device = *random_.Pick(devices_);
    device.Act(door(), !calm_ && random_.Chance(plan_.activity));
  }
  if (plan_.money()) purses_->Act(door(), !calm_ && random_.Chance(plan_.spending));
  if (trace_.step % 16 == 0) {
    witness_->Look();
    if (plan_.money()) money_->Look();
  }
  if (plan_.money() && trace_.step % 256 == 0) AuditMoney(false);
}

void World::PassTime() {
  const auto dice = random_.Below(1000);
  if (dice < 600) {
    clock_.Advance(random_.Below(3));
  } else if (dice < 985) {
    clock_.Advance(random_.Below(30));
  } else if (dice < 999) {
    clock_.Advance(random_.Below(1500));
  } else {
    clock_.Advance(random_.Below(12'000));
  }
  if (random_.Chance(faults_.days)) {
    trace_.Note("days pass");
    clock_.Advance(random_.Below(int64_t{4} * 24 * 3600 * 1000));
  }
  if (!random_.Chance(faults_.clock_step)) return;
  const int64_t offset = random_.Between(-kWallStepMs / 2, kWallStepMs / 2);
  clock_.StepWall(offset - wall_offset_ms_);
  trace_.Note("wall clock {:+} ms", offset - wall_offset_ms_);
  wall_offset_ms_ = offset;
}

void World::RunExecutors() {
  if (!life_) return;
  try {
    for (Life::Driver& driver : life_->drivers) {
      if (!calm_ && !random_.Chance(plan_.run)) continue;
      if (clock_.BootNs() < stalled_until_[driver.money ? 1 : 0]) continue;
      driver.executor->RunOnce();
      if (dying_) throw ProcessDied{};
      if (clock_.BootNs() - driver.ticked_ns >= 100 * kNsPerMs) {
        driver.ticked_ns = clock_.BootNs();
        driver.executor->Tick();
      }
    }
  } catch (const ProcessDied&) {
    Kill("at a commit");
  }
}

// -- what goes wrong
// -------------------------------------------------------------------------------------

void World::Mischief() {
  if (random_.Chance(faults_.disk_full))
    disk_full_until_ = clock_.BootNs() + random_.Below(3000) * kNsPerMs;
  if (random_.Chance(faults_.stall)) {
    // Chat or money is down for so long that packets may expire meanwhile.
    const bool money = random_.Chance(0.5);
    trace_.Note("the {} shards stand still", money ? "money" : "message");
    stalled_until_[money ? 1 : 0] =
        clock_.BootNs() + random_.Below(2 * plan_.money_limits.life_ms % 60'000 + 1) * kNsPerMs;
  }
  if (random_.Chance(faults_.die)) Kill("at any moment");
  if (life_ && random_.Chance(faults_.hang_up)) {
    const auto connections = life_->door->connections();
    if (!connections.empty()) life_->door->HangUp(random_.Pick(connections));
  }
  if (random_.Chance(faults_.app_dies)) random_.Pick(devices_)->Die(door());
  if (random_.Chance(faults_.reinstall)) {
    Device& old = *random_.Pick(devices_);
    const auto of_user =
        std::count_if(devices_.begin(), devices_.end(),
                      [&old](const auto& device) { return device->user() == old.user(); });
    if (!old.removed() && of_user < 10) {
      old.Remove(door());
      trace_.Note("user {} installs the app anew", old.user().value);
      devices_.push_back(std::make_unique<Device>(
          static_cast<int>(devices_.size()), old.user(),
          Device::Ground{random_, clock_, plan_, trace_, *witness_, router_}));
    }
  }
  if (life_ && random_.Chance(0.05)) Probe();
}

// -- requests no good client makes
// -----------------------------------------------------------------------

model::RequestId World::IdAt(int64_t ms) {
  model::RequestId id;
  random_.Fill(id.bytes);
  for (int i = 0; i < 6; ++i)
    id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  id.bytes[6] = static_cast<uint8_t>(0x70 | (id.bytes[6] & 0x0f));
  return id;
}

void World::Probe() {
  switch (random_.Below(4)) {
    case 0:
      return ProbeRepeat();
    case 1:
      return ProbeStale();
    case 2:
      return ProbeChannels();
    default:
      return Administrate();
  }
}

// What was accepted, again: the same numbers, or CONFLICT where the content differs.
void World::ProbeRepeat() {
  if (witness_->accepted().empty()) return;
  model::SendMessage send = random_.Pick(witness_->accepted()).send;
  const bool other = random_.Chance(0.5);
  if (other) send.body += "!";
  life_->door->Submit({{}, model::Priority::kChat, 0, 0, send}, [other](const model::Reply& reply) {
    const auto reason =
        reply.ok() ? model::Reason::kNone : static_cast<model::Reason>(reply.error().reason);
    INVARIANT(!other || !reply.ok(), "other content under an accepted id was accepted");
    INVARIANT(other || reply.ok() || reason != model::Reason::kConflict,
              "a true repeat was called a conflict");
    INVARIANT(other || reply.ok() || reply.error().code == base::Code::kUnavailable ||
                  reply.error().code == base::Code::kInternal || reason == model::Reason::kBusy,
              "a repeat of an accepted send was refused: {}", reply.error().text);
  });
}

// Ids too old, too new or of no form, and `after` a send that never was.
void World::ProbeStale() {
  model::SendMessage send;
  send.sender = random_.Pick(app_users_);
  send.conversation = model::ConversationId::Direct(send.sender, random_.Pick(witness_->users()));
  random_.Fill(send.sender_device.bytes);
  send.kind = model::BodyKind::kText;
  send.body = "never";
  const int64_t now_ms = life_->door->time_ms();
  const auto kind = random_.Below(4);
  send.client_msg_id = IdAt(now_ms);
  if (kind == 0) send.client_msg_id = IdAt(now_ms - int64_t{8} * 24 * 3600 * 1000);
  // Days may pass before it is carried out: far enough ahead to be so even then.
  const int64_t ahead_ms = plan_.faults.days > 0 ? int64_t{30} * 24 * 3600 * 1000 : 15 * 60 * 1000;
  if (kind == 1) send.client_msg_id = IdAt(now_ms + ahead_ms);
  if (kind == 2) send.client_msg_id.bytes[6] = 0x40;
  if (kind == 3) send.after = IdAt(now_ms);
  life_->door->Submit({{}, model::Priority::kChat, 0, 0, send}, [kind](const model::Reply& reply) {
    INVARIANT(!reply.ok(), "a send with a bad id or a false `after` was accepted (kind {})", kind);
  });
}

// The administrator's words about channels, where there is nothing to say: they must do no harm.
void World::ProbeChannels() {
  const auto source = static_cast<model::ShardId>(random_.Below(plan_.shards));
  const auto target = static_cast<model::ShardId>(random_.Below(plan_.shards));
  if (random_.Chance(0.8)) {
    life_->door->Submit({{}, model::Priority::kChat, 0, 0, model::RetryParked{source, target, 0}},
                        {});
  } else {
    life_->door->Submit({{}, model::Priority::kChat, 0, 0, model::AcceptChannel{source, target}},
                        [](const model::Reply& reply) {
                          INVARIANT(!reply.ok(), "a channel that is not stopped was accepted anew");
                        });
  }
}

// The administrator changes members too, and throws users out: their devices log in again.
void World::Administrate() {
  if (random_.Chance(0.2)) {
    life_->door->Submit(
        {{}, model::Priority::kChat, 0, 0, model::RevokeTokens{random_.Pick(app_users_), {}}}, {});
    return;
  }
  const auto groups = witness_->groups();
  if (groups.empty()) return;
  model::ChangeMembers change;
  change.group = random_.Pick(groups);
  change.request_id = IdAt(life_->door->time_ms());
  const auto members = witness_->MembersOf(change.group);
  for (int64_t n = random_.Between(1, 4); n > 0; --n) {
    const auto user = random_.Chance(0.5) || members.empty() ? random_.Pick(witness_->users())
                                                             : random_.Pick(members);
    const bool known =
        std::find(change.add.begin(), change.add.end(), user) != change.add.end() ||
        std::find(change.remove.begin(), change.remove.end(), user) != change.remove.end();
    if (!known) (random_.Chance(0.6) ? change.add : change.remove).push_back(user);
  }
  witness_->Asked(change);
  life_->door->Submit({{}, model::Priority::kChat, 0, 0, change}, {});
}

}  // namespace hongyan::simulation
