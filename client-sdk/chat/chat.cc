#include "client-sdk/chat/chat.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <utility>

#include "client-sdk/chat/line_cutter.h"
#include "client-sdk/chat/words.h"

namespace hongyan::chat {
namespace {

constexpr uint32_t kHistoryAtOpening = 10;
constexpr size_t kSendsAhead = 500;
constexpr int64_t kCopiesWithinMs = 3'000;
constexpr size_t kMaxEchoed = 10'000;

int64_t NowMs() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// Words of a command; "two words" in quotes are one, \" is a quote itself.
std::vector<std::string> Arguments(const std::string& line) {
  std::vector<std::string> words;
  bool quoted = false;
  bool in_word = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool literal = line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '"';
    const char c = literal ? line[++i] : line[i];
    if (c == '"' && !literal) {
      quoted = !quoted;
      if (!in_word) words.emplace_back();
      in_word = true;
    } else if (!quoted && (c == ' ' || c == '\t')) {
      in_word = false;
    } else {
      if (!in_word) words.emplace_back();
      in_word = true;
      words.back() += c;
    }
  }
  return words;
}

bool NamesPacket(const std::string& line) {
  const std::string command = line.substr(0, line.find(' '));
  return command == "/open" || command == "/accept" || command == "/return" || command == "/detail";
}

}  // namespace

const std::vector<Chat::Command>& Chat::Commands() {
  static const std::vector<Command> commands = {
      {"/to", "/to NAME                  talk to a person", &Chat::To},
      {"/group", "/group ID-OR-NAME         talk in a group", &Chat::ToGroup},
      {"/list", "/list                     conversations; [2] in the prompt: unread elsewhere",
       &Chat::List},
      {"/groups", "/groups                   the groups you are in", &Chat::Groups},
      {"/new", "/new NAME MEMBER...       make a group; a name of several words in \"quotes\"",
       &Chat::New},
      {"/add", "/add NAME...              add people to the open group", &Chat::AddMembers},
      {"/remove", "/remove NAME...           remove people from the open group",
       &Chat::RemoveMembers},
      {"/leave", "/leave                    leave the open group", &Chat::Leave},
      {"/history", "/history [COUNT]          earlier messages here", &Chat::History},
      {"/members", "/members                  who is in the open group", &Chat::Members},
      {"/packet", "/packet lucky YUAN SHARES [GREETING]   a red packet; to one person: 1 share",
       &Chat::SendPacket},
      {"/packet", "/packet equal YUAN SHARES [GREETING]   ... of SHARES times YUAN each",
       &Chat::SendPacket},
      {"/packet", "/packet for NAME YUAN [GREETING]       ... in a group, that only NAME can open",
       &Chat::SendPacket},
      {"/transfer", "/transfer YUAN [NOTE]     money for the one you talk to, to be accepted",
       &Chat::SendTransfer},
      {"/open", "/open [NUMBER]            open a packet; without a number the newest you may",
       &Chat::OpenPacket},
      {"/accept", "/accept [NUMBER]          take a transfer; without a number the newest",
       &Chat::OpenPacket},
      {"/return", "/return [NUMBER]          give a transfer back", &Chat::ReturnTransfer},
      {"/detail", "/detail [NUMBER]          a packet, and who took what", &Chat::PacketDetail},
      {"/wallet", "/wallet                   your balance", &Chat::ShowWallet},
      {"/statement", "/statement [COUNT]        what went in and out of it", &Chat::Statement},
      {"/year", "/year sent|received [YEAR]  packets of a year, with its totals",
       &Chat::PacketYear},
      {"/year", "/year more                ... and earlier ones", &Chat::PacketYear},
      {"/who", "/who                      you, and the state of the connection", &Chat::Who},
      {"/help", "/help                     this list; a message that begins with / is written //",
       &Chat::Help},
      {"/quit", "/quit                     leave; what is not sent yet is kept", &Chat::Quit}};
  return commands;
}

Chat::Chat(Mailbox& mailbox, View& view, Style style, std::string list_path)
    : mailbox_(mailbox),
      view_(view),
      style_(style),
      list_path_(std::move(list_path)),
      names_(mailbox) {}

void Chat::Attach(Client* client) {
  client_ = client;
  names_.Attach(client);
  const Status status = client->GetStatus();
  if (status.me.id) {
    names_.set_me(status.me.id);
    names_.Learn(status.me.id, status.me.name);
  }
  Load();
  RunLines();
}

Events Chat::MakeEvents() {
  Events events;
  events.on_connected = [this](const Connected& connected) {
    mailbox_.Put([this, connected] {
      names_.set_me(connected.me.id);
      names_.Learn(connected.me.id, connected.me.name);
      lost_ = waiting_said_ = false;
      view_.Connected(connected.me.name);
    });
  };
  events.on_disconnected = [this](const Error& why, int64_t retry_in_ms) {
    mailbox_.Put([this, why, retry_in_ms] {
      lost_ = true;
      view_.Disconnected(why.text, retry_in_ms);
    });
  };
  events.on_stopped = [this](StopReason, const std::string& text) {
    mailbox_.Put([this, text] {
      view_.Problem(text);
      exit_code_ = kExitStopped;
    });
  };
  events.on_message = [this](const Message& message) {
    mailbox_.Put([this, message] { OnMessage(message); });
  };
  events.on_packet_returned = [this](const PacketReturned& returned) {
    mailbox_.Put([this, returned] { OnReturned(returned); });
  };
  events.on_synced = [this] {
    mailbox_.Put([this] {
      synced_ = true;
      RunLines();
    });
  };
  events.on_truncated = [this] {
    mailbox_.Put([this] {
      view_.Problem("older messages are no longer in the inbox: /history shows them");
    });
  };
  events.on_sent = [this](int64_t number, const Conversation& to, const Result<Sent>& result) {
    mailbox_.Put([this, number, to, result] { OnSent(number, to, result); });
  };
  events.on_problem = [this](const Error& error) {
    mailbox_.Put([this, text = error.text] { view_.Problem(text); });
  };
  return events;
}

// ---- lines ----

void Chat::Input(std::string line) {
  if (line.empty()) return;
  // Who leaves does not wait for a connection.
  if (style_ == Style::kPerson && client_ != nullptr && line == "/quit" &&
      !client_->GetStatus().connected) {
    return Finish();
  }
  lines_.push_back(std::move(line));
  RunLines();
  if (!lines_.empty()) SayWaiting();
}

void Chat::RunLines() {
  while (!busy_ && !over() && client_ != nullptr && !lines_.empty() &&
         sends_.size() < kSendsAhead) {
    const bool command = lines_.front()[0] == '/' && lines_.front().substr(0, 2) != "//";
    // A program's lines happen in their order: who writes and then leaves has written.
    if (command && style_ == Style::kProgram && !sends_.empty()) return;
    // What a packet is known by comes with the messages that waited.
    if (style_ == Style::kProgram && !synced_ && NamesPacket(lines_.front())) return;
    const std::string line = std::move(lines_.front());
    lines_.pop_front();
    if (command && line.size() > LineCutter::kMaxBytes) {
      opening_ = true;  // it may have been to; it is not read
      Fail("a command has at most 1 MiB; this one was left out: " + Excerpt(line));
    } else if (command) {
      RunCommand(line);
    } else {
      Say(line[0] == '/' ? line.substr(1) : line);
    }
  }
}

void Chat::RunCommand(const std::string& line) {
  const std::vector<std::string> words = Arguments(line);
  for (const Command& command : Commands()) {
    if (words[0] != command.name) continue;
    (this->*command.run)(words);
    return;
  }
  Fail("no such command: " + Excerpt(words[0]) + "; /help lists them");
}

void Chat::Fail(const std::string& text) {
  if (client_->GetStatus().stopped) return;  // on_stopped is on its way and says why, once
  failed_ = true;
  // What was written for the one who was not found must not go to the one who was open before.
  if (std::exchange(opening_, false) && (style_ == Style::kProgram || !lines_.empty())) {
    here_.reset();
    ShowPrompt();
  }
  view_.Problem(text);
}

void Chat::Say(const std::string& text) {
  if (!here_) {
    Fail("not sent, no conversation is open (/to NAME or /group ID opens one): \"" + Excerpt(text) +
         "\"");
    return;
  }
  const int64_t number = client_->Send(*here_, Text{text}, nullptr);
  sends_[number] = {*here_, text};
  if (style_ == Style::kPerson) {
    ShownMessage shown;
    shown.where = names_.LabelOf(*here_);
    shown.time_ms = NowMs();
    shown.text = text;
    shown.own = shown.here = true;
    view_.Show(shown);
  }
}

void Chat::OnSent(int64_t number, const Conversation& to, const Result<Sent>& result) {
  const auto at = sends_.find(number);
  const bool ours =
      at != sends_.end();  // else of an earlier run: it is shown when it comes by sync
  const std::string text = ours ? at->second.second : "a message of an earlier run";
  if (ours) sends_.erase(at);
  last_sent_ms_ = NowMs();
  if (result.ok() && ours) {
    first_shown_.try_emplace(to, result->conv_seq);
    echoed_.insert({to, result->conv_seq});
    if (echoed_.size() > kMaxEchoed) echoed_.erase(echoed_.begin());
  }
  names_.InLine(to, {}, [this, to, text, result] {
    if (result.ok()) {
      view_.Sent(names_.LabelOf(to), result->conv_seq, result->time_ms);
    } else {
      failed_ = true;
      view_.NotSent(names_.LabelOf(to), text, result.error().text);
    }
  });
  RunLines();
}

// ---- where one is ----

int Chat::UnreadElsewhere() const {
  int unread = 0;
  for (const auto& [conversation, open] : conversations_) {
    if (here_ != conversation) unread += open.unread;
  }
  return unread;
}

void Chat::ShowPrompt() {
  view_.Opened(here_ ? names_.LabelOf(*here_) : Label{}, UnreadElsewhere());
}

void Chat::OpenConversation(const Conversation& conversation, bool show_history) {
  here_ = conversation;
  opening_ = false;
  conversations_[conversation].unread = 0;
  ShowPrompt();
  if (style_ == Style::kPerson) {
    view_.Note((conversation.is_group() ? "in the group " : "talking with ") +
               names_.LabelOf(conversation).title);
  }
  if (show_history && style_ == Style::kPerson) {
    const auto shown = first_shown_.find(conversation);
    ShowHistory(kHistoryAtOpening, shown == first_shown_.end() ? 0 : shown->second);
  }
}

// ---- the end ----

bool Chat::idle() const {
  // The copies of what was sent come back within moments; they belong to this run, not to the next.
  const bool copies = echoed_.empty() || NowMs() - last_sent_ms_ > kCopiesWithinMs;
  return copies && lines_.empty() && !busy_ && sends_.empty() && unsure_.empty() && synced_ &&
         names_.line_empty() && client_->GetStatus().unsent == 0;
}

// Lines wait in memory only, behind a command that the server has not answered.
std::string Chat::LinesLeft() const {
  if (lines_.empty()) return {};
  return "; not carried out, and not kept: your input from \"" + Excerpt(lines_.front()) + "\" on";
}

void Chat::GiveUp() {
  std::string text =
      synced_ ? "the server did not answer in time" : "the server could not be reached in time";
  const size_t unsent = client_->GetStatus().unsent;
  if (unsent > 0) {
    text += "; kept for the next time: " + std::to_string(unsent) +
            (unsent == 1 ? " message" : " messages");
  }
  view_.Problem(text + UnsureLeft() + LinesLeft());
  exit_code_ = kExitUnreachable;
}

void Chat::Finish() {
  if (over()) return;
  const std::string left = UnsureLeft() + (style_ == Style::kPerson ? LinesLeft() : std::string());
  if (!left.empty()) view_.Problem("leaving" + left);
  exit_code_ = failed_ && style_ == Style::kProgram ? kExitFailed : kExitOk;
}

std::string Chat::Complete(const std::string& before) const {
  const size_t space = before.rfind(' ');
  const std::string word = space == std::string::npos ? before : before.substr(space + 1);
  if (word.empty() || before[0] != '/') return {};
  std::vector<std::string> candidates;
  if (space == std::string::npos) {
    for (const Command& command : Commands()) candidates.emplace_back(command.name);
  } else {
    candidates = names_.AllKnown();
  }
  std::optional<std::string> common;
  for (const std::string& candidate : candidates) {
    if (candidate.compare(0, word.size(), word) != 0) continue;
    if (!common) {
      common = candidate + " ";
      continue;
    }
    size_t same = 0;
    while (same < candidate.size() && same < common->size() && candidate[same] == (*common)[same])
      ++same;
    common->resize(same);
  }
  return common ? common->substr(word.size()) : std::string();
}

// The list of conversations: "A <tab> B <tab> unread <tab> time <tab> title", one per line.
void Chat::Save() {
  if (!names_.me()) return;
  const std::string fresh = list_path_ + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    for (const auto& [conversation, open] : conversations_) {
      out << conversation.a << '\t' << conversation.b << '\t' << open.unread << '\t' << open.last_ms
          << '\t' << Escaped(names_.KnownTitle(conversation)) << '\n';
    }
    if (!out) return;  // only comfort is lost
  }
  (void)std::rename(fresh.c_str(), list_path_.c_str());
}

void Chat::Load() {
  std::ifstream in(list_path_);
  Conversation conversation;
  Open open;
  std::string title;
  while (in >> conversation.a >> conversation.b >> open.unread >> open.last_ms) {
    in.ignore(1);
    if (!std::getline(in, title)) return;
    conversations_[conversation] = open;
    if (title.empty() || title.find('\\') != std::string::npos) continue;
    if (conversation.is_group()) {
      names_.Learn(conversation.group(), title);
    } else if (names_.me()) {
      names_.Learn(conversation.peer_of(names_.me()), title);
    }
  }
}

// ---- commands ----

void Chat::SayWaiting() {
  if (style_ != Style::kPerson || !lost_ || waiting_said_) return;
  waiting_said_ = true;
  view_.Note("waiting for the connection");
}

void Chat::FindAll(std::vector<std::string> names, std::function<void(std::vector<UserId>)> then) {
  struct Search {
    std::vector<UserId> found;
    size_t left;
    std::string missing;
  };
  auto search =
      std::make_shared<Search>(Search{std::vector<UserId>(names.size()), names.size(), {}});
  busy_ = true;
  SayWaiting();
  for (size_t i = 0; i < names.size(); ++i) {
    client_->FindUser(names[i], [this, search, then, i, name = names[i]](Result<User> user) {
      mailbox_.Put([this, search, then, i, name, user = std::move(user)] {
        if (user.ok()) {
          names_.Learn(user->id, user->name);
          search->found[i] = user->id;
        } else {
          search->missing +=
              (search->missing.empty() ? "" : "; ") + Excerpt(name) + ": " + user.error().text;
        }
        if (--search->left > 0) return;
        busy_ = false;
        if (search->missing.empty()) {
          then(search->found);
        } else {
          Fail(search->missing);
        }
        RunLines();
      });
    });
  }
}

bool Chat::NeedConversation() {
  if (here_) return true;
  Fail("no conversation is open: /to NAME or /group ID comes first");
  return false;
}

void Chat::To(const std::vector<std::string>& words) {
  opening_ = true;
  if (words.size() < 2) return Fail("usage: /to NAME");
  const std::string name = Joined(words, 1);
  const UserId known = names_.FindKnown(name);
  if (known && names_.me())
    return OpenConversation(Conversation::Between(names_.me(), known), true);
  FindAll({name}, [this](const std::vector<UserId>& found) {
    OpenConversation(Conversation::Between(names_.me(), found[0]), true);
  });
}

void Chat::List(const std::vector<std::string>&) {
  std::vector<std::pair<int64_t, ChatLine>> lines;
  for (const auto& [conversation, open] : conversations_) {
    lines.push_back(
        {open.last_ms, {names_.LabelOf(conversation), open.unread, here_ == conversation}});
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<ChatLine> sorted;
  for (auto& [time, line] : lines) sorted.push_back(std::move(line));
  view_.Chats(sorted);
}

void Chat::Who(const std::vector<std::string>&) {
  const Status status = client_->GetStatus();
  view_.Note("you are " +
             (status.me.name.empty() ? std::string("not logged in yet") : status.me.name) + ", " +
             (status.connected ? "connected" : "offline") +
             "; messages not sent yet: " + std::to_string(status.unsent));
}

void Chat::Help(const std::vector<std::string>&) {
  for (const Command& command : Commands()) view_.Note(command.usage);
}

void Chat::Quit(const std::vector<std::string>&) { Finish(); }

}  // namespace hongyan::chat
