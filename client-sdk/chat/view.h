#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hongyan/client.h"

namespace hongyan::chat {

// A conversation as people name it: "@name" or "#group-id", and the group's own name.
struct Label {
  std::string id;     // "@bert", "#42"
  std::string title;  // "bert", "Team"
};

struct ShownMessage {
  Label where;
  int64_t conv_seq = 0;
  std::string sender;
  int64_t time_ms = 0;
  std::string text;
  bool own = false;
  bool here = false;  // of the conversation that is open
  bool from_history = false;
  bool by_server = false;  // a system message: it has no sender
  bool money = false;      // a red packet or transfer
};

struct ChatLine {
  Label where;
  int unread = 0;
  bool here = false;
};

// A packet and who took what, ready to be read.
struct ShownPacket {
  std::string title;  // "lucky packet 12 from anna"
  std::string greeting;
  std::string state;  // "3 of 5 taken, open until 10:11"
  struct Taker {
    std::string name;
    int64_t amount_fen = 0;
    int64_t time_ms = 0;
    bool best_luck = false;
    bool me = false;
  };
  std::vector<Taker> takers;
};

// A line of a wallet's statement.
struct ShownPosting {
  int64_t time_ms = 0;
  int64_t amount_fen = 0;
  int64_t balance_fen = 0;
  std::string what;
};

// Where the chat appears: a terminal with a person before it, or a pipe with a program behind it.
// Main thread.
class View {
 public:
  virtual ~View() = default;

  virtual void Connected(const std::string& me) = 0;
  virtual void Disconnected(const std::string& why, int64_t retry_in_ms) = 0;
  virtual void Show(const ShownMessage& message) = 0;
  virtual void Sent(const Label& where, int64_t conv_seq, int64_t time_ms) = 0;
  virtual void NotSent(const Label& where, const std::string& text, const std::string& why) = 0;
  virtual void Chats(const std::vector<ChatLine>& chats) = 0;
  virtual void Groups(const std::vector<Group>& groups) = 0;
  virtual void Members(const Label& where, const std::vector<Member>& members) = 0;
  virtual void Packet(const ShownPacket& packet) = 0;
  virtual void Postings(const std::vector<ShownPosting>& postings) = 0;
  virtual void Got(const std::string& text) = 0;   // money of a packet
  virtual void Note(const std::string& text) = 0;  // an answer to what was typed
  virtual void Problem(const std::string& text) = 0;

  // The conversation that is open (empty title: none) and how much is unread elsewhere.
  virtual void Opened(const Label& where, int unread_elsewhere) = 0;
};

}  // namespace hongyan::chat
