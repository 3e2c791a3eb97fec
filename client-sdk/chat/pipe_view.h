#pragma once

#include "client-sdk/chat/view.h"

namespace hongyan::chat {

// For programs: one line per event on standard output, fields separated by tabs, the first names
// the kind; tab, newline, carriage return and backslash inside a field are written \t \n \r \\.
// Flushed line by line. This form is stable: new kinds and new fields at the end may come. Errors
// go to standard error, for people.
//
//   connected  NAME
//   message    CHAT CONV_SEQ SENDER TIME TEXT      CHAT is @NAME or #GROUP; SENDER is empty for the
//   server's own history    CHAT CONV_SEQ SENDER TIME TEXT sent       CHAT CONV_SEQ TIME failed
//   CHAT TEXT WHY chat       CHAT UNREAD TITLE group      ID MEMBERS OWNER-ID NAME member     CHAT
//   ID ROLE NAME packet     TITLE GREETING STATE
//   share      NAME YUAN TIME "best" or ""
//   posting    TIME YUAN BALANCE WHAT
//   note       TEXT
class PipeView final : public View {
 public:
  void Connected(const std::string& me) override;
  void Disconnected(const std::string& why, int64_t retry_in_ms) override;
  void Show(const ShownMessage& message) override;
  void Sent(const Label& where, int64_t conv_seq, int64_t time_ms) override;
  void NotSent(const Label& where, const std::string& text, const std::string& why) override;
  void Chats(const std::vector<ChatLine>& chats) override;
  void Groups(const std::vector<Group>& groups) override;
  void Members(const Label& where, const std::vector<Member>& members) override;
  void Packet(const ShownPacket& packet) override;
  void Postings(const std::vector<ShownPosting>& postings) override;
  void Got(const std::string& text) override;
  void Note(const std::string& text) override;
  void Problem(const std::string& text) override;
  void Opened(const Label&, int) override {}
};

const char* RoleName(Role role);

}  // namespace hongyan::chat
