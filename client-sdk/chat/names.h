#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client-sdk/chat/mailbox.h"
#include "client-sdk/chat/view.h"
#include "hongyan/client.h"

namespace hongyan::chat {

// Names of users and groups, asked from the server when first needed. What needs a name waits in
// line, so that everything appears in its order. Main thread.
class Names {
 public:
  explicit Names(Mailbox& mailbox) : mailbox_(mailbox) {}

  void Attach(Client* client) { client_ = client; }
  void set_me(UserId me) { me_ = me; }
  UserId me() const { return me_; }

  void Learn(UserId user, const std::string& name);
  void Learn(GroupId group, const std::string& name);
  const std::string* Known(UserId user) const;
  // By name, among what is known; 0 = not.
  UserId FindKnown(const std::string& name) const;
  std::vector<std::string> AllKnown() const;
  GroupId FindKnownGroup(const std::string& name) const;

  // Runs `show` when the names are known or cannot be had, after everything that was put in line
  // before.
  void InLine(const Conversation& conversation, std::vector<UserId> users,
              std::function<void()> show);
  bool line_empty() const { return line_.empty(); }

  // "user 42" and "group 42" where the name is not known.
  std::string NameOf(UserId user) const;
  Label LabelOf(const Conversation& conversation) const;
  // The title, empty where it is only a number.
  std::string KnownTitle(const Conversation& conversation) const;

 private:
  struct Waiting {
    GroupId group;
    std::vector<UserId> users;
    std::function<void()> show;
  };
  void Ask(UserId user);
  void Ask(GroupId group);
  void Advance();

  Mailbox& mailbox_;
  Client* client_ = nullptr;
  UserId me_ = {};
  std::map<UserId, std::string> users_;
  std::map<GroupId, std::string> groups_;
  std::set<UserId> guessed_users_;  // not answered: shown by number, asked again when next needed
  std::set<GroupId> guessed_groups_;
  std::set<UserId> asked_users_;
  std::set<GroupId> asked_groups_;
  std::vector<Waiting> line_;
  bool advancing_ = false;
};

}  // namespace hongyan::chat
