#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client-sdk/chat/mailbox.h"
#include "client-sdk/chat/names.h"
#include "client-sdk/chat/view.h"
#include "hongyan/client.h"

namespace hongyan::chat {

enum class Style { kPerson, kProgram };  // who types

// Exit codes of hongyan-chat.
constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;  // a message was refused, a command failed
constexpr int kExitUsage = 2;
constexpr int kExitUnreachable =
    3;                           // not everything left in time; it is kept and leaves the next time
constexpr int kExitStopped = 4;  // the login was refused or the session ended for good

// What the program does with lines typed and messages received. One line is carried out after the
// other. Main thread; the client's events come through the mailbox.
class Chat {
 public:
  Chat(Mailbox& mailbox, View& view, Style style, std::string list_path);

  Events MakeEvents();
  void Attach(Client* client);

  // A line typed: a command (/help lists them) or a message for the open conversation.
  void Input(std::string line);
  void InputEnded() { input_ended_ = true; }

  // Lines and messages that wait; a program that writes faster than the server reads is read no
  // faster.
  size_t backlog() const { return lines_.size() + sends_.size(); }

  bool over() const { return exit_code_.has_value(); }
  int exit_code() const { return exit_code_.value_or(kExitOk); }

  // With the input at its end: everything that was asked for is done.
  bool idle() const;
  void GiveUp();  // says what is missing
  void Finish();  // as /quit; says what a person typed and is not carried out yet

  // What Tab adds to the words before the cursor: the rest of a command or of a name, as far as it
  // is sure.
  std::string Complete(const std::string& before) const;

  void Save();  // the list of conversations

 private:
  struct Open {
    int unread = 0;
    int64_t last_ms = 0;
  };
  struct Command {
    const char* name;
    const char* usage;  // as /help shows it
    void (Chat::*run)(const std::vector<std::string>& words);
  };
  static const std::vector<Command>& Commands();

  std::string LinesLeft() const;
  void RunLines();
  void RunCommand(const std::string& line);
  void Say(const std::string& text);
  void To(const std::vector<std::string>& words);
  void List(const std::vector<std::string>& words);
  void Who(const std::vector<std::string>& words);
  void Help(const std::vector<std::string>& words);
  void Quit(const std::vector<std::string>& words);

  // groups.cc
  void ToGroup(const std::vector<std::string>& words);
  void New(const std::vector<std::string>& words);
  void AddMembers(const std::vector<std::string>& words);
  void RemoveMembers(const std::vector<std::string>& words);
  void Leave(const std::vector<std::string>& words);
  void Members(const std::vector<std::string>& words);
  void Groups(const std::vector<std::string>& words);
  void ListMembersFrom(UserId after, std::vector<Member> so_far);
  void ListGroupsFrom(GroupId after, std::vector<Group> so_far,
                      std::function<void(std::vector<Group>)> then);
  void ChangeMembers(const std::vector<std::string>& words, bool add);
  bool NeedGroup();

  // messages.cc
  void History(const std::vector<std::string>& words);
  void ShowHistory(uint32_t count, int64_t before);
  void OnMessage(const Message& message);
  void Display(const Message& message, bool from_history);
  std::string TextOf(const Message& message) const;
  static std::vector<UserId> UsersIn(const Message& message);

  // packets.cc
  void SendPacket(const std::vector<std::string>& words);
  void SendTransfer(const std::vector<std::string>& words);
  void OpenPacket(const std::vector<std::string>& words);
  void ReturnTransfer(const std::vector<std::string>& words);
  void PacketDetail(const std::vector<std::string>& words);
  void ShowWallet(const std::vector<std::string>& words);
  void Statement(const std::vector<std::string>& words);
  void PacketYear(const std::vector<std::string>& words);
  // What of a year is asked for, from `before` on.
  struct YearPage {
    Which which = Which::kSent;
    int32_t year = 0;
    int64_t before = 0;
  };
  void PacketYearFrom(YearPage page, std::vector<StatementRow> so_far);
  // False: the word is no amount, and that was said.
  bool ReadAmount(const std::string& word, PacketOrder* order);
  void SendOrder(const PacketOrder& order, const std::string& what);
  // The outcome is not known: the same request again until it is, so that no packet is sent twice.
  void SendAgain(PacketOrder order, const std::string& what, const Error& why);
  void OrderAnswered(const std::string& what, const Result<PacketSent>& sent);
  std::string UnsureLeft() const;
  void StatementFrom(size_t count, int64_t before, std::vector<StatementRow> so_far);
  void DetailFrom(PacketId packet, std::shared_ptr<Packet> so_far);
  void DisplayPacket(const Packet& packet);
  void DisplayPostings(std::vector<StatementRow> rows, const std::string& last);
  void OnReturned(const PacketReturned& returned);
  // What a message said of a packet.
  struct SeenPacket {
    PacketId id = {};
    PacketKind kind = PacketKind::kNone;
    UserId sender = {};
    UserId named = {};  // who alone may take it
    int32_t shares = 1;
    int64_t expires_ms = 0;
  };
  enum class Wanted { kAny, kPacket, kTransfer };
  // The packet a command means: by the number of its message, by its id, or the newest here that
  // the command may be about. Fails with what to type where there is none.
  std::optional<PacketId> Meant(const std::vector<std::string>& words, Wanted wanted);
  void LearnPacket(const Message& message);
  const SeenPacket* FindSeen(const Conversation& conversation, PacketId packet) const;
  // Whether there may be a share for me, as far as is known here.
  bool CanTake(const Conversation& conversation, const SeenPacket& packet) const;
  void Settle(PacketId packet);
  void Settle(PacketId packet, const Error& why);
  void DisplayOpened(const Opened& opened, PacketId packet);
  // True: it is offline, and that was said. What is about money does not wait for a connection.
  bool Offline();
  // The number of its message, as text; empty where that was not seen.
  std::string PacketName(const Conversation& conversation, PacketId packet) const;
  std::string TextOf(const RedPacket& packet, const Message& message) const;
  std::string TextOf(const Transfer& transfer, const Message& message) const;
  std::string TextOf(const PacketNotice& notice, const Message& message) const;

  // Runs `then` on the main thread with the result, and after it the next line.
  template <class T>
  Callback<T> Answer(std::function<void(const Result<T>&)> then) {
    busy_ = true;
    SayWaiting();
    return [this, then = std::move(then)](Result<T> result) {
      mailbox_.Put([this, then, result = std::move(result)] {
        busy_ = false;
        then(result);
        RunLines();
      });
    };
  }
  void SayWaiting();
  void FindAll(std::vector<std::string> names, std::function<void(std::vector<UserId>)> then);
  void OpenConversation(const Conversation& conversation, bool show_history);
  // False: none is open, and what opens one was said.
  bool NeedConversation();
  void Fail(const std::string& text);

  void OnSent(int64_t number, const Conversation& to, const Result<Sent>& result);
  void ShowPrompt();
  int UnreadElsewhere() const;
  void Load();

  Mailbox& mailbox_;
  View& view_;
  const Style style_;
  const std::string list_path_;
  Client* client_ = nullptr;
  Names names_;
  std::map<Conversation, Open> conversations_;
  std::optional<Conversation> here_;
  std::deque<std::string> lines_;
  bool busy_ = false;          // a command waits for the server
  bool opening_ = false;       // ... that is to open a conversation
  bool lost_ = false;          // the connection, until it is there again
  bool waiting_said_ = false;  // that something waits for it
  bool input_ended_ = false;
  bool synced_ = false;
  bool failed_ = false;
  int64_t last_sent_ms_ = 0;
  std::optional<int> exit_code_;
  std::map<int64_t, std::pair<Conversation, std::string>>
      sends_;  // by number, until their fate is known
  // Packets of which it is not known yet whether they were sent: what, by request id.
  std::map<std::string, std::string> unsure_;
  // Packets seen, by the number of their message: what /open and the others name them by.
  std::map<Conversation, std::map<int64_t, SeenPacket>> packets_;
  std::set<PacketId> settled_;                   // nothing is left in them for me
  std::optional<YearPage> year_left_;            // what /year more goes on with
  std::map<Conversation, int64_t> first_shown_;  // conv_seq; history need not show it again
  std::set<std::pair<Conversation, int64_t>>
      echoed_;  // shown when typed: not again when they come back
};

}  // namespace hongyan::chat
