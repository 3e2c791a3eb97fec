#include <algorithm>
#include <chrono>

#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/group.pb.h"
#include "refusal.h"
#include "rush.h"

// What people do with the packets they meet, and what they are told.

namespace hongyan::bench {
namespace {

std::string IdOf(const PacketBooks::Packet& packet) {
  return "packet " + std::to_string(packet.id);
}

v1::PacketState StateOf(v1::Reason reason) {
  switch (reason) {
    case v1::PACKET_DONE:
      return v1::PACKET_STATE_DONE;
    case v1::PACKET_EXPIRED:
      return v1::PACKET_STATE_EXPIRED;
    case v1::PACKET_RETURNED:
      return v1::PACKET_STATE_RETURNED;
    case v1::PACKET_REFUSED:
      return v1::PACKET_STATE_REFUSED;
    default:
      return v1::PACKET_STATE_NONE;
  }
}

}  // namespace

void Rush::Fail(uint32_t person, const std::string& what) {
  stage_.tally().Fail(books_.person(person).account->name + ": " + what);
}

Rush::Met& Rush::MetOf(uint32_t packet) {
  if (packet >= met_.size()) met_.resize(packet + 1);
  return met_[packet];
}

void Rush::Done(uint32_t packet) { ++MetOf(packet).done; }

// The sender knows what it sent before the message comes.
void Rush::Know(uint32_t packet, const PacketBooks::Send& send) {
  Met& met = MetOf(packet);
  met.known = true;
  met.kind = send.kind;
  met.in_group = send.conversation.a == 0;
  met.sender = UserOf(send.person);
  met.named = send.named;
  met.shares = send.shares;
}

// ---- messages ----

void Rush::OnEntry(LoadClient& client, const v1::Entry& entry, int64_t) {
  stage_.tally().moved.fetch_add(1, std::memory_order_relaxed);
  const uint32_t index = client.index();
  Person& person = people_[index];
  const v1::Message& message = entry.message();
  if (!body_.ParseFromString(message.body())) return Fail(index, "a message cannot be read");
  if (body_.has_system()) {
    if (body_.system().has_packet_notice()) OnNotice(index, body_.system().packet_notice());
    return;
  }
  const bool transfer = body_.has_transfer();
  if (!transfer && !body_.has_red_packet()) return Fail(index, "a message that nobody sent");
  const v1::RedPacket& red = body_.red_packet();
  const int64_t id = transfer ? body_.transfer().packet_id() : red.packet_id();
  const uint32_t packet = books_.PacketOf(id);
  books_.packet(packet).expires_ms = transfer ? body_.transfer().expires_ms() : red.expires_ms();
  Met& met = MetOf(packet);
  met.known = true;
  met.kind = transfer ? v1::PACKET_TRANSFER : red.kind();
  met.in_group = entry.conversation().a() == 0;
  met.sender = message.sender();
  met.named = transfer ? body_.transfer().to() : red.named();
  met.shares = transfer ? 1 : red.shares();
  Group& group = groups_[person.group];
  if (met.in_group) ++person.met;
  if (met.sender == UserOf(index)) {
    books_.Announced(index, entry.client_msg_id(), id);
    if (met.in_group) {
      ++group.announced;
      TryAsStrangers(group, packet);
    }
  }
  Meet(index, packet);
  if (met.in_group && person.met == person.leaves_after) Leave(index);
}

void Rush::OnNotice(uint32_t person, const v1::PacketNotice& notice) {
  ++counts_.notices;
  ++total_.notices;
  if (notice.sender() != UserOf(person)) return;
  PacketBooks::Packet& packet = books_.packet(books_.PacketOf(notice.packet_id()));
  if (++packet.notices > 1) Fail(person, "the end of " + IdOf(packet) + " was told twice");
  switch (notice.what()) {
    case v1::PacketNotice::FINISHED:
    case v1::PacketNotice::ACCEPTED:
      return books_.Closed(books_.PacketOf(packet.id), v1::PACKET_STATE_DONE);
    case v1::PacketNotice::RETURNED:
      return books_.Closed(books_.PacketOf(packet.id), v1::PACKET_STATE_RETURNED);
    default:
      return;
  }
}

void Rush::Meet(uint32_t person, uint32_t packet) {
  const Met met = MetOf(packet);
  if (met.kind == v1::PACKET_TRANSFER) return MeetTransfer(person, packet);
  if (met.kind == v1::PACKET_EXCLUSIVE) {
    // Who it is not for, tries now and then.
    if (met.named == UserOf(person) ? !people_[person].never_opens : Chance(0.2)) {
      return Open(person, packet, true);
    }
    return Done(packet);
  }
  if (!met.in_group && met.sender == UserOf(person) && !Chance(0.2)) return Done(packet);
  MeetShares(person, packet);
}

void Rush::MeetTransfer(uint32_t person, uint32_t packet) {
  if (MetOf(packet).named != UserOf(person)) {
    if (Chance(0.1)) Open(person, packet, false);
    return Done(packet);
  }
  const double wish = std::uniform_real_distribution<>(0, 1)(random_);
  if (wish < 0.55) return Open(person, packet, true);
  if (wish < 0.75) GiveBack(person, packet);
  if (wish >= 0.75 && wish < 0.9) {  // both at once: the first wins
    GiveBack(person, packet);
    Open(person, packet, false);
  }
  Done(packet);
}

void Rush::MeetShares(uint32_t person, uint32_t packet) {
  if (!troubled()) return Grab(person, packet);
  const Person& who = people_[person];
  if (who.never_opens) return Done(packet);
  // Around the end of its life, where there is more than the others take.
  if (MetOf(packet).shares > plan_.members - 5 && Chance(0.1)) {
    const int64_t expires_ms =
        books_.packet(packet).expires_ms - stage_.thread().server_ahead_ms + Between(-60, 60);
    const int64_t wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count();
    if (expires_ms - wall_ms < 60'000) {
      later_.push_back({NowNs() + (expires_ms - wall_ms) * 1'000'000, person, packet});
      std::push_heap(later_.begin(), later_.end(), std::greater<>());
    }
    return Done(packet);
  }
  if (who.hasty) return Open(person, packet, true);
  Grab(person, packet);
}

// ---- taking ----

void Rush::Grab(uint32_t person, uint32_t packet) {
  v1::GrabPacket wire;
  wire.set_packet_id(books_.packet(packet).id);
  ++counts_.grabs;
  ++total_.grabs;
  const bool had_left = people_[person].left && MetOf(packet).in_group;
  people_[person].asker->Ask(v1::GRAB_PACKET, wire.SerializeAsString(), NowNs(),
                             [this, person, packet, had_left](const Asker::Reply& reply) {
                               grab_.AddNs(reply.now_ns - reply.asked_ns);
                               if (reply.refused == nullptr) {
                                 v1::GrabPacketReply grab;
                                 if (!reply.Read(grab))
                                   return Fail(person, "the answer to a grab cannot be read");
                                 if (had_left && grab.amount_fen() == 0) {
                                   Fail(person, "was offered a share of a group it had left");
                                 }
                                 return Open(person, packet, true);
                               }
                               ++counts_.grabs_refused;
                               ++total_.grabs_refused;
                               CheckRefusal(person, packet, *reply.refused, "a grab");
                               // What the shard says must be the same.
                               if (troubled() && Chance(0.05)) Open(person, packet, false);
                               Done(packet);
                             });
}

void Rush::Open(uint32_t person, uint32_t packet, bool at_once) {
  v1::OpenPacket wire;
  wire.set_packet_id(books_.packet(packet).id);
  ++counts_.asked;
  ++total_.asked;
  const bool had_left = people_[person].left && MetOf(packet).in_group;
  people_[person].asker->Ask(v1::OPEN_PACKET, wire.SerializeAsString(), NowNs(),
                             [this, person, packet, at_once, had_left](const Asker::Reply& reply) {
                               OnOpened(person, packet, had_left, reply);
                               if (at_once) Done(packet);
                             });
}

void Rush::OnOpened(uint32_t person, uint32_t packet, bool had_left, const Asker::Reply& reply) {
  open_.AddNs(reply.now_ns - reply.asked_ns);
  if (reply.refused != nullptr) {
    ++counts_.open_refused;
    ++total_.open_refused;
    books_.OpenRefused(packet, person, reply.refused->reason());
    return CheckRefusal(person, packet, *reply.refused, "an open");
  }
  if (!reply.Read(opened_)) return Fail(person, "the answer to an open cannot be read");
  const bool first = books_.Claimed(packet, person, opened_);
  const Met& met = MetOf(packet);
  if (had_left && !opened_.already()) Fail(person, "took a share of a group it had left");
  if (met.known && met.named != 0 && met.named != UserOf(person)) {
    Fail(person, "took what is for somebody else, " + IdOf(books_.packet(packet)));
  }
  if (!first) return;
  ++counts_.opened;
  ++total_.opened;
  if (!troubled()) return;
  if (Chance(0.08)) Open(person, packet, false);
  if (met.known && met.in_group && Chance(0.2)) Spend(person, packet, opened_.amount_fen());
}

// Pays the whole share on at once. The credit is on its way then, and must be there for it.
void Rush::Spend(uint32_t person, uint32_t packet, int64_t fen) {
  const int64_t to = MetOf(packet).sender;
  if (!sending_ || people_[person].rich || to == UserOf(person)) return;
  if (books_.person(person).known_fen < fen) return;
  PacketBooks::Send send;
  send.kind = v1::PACKET_TRANSFER;
  send.conversation = {std::min(to, UserOf(person)), std::max(to, UserOf(person))};
  send.named = to;
  send.total_fen = fen;
  Send(person, std::move(send), Meant::kGood);
}

void Rush::GiveBack(uint32_t person, uint32_t packet) {
  v1::ReturnTransfer wire;
  wire.set_packet_id(books_.packet(packet).id);
  people_[person].asker->Ask(v1::RETURN_TRANSFER, wire.SerializeAsString(), NowNs(),
                             [this, person, packet](const Asker::Reply& reply) {
                               if (reply.refused == nullptr) {
                                 books_.packet(packet).return_done = true;
                                 return books_.Closed(packet, v1::PACKET_STATE_RETURNED);
                               }
                               CheckRefusal(person, packet, *reply.refused, "a return");
                             });
}

// Only what a rule really says about this person and this packet may be said.
void Rush::CheckRefusal(uint32_t person, uint32_t packet, const v1::Error& error,
                        const char* what) {
  const v1::PacketState closed = StateOf(error.reason());
  if (closed != v1::PACKET_STATE_NONE) return books_.Closed(packet, closed);
  const Met& met = MetOf(packet);
  const bool named = met.named == 0 || met.named == UserOf(person);
  switch (error.reason()) {
    case v1::NOT_ELIGIBLE:
      if (people_[person].leave_asked) return;
      break;
    case v1::NOT_THE_NAMED_PERSON:
      if (!named) return;
      break;
    case v1::OWN_PACKET:
      if (met.sender == UserOf(person) && !met.in_group) return;
      break;
    default:
      break;
  }
  Fail(person, std::string(what) + " of " + IdOf(books_.packet(packet)) + " was refused, " +
                   Describe(error));
}

// ---- leaving ----

void Rush::Leave(uint32_t index) {
  Person& person = people_[index];
  if (person.leave_asked || person.leaves_after < 0) return;
  person.leave_asked = true;
  v1::LeaveGroup wire;
  wire.mutable_request_id()->resize(16);
  stage_.thread().DrawId(wire.mutable_request_id()->data());
  wire.set_group_id(groups_[person.group].id.b);
  person.asker->Ask(v1::LEAVE_GROUP, wire.SerializeAsString(), NowNs(),
                    [this, index](const Asker::Reply& reply) { OnLeft(index, reply); });
}

// Who has left may know the ids of packets, and gets nothing.
void Rush::TryAsStrangers(const Group& group, uint32_t packet) {
  for (uint32_t i = 0; i < static_cast<uint32_t>(plan_.members); ++i) {
    const uint32_t person = group.first + i;
    if (!people_[person].left || !Chance(0.3)) continue;
    if (Chance(0.5)) {
      Open(person, packet, false);
    } else {
      Grab(person, packet);
    }
  }
}

// Who has left sends nothing more into the group.
void Rush::OnLeft(uint32_t index, const Asker::Reply& reply) {
  Person& person = people_[index];
  // A repeat whose first try was done finds nobody to leave.
  if (reply.refused != nullptr && reply.refused->reason() != v1::NOT_A_MEMBER) {
    return Fail(index, "leaving was refused, " + Describe(*reply.refused));
  }
  person.left = true;
  ++left_;
  if (!person.rich || !sending_) return;
  PacketBooks::Send send;
  send.kind = v1::PACKET_LUCKY;
  send.conversation = groups_[person.group].id;
  send.shares = 2;
  send.total_fen = 100;
  Send(index, std::move(send), Meant::kAsStranger);
}

}  // namespace hongyan::bench
