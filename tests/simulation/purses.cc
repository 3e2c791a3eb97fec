#include "simulation/purses.h"

#include <algorithm>
#include <utility>

#include "model/reason.h"

namespace hongyan::simulation {
namespace {

using model::PacketKind;

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kTimeoutMs = 8000;
constexpr size_t kAskedAtMost = 60;
constexpr int64_t kOldMs = int64_t{8} * 24 * 3600 * 1000;

bool Again(const base::Error& error) {
  return error.code == base::Code::kUnavailable || error.code == base::Code::kInternal ||
         error.code == base::Code::kResourceExhausted;
}

// Some are as large as an integer can be: those become smaller.
int64_t Another(int64_t fen, int64_t step) {
  int64_t more = 0;
  return __builtin_add_overflow(fen, step, &more) ? fen - step : more;
}

}  // namespace

std::string Purses::Describe() const {
  if (asked_.empty()) return {};
  const Asked& first = asked_.begin()->second;
  return fmt::format("{} requests of money are not answered, the first of kind {}, sent {} ms ago",
                     asked_.size(), first.body.index(),
                     first.sent_ns == 0 ? -1 : (now() - first.sent_ns) / kNsPerMs);
}

model::RequestId Purses::NewId(const FrontDoor& door, int64_t ago_ms) {
  model::RequestId id;
  ground_.random.Fill(id.bytes);
  const int64_t ms = door.time_ms() - ago_ms;
  for (int i = 0; i < 6; ++i)
    id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  id.bytes[6] = static_cast<uint8_t>(0x70 | (id.bytes[6] & 0x0f));
  return id;
}

// -- asking
// ----------------------------------------------------------------------------------------------

void Purses::Ask(model::CommandBody body, int64_t after_ms, bool echo) {
  if (const auto* moves = std::get_if<model::MoveManyFunds>(&body)) ground_.money.Asked(*moves);
  if (const auto* send = std::get_if<model::SendPacket>(&body)) {
    ground_.money.Asked(send->terms);
    ground_.witness.Asked(send->terms);
  }
  asked_[next_++] = {std::move(body), now() + after_ms * kNsPerMs, 0, echo};
}

void Purses::Endow() {
  for (const model::UserId user : ground_.witness.users()) {
    if (ground_.random.Chance(0.3)) continue;
    model::MoveManyFunds moves;
    moves.moves.push_back({user, fmt::format("m{}", next_move_++),
                           ground_.random.Between(1, 10'000), "to begin with"});
    Ask(std::move(moves));
  }
}

void Purses::Act(FrontDoor* door, bool busy) {
  if (door == nullptr) return;
  if (busy && asked_.size() < kAskedAtMost) Think(*door);
  if (!asked_.empty() && ground_.random.Chance(ground_.faults.app_dies)) {
    // A client that never comes back: whether it was served is for the disk to say.
    auto lost = asked_.begin();
    std::advance(lost, ground_.random.Below(static_cast<int64_t>(asked_.size())));
    asked_.erase(lost);
  }
  std::vector<uint64_t> due;
  for (const auto& [number, asked] : asked_) {
    const bool late = asked.sent_ns != 0 && now() - asked.sent_ns > kTimeoutMs * kNsPerMs;
    if ((asked.sent_ns == 0 || late) && now() >= asked.not_before_ns) due.push_back(number);
  }
  for (const uint64_t number : due) Send(*door, number);
}

void Purses::Send(FrontDoor& door, uint64_t number) {
  Asked& asked = asked_.at(number);
  asked.sent_ns = now();
  const auto* open = std::get_if<model::OpenPacket>(&asked.body);
  const bool had_claim = open != nullptr && ground_.money.HasClaim(open->packet, open->user);
  const model::CommandBody body = asked.body;
  const int copies = ground_.random.Chance(ground_.faults.asked_twice) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    door.Submit({{}, model::Priority::kMoney, 0, 0, body},
                [this, &door, number, had_claim](const model::Reply& reply) {
                  OnReply(door, number, had_claim, reply);
                });
  }
}

void Purses::OnReply(FrontDoor& door, uint64_t number, bool had_claim, const model::Reply& reply) {
  const auto found = asked_.find(number);
  if (found == asked_.end()) return;
  Asked& asked = found->second;
  if (auto* open = std::get_if<model::OpenPacket>(&asked.body)) {
    // Own claim first, whatever the packet's state, the membership or the time.
    INVARIANT(!had_claim || (reply.ok() && std::get<model::Opened>(*reply).already) ||
                  (!reply.ok() && Again(reply.error())),
              "user {} opens packet {} again and is {}", open->user.value, open->packet.value,
              reply.ok() ? "given another share" : reply.error().text);
    if (!reply.ok() && Again(reply.error()) && ground_.random.Chance(0.5)) {
      const auto* header =
          ground_.money.HasPacket(open->packet) ? &ground_.money.HeaderOf(open->packet) : nullptr;
      const auto eligible = header == nullptr
                                ? base::Result<model::Eligible>(open->eligible)
                                : door.membership().MayOpen(header->terms.conversation, open->user,
                                                            storage::Reach::kDisk);
      if (eligible.ok()) open->eligible = *eligible;
      ground_.money.Checked(open->packet, open->user, open->eligible);
    }
  }
  if (!reply.ok() && Again(reply.error())) {
    asked.sent_ns = 0;
    asked.not_before_ns =
        now() + (reply.error().retry_after_ms + ground_.random.Below(200)) * kNsPerMs;
    return;
  }
  INVARIANT(ground_.plan.faults.days > 0 || reply.ok() ||
                reply.error().reason != static_cast<uint16_t>(model::Reason::kStaleId),
            "a request id just made by the server's time is stale");
  const bool echo = asked.echo;
  const model::CommandBody body = std::move(asked.body);
  asked_.erase(found);
  if (!echo) AskAgain(body);
}

// The answer was lost, or its user pressed again: the same request; or, by a client gone wrong,
// another one under its id.
void Purses::AskAgain(const model::CommandBody& body) {
  Random& random = ground_.random;
  if (random.Chance(0.2)) Ask(body, random.Below(5000), true);
  if (!random.Chance(0.1)) return;
  if (const auto* send = std::get_if<model::SendPacket>(&body)) {
    model::SendPacket other = *send;
    if (random.Chance(0.5)) {
      other.terms.total_fen = Another(other.terms.total_fen, other.terms.shares);
    } else {
      other.terms.greeting += "!";
    }
    Ask(other, random.Below(1000), true);
  } else if (const auto* moves = std::get_if<model::MoveManyFunds>(&body)) {
    model::MoveManyFunds other = *moves;
    other.moves[0].amount_fen = Another(other.moves[0].amount_fen, 1);
    if (other.moves[0].amount_fen != 0) Ask(other, random.Below(1000), true);
  }
}

// -- what people do
// --------------------------------------------------------------------------------------

void Purses::Think(FrontDoor& door) {
  const auto dice = ground_.random.Below(100);
  if (dice < 8) {
    MoveSomething();
  } else if (dice < 25) {
    SendSomething(door);
  } else if (dice < 94) {
    OpenSomething(door);
  } else if (dice < 98) {
    ReturnSomething();
  } else {
    Ask(model::SetFrozen{ground_.random.Pick(ground_.witness.users()), ground_.random.Chance(0.3)});
  }
}

void Purses::MoveSomething() {
  Random& random = ground_.random;
  const model::UserId user = random.Pick(ground_.witness.users());
  model::MoveManyFunds moves;
  for (int64_t n = random.Between(1, 3); n > 0; --n) {
    const int64_t fen = random.Between(1, 1000);
    moves.moves.push_back({user, fmt::format("m{}", next_move_++), random.Chance(0.5) ? fen : -fen,
                           "by the administrator"});
  }
  Ask(std::move(moves));
}

model::UserId Purses::SomebodyIn(const model::ConversationId& conversation) {
  Random& random = ground_.random;
  if (random.Chance(0.1)) return random.Pick(ground_.witness.users());
  if (!conversation.is_group()) {
    return model::UserId(random.Chance(0.5) ? conversation.a : conversation.b);
  }
  const auto members = ground_.witness.MembersOf(conversation.group());
  return members.empty() ? random.Pick(ground_.witness.users()) : random.Pick(members);
}

model::PacketTerms Purses::SomeTerms(FrontDoor& door) {
  Random& random = ground_.random;
  model::PacketTerms terms;
  terms.sender = random.Pick(ground_.witness.users());
  terms.request_id = NewId(door);
  terms.greeting = "good luck";
  const auto groups = ground_.witness.GroupsOf(terms.sender);
  const bool direct = groups.empty() || random.Chance(0.25);
  if (direct) {
    terms.conversation =
        model::ConversationId::Direct(terms.sender, random.Pick(ground_.witness.users()));
  } else {
    terms.conversation = model::ConversationId::Group(random.Pick(groups));
  }
  const auto kind = random.Below(4);
  const int64_t cap = ground_.plan.money_limits.max_share_fen;
  terms.shares = direct ? 1 : static_cast<int32_t>(random.Between(1, 8));
  if (kind == 0) {
    terms.kind = PacketKind::kEqual;
    terms.total_fen = random.Between(1, std::min<int64_t>(cap, 60)) * terms.shares;
  } else if (kind == 1) {
    terms.kind = direct ? PacketKind::kTransfer : PacketKind::kExclusive;
    terms.shares = 1;
    terms.total_fen = random.Between(1, cap);
    terms.named =
        direct ? terms.conversation.peer_of(terms.sender) : SomebodyIn(terms.conversation);
  } else {
    terms.kind = PacketKind::kLucky;
    const int64_t most = std::min<int64_t>(cap * terms.shares, random.Chance(0.1) ? 2000 : 400);
    terms.total_fen = random.Between(terms.shares, std::max<int64_t>(terms.shares, most));
  }
  return terms;
}

void Purses::SendSomething(FrontDoor& door) {
  Random& random = ground_.random;
  model::PacketTerms terms = SomeTerms(door);
  if (random.Chance(0.06)) {  // what no good client asks for
    switch (random.Below(6)) {
      case 0:
        terms.total_fen = random.Chance(0.5) ? 0 : -5;
        break;
      case 1:
        terms.shares = random.Chance(0.5) ? 0 : 100;
        break;
      case 2:
        terms.total_fen = INT64_MAX;
        break;
      case 3:
        terms.greeting = std::string(21, 'x');
        break;
      case 4:
        terms.request_id = NewId(door, kOldMs);
        break;
      default:
        terms.kind = PacketKind::kNone;
    }
  }
  // Who may speak there is asked before; what changes afterwards refuses the announcement.
  const auto may = door.membership().MaySend(terms.conversation, terms.sender, terms.named,
                                             storage::Reach::kDisk);
  if (!may.ok() && random.Chance(0.6)) return;
  Ask(model::SendPacket{std::move(terms)}, random.Chance(0.5) ? 0 : random.Below(2000));
}

void Purses::OpenSomething(FrontDoor& door) {
  Random& random = ground_.random;
  const auto& packets = ground_.money.packets();
  if (packets.empty()) return;
  const auto count = static_cast<int64_t>(packets.size());
  model::PacketId packet =
      random.Chance(0.8)
          ? packets[static_cast<size_t>(count - 1 - random.Below(std::min<int64_t>(count, 4)))]
          : random.Pick(packets);
  if (!ground_.money.HasPacket(packet)) return;
  const model::ConversationId conversation = ground_.money.HeaderOf(packet).terms.conversation;
  if (random.Chance(0.02)) packet.value += 1000 * random.Between(1, 1000);
  // The crowd grabs at once.
  for (int64_t n = random.Between(1, 10); n > 0; --n) {
    const model::UserId user = SomebodyIn(conversation);
    auto grab = door.Grab(packet, user, nullptr);
    const auto eligible = door.membership().MayOpen(conversation, user, storage::Reach::kDisk);
    if (!eligible.ok()) continue;  // the store waits to be reopened
    if (grab.ok() && grab->kind != money::Board::Grab::Kind::kAlready) {
      grab = door.Grab(packet, user, &*eligible);
    }
    const bool answered = !grab.ok() || grab->kind == money::Board::Grab::Kind::kAlready;
    if (answered && random.Chance(0.8)) continue;
    ground_.money.Checked(packet, user, *eligible);
    Ask(model::OpenPacket{packet, user, *eligible}, random.Chance(0.6) ? 0 : random.Below(2000));
  }
}

void Purses::ReturnSomething() {
  Random& random = ground_.random;
  const auto& packets = ground_.money.packets();
  if (packets.empty()) return;
  const model::PacketId packet = random.Pick(packets);
  if (!ground_.money.HasPacket(packet)) return;
  const model::PacketTerms& terms = ground_.money.HeaderOf(packet).terms;
  model::ReturnPacket back{packet, terms.named};
  if (random.Chance(0.1)) back.user = {};  // the administrator, any packet
  if (random.Chance(0.1)) back.user = random.Pick(ground_.witness.users());
  Ask(back);
}

}  // namespace hongyan::simulation
