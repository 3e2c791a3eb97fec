#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "account/refusals.h"
#include "admin/errand.h"
#include "admin/service.h"

namespace hongyan::admin {
namespace {

using base::Code;
using model::GroupId;
using model::UserId;

constexpr uint32_t kMaxListed = 1000;

base::Error Invalid(const char* text) { return {Code::kInvalidArgument, text}; }

// Users by name. Reads the disk: reader pool.
template <class Names>
base::Result<void> FindAll(const account::Directory& directory, const Names& names,
                           std::vector<UserId>* users) {
  for (const std::string& name : names) {
    auto found = directory.Find(std::string_view(name));
    if (!found) return std::move(found).error();
    if (!found->has_value()) return account::NoSuchUser(name);
    users->push_back((*found)->id);
  }
  return {};
}

// Each once, in one order: a repeat of the request is the same request.
void Settle(std::vector<UserId>* users) {
  std::sort(users->begin(), users->end());
  users->erase(std::unique(users->begin(), users->end()), users->end());
}

}  // namespace

void Service::SubmitGroup(ErrandPtr errand, model::ShardId shard, model::CommandBody body) {
  desk_.Submit(model::Priority::kMoney, shard, std::move(body),
               [errand = std::move(errand)](model::Reply reply) {
                 if (!reply) return errand->Refuse(reply.error());
                 const auto& changed = std::get<model::GroupChanged>(reply.value());
                 v1::AdminReply answer;
                 answer.mutable_group()->set_group_id(changed.group.value);
                 answer.mutable_group()->set_conv_seq(changed.conv_seq.value);
                 answer.mutable_group()->set_time_ms(changed.time_ms);
                 errand->Answer(answer);
               });
}

void Service::CreateGroup(ErrandPtr errand, const v1::AdminCreateGroup& request) {
  auto make = [this, request]() -> base::Result<model::CreateGroup> {
    model::CreateGroup create;
    if (!create.request_id.Assign(request.request_id())) {
      return Invalid("request_id is 16 bytes, a UUIDv7");
    }
    create.name = request.name();
    std::vector<UserId> owner;
    if (auto found = FindAll(services().directory, std::vector{request.owner()}, &owner); !found) {
      return std::move(found).error();
    }
    create.creator = owner.front();
    if (auto found = FindAll(services().directory, request.members(), &create.members); !found) {
      return std::move(found).error();
    }
    for (const int64_t id : request.member_ids()) {
      auto exists = services().directory.Exists(UserId(id));
      if (!exists) return std::move(exists).error();
      if (!*exists) return account::NoSuchUser(UserId(id));
      create.members.push_back(UserId(id));
    }
    Settle(&create.members);
    std::erase(create.members, create.creator);
    create.id = services().router.GroupIdOf(create.creator, create.request_id);
    return create;
  };
  net::Loop* const loop = &desk_.loop();
  const bool taken = services().readers.Submit([this, loop, errand, make = std::move(make)] {
    loop->Post([this, errand, create = make()] {
      if (!create) return errand->Refuse(create.error());
      SubmitGroup(errand, services().router.ShardOf(create->id), *create);
    });
  });
  if (!taken) errand->Refuse(services().admission.Busy());
}

void Service::ChangeMembers(ErrandPtr errand, const v1::AdminChangeMembers& request) {
  auto make = [this, request]() -> base::Result<model::ChangeMembers> {
    model::ChangeMembers change;
    if (!change.request_id.Assign(request.request_id()) || request.group_id() <= 0) {
      return Invalid("a change of members needs a request_id of 16 bytes, a UUIDv7, and a group");
    }
    change.group = GroupId(request.group_id());
    if (auto found = FindAll(services().directory, request.add(), &change.add); !found) {
      return std::move(found).error();
    }
    if (auto found = FindAll(services().directory, request.remove(), &change.remove); !found) {
      return std::move(found).error();
    }
    Settle(&change.add);
    Settle(&change.remove);
    return change;
  };
  net::Loop* const loop = &desk_.loop();
  const bool taken = services().readers.Submit([this, loop, errand, make = std::move(make)] {
    loop->Post([this, errand, change = make()] {
      if (!change) return errand->Refuse(change.error());
      SubmitGroup(errand, services().router.ShardOf(change->group), *change);
    });
  });
  if (!taken) errand->Refuse(services().admission.Busy());
}

void Service::ShowGroup(ErrandPtr errand, const v1::ShowGroup& request) {
  const size_t limit = std::min(request.limit() == 0 ? 100 : request.limit(), kMaxListed);
  OnPool(services().readers, std::move(errand),
         [this, id = GroupId(request.group_id()), after = UserId(request.after()),
          limit]() -> base::Result<v1::AdminReply> {
           const conversation::Reader& reader = services().conversations;
           auto group = reader.FindGroup(id);
           if (!group) return std::move(group).error();
           auto last = reader.LastSeq(model::ConversationId::Group(id));
           if (!last) return std::move(last).error();
           auto members = reader.Members(id, after, limit + 1);
           if (!members) return std::move(members).error();
           v1::AdminReply reply;
           v1::ShowGroupReply& show = *reply.mutable_show_group();
           show.set_group_id(id.value);
           show.set_name(group->name);
           show.set_owner(group->owner.value);
           show.set_created_ms(group->created_ms);
           show.set_version(group->version);
           show.set_member_count(group->members());
           show.set_last_conv_seq(last->value);
           show.set_more(members->size() > limit);
           members->resize(std::min(members->size(), limit));
           for (const model::Member& member : *members) {
             auto* const info = show.add_members();
             info->set_user_id(member.user.value);
             info->set_role(static_cast<int32_t>(member.role));
             auto user = services().directory.Find(member.user);
             if (!user) return std::move(user).error();
             if (user->has_value()) info->set_name((*user)->name);
           }
           return reply;
         });
}

}  // namespace hongyan::admin
