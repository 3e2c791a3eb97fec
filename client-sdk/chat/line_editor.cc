#include "client-sdk/chat/line_editor.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace hongyan::chat {
namespace {

constexpr size_t kMaxPast = 500;
constexpr std::string_view kPasteEnd = "\x1b[201~";

// How many bytes the key at the front takes; 0 = its rest has not come yet.
size_t KeyLength(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  if (first == 0x1b) {
    if (bytes.size() == 1) return 0;
    if (bytes[1] == 'O') return bytes.size() >= 3 ? 3 : 0;
    if (bytes[1] != '[') return 2;  // Alt and a key
    for (size_t i = 2; i < bytes.size(); ++i) {
      if (bytes[i] >= 0x40 && bytes[i] <= 0x7e) return i + 1;
    }
    return bytes.size() > 32 ? bytes.size() : 0;
  }
  const size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return bytes.size() >= length ? length : 0;
}

}  // namespace

void LineEditor::Feed(std::string_view bytes, const std::function<void(Outcome)>& on_outcome) {
  pending_.append(bytes);
  while (!pending_.empty()) {
    if (pasting_) {
      const size_t end = pending_.find(kPasteEnd);
      // An end cut in two must not be taken for text.
      const size_t text = end != std::string::npos
                              ? end
                              : pending_.size() - std::min(pending_.size(), kPasteEnd.size() - 1);
      pasted_.append(pending_, 0, std::min(text, kMaxBytes + 1 - pasted_.size()));
      pending_.erase(0, text + (end != std::string::npos ? kPasteEnd.size() : 0));
      if (end == std::string::npos) return;
      pasting_ = false;
      std::replace(pasted_.begin(), pasted_.end(), '\r', '\n');
      std::replace(pasted_.begin(), pasted_.end(), '\t', ' ');
      on_outcome(Insert(std::exchange(pasted_, {})));
      continue;
    }
    const size_t length = KeyLength(pending_);
    if (length == 0) return;
    const std::string key = pending_.substr(0, length);
    pending_.erase(0, length);
    on_outcome(Key(key));
  }
}

LineEditor::Outcome LineEditor::Key(std::string_view key) {
  if (key[0] == '\x1b') return EscapeKey(key);
  switch (key[0]) {
    case '\r':
    case '\n':
      return Outcome::kSubmitted;
    case 1:
      cursor_ = 0;
      break;  // Ctrl-A
    case 2:
      cursor_ -= cursor_ > 0 ? 1 : 0;
      break;  // Ctrl-B
    case 3:   // Ctrl-C: the line, then the program
      if (pieces_.empty()) return Outcome::kEnd;
      Erase(0, pieces_.size());
      break;
    case 4:  // Ctrl-D
      if (pieces_.empty()) return Outcome::kEnd;
      Erase(cursor_, std::min(cursor_ + 1, pieces_.size()));
      break;
    case 5:
      cursor_ = pieces_.size();
      break;  // Ctrl-E
    case 6:
      cursor_ += cursor_ < pieces_.size() ? 1 : 0;
      break;  // Ctrl-F
    case 8:
    case 127:  // Backspace
      if (cursor_ > 0) Erase(cursor_ - 1, cursor_);
      break;
    case 9:  // Tab
      if (complete) return Insert(complete(Text(0, cursor_)));
      break;
    case 11:
      Erase(cursor_, pieces_.size());
      break;  // Ctrl-K
    case 12:
      return Outcome::kClearScreen;  // Ctrl-L
    case 14:
      return Recall(+1);  // Ctrl-N
    case 16:
      return Recall(-1);  // Ctrl-P
    case 21:
      Erase(0, cursor_);
      break;    // Ctrl-U
    case 23: {  // Ctrl-W
      size_t from = cursor_;
      while (from > 0 && pieces_[from - 1].bytes == " ") --from;
      while (from > 0 && pieces_[from - 1].bytes != " ") --from;
      Erase(from, cursor_);
      break;
    }
    default:
      if (static_cast<unsigned char>(key[0]) < 0x20) return Outcome::kNone;
      return Insert(key);
  }
  return Outcome::kChanged;
}

LineEditor::Outcome LineEditor::EscapeKey(std::string_view key) {
  if (key == "\x1b[200~") {
    pasting_ = true;
    return Outcome::kNone;
  }
  if (key == "\x1b\r" || key == "\x1b\n") {  // Alt-Enter: a newline inside the message
    return Insert("\n");
  }
  const std::string_view name = key.substr(1);
  if (name == "[A" || name == "OA") return Recall(-1);
  if (name == "[B" || name == "OB") return Recall(+1);
  if (name == "[C" || name == "OC") {
    cursor_ += cursor_ < pieces_.size() ? 1 : 0;
  } else if (name == "[D" || name == "OD") {
    cursor_ -= cursor_ > 0 ? 1 : 0;
  } else if (name == "[H" || name == "OH" || name == "[1~" || name == "[7~") {
    cursor_ = 0;
  } else if (name == "[F" || name == "OF" || name == "[4~" || name == "[8~") {
    cursor_ = pieces_.size();
  } else if (name == "[3~") {
    Erase(cursor_, std::min(cursor_ + 1, pieces_.size()));
  } else {
    return Outcome::kNone;
  }
  return Outcome::kChanged;
}

std::string LineEditor::Text(size_t from, size_t to) const {
  std::string text;
  for (size_t i = from; i < to; ++i) text += pieces_[i].bytes;
  return text;
}

LineEditor::Outcome LineEditor::Insert(std::string_view text) {
  std::string before = Text(0, cursor_);
  const std::string after = Text(cursor_, pieces_.size());
  if (before.size() + text.size() + after.size() > kMaxBytes) return Outcome::kFull;
  before.append(text);
  // What is inserted may combine with what stands before it: everything is cut anew.
  Replace(before + after);
  size_t bytes = 0;
  cursor_ = 0;
  while (cursor_ < pieces_.size() && bytes < before.size())
    bytes += pieces_[cursor_++].bytes.size();
  return Outcome::kChanged;
}

void LineEditor::Replace(std::string text) {
  pieces_.clear();
  std::string_view rest = text;
  for (size_t line_end; !rest.empty(); rest.remove_prefix(std::min(line_end + 1, rest.size()))) {
    line_end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, line_end);
    for (Glyph& glyph : Glyphs(line)) {
      std::string bytes = glyph.bytes;
      pieces_.push_back({std::move(bytes), std::move(glyph)});
    }
    if (line_end < rest.size()) pieces_.push_back({"\n", Glyphs("\n")[0]});
  }
  cursor_ = pieces_.size();
}

void LineEditor::Erase(size_t from, size_t to) {
  pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(from),
                pieces_.begin() + static_cast<std::ptrdiff_t>(to));
  cursor_ = from;
}

LineEditor::Outcome LineEditor::Recall(int direction) {
  if ((direction < 0 && recalled_ == 0) || (direction > 0 && recalled_ >= past_.size()))
    return Outcome::kNone;
  if (recalled_ == past_.size()) draft_ = Text(0, pieces_.size());
  recalled_ = direction < 0 ? recalled_ - 1 : recalled_ + 1;
  Replace(recalled_ == past_.size() ? draft_ : past_[recalled_]);
  return Outcome::kChanged;
}

std::string LineEditor::Take() {
  std::string text = Text(0, pieces_.size());
  pieces_.clear();
  cursor_ = 0;
  if (!text.empty() && (past_.empty() || past_.back() != text)) past_.push_back(text);
  if (past_.size() > kMaxPast) past_.erase(past_.begin());
  recalled_ = past_.size();
  draft_.clear();
  return text;
}

LineEditor::Visible LineEditor::Draw(int columns) const {
  // From the cursor to the left as far as fits, then to the right.
  int left = 0;
  size_t from = cursor_;
  while (from > 0 && left + pieces_[from - 1].glyph.columns < columns)
    left += pieces_[--from].glyph.columns;
  Visible visible{{}, left};
  int used = 0;
  for (size_t i = from; i < pieces_.size() && used + pieces_[i].glyph.columns < columns; ++i) {
    visible.text += pieces_[i].glyph.bytes;
    used += pieces_[i].glyph.columns;
  }
  return visible;
}

}  // namespace hongyan::chat
