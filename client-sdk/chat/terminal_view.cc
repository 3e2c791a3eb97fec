#include "client-sdk/chat/terminal_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "client-sdk/chat/pipe_view.h"
#include "client-sdk/chat/words.h"
#include "proto/amount.h"

namespace hongyan::chat {
namespace {

using proto::YuanText;

constexpr const char* kGrey = "90";
constexpr const char* kRed = "31";
constexpr const char* kBold = "1";
constexpr const char* kOwn = "36";
constexpr const char* kMoney = "1;31";  // red, as the packets are
constexpr const char* kLuck = "1;33";

void Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (wrote <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
}

int Columns(const std::string& text) {
  int columns = 0;
  for (const Glyph& glyph : Glyphs(text)) columns += glyph.columns;
  return columns;
}

// The same person has the same color everywhere.
const char* ColorOf(const std::string& name) {
  static constexpr std::array<const char*, 5> kColors = {"32", "33", "34", "35", "91"};
  return kColors[std::hash<std::string>()(name) % kColors.size()];
}

}  // namespace

TerminalView::TerminalView() {
  const char* terminal = std::getenv("TERM");
  colors_ =
      std::getenv("NO_COLOR") == nullptr && terminal != nullptr && std::string(terminal) != "dumb";
  tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
  raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL | ISTRIP);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  Write("\x1b[?2004h");  // pasted text comes marked
  Resized();
}

TerminalView::~TerminalView() {
  Write("\r\x1b[K\x1b[?2004l");
  tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

void TerminalView::Resized() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) columns_ = size.ws_col;
  Redraw();
}

void TerminalView::Feed(std::string_view bytes, const std::function<void(std::string)>& on_line,
                        const std::function<void()>& on_end) {
  editor_.Feed(bytes, [&](LineEditor::Outcome outcome) {
    switch (outcome) {
      case LineEditor::Outcome::kNone:
      case LineEditor::Outcome::kChanged:
        break;
      case LineEditor::Outcome::kSubmitted: {
        const std::string line = editor_.Take();
        // A command stays above its answer; a message is shown by what becomes of it.
        if (line.rfind('/', 0) == 0 && line.rfind("//", 0) != 0) Note(Prompt() + line);
        on_line(line);
        break;
      }
      case LineEditor::Outcome::kFull:
        Problem("a message has at most " + std::to_string(LineEditor::kMaxBytes) +
                " bytes: what you just added is more and was left out");
        break;
      case LineEditor::Outcome::kEnd:
        on_end();
        break;
      case LineEditor::Outcome::kClearScreen:
        Write("\x1b[2J\x1b[H");
        break;
    }
  });
  Redraw();
}

std::string TerminalView::Painted(const char* color, const std::string& text) const {
  return colors_ ? "\x1b[" + std::string(color) + "m" + text + "\x1b[0m" : text;
}

std::string TerminalView::Prompt() const {
  std::string prompt = connected_ ? "" : "(offline) ";
  if (unread_elsewhere_ > 0) prompt += "[" + std::to_string(unread_elsewhere_) + "] ";
  return prompt + (here_.title.empty() ? "> " : ForTerminal(here_.title, "") + "> ");
}

void TerminalView::Redraw() {
  std::string prompt = Prompt();
  const int prompt_columns = std::min(Columns(prompt), columns_ / 2);
  if (Columns(prompt) > prompt_columns) prompt = "> ";
  const int taken = Columns(prompt);
  const LineEditor::Visible line = editor_.Draw(std::max(columns_ - taken, 2));
  std::string out = "\r\x1b[K" + Painted(kBold, prompt) + line.text + "\r";
  if (taken + line.cursor_column > 0)
    out += "\x1b[" + std::to_string(taken + line.cursor_column) + "C";
  Write(out);
}

void TerminalView::Print(const std::string& line) {
  Write("\r\x1b[K" + line + "\n");
  Redraw();
}

void TerminalView::Connected(const std::string& me) {
  const bool first = me_.empty();
  me_ = me;
  connected_ = true;
  Print(Painted(kGrey, first ? "connected as " + ForTerminal(me, "") +
                                   "; /to NAME begins a conversation, /help lists the commands"
                             : "connected again"));
}

void TerminalView::Disconnected(const std::string& why, int64_t) {
  if (connected_ || me_.empty()) {
    Print(
        Painted(kGrey, ForTerminal(why, "") +
                           "; trying again; messages you write are kept and sent then, packets and "
                           "other commands are not"));
  }
  if (me_.empty()) me_ = "?";
  connected_ = false;
  Redraw();
}

void TerminalView::Show(const ShownMessage& message) {
  std::string line = Painted(kGrey, ClockTime(message.time_ms)) + " ";
  const std::string title = ForTerminal(message.where.title, "");
  if (message.where.id[0] == '#' && !message.here) {
    line += Painted(kGrey, "[" + title + "] ");
  }
  if (message.by_server) {
    line += Painted(kGrey, ForTerminal(message.text, "      "));
  } else {
    const std::string sender = message.own ? "me" : ForTerminal(message.sender, "");
    // What comes from elsewhere must not look as if it were said in the conversation that is open.
    const bool elsewhere = !message.here && message.where.id[0] == '@';
    const std::string to = message.own ? title : "me";
    line += Painted(message.own ? kOwn : ColorOf(message.sender),
                    elsewhere ? sender + " to " + to : sender);
    line += message.money ? ": " + Painted(kMoney, ForTerminal(message.text, "      "))
                          : ": " + ForTerminal(message.text, "      ");
  }
  Print(line);
}

// A person sees the message itself; its arrival at the server needs no line of its own.
void TerminalView::Sent(const Label&, int64_t, int64_t) {}

void TerminalView::NotSent(const Label& where, const std::string& text, const std::string& why) {
  Problem("not sent to " + where.title + ": " + why + ": \"" + Excerpt(text) + "\"");
}

void TerminalView::Chats(const std::vector<ChatLine>& chats) {
  if (chats.empty()) Print(Painted(kGrey, "no conversations yet: /to NAME begins one"));
  for (const ChatLine& chat : chats) {
    std::string line = chat.here ? "* " : "  ";
    line += ForTerminal(chat.where.title, "");
    if (chat.where.id[0] == '#') line += Painted(kGrey, "  /group " + chat.where.id.substr(1));
    if (chat.unread > 0) line += Painted(kBold, "  " + std::to_string(chat.unread) + " new");
    Print(line);
  }
}

void TerminalView::Groups(const std::vector<Group>& groups) {
  if (groups.empty()) Print(Painted(kGrey, "no groups yet: /new NAME MEMBER... makes one"));
  for (const Group& group : groups) {
    Print("  " + ForTerminal(group.name, "") +
          Painted(kGrey, "  " + std::to_string(group.members) + " members  /group " +
                             std::to_string(group.id.value)));
  }
}

void TerminalView::Members(const Label&, const std::vector<Member>& members) {
  for (const Member& member : members) {
    const std::string role =
        member.role == Role::kMember ? "" : std::string("  ") + RoleName(member.role);
    Print("  " + ForTerminal(member.name, "") + Painted(kGrey, role));
  }
}

void TerminalView::Packet(const ShownPacket& packet) {
  Print(Painted(kMoney, ForTerminal(packet.title, "")) +
        (packet.greeting.empty() ? "" : "  " + ForTerminal(packet.greeting, "      ")));
  Print(Painted(kGrey, "  " + ForTerminal(packet.state, "")));
  size_t widest = 0;
  for (const auto& taker : packet.takers) {
    widest = std::max(widest, static_cast<size_t>(Columns(ForTerminal(taker.name, ""))));
  }
  for (const ShownPacket::Taker& taker : packet.takers) {
    const std::string name = ForTerminal(taker.name, "");
    const size_t pad = widest - static_cast<size_t>(Columns(name));
    std::string amount = YuanText(taker.amount_fen);
    if (amount.size() < 10) amount.insert(0, 10 - amount.size(), ' ');
    Print("  " + Painted(taker.me ? kOwn : ColorOf(taker.name), name) + std::string(pad, ' ') +
          amount + "  " + Painted(kGrey, ClockTime(taker.time_ms)) +
          (taker.best_luck ? Painted(kLuck, "  best luck") : ""));
  }
}

void TerminalView::Postings(const std::vector<ShownPosting>& postings) {
  for (const ShownPosting& posting : postings) {
    const auto padded = [](std::string text) {
      if (text.size() < 12) text.insert(0, 12 - text.size(), ' ');
      return text;
    };
    const std::string amount =
        padded((posting.amount_fen > 0 ? "+" : "") + YuanText(posting.amount_fen));
    Print("  " + Painted(kGrey, ClockTime(posting.time_ms)) + amount +
          Painted(kGrey, padded(YuanText(posting.balance_fen))) + "  " +
          ForTerminal(posting.what, ""));
  }
}

void TerminalView::Got(const std::string& text) {
  Print(Painted(kLuck, "\U0001f9e7 " + ForTerminal(text, "")));
}
void TerminalView::Note(const std::string& text) { Print(Painted(kGrey, ForTerminal(text, ""))); }
void TerminalView::Problem(const std::string& text) { Print(Painted(kRed, ForTerminal(text, ""))); }

void TerminalView::Opened(const Label& where, int unread_elsewhere) {
  here_ = where;
  unread_elsewhere_ = unread_elsewhere;
  Redraw();
}

}  // namespace hongyan::chat
