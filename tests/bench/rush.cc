#include "rush.h"

#include <algorithm>

#include "hongyan/v1/command.pb.h"
#include "refusal.h"

// Who is there, and what is sent.

namespace hongyan::bench {
namespace {

constexpr int64_t kTickMs = 5;
constexpr int64_t kRichFen = 1'000'000'000;
constexpr int64_t kBeyondFen = 20'000'000;  // more than the poor ever get together
// A group whose members are busy, away or gone does not wait for them for longer than this.
constexpr int64_t kPatienceNs = 60'000'000;

constexpr double kPoor = 0.3;
constexpr double kImpatient = 0.25;
constexpr double kComesAndGoes = 0.1;
constexpr double kNeverOpens = 0.05;
constexpr double kLeaves = 0.15;
constexpr int kLastLeave = 30;  // packets after which the last leaver has left

LoadClient::Conversation Direct(int64_t x, int64_t y) { return {std::min(x, y), std::max(x, y)}; }

}  // namespace

Rush::Rush(Stage& stage, PacketBooks& books, const Plan& plan)
    : stage_(stage), books_(books), plan_(plan), random_(stage.options().seed ^ 0x2ed) {}

Rush::~Rush() {
  stage_.Run([this] {
    timer_.reset();
    for (Person& person : people_) {
      person.client->GoOffline();
      person.asker.reset();
    }
    people_.clear();
  });
}

// ---- users, money, groups ----

base::Result<void> Rush::Prepare() {
  const auto members = static_cast<size_t>(plan_.members);
  const auto poor = static_cast<size_t>(troubled() ? plan_.members * kPoor : 0);
  groups_.resize(static_cast<size_t>(plan_.groups));
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    auto accounts = stage_.MakeUsers("r" + std::to_string(g) + "u", members, members);
    if (!accounts.ok()) return accounts.error();
    group.accounts = std::move(*accounts);
    // The poor have no wallet before their first share.
    const auto paid =
        stage_.admin().Deposit(group.accounts, 0, members - poor, kRichFen, stage_.prefix());
    if (!paid.ok()) return paid;
    std::vector<int64_t> ids;
    for (const Account& account : group.accounts) ids.push_back(account.user_id);
    const auto id = stage_.admin().MakeGroup(stage_.prefix() + "rush" + std::to_string(g), ids,
                                             group.accounts.front().name, stage_.random());
    if (!id.ok()) return id.error();
    group.id = {0, *id};
  }
  stage_.Run([&] {
    const size_t all = groups_.size() * members;
    people_.reserve(all);
    for (Group& group : groups_) {
      group.first = static_cast<uint32_t>(people_.size());
      for (size_t i = 0; i < members; ++i) {
        const uint32_t index = books_.AddPerson(group.accounts[i]);
        Person person;
        person.group = static_cast<uint32_t>(&group - groups_.data());
        person.rich = i < members - poor;
        if (person.rich) books_.Deposited(index, kRichFen);
        person.client = std::make_unique<LoadClient>(stage_.thread(), *this, group.accounts[i],
                                                     stage_.SourceOf(index, all),
                                                     LoadClient::Pulls::kYes, index);
        person.asker = std::make_unique<Asker>(stage_.thread(), *person.client);
        people_.push_back(std::move(person));
      }
      ChooseHabits(group);
    }
  });
  return {};
}

void Rush::ChooseHabits(Group& group) {
  group.staying = plan_.members;
  if (!troubled()) return;
  for (int i = 0; i < plan_.members; ++i) {
    Person& person = people_[group.first + static_cast<uint32_t>(i)];
    person.hasty = Chance(0.3);
    person.never_opens = Chance(kNeverOpens);
    if (Chance(kImpatient)) person.asker->SetPatience(static_cast<int>(Between(1, 4)));
    person.comes_and_goes = Chance(kComesAndGoes);
    // The owner stays, and the first few, so that there is always somebody with money.
    if (i >= 3 && Chance(kLeaves)) {
      person.leaves_after = static_cast<int>(Between(1, kLastLeave));
      --group.staying;
    }
  }
}

bool Rush::Connect() {
  size_t started = 0;
  constexpr size_t kAtOnce = 400;
  return stage_.WaitUntil("all " + std::to_string(people_.size()) + " people are logged in", [&] {
    size_t coming = 0;
    for (size_t i = 0; i < started; ++i) coming += people_[i].client->online() ? 0 : 1;
    for (; coming < kAtOnce && started < people_.size(); ++coming) {
      people_[started++].client->GoOnline();
    }
    return coming == 0;
  });
}

void Rush::OnOnline(LoadClient& client) { people_[client.index()].asker->OnOnline(); }

// ---- sending ----

void Rush::Start() {
  sending_ = true;
  timer_ = std::make_unique<sdk::Timer>(stage_.thread().runtime, [this] { Tick(); });
  timer_->Arm(kTickMs);
  for (Group& group : groups_) SendNext(group);
}

void Rush::BeginWindow() {
  counts_ = {};
  open_.Clear();
  grab_.Clear();
}

int64_t Rush::least_sent() const {
  int least = groups_.front().sent;
  for (const Group& group : groups_) least = std::min(least, group.sent);
  return least;
}

void Rush::Tick() {
  const int64_t now = NowNs();
  while (!later_.empty() && later_.front().at_ns <= now) {
    std::pop_heap(later_.begin(), later_.end(), std::greater<>());
    const Later later = later_.back();
    later_.pop_back();
    Open(later.person, later.packet, false);
  }
  for (Group& group : groups_) Look(group);
  for (Person& person : people_) {
    if (!person.comes_and_goes || now < person.change_ns) continue;
    if (person.client->wanted_online() && sending_) {
      person.client->GoOffline();
    } else {
      person.client->GoOnline();
    }
    person.change_ns = now + Between(50'000'000, 800'000'000);
  }
  timer_->Arm(kTickMs);
}

// Has everybody done with the group's packet what they wanted to do at once?
bool Rush::DoneWith(const Group& group) const {
  if (group.current < 0) return true;
  const PacketBooks::Send& send = books_.send(static_cast<uint32_t>(group.current));
  if (send.told == PacketBooks::Send::Told::kRefused) return true;
  if (troubled() && NowNs() - group.sent_ns > kPatienceNs) return true;
  const PacketBooks::Packet* const packet = books_.Find(send.packet_id);
  if (packet == nullptr) return false;
  const auto n = static_cast<size_t>(packet - books_.packets().data());
  return n < met_.size() && met_[n].done >= (met_[n].in_group ? group.staying : 2);
}

void Rush::Look(Group& group) {
  if (sending_ && DoneWith(group)) SendNext(group);
}

void Rush::SendNext(Group& group) {
  const auto drawn = [&] {
    return group.first + static_cast<uint32_t>(Between(0, plan_.members - 1));
  };
  uint32_t person = drawn();
  while (!people_[person].rich || people_[person].leave_asked) person = drawn();
  uint32_t other = drawn();
  while (other == person) other = drawn();
  PacketBooks::Send send;
  send.conversation = group.id;
  const double kind = troubled() ? std::uniform_real_distribution<>(0, 1)(random_) : 0;
  if (kind < 0.5) {
    send.kind = v1::PACKET_LUCKY;
    send.shares = static_cast<int32_t>(troubled() ? Between(1, plan_.members + plan_.members / 8)
                                                  : plan_.members);
    send.total_fen = Between(send.shares, int64_t{send.shares} * 40);
  } else if (kind < 0.7) {
    send.kind = v1::PACKET_EQUAL;
    send.shares = static_cast<int32_t>(Between(1, plan_.members + 5));
    send.total_fen = send.shares * Between(1, 300);
  } else if (kind < 0.8) {
    send.kind = v1::PACKET_EXCLUSIVE;
    send.named = UserOf(other);
    send.total_fen = Between(1, 20'000);
  } else {
    send.kind = kind < 0.95 ? v1::PACKET_TRANSFER : v1::PACKET_LUCKY;
    send.conversation = Direct(UserOf(person), UserOf(other));
    send.named = send.kind == v1::PACKET_TRANSFER ? UserOf(other) : 0;
    send.total_fen = Between(1, 20'000);
  }
  const bool too_much = troubled() && Chance(0.02);
  if (too_much) {
    person = group.first + static_cast<uint32_t>(plan_.members - 1);  // a poor one
    other = group.first;
    send.kind = v1::PACKET_TRANSFER;
    send.conversation = Direct(UserOf(person), UserOf(other));
    send.named = UserOf(other);
    send.shares = 1;
    send.total_fen = kBeyondFen;
  }
  ++group.sent;
  group.sent_ns = NowNs();
  group.current = static_cast<int64_t>(books_.sends().size());
  Send(person, std::move(send), too_much ? Meant::kBeyondFunds : Meant::kGood);
  // Who sends and leaves at once: the packet becomes a message or comes back, never both.
  if (troubled() && people_[person].leaves_after >= 0 && Chance(0.3)) Leave(person);
}

void Rush::Send(uint32_t person, PacketBooks::Send send, Meant meant) {
  send.person = person;
  send.request_id.resize(16);
  stage_.thread().DrawId(send.request_id.data());
  v1::SendPacket wire;
  wire.set_request_id(send.request_id);
  wire.set_kind(send.kind);
  wire.mutable_conversation()->set_a(send.conversation.a);
  wire.mutable_conversation()->set_b(send.conversation.b);
  wire.set_amount_fen(send.kind == v1::PACKET_EQUAL ? send.total_fen / send.shares
                                                    : send.total_fen);
  wire.set_shares(send.shares);
  wire.set_named(send.named);
  wire.set_greeting("good luck");
  const uint32_t number = books_.Ask(std::move(send));
  people_[person].asker->Ask(
      v1::SEND_PACKET, wire.SerializeAsString(), NowNs(),
      [this, person, number, meant](const Asker::Reply& r) { OnSent(person, number, meant, r); });
}

void Rush::OnSent(uint32_t person, uint32_t number, Meant meant, const Asker::Reply& reply) {
  if (reply.refused == nullptr) {
    v1::SendPacketReply sent;
    if (!reply.Read(sent)) return Fail(person, "the answer to a send cannot be read");
    if (meant == Meant::kBeyondFunds) Fail(person, "sent more than the wallet held");
    if (meant == Meant::kAsStranger) Fail(person, "sent into a group it had left");
    ++counts_.sends;
    ++total_.sends;
    books_.Taken(number, sent.packet_id());
    Know(books_.PacketOf(sent.packet_id()), books_.send(number));
    // Nobody takes from a packet whose message is not stored: this waits for it.
    if (troubled() && Chance(0.1)) Open(person, books_.PacketOf(sent.packet_id()), false);
    return;
  }
  books_.Refused(number);
  const v1::Reason why = reply.refused->reason();
  const PacketBooks::Send& send = books_.send(number);
  const bool left = people_[person].leave_asked;
  bool named_left = false;
  for (size_t i = 0; send.named != 0 && i < people_.size(); ++i) {
    named_left =
        named_left || (UserOf(static_cast<uint32_t>(i)) == send.named && people_[i].leave_asked);
  }
  const bool right =
      (meant == Meant::kBeyondFunds && (why == v1::NO_FUNDS || why == v1::NO_SUCH_WALLET)) ||
      (left && why == v1::NOT_A_MEMBER) || (named_left && why == v1::NAMED_PERSON_INVALID);
  if (!right) Fail(person, "a send was refused, " + Describe(*reply.refused));
}

void Rush::OnReturned(LoadClient& client, const v1::Entry& entry) {
  stage_.tally().moved.fetch_add(1, std::memory_order_relaxed);
  books_.Returned(client.index(), entry);
}

// ---- the end ----

void Rush::PullAll() {
  for (Person& person : people_) {
    person.client->GoOnline();
    person.client->Pull();
  }
}

bool Rush::Drain() {
  stage_.Run([this] { sending_ = false; });
  int64_t asked_ns = 0;
  return stage_.WaitUntil("every request is answered and every packet's message has come", [&] {
    if (NowNs() - asked_ns > 500'000'000) {
      asked_ns = NowNs();
      PullAll();
    }
    if (!later_.empty()) return false;
    for (const Person& person : people_) {
      if (person.asker->waiting() > 0) return false;
      const Group& group = groups_[person.group];
      if (person.leaves_after < 0 && person.met < group.announced) return false;
    }
    for (const PacketBooks::Send& send : books_.sends()) {
      const bool taken = send.told == PacketBooks::Send::Told::kTaken;
      if (taken && !send.announced && send.returns == 0) return false;
    }
    return true;
  });
}

bool Rush::AwaitReturns(const std::vector<int64_t>& refunds) {
  int64_t asked_ns = 0;
  return stage_.WaitUntil("every sender knows the end of its packets", [&] {
    if (NowNs() - asked_ns > 500'000'000) {
      asked_ns = NowNs();
      PullAll();
    }
    for (size_t i = 0; i < books_.sends().size(); ++i) {
      const PacketBooks::Send& send = books_.sends()[i];
      if (refunds[i] != 0 && send.returns == 0) return false;
      if (!send.announced) continue;
      const PacketBooks::Packet* const packet = books_.Find(send.packet_id);
      // Who has left a group is told nothing of it any more; and a packet whose life ended before
      // its shard knew of its message ends in silence.
      const bool hears = send.conversation.a != 0 || !people_[send.person].leave_asked;
      const bool was_open = !packet->claims.empty() || stage_.kills() == 0;
      if (hears && was_open && packet->notices == 0) return false;
    }
    return true;
  });
}

}  // namespace hongyan::bench
