#pragma once

#include <termios.h>

#include <functional>
#include <string>

#include "client-sdk/chat/line_editor.h"
#include "client-sdk/chat/view.h"

namespace hongyan::chat {

// A scrolling terminal: messages above, the line being typed at the bottom, redrawn whenever
// something comes. Takes the terminal over and gives it back in its destructor. Main thread.
class TerminalView final : public View {
 public:
  TerminalView();
  ~TerminalView() override;

  // The person's keys; `on_line` gets whole lines, `on_end` is called for Ctrl-D and Ctrl-C on an
  // empty line.
  void Feed(std::string_view bytes, const std::function<void(std::string)>& on_line,
            const std::function<void()>& on_end);
  void Resized();
  LineEditor& editor() { return editor_; }

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
  void Opened(const Label& where, int unread_elsewhere) override;

 private:
  void Print(const std::string& line);
  std::string Prompt() const;
  void Redraw();
  std::string Painted(const char* color, const std::string& text) const;

  termios before_{};
  int columns_ = 80;
  bool colors_ = true;
  bool connected_ = false;
  LineEditor editor_;
  std::string me_;
  Label here_;
  int unread_elsewhere_ = 0;
};

}  // namespace hongyan::chat
