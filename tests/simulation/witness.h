#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/command.h"
#include "simulation/trace.h"
#include "storage/memory/memory_state.h"

namespace hongyan::simulation {

// The small model that knows what must be true, apart from how the server does it. It is told what
// was asked for and what was answered, and looks at the disk: the messages of a conversation say
// who its members are at each conv_seq, and so what every inbox must hold, in which order. Whatever
// contradicts this throws Broken. One thread.
class Witness {
 public:
  // `state` outlives it. Users exist from the start and are all there will be.
  Witness(const storage::MemoryState& state, std::vector<model::UserId> users);

  // -- asked. `device` is who asks, for the order of its sends; -1 = order is not promised.
  void Asked(const model::SendMessage& send, int device, int64_t counter);
  void Asked(const model::CreateGroup& create);
  void Asked(const model::ChangeMembers& change);
  // A send of money: its message is the server's to make.
  void Asked(const model::PacketTerms& terms);

  // -- answered: called at the moment a reply leaves the shard. What is acknowledged must be on
  // disk now and have the numbers it had before; what is refused must not be there because of it.
  void Answered(const model::SendMessage& send, const model::Reply& reply);
  void Answered(const model::CreateGroup& create, const model::Reply& reply);
  void Answered(const model::ChangeMembers& change, const model::Reply& reply);

  // Takes in what is new on the disk and checks it.
  void Look();

  // Nothing is under way any more: the disk must be whole.
  void LookAtTheEnd();

  // The disk was damaged on purpose: slices may have to be asked for again.
  void SliceDamaged() { damaged_ = true; }

  // -- what devices and users see
  // A user's newest entry on disk.
  model::Seq StoredHead(model::UserId user) const;
  // The head of a user as somebody was told it.
  void HeadShown(model::UserId user, model::Seq head);
  const model::Entry& EntryAt(model::UserId user, model::Seq seq) const;
  const model::Message& MessageAt(model::ConversationId conversation, model::ConvSeq seq) const;

  // -- for whoever thinks of something to do
  const std::vector<model::UserId>& users() const { return users_; }
  std::vector<model::GroupId> GroupsOf(model::UserId user) const;  // present members only
  std::vector<model::GroupId> groups() const;
  std::vector<model::UserId> MembersOf(model::GroupId group) const;
  // Messages a member may read of a group; none = it is no member.
  std::optional<std::vector<model::ConvSeq>> VisibleTo(model::UserId user,
                                                       model::GroupId group) const;
  model::UserId OwnerOf(model::GroupId group) const;
  struct Accepted {
    model::SendMessage send;
    model::Sent sent;
  };
  const std::vector<Accepted>& accepted() const { return accepted_; }

  // -- what conversations and inboxes say of packets, each thing at most once
  struct Place {
    model::ConversationId conversation;
    model::ConvSeq seq;
  };
  const std::map<model::PacketId, Place>& announced() const { return announced_; }
  const std::map<model::PacketId, model::Message>& notices() const { return notices_; }
  const std::map<model::PacketId, model::Entry>& returned() const { return returned_; }

  int64_t messages() const { return messages_; }
  int64_t entries() const { return entries_; }

 private:
  using Key = storage::MemoryState::ReceiptKey;
  struct Send {
    model::SendMessage send;
    int device = -1;
    int64_t counter = 0;
    std::optional<model::Sent> sent;
  };
  struct Change {
    std::optional<model::CreateGroup> create;
    model::ChangeMembers change;
    std::optional<model::GroupChanged> done;
  };
  struct Joined {
    int64_t time_ms = 0;
    model::ConvSeq since;
  };
  struct Conversation {
    model::ConvSeq last;
    int64_t time_ms = 0;
    int64_t ordinal = 0;
    // of a group
    model::UserId owner;
    int64_t version = 0;
    std::map<model::UserId, Joined> members;
    std::map<model::UserId, std::vector<model::VisibleRange>> visible;
    std::map<int, int64_t> counters;  // by device: its last send here
  };
  using Due = std::map<std::pair<model::UserId, model::ConversationId>, std::deque<model::ConvSeq>>;

  void LookAtMessages(model::ConversationId id, Conversation& conversation);
  void TakeUserMessage(model::ConversationId id, Conversation& conversation,
                       const model::Message& m);
  void TakePacket(model::ConversationId id, Conversation& conversation, const model::Message& m);
  void TakeNotice(model::ConversationId id, Conversation& conversation, const model::Message& m);
  void TakeReturned(model::UserId user, const model::Entry& entry);
  void PassOn(model::ConversationId id, const Conversation& conversation, model::ConvSeq seq);
  void TakeSystemMessage(model::ConversationId id, Conversation& conversation,
                         const model::Message& m);
  void TakeCreation(model::ConversationId id, Conversation& conversation, const model::Message& m,
                    const Change& asked);
  void TakeChange(model::ConversationId id, Conversation& conversation, const model::Message& m,
                  const Change& asked);
  void LookAtEntries(model::UserId user);
  void CheckStored(const Key& key, model::ConvSeq seq, int64_t time_ms) const;
  void CheckGroupAtTheEnd(model::GroupId id, const Conversation& conversation) const;
  void CheckSlicesAtTheEnd() const;

  const storage::MemoryState& state_;
  const std::vector<model::UserId> users_;
  std::map<Key, Send> sends_;
  std::map<Key, Change> changes_;
  std::map<Key, model::PacketTerms> packets_;  // by the send's request id
  std::map<model::PacketId, Place> announced_;
  std::map<model::PacketId, model::Message> notices_;
  std::map<model::PacketId, model::Entry> returned_;
  std::map<model::ConversationId, Conversation> conversations_;
  std::map<model::UserId, model::Seq> looked_;  // entries up to here were checked
  std::map<model::UserId, model::Seq> shown_;
  Due due_;  // what each inbox still has to get, in order
  std::vector<Accepted> accepted_;
  bool damaged_ = false;
  int64_t messages_ = 0;
  int64_t entries_ = 0;
};

}  // namespace hongyan::simulation
