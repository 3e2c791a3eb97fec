#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client-sdk/chat/words.h"

namespace hongyan::chat {

// The line a person is typing: keys in, text out. Knows glyphs (an emoji with its modifiers is
// one), pasted newlines, and what was typed before; not the terminal. Main thread.
class LineEditor {
 public:
  // kFull: what was typed or pasted would have made the line too long and is not in it.
  enum class Outcome { kNone, kChanged, kFull, kSubmitted, kEnd, kClearScreen };
  static constexpr size_t kMaxBytes = 60'000;  // the server's bodies end at 64 KiB

  // Bytes as the terminal sends them; `on_outcome` is called for each key in turn. Keys cut in two
  // wait for their rest.
  void Feed(std::string_view bytes, const std::function<void(Outcome)>& on_outcome);

  // After kSubmitted: the text, which is taken out and remembered.
  std::string Take();

  // Tab asks it for the rest of the word before the cursor.
  std::function<std::string(const std::string& before)> complete = {};

  // Draws into `columns`: what is visible, scrolled so that the cursor is inside, and the cursor's
  // column.
  struct Visible {
    std::string text;
    int cursor_column = 0;
  };
  Visible Draw(int columns) const;

 private:
  Outcome Key(std::string_view key);
  Outcome EscapeKey(std::string_view key);
  Outcome Insert(std::string_view text);
  void Replace(std::string text);
  void Erase(size_t from, size_t to);
  std::string Text(size_t from, size_t to) const;
  Outcome Recall(int direction);

  // The text in glyphs that keep what was typed: a newline is drawn as a mark but stays one.
  struct Piece {
    std::string bytes;
    Glyph glyph;
  };
  std::vector<Piece> pieces_;
  size_t cursor_ = 0;
  std::string pending_;  // the beginning of a key
  bool pasting_ = false;
  std::string pasted_;  // so far; of what is too long only as much as shows that it is
  std::vector<std::string> past_;
  size_t recalled_ = 0;  // past_.size() = the line being typed
  std::string draft_;
};

}  // namespace hongyan::chat
