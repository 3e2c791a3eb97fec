#include "group/groups.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "conversation/refusals.h"
#include "hongyan/v1/message.pb.h"
#include "model/reason.h"

namespace hongyan::group {
namespace {

using base::Code;
using conversation::NoSuchGroup;
using model::Reason;
using model::Refuse;
using shard::ItemOutcome;

constexpr int kNamedInAnnouncement = 100;

// What a repeat of a request is compared by: its meaning, in a fixed order of fields.
uint64_t Meaning(std::string_view name, const std::vector<model::UserId>& first,
                 const std::vector<model::UserId>& second) {
  std::string bytes;
  base::AppendBe64(bytes, name.size());
  bytes.append(name);
  base::AppendBe64(bytes, first.size());
  for (const auto user : first) base::AppendBe64(bytes, static_cast<uint64_t>(user.value));
  for (const auto user : second) base::AppendBe64(bytes, static_cast<uint64_t>(user.value));
  return conversation::BodyHash(bytes);
}

std::string CreatedBody(const model::Group& group, size_t members) {
  v1::Body body;
  auto* created = body.mutable_system()->mutable_group_created();
  created->set_creator(group.owner.value);
  created->set_name(group.name);
  created->set_members(static_cast<int32_t>(members));
  return body.SerializeAsString();
}

std::string ChangedBody(model::UserId actor, const std::vector<model::UserId>& added,
                        const std::vector<model::UserId>& removed) {
  v1::Body body;
  auto* changed = body.mutable_system()->mutable_members_changed();
  changed->set_actor(actor.value);
  changed->set_added_count(static_cast<int32_t>(added.size()));
  changed->set_removed_count(static_cast<int32_t>(removed.size()));
  for (const auto user : added) {
    if (changed->added_size() < kNamedInAnnouncement) changed->add_added(user.value);
  }
  for (const auto user : removed) {
    if (changed->removed_size() < kNamedInAnnouncement) changed->add_removed(user.value);
  }
  return body.SerializeAsString();
}

template <class Id>
bool Contains(const std::vector<Id>& ids, Id id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

base::Result<void> Groups::CheckCreate(shard::UnitOfWork& work,
                                       const model::CreateGroup& create) const {
  if (auto fresh = conversation::CheckRequestId(create.request_id, work.time_ms()); !fresh)
    return fresh;
  if (create.name.empty() || create.name.size() > limits_.max_name_bytes ||
      !base::IsPrintableUtf8(create.name)) {
    return Refuse(Code::kInvalidArgument, Reason::kBodyInvalid,
                  "a group's name is 1 to " + std::to_string(limits_.max_name_bytes) +
                      " bytes of UTF-8 without control characters");
  }
  if (static_cast<int64_t>(create.members.size()) >= limits_.max_members) {
    return Refuse(Code::kInvalidArgument, Reason::kLimitReached,
                  "a group has at most " + std::to_string(limits_.max_members) + " members");
  }
  return {};
}

model::Group Groups::NewGroup(shard::UnitOfWork& work, const model::CreateGroup& create) const {
  const shard::Router& router = conversations_.router();
  model::Group group;
  group.id = create.id;
  group.owner = create.creator;
  group.name = create.name;
  group.created_ms = work.time_ms();
  group.created_by = create.request_id;
  group.version = 1;
  group.member_count.assign(static_cast<size_t>(router.shards()), 0);
  ++group.member_count[router.ShardOf(create.creator)];
  for (const auto user : create.members) ++group.member_count[router.ShardOf(user)];
  return group;
}

void Groups::Create(shard::UnitOfWork& work, const model::ReplyTo& to,
                    const model::CreateGroup& create) {
  auto existing = conversations_.FindGroup(create.id);
  if (!existing) return work.Reply(to, existing.error());
  if (const model::Group* group = *existing; group != nullptr) {
    if (group->created_by != create.request_id) {
      return work.Reply(to, Refuse(Code::kAlreadyExists, Reason::kIdCollision,
                                   "the id of this group is taken: use a new request id"));
    }
    if (group->state == model::GroupState::kCreating) {
      began_waiting_.push_back({create.id, to});
      return;
    }
    auto accepted =
        conversations_.FindAccepted(model::ConversationId::Group(create.id), create.creator,
                                    create.request_id, Meaning(create.name, create.members, {}));
    if (!accepted) return work.Reply(to, accepted.error());
    if (!accepted->has_value()) {
      auto fresh = conversation::CheckRequestId(create.request_id, work.time_ms());
      return work.Reply(to, fresh ? NoSuchGroup() : fresh.error());
    }
    return work.Reply(to, model::ReplyBody(model::GroupChanged{create.id, (*accepted)->seq,
                                                               (*accepted)->time_ms}));
  }
  if (auto good = CheckCreate(work, create); !good) return work.Reply(to, good.error());
  model::Group group = NewGroup(work, create);
  if (auto may = conversations_.MayAppend(work, group); !may) return work.Reply(to, may.error());
  if (create.members.size() > limits_.create_at_once) {
    group.state = model::GroupState::kCreating;
    conversations_.PutGroup(work, group);
    work.Emit(work.shard(), model::CreateGroupItem{std::move(group), create.members},
              static_cast<int32_t>(create.members.size()) + 1);
    began_waiting_.push_back({create.id, to});
    return;
  }
  std::vector<model::UserId> everyone = create.members;
  everyone.insert(everyone.begin(), create.creator);
  auto shown = Show(work, group, everyone);
  if (!shown) return work.Reply(to, shown.error());
  for (const auto user : everyone) PutFirstMember(work, group, user);
  work.Reply(to, model::ReplyBody(*shown));
}

void Groups::PutFirstMember(shard::UnitOfWork& work, const model::Group& group,
                            model::UserId user) {
  model::Member member;
  member.user = user;
  member.role = user == group.owner ? model::Role::kOwner : model::Role::kMember;
  member.joined_ms = group.created_ms;
  member.visible.push_back({model::ConvSeq(1), {}});
  conversations_.PutMember(work, group.id, std::move(member));
}

base::Result<model::GroupChanged> Groups::Show(shard::UnitOfWork& work, model::Group group,
                                               const std::vector<model::UserId>& everyone) {
  const auto conversation = model::ConversationId::Group(group.id);
  const std::vector<model::UserId> members(everyone.begin() + 1, everyone.end());
  auto message = conversations_.Append(
      work, conversation,
      {group.owner, group.created_by, model::BodyKind::kSystem, CreatedBody(group, everyone.size()),
       Meaning(group.name, members, {})});
  if (!message) return message.error();
  group.state = model::GroupState::kActive;
  const std::vector<int32_t> nobody(group.member_count.size(), 0);
  Announce(work, group, nobody, 0, conversation::Conversations::EntryFor(conversation, *message),
           group.owner, {everyone, {}});
  const model::GroupChanged changed{group.id, message->seq, message->time_ms};
  conversations_.PutGroup(work, std::move(group));
  return changed;
}

base::Result<ItemOutcome> Groups::Apply(shard::UnitOfWork& work, const shard::ItemPlace& place,
                                        const model::CreateGroupItem& item, size_t max_records) {
  if (auto fits = conversations_.CheckCounts(item.group); !fits) return fits.error();
  std::vector<model::UserId> everyone = item.members;
  everyone.insert(everyone.begin(), item.group.owner);
  const auto from = static_cast<size_t>(place.position);
  const size_t end = std::min(everyone.size(), from + std::max<size_t>(max_records, 1));
  // Show reads, so it comes before anything is written.
  const bool last = end == everyone.size();
  auto shown = last ? Show(work, item.group, everyone)
                    : base::Result<model::GroupChanged>(model::GroupChanged{});
  if (!shown) {
    // It may be parked for this: nobody shall wait for an answer that may never come.
    AnswerWaiting(work, item.group.id, shown.error());
    return shown.error();
  }
  for (size_t i = from; i < end; ++i) PutFirstMember(work, item.group, everyone[i]);
  if (!last) return ItemOutcome::Slice(static_cast<int64_t>(end));
  AnswerWaiting(work, item.group.id, model::ReplyBody(*shown));
  return ItemOutcome::Applied();
}

// Repeats of the request may have come in this very batch.
void Groups::AnswerWaiting(shard::UnitOfWork& work, model::GroupId group,
                           const model::Reply& reply) {
  if (Contains(answered_, group)) return;
  for (const auto* waiters : {&waiting_, &began_waiting_}) {
    for (const auto& [id, to] : *waiters) {
      if (id == group) work.Reply(to, reply);
    }
  }
  std::erase_if(began_waiting_, [group](const Waiter& w) { return w.group == group; });
  answered_.push_back(group);
}

void Groups::Change(shard::UnitOfWork& work, const model::ReplyTo& to,
                    const model::ChangeMembers& change) {
  work.Reply(to, ChangeNow(work, change));
}

base::Result<void> Groups::MayChange(const model::Group& group,
                                     const model::ChangeMembers& change) {
  if (!change.actor) return {};
  auto actor = conversations_.FindMember(group.id, change.actor);
  if (!actor) return actor.error();
  if (*actor == nullptr || !(*actor)->present()) return NoSuchGroup();
  const model::Role role = (*actor)->role;
  const bool leads = role == model::Role::kOwner || role == model::Role::kAdmin;
  for (const auto user : change.remove) {
    if (user == change.actor) continue;  // leaving is everyone's right
    if (!leads) {
      return Refuse(Code::kPermissionDenied, Reason::kNotAllowed,
                    "only the owner and admins of a group may remove others");
    }
    if (user == group.owner) {
      return Refuse(Code::kPermissionDenied, Reason::kNotAllowed,
                    "the owner of a group cannot be removed");
    }
  }
  return {};
}

// Adding who is there and removing who is not changes nothing.
base::Result<Groups::Delta> Groups::Effective(const model::Group& group,
                                              const model::ChangeMembers& change) {
  Delta delta;
  for (const bool adding : {true, false}) {
    for (const auto user : adding ? change.add : change.remove) {
      auto member = conversations_.FindMember(group.id, user);
      if (!member) return member.error();
      const bool present = *member != nullptr && (*member)->present();
      auto& list = adding ? delta.add : delta.remove;
      if (present != adding && !Contains(list, user)) list.push_back(user);
    }
  }
  return delta;
}

model::Reply Groups::ChangeNow(shard::UnitOfWork& work, const model::ChangeMembers& change) {
  const auto conversation = model::ConversationId::Group(change.group);
  const uint64_t meaning = Meaning({}, change.add, change.remove);
  auto accepted =
      conversations_.FindAccepted(conversation, change.actor, change.request_id, meaning);
  if (!accepted) return accepted.error();
  if (accepted->has_value()) {
    return model::ReplyBody(
        model::GroupChanged{change.group, (*accepted)->seq, (*accepted)->time_ms});
  }
  if (auto fresh = conversation::CheckRequestId(change.request_id, work.time_ms()); !fresh) {
    return std::move(fresh).error();
  }
  auto found = conversations_.FindGroup(change.group);
  if (!found) return found.error();
  if (*found == nullptr || (*found)->state != model::GroupState::kActive) return NoSuchGroup();
  model::Group group = **found;
  if (auto may = MayChange(group, change); !may) return std::move(may).error();
  if (change.add.size() + change.remove.size() > limits_.max_changes) {
    return Refuse(Code::kInvalidArgument, Reason::kLimitReached,
                  "at most " + std::to_string(limits_.max_changes) +
                      " members can be added or removed at once: split the request");
  }
  auto delta = Effective(group, change);
  if (!delta) return delta.error();
  if (delta->add.empty() && delta->remove.empty()) {
    return model::ReplyBody(model::GroupChanged{change.group, {}, 0});
  }
  if (group.members() + static_cast<int64_t>(delta->add.size()) > limits_.max_members) {
    return Refuse(Code::kFailedPrecondition, Reason::kLimitReached,
                  "a group has at most " + std::to_string(limits_.max_members) + " members");
  }
  if (auto may = conversations_.MayAppend(work, group); !may) return std::move(may).error();
  model::UserId next_owner = group.owner;
  if (!group.owner || Contains(delta->remove, group.owner)) {
    auto next = NextOwner(group.id, *delta);
    if (!next) return next.error();
    next_owner = *next;
  }
  // Its row is read before anything is written: a read that fails refuses the command whole.
  if (next_owner && next_owner != group.owner) {
    if (auto row = conversations_.FindMember(group.id, next_owner); !row) return row.error();
  }
  auto message =
      conversations_.Append(work, conversation,
                            {change.actor, change.request_id, model::BodyKind::kSystem,
                             ChangedBody(change.actor, delta->add, delta->remove), meaning});
  if (!message) return message.error();

  const std::vector<int32_t> before = group.member_count;
  const int64_t version_before = group.version++;
  const shard::Router& router = conversations_.router();
  for (const bool adding : {true, false}) {
    for (const auto user : adding ? delta->add : delta->remove) {
      auto row = conversations_.FindMember(group.id, user);
      if (!row) return row.error();
      model::Member member = *row == nullptr ? model::Member{} : **row;
      member.user = user;
      member.role = adding ? model::Role::kMember : model::Role::kNone;
      if (adding) {
        member.joined_ms = message->time_ms;
        member.muted_until_ms = 0;
        member.visible.push_back({message->seq, {}});
        if (member.visible.size() > model::kMaxVisibleRanges) {
          member.visible.erase(member.visible.begin());
        }
      } else if (!member.visible.empty()) {
        member.visible.back().to = message->seq;
      }
      conversations_.PutMember(work, group.id, std::move(member));
      group.member_count[router.ShardOf(user)] += adding ? 1 : -1;
    }
  }
  if (next_owner != group.owner) {
    group.owner = next_owner;
    if (next_owner) {
      auto row = conversations_.FindMember(group.id, next_owner);
      if (!row) return row.error();
      model::Member member = **row;
      member.role = model::Role::kOwner;
      conversations_.PutMember(work, group.id, std::move(member));
    }
  }
  Announce(work, group, before, version_before,
           conversation::Conversations::EntryFor(conversation, *message), change.actor, *delta);
  const model::GroupChanged changed{group.id, message->seq, message->time_ms};
  conversations_.PutGroup(work, std::move(group));
  return model::ReplyBody(changed);
}

// When the owner goes, the group goes to its longest-standing admin, else member, else the first of
// those who join with this change; an empty group to nobody.
base::Result<model::UserId> Groups::NextOwner(model::GroupId group, const Delta& delta) {
  auto members = conversations_.AllMembers(group);
  if (!members) return members.error();
  const model::Member* next = nullptr;
  const auto before = [](const model::Member& a, const model::Member& b) {
    return a.role != b.role ? a.role > b.role : a.joined_ms < b.joined_ms;
  };
  for (const auto& member : *members) {
    if (!member.present() || Contains(delta.remove, member.user)) continue;
    if (next == nullptr || before(member, *next)) next = &member;
  }
  if (next != nullptr) return next->user;
  return delta.add.empty() ? model::UserId()
                           : *std::min_element(delta.add.begin(), delta.add.end());
}

// A change goes to members before and after it, by the channels that carry the group's messages.
void Groups::Announce(shard::UnitOfWork& work, const model::Group& group,
                      const std::vector<int32_t>& count_before, int64_t version_before,
                      const model::Entry& entry, model::UserId actor, const Delta& delta) {
  const shard::Router& router = conversations_.router();
  std::vector<model::MembersItem> items(group.member_count.size());
  for (const auto user : delta.add) items[router.ShardOf(user)].added.push_back(user);
  for (const auto user : delta.remove) items[router.ShardOf(user)].removed.push_back(user);
  for (size_t shard = 0; shard < items.size(); ++shard) {
    model::MembersItem& item = items[shard];
    item.expected = count_before[shard] + static_cast<int32_t>(item.added.size());
    if (item.expected == 0) continue;
    item.entry = entry;
    item.actor = actor;
    item.version_before = version_before;
    item.version = group.version;
    const auto rows = static_cast<int32_t>(2 * (item.added.size() + item.removed.size()));
    const int32_t entries = item.expected + rows;
    work.Emit(static_cast<model::ShardId>(shard), std::move(item), entries);
  }
}

void Groups::Publish() {
  for (const auto id : answered_) {
    std::erase_if(waiting_, [id](const Waiter& w) { return w.group == id; });
  }
  waiting_.insert(waiting_.end(), began_waiting_.begin(), began_waiting_.end());
  answered_.clear();
  began_waiting_.clear();
}

void Groups::Drop() {
  answered_.clear();
  began_waiting_.clear();
}

void Groups::AbandonWaiting(shard::UnitOfWork& work, const base::Error& error) {
  for (const auto& [id, to] : waiting_) work.Reply(to, error);
  waiting_.clear();
}

}  // namespace hongyan::group
