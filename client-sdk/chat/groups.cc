#include <cstdlib>
#include <string>
#include <vector>

#include "client-sdk/chat/chat.h"
#include "client-sdk/chat/words.h"

// The part of the chat that is about groups and who is in them.

namespace hongyan::chat {

void Chat::ToGroup(const std::vector<std::string>& words) {
  opening_ = true;
  if (words.size() < 2) return Fail("usage: /group ID-OR-NAME; /groups lists them");
  const std::string word = Joined(words, 1);
  const bool digits = word.size() < 20 && word.find_first_not_of("0123456789") == std::string::npos;
  const GroupId known = digits ? GroupId{} : names_.FindKnownGroup(word);
  if (known) return OpenConversation(Conversation::Of(known), true);
  if (!digits) {
    ListGroupsFrom({}, {}, [this, word](const std::vector<Group>& groups) {
      for (const Group& group : groups) names_.Learn(group.id, group.name);
      const GroupId found = names_.FindKnownGroup(word);
      if (!found)
        return Fail("you are in no group called " + Excerpt(word) + "; /groups lists them");
      OpenConversation(Conversation::Of(found), true);
    });
    return;
  }
  const GroupId id{std::strtoll(word.c_str(), nullptr, 10)};
  client_->GetGroup(id, Answer<Group>([this](const Result<Group>& group) {
                      if (!group.ok()) return Fail(group.error().text);
                      names_.Learn(group->id, group->name);
                      OpenConversation(Conversation::Of(group->id), true);
                    }));
}

void Chat::New(const std::vector<std::string>& words) {
  opening_ = true;
  if (words.size() < 2) return Fail("usage: /new NAME MEMBER...");
  const std::string name = words[1];
  const auto create = [this, name](const std::vector<UserId>& members) {
    client_->CreateGroup(
        name, members, Answer<GroupChange>([this, name, members](const Result<GroupChange>& made) {
          if (!made.ok()) return Fail(made.error().text);
          names_.Learn(made->group, name);
          view_.Groups({{made->group, name, names_.me(), made->time_ms,
                         static_cast<int64_t>(members.size()) + 1}});
          OpenConversation(Conversation::Of(made->group), false);
        }));
  };
  if (words.size() == 2) return create({});
  FindAll({words.begin() + 2, words.end()}, create);
}

bool Chat::NeedGroup() {
  if (here_ && here_->is_group()) return true;
  Fail("this needs an open group: /group ID comes first");
  return false;
}

void Chat::ChangeMembers(const std::vector<std::string>& words, bool add) {
  if (!NeedGroup()) return;
  if (words.size() < 2) return Fail("usage: " + words[0] + " NAME...");
  FindAll({words.begin() + 1, words.end()}, [this, add, group = here_->group()](
                                                const std::vector<UserId>& found) {
    const std::vector<UserId> nobody;
    client_->ChangeMembers(group, add ? found : nobody, add ? nobody : found,
                           Answer<GroupChange>([this, add](const Result<GroupChange>& changed) {
                             if (!changed.ok()) return Fail(changed.error().text);
                             if (changed->conv_seq == 0)
                               view_.Note(add ? "nothing to change: members already"
                                              : "nothing to change: no members");
                           }));
  });
}

void Chat::AddMembers(const std::vector<std::string>& words) { ChangeMembers(words, true); }
void Chat::RemoveMembers(const std::vector<std::string>& words) { ChangeMembers(words, false); }

void Chat::Leave(const std::vector<std::string>&) {
  if (!NeedGroup()) return;
  client_->LeaveGroup(here_->group(), Answer<GroupChange>([this](const Result<GroupChange>& left) {
                        if (!left.ok()) return Fail(left.error().text);
                        view_.Note("you left " + names_.LabelOf(*here_).title +
                                   "; /to NAME or /group ID opens a conversation");
                        here_.reset();
                        ShowPrompt();
                      }));
}

void Chat::ListMembersFrom(UserId after, std::vector<Member> so_far) {
  const Conversation where = *here_;
  client_->ListMembers(
      where.group(), after, 0,
      Answer<Page<Member>>([this, where, so_far](const Result<Page<Member>>& page) {
        if (!page.ok()) return Fail(page.error().text);
        std::vector<Member> all = so_far;
        all.insert(all.end(), page->items.begin(), page->items.end());
        if (page->more && !page->items.empty()) return ListMembersFrom(all.back().id, all);
        view_.Members(names_.LabelOf(where), all);
      }));
}

void Chat::Members(const std::vector<std::string>&) {
  if (NeedGroup()) ListMembersFrom({}, {});
}

void Chat::ListGroupsFrom(GroupId after, std::vector<Group> so_far,
                          std::function<void(std::vector<Group>)> then) {
  client_->ListGroups(after, 0,
                      Answer<Page<Group>>([this, so_far, then](const Result<Page<Group>>& page) {
                        if (!page.ok()) return Fail(page.error().text);
                        std::vector<Group> all = so_far;
                        all.insert(all.end(), page->items.begin(), page->items.end());
                        if (page->more && !page->items.empty())
                          return ListGroupsFrom(all.back().id, all, then);
                        then(all);
                      }));
}

void Chat::Groups(const std::vector<std::string>&) {
  ListGroupsFrom({}, {}, [this](const std::vector<Group>& groups) {
    for (const Group& group : groups) names_.Learn(group.id, group.name);
    view_.Groups(groups);
  });
}

}  // namespace hongyan::chat
