#include "access/people.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "access/from_pool.h"
#include "access/join_check.h"
#include "access/session.h"
#include "account/refusals.h"
#include "hongyan/v1/group.pb.h"
#include "model/reason.h"

namespace hongyan::access {
namespace {

using base::Code;
using model::GroupId;
using model::Reason;
using model::UserId;

constexpr size_t kListed = 100;
constexpr size_t kMaxListed = 500;

size_t LimitOf(uint32_t asked) {
  return asked == 0 ? kListed : std::min<size_t>(asked, kMaxListed);
}

base::Error Invalid(const char* text) { return {Code::kInvalidArgument, text}; }

base::Error TooMany(const char* before, size_t most, const char* after) {
  return model::Refuse(Code::kInvalidArgument, Reason::kLimitReached,
                       before + std::to_string(most) + after);
}

// Sorted and each once, so that a repeat of the request is the same request. False: not all are
// users' ids.
template <class Wire>
bool ReadUsers(const Wire& wire, std::vector<UserId>* users) {
  for (const int64_t id : wire) {
    if (id <= 0) return false;
    users->push_back(UserId(id));
  }
  std::sort(users->begin(), users->end());
  users->erase(std::unique(users->begin(), users->end()), users->end());
  return true;
}

// Those of whom this loop does not know that they exist.
std::vector<UserId> Unknown(Session& session, const std::vector<UserId>& users) {
  std::vector<UserId> unknown;
  for (const UserId user : users) {
    if (!session.desk().known_users().Knows(user)) unknown.push_back(user);
  }
  return unknown;
}

// A command that waits for what must be read before it may be queued.
struct Intent {
  uint16_t command = 0;
  uint32_t request_id = 0;
  model::ShardId shard = 0;
  model::CommandBody body;
  JoinCheck check;
};

// Reads piece by piece, each at the end of the readers' queue, then queues the command.
void SubmitOnceChecked(Session& session, std::shared_ptr<Intent> intent) {
  const Services& services = session.desk().services();
  const uint16_t command = intent->command;
  const uint32_t request_id = intent->request_id;
  session.OnPool(
      services.readers, command, request_id,
      [&services, intent] { return intent->check.ReadOn(services); },
      [intent](Session& it, base::Result<bool> done) {
        if (!done) return it.Refuse(intent->command, intent->request_id, done.error());
        if (!*done) return SubmitOnceChecked(it, intent);
        for (const UserId user : intent->check.users()) it.desk().known_users().Add(user);
        it.Submit(intent->command, intent->request_id, intent->shard, std::move(intent->body));
      });
}

void Fill(const model::Group& from, v1::GroupInfo* to) {
  to->set_group_id(from.id.value);
  to->set_name(from.name);
  to->set_owner(from.owner.value);
  to->set_created_ms(from.created_ms);
  to->set_members(from.members());
}

}  // namespace

void FindUser(Session& session, const proto::Frame& frame) {
  v1::FindUser wire;
  if (!session.Parse(frame, wire)) return;
  if (wire.name().empty() && wire.user_id() <= 0) {
    return session.Refuse(frame.header.command, frame.header.request_id,
                          Invalid("find a user by a name, or by a positive id"));
  }
  const Services& services = session.desk().services();
  AnswerFromPool(session, frame,
                 [&services, name = wire.name(),
                  id = UserId(wire.user_id())]() -> base::Result<v1::FindUserReply> {
                   auto found = name.empty() ? services.directory.Find(id)
                                             : services.directory.Find(std::string_view(name));
                   if (!found) return std::move(found).error();
                   if (!found->has_value()) {
                     return name.empty() ? account::NoSuchUser(id) : account::NoUserOfThisName();
                   }
                   v1::FindUserReply reply;
                   reply.set_user_id((*found)->id.value);
                   reply.set_name((*found)->name);
                   return reply;
                 });
}

void CreateGroup(Session& session, const proto::Frame& frame) {
  v1::CreateGroup wire;
  if (!session.Parse(frame, wire)) return;
  const auto refuse = [&session, &frame](const base::Error& error) {
    session.Refuse(frame.header.command, frame.header.request_id, error);
  };
  model::CreateGroup create;
  if (!create.request_id.Assign(wire.request_id())) {
    return refuse(Invalid("request_id is 16 bytes, a UUIDv7"));
  }
  // What is too long is not even sorted.
  const Limits& limits = session.desk().limits();
  if (static_cast<size_t>(wire.members_size()) > limits.group_members) {
    return refuse(TooMany("a group has at most ", limits.group_members, " members"));
  }
  if (!ReadUsers(wire.members(), &create.members)) {
    return refuse(Invalid("members are users' ids, which are positive"));
  }
  create.creator = session.user();
  create.name = wire.name();
  std::erase(create.members, create.creator);
  if (create.members.size() >= limits.group_members) {
    return refuse(TooMany("a group has at most ", limits.group_members, " members"));
  }
  const shard::Router& router = session.desk().services().router;
  create.id = router.GroupIdOf(create.creator, create.request_id);
  JoinCheck check(Unknown(session, create.members));
  check.LimitCreated(create.creator, create.id, limits.groups_per_user);
  const model::ShardId shard = router.ShardOf(create.id);
  SubmitOnceChecked(session, std::make_shared<Intent>(frame.header.command, frame.header.request_id,
                                                      shard, std::move(create), std::move(check)));
}

void ChangeMembers(Session& session, const proto::Frame& frame) {
  v1::ChangeMembers wire;
  if (!session.Parse(frame, wire)) return;
  model::ChangeMembers change;
  change.actor = session.user();
  change.group = GroupId(wire.group_id());
  const size_t most = session.desk().limits().group_changes;
  if (static_cast<size_t>(wire.add_size()) + static_cast<size_t>(wire.remove_size()) > most) {
    return session.Refuse(
        frame.header.command, frame.header.request_id,
        TooMany("at most ", most, " members can be added or removed at once: split the request"));
  }
  if (!change.request_id.Assign(wire.request_id()) || wire.group_id() <= 0 ||
      !ReadUsers(wire.add(), &change.add) || !ReadUsers(wire.remove(), &change.remove)) {
    return session.Refuse(frame.header.command, frame.header.request_id,
                          Invalid("a change of members needs a request_id of 16 bytes, a group and "
                                  "users' ids, which are positive"));
  }
  std::vector<UserId> unknown = Unknown(session, change.add);
  const model::ShardId shard = session.desk().services().router.ShardOf(change.group);
  if (unknown.empty()) return session.Submit(frame, shard, std::move(change));
  SubmitOnceChecked(session,
                    std::make_shared<Intent>(frame.header.command, frame.header.request_id, shard,
                                             std::move(change), JoinCheck(std::move(unknown))));
}

void LeaveGroup(Session& session, const proto::Frame& frame) {
  v1::LeaveGroup wire;
  if (!session.Parse(frame, wire)) return;
  model::ChangeMembers change;
  change.actor = session.user();
  change.group = GroupId(wire.group_id());
  change.remove.push_back(session.user());
  if (!change.request_id.Assign(wire.request_id()) || wire.group_id() <= 0) {
    return session.Refuse(frame.header.command, frame.header.request_id,
                          Invalid("leaving needs a request_id of 16 bytes and a group"));
  }
  const model::ShardId shard = session.desk().services().router.ShardOf(change.group);
  session.Submit(frame, shard, std::move(change));
}

void GroupChanged(Session& session, uint16_t command, uint32_t request_id, model::Reply reply) {
  if (!reply) return session.Refuse(command, request_id, reply.error());
  const auto& changed = std::get<model::GroupChanged>(reply.value());
  v1::GroupReply wire;
  wire.set_group_id(changed.group.value);
  wire.set_conv_seq(changed.conv_seq.value);
  wire.set_time_ms(changed.time_ms);
  session.Answer(command, request_id, wire);
}

void ListGroups(Session& session, const proto::Frame& frame) {
  v1::ListGroups wire;
  if (!session.Parse(frame, wire)) return;
  const Services& services = session.desk().services();
  const size_t limit = LimitOf(wire.limit());
  AnswerFromPool(session, frame,
                 [&services, user = session.user(), after = GroupId(wire.after()),
                  limit]() -> base::Result<v1::ListGroupsReply> {
                   auto groups = services.inboxes.Groups(user, after, limit + 1);
                   if (!groups) return std::move(groups).error();
                   v1::ListGroupsReply reply;
                   reply.set_more(groups->size() > limit);
                   if (reply.more()) groups->resize(limit);
                   for (const GroupId id : *groups) {
                     auto group = services.conversations.FindGroup(user, id);
                     // The inbox follows the conversation: left there, not yet here.
                     if (!group && group.error().code == Code::kNotFound) continue;
                     if (!group) return std::move(group).error();
                     Fill(*group, reply.add_groups());
                   }
                   return reply;
                 });
}

void GetGroup(Session& session, const proto::Frame& frame) {
  v1::GetGroup wire;
  if (!session.Parse(frame, wire)) return;
  const Services& services = session.desk().services();
  AnswerFromPool(session, frame,
                 [&services, user = session.user(),
                  id = GroupId(wire.group_id())]() -> base::Result<v1::GetGroupReply> {
                   auto group = services.conversations.FindGroup(user, id);
                   if (!group) return std::move(group).error();
                   v1::GetGroupReply reply;
                   Fill(*group, reply.mutable_group());
                   return reply;
                 });
}

void ListMembers(Session& session, const proto::Frame& frame) {
  v1::ListMembers wire;
  if (!session.Parse(frame, wire)) return;
  const Services& services = session.desk().services();
  const size_t limit = LimitOf(wire.limit());
  AnswerFromPool(session, frame,
                 [&services, user = session.user(), group = GroupId(wire.group_id()),
                  after = UserId(wire.after()), limit]() -> base::Result<v1::ListMembersReply> {
                   auto members = services.conversations.Members(user, group, after, limit + 1);
                   if (!members) return std::move(members).error();
                   v1::ListMembersReply reply;
                   reply.set_more(members->size() > limit);
                   if (reply.more()) members->resize(limit);
                   for (const model::Member& member : *members) {
                     v1::MemberInfo* const info = reply.add_members();
                     info->set_user_id(member.user.value);
                     info->set_role(static_cast<v1::Role>(member.role));
                     info->set_joined_ms(member.joined_ms);
                     auto found = services.directory.Find(member.user);
                     if (!found) return std::move(found).error();
                     if (found->has_value()) info->set_name((*found)->name);
                   }
                   return reply;
                 });
}

}  // namespace hongyan::access
