#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "client-sdk/chat/chat.h"

// The part of the chat that is about messages which come, now or from history.

namespace hongyan::chat {
namespace {

constexpr uint32_t kHistoryDefault = 20;

}  // namespace

std::vector<UserId> Chat::UsersIn(const Message& message) {
  std::vector<UserId> users = {message.sender};
  if (const auto* changed = std::get_if<MembersChanged>(&message.body)) {
    users.push_back(changed->actor);
    users.insert(users.end(), changed->added.begin(), changed->added.end());
    users.insert(users.end(), changed->removed.begin(), changed->removed.end());
  } else if (const auto* created = std::get_if<GroupCreated>(&message.body)) {
    users.push_back(created->creator);
  } else if (const auto* packet = std::get_if<RedPacket>(&message.body)) {
    if (packet->named) users.push_back(packet->named);
  } else if (const auto* notice = std::get_if<PacketNotice>(&message.body)) {
    for (const UserId user : {notice->sender, notice->user}) {
      if (user) users.push_back(user);
    }
  }
  return users;
}

void Chat::OnMessage(const Message& message) {
  const bool here = here_ == message.conversation;
  Open& open = conversations_[message.conversation];
  open.last_ms = std::max(open.last_ms, message.time_ms);
  const bool system = std::holds_alternative<MembersChanged>(message.body) ||
                      std::holds_alternative<GroupCreated>(message.body) ||
                      std::holds_alternative<PacketNotice>(message.body);
  if (!message.own && !here && !system) ++open.unread;
  if (message.own && echoed_.erase({message.conversation, message.conv_seq}) > 0) return;
  first_shown_.try_emplace(message.conversation, message.conv_seq);
  Display(message, false);
}

void Chat::Display(const Message& message, bool from_history) {
  LearnPacket(message);
  names_.InLine(message.conversation, UsersIn(message), [this, message, from_history] {
    ShownMessage shown;
    shown.where = names_.LabelOf(message.conversation);
    shown.conv_seq = message.conv_seq;
    shown.by_server = !message.sender || std::holds_alternative<MembersChanged>(message.body) ||
                      std::holds_alternative<GroupCreated>(message.body);
    if (!shown.by_server) shown.sender = names_.NameOf(message.sender);
    shown.time_ms = message.time_ms;
    shown.text = TextOf(message);
    shown.money = std::holds_alternative<RedPacket>(message.body) ||
                  std::holds_alternative<Transfer>(message.body);
    shown.own = message.own;
    shown.here = here_ == message.conversation;
    shown.from_history = from_history;
    view_.Show(shown);
    ShowPrompt();
  });
}

std::string Chat::TextOf(const Message& message) const {
  if (message.gone) return "[no longer kept]";
  if (message.recalled) return "[recalled]";
  const auto names = [this](const std::vector<UserId>& users, int count) {
    std::string text;
    for (const UserId user : users) text += (text.empty() ? "" : ", ") + names_.NameOf(user);
    const int more = count - static_cast<int>(users.size());
    return more > 0 ? text + " and " + std::to_string(more) + " more" : text;
  };
  if (const auto* text = std::get_if<Text>(&message.body)) return text->text;
  if (const auto* media = std::get_if<Media>(&message.body)) {
    static constexpr const char* kKinds[] = {"image", "voice", "video", "file"};
    return std::string("[") + kKinds[static_cast<int>(media->kind)] + " " +
           (media->name.empty() ? media->url : media->name + " " + media->url) + "]";
  }
  if (const auto* custom = std::get_if<Custom>(&message.body)) {
    return "[" + custom->type + ", " + std::to_string(custom->data.size()) + " bytes]";
  }
  if (const auto* created = std::get_if<GroupCreated>(&message.body)) {
    const std::string who =
        created->creator ? names_.NameOf(created->creator) : "the administrator";
    return who + " made the group " + created->name + " with " + std::to_string(created->members) +
           " members";
  }
  if (const auto* changed = std::get_if<MembersChanged>(&message.body)) {
    const std::string who = changed->actor ? names_.NameOf(changed->actor) : "the administrator";
    if (changed->removed_count == 1 && changed->added_count == 0 && !changed->removed.empty() &&
        changed->removed[0] == changed->actor) {
      return who + " left";
    }
    std::string text = who;
    if (changed->added_count > 0) text += " added " + names(changed->added, changed->added_count);
    if (changed->added_count > 0 && changed->removed_count > 0) text += " and";
    if (changed->removed_count > 0)
      text += " removed " + names(changed->removed, changed->removed_count);
    return text;
  }
  if (const auto* packet = std::get_if<RedPacket>(&message.body)) return TextOf(*packet, message);
  if (const auto* transfer = std::get_if<Transfer>(&message.body)) {
    return TextOf(*transfer, message);
  }
  if (const auto* notice = std::get_if<PacketNotice>(&message.body)) {
    return TextOf(*notice, message);
  }
  return "[a message this program does not know]";
}

void Chat::ShowHistory(uint32_t count, int64_t before) {
  HistoryQuery query;
  query.conversation = *here_;
  query.limit = count;
  query.before = before;
  client_->History(query, Answer<Page<Message>>([this](const Result<Page<Message>>& page) {
                     if (!page.ok()) return Fail(page.error().text);
                     // What became of a packet is said after it.
                     for (const Message& message : page->items) LearnPacket(message);
                     for (auto at = page->items.rbegin(); at != page->items.rend(); ++at)
                       Display(*at, true);
                   }));
}

void Chat::History(const std::vector<std::string>& words) {
  if (!NeedConversation()) return;
  const long count =
      words.size() > 1 ? std::strtol(words[1].c_str(), nullptr, 10) : long{kHistoryDefault};
  if (count < 1 || count > 1000) return Fail("usage: /history [COUNT], at most 1000");
  ShowHistory(static_cast<uint32_t>(count), 0);
}

}  // namespace hongyan::chat
