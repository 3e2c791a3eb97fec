#include "access/join_check.h"

#include <algorithm>
#include <string>

#include "account/refusals.h"
#include "model/reason.h"

namespace hongyan::access {

using base::Code;
using model::Reason;

void JoinCheck::LimitCreated(model::UserId creator, model::GroupId group, size_t most) {
  creator_ = creator;
  group_ = group;
  most_ = most;
}

base::Result<bool> JoinCheck::ReadOn(const Services& services) {
  if (creator_) {
    if (auto counted = CountCreated(services); !counted) return std::move(counted).error();
  } else if (auto looked = LookAtUsers(services.directory); !looked) {
    return std::move(looked).error();
  }
  return !creator_ && looked_at_ == users_.size();
}

base::Result<void> JoinCheck::LookAtUsers(const account::Directory& directory) {
  const size_t end = std::min(users_.size(), looked_at_ + kRowsAtOnce);
  for (; looked_at_ < end; ++looked_at_) {
    const model::UserId user = users_[looked_at_];
    auto exists = directory.Exists(user);
    if (!exists) return std::move(exists).error();
    if (!*exists) return account::NoSuchUser(user);
  }
  return {};
}

base::Result<void> JoinCheck::CountCreated(const Services& services) {
  if (!counted_to_) {
    // Who is in few groups has made few: the common case, without a look at the groups themselves.
    auto few = services.inboxes.Groups(creator_, {}, most_);
    if (!few) return std::move(few).error();
    if (few->size() < most_) {
      creator_ = {};
      return {};
    }
  }
  auto groups = services.inboxes.Groups(creator_, counted_to_, kRowsAtOnce);
  if (!groups) return std::move(groups).error();
  for (const model::GroupId id : *groups) {
    auto group = services.conversations.FindGroup(id);
    if (!group && group.error().code == Code::kNotFound) continue;
    if (!group) return std::move(group).error();
    const bool theirs = services.router.GroupIdOf(creator_, group->created_by) == id;
    if (!theirs || id == group_ || ++created_ < most_) continue;
    return model::Refuse(Code::kResourceExhausted, Reason::kLimitReached,
                         "you are in " + std::to_string(created_) +
                             " groups that you made, which is the limit: leave one of them first");
  }
  if (groups->size() < kRowsAtOnce) {
    creator_ = {};
  } else {
    counted_to_ = groups->back();
  }
  return {};
}

}  // namespace hongyan::access
