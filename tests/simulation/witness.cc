#include "simulation/witness.h"

#include <algorithm>
#include <tuple>

#include "hongyan/v1/message.pb.h"
#include "model/reason.h"

namespace hongyan::simulation {
namespace {

using model::ConversationId;
using model::ConvSeq;
using model::UserId;

Witness::Accepted MakeAccepted(const model::SendMessage& send, const model::Sent& sent) {
  return {send, sent};
}

// A refusal that says: this request was not carried out, by this try or an earlier one of the same
// connection.
bool SaysNothingWasStored(const base::Error& error) {
  switch (static_cast<model::Reason>(error.reason)) {
    case model::Reason::kConflict:      // another request has this id
    case model::Reason::kStoreStopped:  // the outcome is not known
    case model::Reason::kIdCollision:
      return false;
    default:
      return error.code != base::Code::kInternal && error.code != base::Code::kUnavailable;
  }
}

std::string Text(ConversationId id) { return fmt::format("{}/{}", id.a, id.b); }

}  // namespace

Witness::Witness(const storage::MemoryState& state, std::vector<UserId> users)
    : state_(state), users_(std::move(users)) {}

// -- asked
// -----------------------------------------------------------------------------------------------

void Witness::Asked(const model::SendMessage& send, int device, int64_t counter) {
  const Key key{send.conversation, send.sender, send.client_msg_id};
  sends_.try_emplace(key, Send{send, device, counter, {}});
  conversations_[send.conversation];
}

void Witness::Asked(const model::CreateGroup& create) {
  const auto id = ConversationId::Group(create.id);
  changes_.try_emplace(Key{id, create.creator, create.request_id}, Change{create, {}, {}});
  conversations_[id];
}

void Witness::Asked(const model::ChangeMembers& change) {
  const auto id = ConversationId::Group(change.group);
  changes_.try_emplace(Key{id, change.actor, change.request_id}, Change{{}, change, {}});
  conversations_[id];
}

void Witness::Asked(const model::PacketTerms& terms) {
  packets_.try_emplace(Key{terms.conversation, terms.sender, terms.request_id}, terms);
  conversations_[terms.conversation];
}

// -- answered
// --------------------------------------------------------------------------------------------

void Witness::CheckStored(const Key& key, ConvSeq seq, int64_t time_ms) const {
  const auto message = state_.messages.find({key.conversation, seq});
  INVARIANT(message != state_.messages.end(),
            "acknowledged before it is durable: message {} of conversation {}", seq.value,
            Text(key.conversation));
  INVARIANT(message->second.sender == key.sender &&
                message->second.client_msg_id == key.client_msg_id &&
                message->second.time_ms == time_ms,
            "the ack of a request names message {} of {}, which is another's", seq.value,
            Text(key.conversation));
  const auto receipt = state_.receipts.find(key);
  INVARIANT(receipt != state_.receipts.end() && receipt->second.seq == seq,
            "message {} of {} has no receipt: a repeat would be stored again", seq.value,
            Text(key.conversation));
}

void Witness::Answered(const model::SendMessage& send, const model::Reply& reply) {
  const Key key{send.conversation, send.sender, send.client_msg_id};
  if (!reply.ok()) {
    INVARIANT(!SaysNothingWasStored(reply.error()) || !state_.receipts.contains(key),
              "a send was refused ({}) although its message is stored", reply.error().text);
    return;
  }
  const auto& sent = std::get<model::Sent>(*reply);
  CheckStored(key, sent.conv_seq, sent.time_ms);
  const auto asked = sends_.find(key);
  INVARIANT(asked != sends_.end(),
            "a send was accepted that must be refused: its id or its `after` is bad");
  Send& known = asked->second;
  INVARIANT(known.send.body == send.body,
            "other content under an id that was accepted was not refused");
  if (!known.sent.has_value()) {
    known.sent = sent;
    accepted_.push_back(MakeAccepted(send, sent));
  }
  INVARIANT(known.sent->conv_seq == sent.conv_seq && known.sent->time_ms == sent.time_ms,
            "a repeated send was answered with {} and then with {}", known.sent->conv_seq.value,
            sent.conv_seq.value);
}

void Witness::Answered(const model::CreateGroup& create, const model::Reply& reply) {
  const Key key{ConversationId::Group(create.id), create.creator, create.request_id};
  if (!reply.ok()) {
    INVARIANT(!SaysNothingWasStored(reply.error()) || !state_.groups.contains(create.id),
              "a creation was refused ({}) although the group is stored", reply.error().text);
    return;
  }
  const auto& done = std::get<model::GroupChanged>(*reply);
  INVARIANT(done.group == create.id && done.conv_seq.value == 1,
            "a creation was answered with message {}", done.conv_seq.value);
  CheckStored(key, done.conv_seq, done.time_ms);
}

void Witness::Answered(const model::ChangeMembers& change, const model::Reply& reply) {
  const Key key{ConversationId::Group(change.group), change.actor, change.request_id};
  if (!reply.ok()) {
    INVARIANT(!SaysNothingWasStored(reply.error()) || !state_.receipts.contains(key),
              "a change of members was refused ({}) although it is stored", reply.error().text);
    return;
  }
  const auto& done = std::get<model::GroupChanged>(*reply);
  if (!done.conv_seq)
    return;  // nothing to change: nothing is stored, a repeat may find another world
  CheckStored(key, done.conv_seq, done.time_ms);
  auto& known = changes_.at(key).done;
  if (!known.has_value()) known = done;
  INVARIANT(known->conv_seq == done.conv_seq && known->time_ms == done.time_ms,
            "a repeated change of members was answered with {} and then with {}",
            known->conv_seq.value, done.conv_seq.value);
}

// -- the disk: messages
// ----------------------------------------------------------------------------------

void Witness::Look() {
  for (auto& [id, conversation] : conversations_) LookAtMessages(id, conversation);
  for (const UserId user : users_) LookAtEntries(user);
  INVARIANT(damaged_ || state_.parked.empty(),
            "an item is parked although no slice was damaged: {}",
            state_.parked.begin()->second.why);
}

void Witness::LookAtMessages(ConversationId id, Conversation& conversation) {
  for (auto row = state_.messages.upper_bound({id, conversation.last});
       row != state_.messages.end() && row->first.first == id; ++row) {
    const model::Message& m = row->second;
    INVARIANT(m.seq == row->first.second && m.seq.value == conversation.last.value + 1,
              "conversation {} goes from message {} to {}", Text(id), conversation.last.value,
              m.seq.value);
    INVARIANT(m.time_ms >= conversation.time_ms, "the time of conversation {} falls at message {}",
              Text(id), m.seq.value);
    const bool counts = m.kind != model::BodyKind::kSystem;
    INVARIANT(m.ordinal == conversation.ordinal + (counts ? 1 : 0),
              "message {} of {} has ordinal {} after {}", m.seq.value, Text(id), m.ordinal,
              conversation.ordinal);
    conversation.last = m.seq;
    conversation.time_ms = m.time_ms;
    conversation.ordinal = m.ordinal;
    ++messages_;
    if (m.kind == model::BodyKind::kRedPacket || m.kind == model::BodyKind::kTransfer) {
      TakePacket(id, conversation, m);
    } else if (counts) {
      TakeUserMessage(id, conversation, m);
    } else {
      TakeSystemMessage(id, conversation, m);
    }
  }
}

void Witness::TakeUserMessage(ConversationId id, Conversation& conversation,
                              const model::Message& m) {
  const auto asked = sends_.find(Key{id, m.sender, m.client_msg_id});
  INVARIANT(asked != sends_.end(), "message {} of {} was never sent", m.seq.value, Text(id));
  INVARIANT(asked->second.send.body == m.body && asked->second.send.kind == m.kind,
            "message {} of {} has not the body that was sent", m.seq.value, Text(id));
  if (id.is_group()) {
    INVARIANT(conversation.members.contains(m.sender),
              "message {} of {} is from user {}, who is no member", m.seq.value, Text(id),
              m.sender.value);
  } else {
    INVARIANT(id.has(m.sender), "message {} of {} is from a stranger", m.seq.value, Text(id));
  }
  if (asked->second.device >= 0) {
    int64_t& last = conversation.counters[asked->second.device];
    INVARIANT(asked->second.counter > last,
              "device {} sent {} before {}, conversation {} has them turned", asked->second.device,
              asked->second.counter, last, Text(id));
    last = asked->second.counter;
  }
  PassOn(id, conversation, m.seq);
}

void Witness::PassOn(ConversationId id, const Conversation& conversation, ConvSeq seq) {
  if (id.is_group()) {
    for (const auto& [user, joined] : conversation.members) due_[{user, id}].push_back(seq);
  } else {
    due_[{UserId(id.a), id}].push_back(seq);
    if (id.a != id.b) due_[{UserId(id.b), id}].push_back(seq);
  }
}

// The message of a packet says what was sent, once, and its sender is there when it is stored.
void Witness::TakePacket(ConversationId id, Conversation& conversation, const model::Message& m) {
  const auto asked = packets_.find(Key{id, m.sender, m.client_msg_id});
  INVARIANT(asked != packets_.end(), "message {} of {} is a packet nobody sent", m.seq.value,
            Text(id));
  INVARIANT(!id.is_group() || conversation.members.contains(m.sender),
            "message {} of {} is a packet from user {}, who is no member", m.seq.value, Text(id),
            m.sender.value);
  v1::Body body;
  INVARIANT(body.ParseFromString(m.body) && body.has_transfer() != body.has_red_packet() &&
                body.has_transfer() == (m.kind == model::BodyKind::kTransfer),
            "message {} of {} has not the body of a packet", m.seq.value, Text(id));
  const model::PacketId packet(body.has_transfer() ? body.transfer().packet_id()
                                                   : body.red_packet().packet_id());
  INVARIANT(announced_.try_emplace(packet, Place{id, m.seq}).second,
            "packet {} is announced twice, again by message {} of {}", packet.value, m.seq.value,
            Text(id));
  PassOn(id, conversation, m.seq);
}

// What became of a packet is said once, after its own message.
void Witness::TakeNotice(ConversationId id, Conversation& conversation, const model::Message& m) {
  v1::Body body;
  INVARIANT(body.ParseFromString(m.body) && body.system().has_packet_notice(),
            "message {} of {} comes from nobody and is no notice", m.seq.value, Text(id));
  const model::PacketId packet(body.system().packet_notice().packet_id());
  const auto place = announced_.find(packet);
  INVARIANT(place != announced_.end() && place->second.conversation == id,
            "message {} of {} tells of packet {}, which was not announced there", m.seq.value,
            Text(id), packet.value);
  INVARIANT(notices_.try_emplace(packet, m).second,
            "message {} of {} tells of packet {} a second time", m.seq.value, Text(id),
            packet.value);
  PassOn(id, conversation, m.seq);
}

void Witness::TakeReturned(UserId user, const model::Entry& entry) {
  const auto asked = packets_.find(Key{entry.conversation, user, entry.client_msg_id});
  INVARIANT(asked != packets_.end() && entry.conv_seq == ConvSeq(),
            "user {} hears that packet {} came back, which that user never sent", user.value,
            entry.packet.value);
  INVARIANT(returned_.try_emplace(entry.packet, entry).second,
            "user {} hears twice that packet {} came back", user.value, entry.packet.value);
}

void Witness::TakeSystemMessage(ConversationId id, Conversation& conversation,
                                const model::Message& m) {
  if (!m.sender && m.client_msg_id.is_zero()) return TakeNotice(id, conversation, m);
  const auto asked = changes_.find(Key{id, m.sender, m.client_msg_id});
  INVARIANT(asked != changes_.end(), "message {} of {} announces what nobody asked for",
            m.seq.value, Text(id));
  if (asked->second.create.has_value()) {
    TakeCreation(id, conversation, m, asked->second);
  } else {
    TakeChange(id, conversation, m, asked->second);
  }
}

void Witness::TakeCreation(ConversationId id, Conversation& conversation, const model::Message& m,
                           const Change& asked) {
  INVARIANT(m.seq.value == 1, "group {} is created by message {}", id.b, m.seq.value);
  const auto& create = *asked.create;
  const auto row = state_.groups.find(id.group());
  INVARIANT(row != state_.groups.end() && row->second.state == model::GroupState::kActive,
            "group {} has a first message but does not show", id.b);
  std::vector<UserId> everyone = create.members;
  everyone.push_back(create.creator);
  conversation.owner = create.creator;
  conversation.version = 1;
  for (const UserId user : everyone) {
    conversation.members[user] = {row->second.created_ms, m.seq};
    conversation.visible[user].push_back({m.seq, {}});
    due_[{user, id}].push_back(m.seq);
  }
}

void Witness::TakeChange(ConversationId id, Conversation& conversation, const model::Message& m,
                         const Change& asked) {
  const auto& change = asked.change;
  auto& members = conversation.members;
  INVARIANT(!change.actor || members.contains(change.actor),
            "user {} changed group {} without being in it", change.actor.value, id.b);
  std::set<UserId> added;
  std::set<UserId> removed;
  for (const UserId user : change.add) {
    if (!members.contains(user)) added.insert(user);
  }
  for (const UserId user : change.remove) {
    if (members.contains(user)) removed.insert(user);
    INVARIANT(!change.actor || user == change.actor || change.actor == conversation.owner,
              "user {} removed others from group {} without being its owner", change.actor.value,
              id.b);
  }
  INVARIANT(!added.empty() || !removed.empty(),
            "message {} of group {} announces that nothing changed", m.seq.value, id.b);
  v1::Body body;
  INVARIANT(body.ParseFromString(m.body) && body.system().has_members_changed(),
            "message {} of group {} has not the body of a change", m.seq.value, id.b);
  const auto& told = body.system().members_changed();
  std::set<UserId> told_added;
  std::set<UserId> told_removed;
  for (const int64_t user : told.added()) told_added.insert(UserId(user));
  for (const int64_t user : told.removed()) told_removed.insert(UserId(user));
  INVARIANT(told_added == added && told_removed == removed,
            "message {} of group {} does not say what the change does", m.seq.value, id.b);

  // It goes to the members before and after it.
  for (const UserId user : added) {
    members[user] = {m.time_ms, m.seq};
    conversation.visible[user].push_back({m.seq, {}});
  }
  for (const auto& [user, joined] : members) due_[{user, id}].push_back(m.seq);
  for (const UserId user : removed) {
    members.erase(user);
    conversation.visible[user].back().to = m.seq;
  }
  ++conversation.version;
  if (!members.contains(conversation.owner)) {
    // To the longest-standing member, of several the lowest id; who joins by this change comes
    // last.
    const auto age = [&m](const auto& member) {
      return std::tuple(member.second.time_ms, member.second.since == m.seq, member.first);
    };
    const auto next =
        std::min_element(members.begin(), members.end(),
                         [&age](const auto& a, const auto& b) { return age(a) < age(b); });
    conversation.owner = next == members.end() ? UserId() : next->first;
  }
}

// -- the disk: inboxes
// -----------------------------------------------------------------------------------

void Witness::LookAtEntries(UserId user) {
  model::Seq& looked = looked_[user];
  for (auto row = state_.entries.upper_bound({user, looked});
       row != state_.entries.end() && row->first.first == user; ++row) {
    const model::Seq seq = row->first.second;
    const model::Entry& entry = row->second;
    INVARIANT(seq.value == looked.value + 1, "the inbox of user {} goes from {} to {}", user.value,
              looked.value, seq.value);
    looked = seq;
    ++entries_;
    if (entry.kind == model::EntryKind::kPacketReturned) {
      TakeReturned(user, entry);
      continue;
    }
    const auto due = due_.find({user, entry.conversation});
    INVARIANT(due != due_.end() && !due->second.empty(),
              "user {} got message {} of {} that is not for that inbox, or got it before",
              user.value, entry.conv_seq.value, Text(entry.conversation));
    INVARIANT(due->second.front() == entry.conv_seq,
              "user {} got message {} of {} where {} is next: lost, doubled or out of order",
              user.value, entry.conv_seq.value, Text(entry.conversation),
              due->second.front().value);
    due->second.pop_front();
    const model::Message& message = MessageAt(entry.conversation, entry.conv_seq);
    INVARIANT(entry.kind == model::EntryKind::kMessage && entry.time_ms == message.time_ms,
              "entry {} of user {} does not say what its message says", seq.value, user.value);
    const bool own = message.sender == user;
    INVARIANT(
        own ? entry.client_msg_id == message.client_msg_id : entry.client_msg_id.is_zero(),
        "entry {} of user {}: the client's id belongs into the sender's own entry and no other",
        seq.value, user.value);
  }
}

model::Seq Witness::StoredHead(UserId user) const {
  auto row = state_.entries.upper_bound({user, model::Seq(INT64_MAX)});
  if (row == state_.entries.begin()) return {};
  --row;
  return row->first.first == user ? row->first.second : model::Seq();
}

void Witness::HeadShown(UserId user, model::Seq head) {
  const model::Seq stored = StoredHead(user);
  INVARIANT(head <= stored, "the head {} was shown for user {}, whose newest durable entry is {}",
            head.value, user.value, stored.value);
}

const model::Entry& Witness::EntryAt(UserId user, model::Seq seq) const {
  const auto row = state_.entries.find({user, seq});
  INVARIANT(row != state_.entries.end(), "entry {} of user {} is not there", seq.value, user.value);
  return row->second;
}

const model::Message& Witness::MessageAt(ConversationId conversation, ConvSeq seq) const {
  const auto row = state_.messages.find({conversation, seq});
  INVARIANT(row != state_.messages.end(), "an entry points at message {} of {}, which is not there",
            seq.value, Text(conversation));
  return row->second;
}

// -- for whoever thinks of something to do
// ---------------------------------------------------------------

std::vector<model::GroupId> Witness::GroupsOf(UserId user) const {
  std::vector<model::GroupId> groups;
  for (const auto& [id, conversation] : conversations_) {
    if (id.is_group() && conversation.members.contains(user)) groups.push_back(id.group());
  }
  return groups;
}

std::vector<model::GroupId> Witness::groups() const {
  std::vector<model::GroupId> groups;
  for (const auto& [id, conversation] : conversations_) {
    if (id.is_group() && conversation.last) groups.push_back(id.group());
  }
  return groups;
}

std::vector<UserId> Witness::MembersOf(model::GroupId group) const {
  std::vector<UserId> members;
  const auto found = conversations_.find(ConversationId::Group(group));
  if (found == conversations_.end()) return members;
  for (const auto& [user, joined] : found->second.members) members.push_back(user);
  return members;
}

std::optional<std::vector<ConvSeq>> Witness::VisibleTo(UserId user, model::GroupId group) const {
  const auto found = conversations_.find(ConversationId::Group(group));
  if (found == conversations_.end() || !found->second.members.contains(user)) return std::nullopt;
  std::vector<ConvSeq> visible;
  for (const auto& range : found->second.visible.at(user)) {
    const int64_t to = range.to ? range.to.value : found->second.last.value;
    for (int64_t seq = range.from.value; seq <= to; ++seq) visible.emplace_back(seq);
  }
  return visible;
}

UserId Witness::OwnerOf(model::GroupId group) const {
  const auto found = conversations_.find(ConversationId::Group(group));
  return found == conversations_.end() ? UserId() : found->second.owner;
}

}  // namespace hongyan::simulation
