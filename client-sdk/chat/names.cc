#include "client-sdk/chat/names.h"

#include <algorithm>
#include <utility>

namespace hongyan::chat {

void Names::Learn(UserId user, const std::string& name) {
  users_[user] = name;
  guessed_users_.erase(user);
}

void Names::Learn(GroupId group, const std::string& name) {
  groups_[group] = name;
  guessed_groups_.erase(group);
}

std::string Names::KnownTitle(const Conversation& conversation) const {
  const bool guessed = conversation.is_group()
                           ? guessed_groups_.count(conversation.group()) > 0
                           : guessed_users_.count(conversation.peer_of(me_)) > 0;
  const bool known = conversation.is_group() ? groups_.count(conversation.group()) > 0
                                             : users_.count(conversation.peer_of(me_)) > 0;
  return known && !guessed ? LabelOf(conversation).title : std::string();
}

const std::string* Names::Known(UserId user) const {
  const auto at = users_.find(user);
  return at == users_.end() ? nullptr : &at->second;
}

UserId Names::FindKnown(const std::string& name) const {
  for (const auto& [id, known] : users_) {
    if (known == name) return id;
  }
  return {};
}

GroupId Names::FindKnownGroup(const std::string& name) const {
  for (const auto& [id, known] : groups_) {
    if (known == name) return id;
  }
  return {};
}

std::vector<std::string> Names::AllKnown() const {
  std::vector<std::string> names;
  for (const auto& [id, name] : users_) names.push_back(name);
  for (const auto& [id, name] : groups_) names.push_back(name);
  return names;
}

void Names::InLine(const Conversation& conversation, std::vector<UserId> users,
                   std::function<void()> show) {
  if (!conversation.is_group()) users.push_back(conversation.peer_of(me_));
  std::erase(users, UserId{});
  line_.push_back({conversation.group(), std::move(users), std::move(show)});
  for (const UserId user : line_.back().users) Ask(user);
  if (line_.back().group) Ask(line_.back().group);
  Advance();
}

void Names::Ask(UserId user) {
  if ((users_.count(user) > 0 && guessed_users_.count(user) == 0) ||
      !asked_users_.insert(user).second)
    return;
  client_->FindUser(user, [this, user](Result<User> found) {
    mailbox_.Put([this, user, found = std::move(found)] {
      asked_users_.erase(user);
      if (found.ok()) {
        Learn(user, found->name);
      } else if (users_.count(user) == 0) {
        guessed_users_.insert(user);
        users_[user] = "user " + std::to_string(user.value);
      }
      Advance();
    });
  });
}

void Names::Ask(GroupId group) {
  if ((groups_.count(group) > 0 && guessed_groups_.count(group) == 0) ||
      !asked_groups_.insert(group).second)
    return;
  client_->GetGroup(group, [this, group](Result<Group> found) {
    mailbox_.Put([this, group, found = std::move(found)] {
      asked_groups_.erase(group);
      if (found.ok()) {
        Learn(group, found->name);
      } else if (groups_.count(group) == 0) {
        guessed_groups_.insert(group);
        groups_[group] = "group " + std::to_string(group.value);
      }
      Advance();
    });
  });
}

void Names::Advance() {
  if (std::exchange(advancing_, true)) return;
  while (!line_.empty()) {
    const Waiting& first = line_.front();
    const bool ready = (!first.group || groups_.count(first.group) > 0) &&
                       std::all_of(first.users.begin(), first.users.end(),
                                   [this](UserId u) { return users_.count(u) > 0; });
    if (!ready) break;
    const auto show = std::move(line_.front().show);
    line_.erase(line_.begin());
    show();
  }
  advancing_ = false;
}

std::string Names::NameOf(UserId user) const {
  const std::string* name = Known(user);
  return name != nullptr ? *name : "user " + std::to_string(user.value);
}

Label Names::LabelOf(const Conversation& conversation) const {
  if (conversation.is_group()) {
    const auto at = groups_.find(conversation.group());
    const std::string number = std::to_string(conversation.b);
    return {"#" + number, at != groups_.end() ? at->second : "group " + number};
  }
  const std::string name = NameOf(conversation.peer_of(me_));
  return {"@" + name, name};
}

}  // namespace hongyan::chat
