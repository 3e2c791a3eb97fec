#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "conversation/membership.h"
#include "house.h"
#include "tests/doctest_last.h"

// The messages of red packets, and who may send and open them, as a money shard meets them: its
// items go in by a channel, its verdicts come out by one.

namespace hongyan::testing {
namespace {

using model::ConversationId;
using model::PacketKind;
using model::PacketNoticeItem;
using model::Reason;

// A money shard's place at the channels: gives what a test hands it, keeps the verdicts.
struct Purse {
  std::deque<std::pair<model::ShardId, model::Item>> to_give;
  std::vector<model::VerdictItem> verdicts;
};

class WithPurse final : public shard::Logic {
 public:
  WithPurse(std::unique_ptr<shard::Logic> logic, Purse& purse)
      : logic_(std::move(logic)), purse_(purse) {}

  void Apply(shard::UnitOfWork& work, const model::Command& command) override {
    if (!std::holds_alternative<model::SendPacket>(command.body)) {
      return logic_->Apply(work, command);
    }
    while (!purse_.to_give.empty()) {
      auto [target, item] = std::move(purse_.to_give.front());
      purse_.to_give.pop_front();
      work.Emit(target, std::move(item), 4);
    }
    work.Reply(command.reply_to, model::ReplyBody(model::Done{}));
  }
  base::Result<shard::ItemOutcome> ApplyItem(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                             const model::Item& item, size_t max_records) override {
    if (const auto* verdict = std::get_if<model::VerdictItem>(&item)) {
      purse_.verdicts.push_back(*verdict);
      return shard::ItemOutcome::Applied();
    }
    return logic_->ApplyItem(work, place, item, max_records);
  }
  void Publish(std::vector<model::Effect>& effects) override { logic_->Publish(effects); }
  void Drop() override { logic_->Drop(); }
  void Forget(std::vector<model::Effect>& effects) override { logic_->Forget(effects); }
  void AbandonWaiting(shard::UnitOfWork& work, const base::Error& error) override {
    logic_->AbandonWaiting(work, error);
  }

 private:
  std::unique_ptr<shard::Logic> logic_;
  Purse& purse_;
};

struct Fixture {
  explicit Fixture(int executors = 1) : house(OptionsOf(executors)) {}

  House::Options OptionsOf(int executors) {
    House::Options options;
    options.executors = executors;
    options.around = [this](std::unique_ptr<shard::Logic> logic) {
      return std::make_unique<WithPurse>(std::move(logic), purse);
    };
    return options;
  }

  model::PacketHeader Packet(const std::string& sender, ConversationId conversation,
                             PacketKind kind = PacketKind::kLucky) {
    model::PacketHeader packet;
    packet.id = model::PacketId(next_packet_++);
    packet.terms.kind = kind;
    packet.terms.conversation = conversation;
    packet.terms.sender = house.User(sender);
    packet.terms.request_id = house.NewId();
    packet.terms.total_fen = 1000;
    packet.terms.shares = 5;
    packet.terms.greeting = "good luck";
    packet.created_ms = house.clock.WallMs();
    packet.expires_ms = packet.created_ms + 86'400'000;
    return packet;
  }

  void Give(ConversationId conversation, model::Item item) {
    GiveTo(house.router().ShardOf(conversation), std::move(item));
  }
  void GiveTo(model::ShardId shard, model::Item item) {
    purse.to_give.emplace_back(shard, std::move(item));
    house.Submit(kAt, model::SendPacket{});
    house.Run();
  }
  model::VerdictItem Announce(const model::PacketHeader& packet) {
    const size_t before = purse.verdicts.size();
    Give(packet.terms.conversation, model::AnnounceItem{packet});
    REQUIRE(purse.verdicts.size() == before + 1);
    const model::VerdictItem verdict = purse.verdicts.back();
    CHECK(verdict.packet == packet.id);
    return verdict;
  }
  ConversationId Group(const std::vector<std::string>& others) {
    return ConversationId::Group(House::Group(house.Create("anna", "friends", others)));
  }
  conversation::Membership Members() {
    return conversation::Membership(house.store().conversations(),
                                    [this] { return house.clock.WallMs(); });
  }

  static constexpr model::ShardId kAt = 0;
  int64_t next_packet_ = 2'071'800'000'000'000'010;
  Purse purse;
  House house;
};

Reason Why(const model::VerdictItem& verdict) { return static_cast<Reason>(verdict.reason); }

}  // namespace

TEST_CASE(
    "a packet's message is its sender's, and only the sender's entry carries the request id") {
  for (const int executors : {1, 2}) {
    Fixture f(executors);
    const auto group = f.Group({"bert", "carl", "dora"});
    const auto packet = f.Packet("bert", group);
    const auto verdict = f.Announce(packet);
    CHECK(verdict.announced);
    CHECK(verdict.conv_seq == model::ConvSeq(2));
    for (const std::string name : {"anna", "bert", "carl", "dora"}) {
      const auto entries = f.house.Entries(name);
      REQUIRE(entries.size() == 2);
      CHECK(entries[1].entry.conv_seq == verdict.conv_seq);
      CHECK(entries[1].entry.client_msg_id ==
            (name == "bert" ? packet.terms.request_id : model::RequestId{}));
      const v1::RedPacket body = f.house.Bodies(name)[1].red_packet();
      CHECK(body.packet_id() == packet.id.value);
      CHECK(body.kind() == v1::PACKET_LUCKY);
      CHECK(body.greeting() == "good luck");
      CHECK(body.shares() == 5);
      CHECK(body.expires_ms() == packet.expires_ms);
    }
  }
}

TEST_CASE("a transfer's message says for whom and how much") {
  Fixture f;
  const auto talk = House::Direct(f.house.User("anna"), f.house.User("bert"));
  auto packet = f.Packet("bert", talk, PacketKind::kTransfer);
  packet.terms.named = f.house.User("anna");
  CHECK(f.Announce(packet).announced);
  for (const std::string name : {"anna", "bert"}) {
    const auto body = f.house.Bodies(name).at(0).transfer();
    CHECK(body.to() == f.house.User("anna").value);
    CHECK(body.amount_fen() == 1000);
    CHECK(body.note() == "good luck");
  }
}

TEST_CASE("a packet announced again, in one life or another, keeps its one message") {
  Fixture f;
  const auto group = f.Group({"bert"});
  const auto packet = f.Packet("anna", group);
  const auto first = f.Announce(packet);
  const auto second = f.Announce(packet);
  f.house.Restart();
  const auto third = f.Announce(packet);
  CHECK(first.announced);
  CHECK(second.announced);
  CHECK(third.announced);
  CHECK(second.conv_seq == first.conv_seq);
  CHECK(third.conv_seq == first.conv_seq);
  CHECK(f.house.Entries("bert").size() == 2);
}

TEST_CASE("where its sender may not speak any more a packet is refused, and leaves no message") {
  Fixture f;
  const auto group = f.Group({"bert", "carl"});
  CHECK(f.house.Change("bert", group.group(), {}, {"bert"}).ok());
  CHECK(Why(f.Announce(f.Packet("bert", group))) == Reason::kNotAMember);
  CHECK(Why(f.Announce(f.Packet("outsider", group))) == Reason::kNotAMember);
  const auto nowhere = ConversationId::Group(model::GroupId(77));
  CHECK(Why(f.Announce(f.Packet("anna", nowhere))) == Reason::kNotAMember);
  const auto others = House::Direct(f.house.User("carl"), f.house.User("dora"));
  CHECK(Why(f.Announce(f.Packet("anna", others))) == Reason::kNotAMember);
  CHECK(f.house.Entries("carl").size() == 2);  // the group's making and who left
  for (const auto& verdict : f.purse.verdicts) CHECK_FALSE(verdict.announced);
}

TEST_CASE("a packet for somebody who has left is refused") {
  Fixture f;
  const auto group = f.Group({"bert", "carl"});
  CHECK(f.house.Change("bert", group.group(), {}, {"bert"}).ok());
  auto packet = f.Packet("anna", group, PacketKind::kExclusive);
  packet.terms.named = f.house.User("bert");
  CHECK(Why(f.Announce(packet)) == Reason::kNamedPersonInvalid);
  packet = f.Packet("anna", group, PacketKind::kExclusive);
  packet.terms.named = f.house.User("carl");
  CHECK(f.Announce(packet).announced);
}

TEST_CASE("a request id that names another message cannot name a packet, nor the other way") {
  Fixture f;
  const auto talk = House::Direct(f.house.User("anna"), f.house.User("bert"));
  auto packet = f.Packet("anna", talk);
  CHECK(f.house.Send("anna", talk, "hello", packet.terms.request_id).ok());
  CHECK(Why(f.Announce(packet)) == Reason::kConflict);
  packet = f.Packet("anna", talk);
  CHECK(f.Announce(packet).announced);
  CHECK(House::Why(f.house.Send("anna", talk, "hello", packet.terms.request_id)) ==
        Reason::kConflict);
  CHECK(f.house.Entries("bert").size() == 2);
}

TEST_CASE("announcements pass a full disk and a lagging channel: overload makes no refunds") {
  Fixture f;
  const auto group = f.Group({"bert"});
  f.house.faults.below_disk_reserve = [] { return true; };
  f.house.Restart();
  CHECK(House::Why(f.house.Send("anna", group, "x")) == Reason::kDiskReserve);
  CHECK(f.Announce(f.Packet("anna", group)).announced);
}

TEST_CASE("notices are nobody's messages, and are not counted as unread") {
  Fixture f;
  const auto group = f.Group({"bert", "carl"});
  const auto packet = f.Packet("anna", group);
  f.Announce(packet);
  PacketNoticeItem notice;
  notice.what = PacketNoticeItem::What::kFinished;
  notice.packet = packet.id;
  notice.kind = PacketKind::kLucky;
  notice.conversation = group;
  notice.sender = packet.terms.sender;
  notice.user = f.house.User("carl");
  notice.took_ms = 4200;
  f.Give(group, notice);
  f.Give(group, notice);  // two of one conversation, without ids that dedup could mix up
  for (const std::string name : {"anna", "bert", "carl"}) {
    const auto entries = f.house.Entries(name);
    REQUIRE(entries.size() == 4);
    const storage::ConversationStore::MessageKey keys[] = {{group, entries[1].entry.conv_seq},
                                                           {group, entries[3].entry.conv_seq}};
    auto messages = f.house.store().conversations().ReadMessages(keys, storage::Reach::kDisk);
    REQUIRE(messages.ok());
    CHECK((*messages)[1]->sender == model::UserId());
    CHECK((*messages)[1]->ordinal == (*messages)[0]->ordinal);
    const auto body = f.house.Bodies(name)[3].system().packet_notice();
    CHECK(body.what() == v1::PacketNotice::FINISHED);
    CHECK(body.user() == f.house.User("carl").value);
    CHECK(body.took_ms() == 4200);
  }
}

TEST_CASE("in 1:1 a notice goes to both, and a conversation that is gone swallows it") {
  Fixture f;
  for (const std::string other : {"bert", "carl", "dora", "emil", "anna"}) {
    PacketNoticeItem notice;
    notice.what = PacketNoticeItem::What::kAccepted;
    notice.conversation = House::Direct(f.house.User("anna"), f.house.User(other));
    f.Give(notice.conversation, notice);
    CHECK(f.house.Entries(other).back().entry.conversation == notice.conversation);
  }
  CHECK(f.house.Entries("anna").size() == 5);
  PacketNoticeItem nowhere;
  nowhere.conversation = ConversationId::Group(model::GroupId(77));
  f.Give(nowhere.conversation, nowhere);
  CHECK(f.house.executor().report().parked == 0);
}

TEST_CASE("money that came back is an entry of its own in the sender's inbox") {
  Fixture f;
  const auto group = f.Group({"bert"});
  model::PacketReturnedItem item;
  item.user = f.house.User("bert");
  item.request_id = f.house.NewId();
  item.packet = model::PacketId(2'071'800'000'000'000'010);
  item.conversation = group;
  item.amount_fen = 123'456'789'012;
  item.reason = model::ReturnReason::kExpired;
  item.time_ms = f.house.clock.WallMs();
  f.GiveTo(f.house.router().ShardOf(item.user), item);
  CHECK(f.house.Entries("anna").size() == 1);
  const auto entries = f.house.Entries("bert");
  REQUIRE(entries.size() == 2);
  const model::Entry& entry = entries[1].entry;
  CHECK(entries[1].seq == model::Seq(2));
  CHECK(entry.kind == model::EntryKind::kPacketReturned);
  CHECK(entry.client_msg_id == item.request_id);
  CHECK(entry.packet == item.packet);
  CHECK(entry.conversation == group);
  CHECK(entry.returned_fen == item.amount_fen);
  CHECK(entry.reason == static_cast<uint8_t>(model::ReturnReason::kExpired));
}

TEST_CASE("who is in a conversation may send packets there and open them") {
  Fixture f;
  const auto group = f.Group({"bert", "carl"});
  CHECK(f.house.Change("carl", group.group(), {}, {"carl"}).ok());
  const auto members = f.Members();
  const auto user = [&f](const std::string& name) { return f.house.User(name); };
  const auto send = [&](const ConversationId& where, const std::string& who,
                        model::UserId named = {}) {
    const auto may = members.MaySend(where, user(who), named, storage::Reach::kDisk);
    return may.ok() ? Reason::kNone : static_cast<Reason>(may.error().reason);
  };
  const auto open = [&](const ConversationId& where, const std::string& who) {
    const auto may = members.MayOpen(where, user(who), storage::Reach::kDisk);
    REQUIRE(may.ok());
    return *may;
  };
  CHECK(send(group, "anna") == Reason::kNone);
  CHECK(send(group, "anna", user("bert")) == Reason::kNone);
  CHECK(send(group, "anna", user("carl")) == Reason::kNamedPersonInvalid);
  CHECK(send(group, "carl") == Reason::kNotAMember);
  CHECK(send(group, "outsider") == Reason::kNotAMember);
  CHECK(send(ConversationId::Group(model::GroupId(77)), "anna") == Reason::kNotAMember);
  const auto talk = House::Direct(user("anna"), user("bert"));
  CHECK(send(talk, "anna") == Reason::kNone);
  CHECK(send(talk, "carl") == Reason::kNotAMember);
  CHECK(send(talk, "anna", user("carl")) == Reason::kNamedPersonInvalid);

  CHECK(open(group, "bert").yes);
  CHECK(open(group, "bert").version == 2);  // the group's making, and who left
  CHECK_FALSE(open(group, "carl").yes);
  CHECK(open(group, "carl").version == 2);
  CHECK_FALSE(open(ConversationId::Group(model::GroupId(77)), "anna").yes);
  CHECK(open(talk, "bert").yes);
  CHECK_FALSE(open(talk, "carl").yes);
}

TEST_CASE("who is muted may open packets but send none") {
  Fixture f;
  const auto group = f.Group({"bert"});
  auto row = *f.house.store().conversations().FindMember(group.group(), f.house.User("bert"),
                                                         storage::Reach::kDisk);
  row->muted_until_ms = f.house.clock.WallMs() + 1000;
  auto batch = f.house.store().NewBatch();
  f.house.store().conversations().PutMember(*batch, group.group(), *row);
  REQUIRE(f.house.store().Commit(std::move(batch)) == storage::CommitOutcome::kCommitted);
  const auto members = f.Members();
  const auto bert = f.house.User("bert");
  const auto refused = members.MaySend(group, bert, {}, storage::Reach::kDisk);
  REQUIRE_FALSE(refused.ok());
  CHECK(static_cast<Reason>(refused.error().reason) == Reason::kMuted);
  CHECK(members.MayOpen(group, bert, storage::Reach::kDisk)->yes);
  f.house.Restart();  // the shard has it from the store too
  CHECK(Why(f.Announce(f.Packet("bert", group))) == Reason::kMuted);
  f.house.clock.Advance(1000);
  CHECK(f.Members().MaySend(group, bert, {}, storage::Reach::kDisk).ok());
  CHECK(f.Announce(f.Packet("bert", group)).announced);
}

}  // namespace hongyan::testing
