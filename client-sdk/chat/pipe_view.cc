#include "client-sdk/chat/pipe_view.h"

#include <iostream>

#include "client-sdk/chat/words.h"
#include "proto/amount.h"

namespace hongyan::chat {
namespace {

using proto::YuanText;

constexpr size_t kMaxFailedText = 64
                                  << 10;  // what was refused for its size need not come back whole

void Line(std::initializer_list<std::string> fields) {
  std::string line;
  for (const std::string& field : fields) {
    if (!line.empty()) line += '\t';
    line += Escaped(field);
  }
  line += '\n';
  std::cout << line << std::flush;
}

}  // namespace

const char* RoleName(Role role) {
  switch (role) {
    case Role::kNone:
      break;
    case Role::kMember:
      return "member";
    case Role::kAdmin:
      return "admin";
    case Role::kOwner:
      return "owner";
  }
  return "none";
}

void PipeView::Connected(const std::string& me) { Line({"connected", me}); }

void PipeView::Disconnected(const std::string& why, int64_t retry_in_ms) {
  Problem(why + "; next try in " + std::to_string(retry_in_ms) + " ms");
}

void PipeView::Show(const ShownMessage& message) {
  Line({message.from_history ? "history" : "message", message.where.id,
        std::to_string(message.conv_seq), message.sender, UtcTime(message.time_ms), message.text});
}

void PipeView::Sent(const Label& where, int64_t conv_seq, int64_t time_ms) {
  Line({"sent", where.id, std::to_string(conv_seq), UtcTime(time_ms)});
}

void PipeView::NotSent(const Label& where, const std::string& text, const std::string& why) {
  Line({"failed", where.id, text.substr(0, kMaxFailedText), why});
  Problem("not sent to " + where.id + ": " + why + ": \"" + Excerpt(text) + "\"");
}

void PipeView::Chats(const std::vector<ChatLine>& chats) {
  for (const ChatLine& chat : chats)
    Line({"chat", chat.where.id, std::to_string(chat.unread), chat.where.title});
}

void PipeView::Groups(const std::vector<Group>& groups) {
  for (const Group& group : groups) {
    Line({"group", std::to_string(group.id.value), std::to_string(group.members),
          std::to_string(group.owner.value), group.name});
  }
}

void PipeView::Members(const Label& where, const std::vector<Member>& members) {
  for (const Member& member : members) {
    Line({"member", where.id, std::to_string(member.id.value), RoleName(member.role), member.name});
  }
}

void PipeView::Packet(const ShownPacket& packet) {
  Line({"packet", packet.title, packet.greeting, packet.state});
  for (const ShownPacket::Taker& taker : packet.takers) {
    Line({"share", taker.name, YuanText(taker.amount_fen), UtcTime(taker.time_ms),
          taker.best_luck ? "best" : ""});
  }
}

void PipeView::Postings(const std::vector<ShownPosting>& postings) {
  for (const ShownPosting& posting : postings) {
    Line({"posting", UtcTime(posting.time_ms), YuanText(posting.amount_fen),
          YuanText(posting.balance_fen), posting.what});
  }
}

void PipeView::Got(const std::string& text) { Note(text); }
void PipeView::Note(const std::string& text) { Line({"note", text}); }
void PipeView::Problem(const std::string& text) {
  std::cerr << "hongyan-chat: " + ForTerminal(text, "  ") + "\n";
}

}  // namespace hongyan::chat
