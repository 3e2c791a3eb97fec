#include <chrono>
#include <string>
#include <vector>

#include "client-sdk/chat/line_cutter.h"
#include "client-sdk/chat/line_editor.h"
#include "client-sdk/chat/words.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan::chat;

struct Typing {
  LineEditor editor;
  std::vector<std::string> lines;
  int ends = 0;
  int refused = 0;

  void Type(const std::string& keys) {
    editor.Feed(keys, [this](LineEditor::Outcome outcome) {
      if (outcome == LineEditor::Outcome::kSubmitted) lines.push_back(editor.Take());
      if (outcome == LineEditor::Outcome::kEnd) ++ends;
      if (outcome == LineEditor::Outcome::kFull) ++refused;
    });
  }
  std::string Line() {
    Type("\r");
    return lines.back();
  }
};

int Columns(const std::string& text) {
  int columns = 0;
  for (const Glyph& glyph : Glyphs(text)) columns += glyph.columns;
  return columns;
}

}  // namespace

TEST_CASE("glyphs are what one sees: wide, combined, and never what steers a terminal") {
  CHECK(Columns("abc") == 3);
  CHECK(Columns("\xe4\xbd\xa0\xe5\xa5\xbd") == 4);  // two Chinese characters
  CHECK(Glyphs("e\xcc\x81").size() == 1);           // e and a combining accent
  CHECK(Columns("e\xcc\x81") == 1);
  CHECK(Glyphs("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7").size() ==
        1);  // two people joined to one sign
  CHECK(Columns("\xff") == 1);
  CHECK(ForTerminal("\x1b[31mred\x07", "").find('\x1b') == std::string::npos);
  CHECK(ForTerminal("\xc2\x9b"
                    "31m",
                    "")
            .find("\xc2\x9b") == std::string::npos);
  CHECK(ForTerminal("a\nb", "  ") == "a\n  b");
}

TEST_CASE_FIXTURE(Typing, "what is typed is what is sent, bytes cut anywhere") {
  const std::string text = "h\xc3\xa4llo \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82";
  for (const char c : text) Type(std::string(1, c));
  CHECK(Line() == text);
}

TEST_CASE_FIXTURE(Typing, "the cursor moves over whole glyphs and edits there") {
  Type(
      "a\xe4\xbd\xa0"
      "c\x1b[D\x1b[D\x7f");  // left, left, backspace: the a goes
  Type("X\x1b[FY\x1b[HZ");
  CHECK(Line() ==
        "ZX\xe4\xbd\xa0"
        "cY");
  Type(
      "one two three\x17\x17"
      "2");
  CHECK(Line() == "one 2");
  Type(
      "abc\x15"
      "d\x0b");
  CHECK(Line() == "d");
  Type(
      "e\xcc\x81\x7f"
      "x");  // the accent goes with its letter
  CHECK(Line() == "x");
}

TEST_CASE_FIXTURE(Typing, "pasted lines are one message, also when the paste is cut in two") {
  Type("see: \x1b[200~one\rtw");
  Type("o\tx\x1b[20");
  Type("1~!");
  CHECK(lines.empty());
  CHECK(Line() == "see: one\ntwo x!");
}

TEST_CASE_FIXTURE(Typing, "a paste that is too long is left out whole, and that is said once") {
  Type("ab\x1b[200~");
  for (int i = 0; i < 100; ++i) Type(std::string(1000, 'x'));
  Type("\x1b[201~");
  CHECK(refused == 1);
  CHECK(Line() == "ab");
  Type("\x1b[200~" + std::string(LineEditor::kMaxBytes, 'y') + "\x1b[201~");
  CHECK(refused == 1);
  Type("z");
  CHECK(refused == 2);
  CHECK(Line() == std::string(LineEditor::kMaxBytes, 'y'));
}

TEST_CASE_FIXTURE(Typing, "earlier lines come back, and the one begun is kept") {
  Type("first\rsecond\rdra");
  Type("\x1b[A\x1b[A\x1b[A");
  Type("\x1b[B\x1b[B");
  Type("ft\r");
  Type("\x1b[A\x1b[A\r");
  CHECK(lines == std::vector<std::string>{"first", "second", "draft", "second"});
}

TEST_CASE_FIXTURE(Typing, "Ctrl-C clears the line, on an empty one it ends; so does Ctrl-D") {
  Type("abc\x03");
  CHECK(ends == 0);
  Type("\x03");
  CHECK(ends == 1);
  Type("\x04");
  CHECK(ends == 2);
  CHECK(lines.empty());
}

TEST_CASE_FIXTURE(Typing, "a line wider than the terminal shows the part around the cursor") {
  Type(std::string(200, 'x'));
  Type("\xe4\xbd\xa0");
  for (const int columns : {2, 10, 40, 80}) {
    const auto visible = editor.Draw(columns);
    CHECK(Columns(visible.text) < columns);
    CHECK(visible.cursor_column < columns);
  }
  Type("\x01");
  CHECK(editor.Draw(10).cursor_column == 0);
  CHECK(editor.Draw(10).text == std::string(9, 'x'));
}

TEST_CASE("an excerpt is one harmless line and says where it was cut") {
  CHECK(Excerpt("short") == "short");
  CHECK(Excerpt("abcdef", 6) == "abcdef");
  CHECK(Excerpt("abcdefg", 6) == "abcdef...");
  CHECK(Excerpt("a\x1b[2Jb").find('\x1b') == std::string::npos);
  CHECK(Excerpt("a\nb").find('\n') == std::string::npos);
  CHECK(Excerpt(std::string(10 << 20, 'x')).size() == 63);
}

TEST_CASE("a pipe is cut into lines wherever its bytes were cut, one too long stays recognizable") {
  std::vector<std::string> lines;
  const auto keep = [&lines](std::string line) { lines.push_back(std::move(line)); };
  LineCutter cutter;
  const std::string input = "one\r\n\ntwo\nla";
  for (const char c : input) cutter.Feed({&c, 1}, keep);
  cutter.Feed("st", keep);
  cutter.End(keep);
  CHECK(lines == std::vector<std::string>{"one", "", "two", "last"});

  lines.clear();
  for (int i = 0; i < 50; ++i) cutter.Feed(std::string(64 << 10, 'x'), keep);
  cutter.Feed("\nnext\n", keep);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].size() == LineCutter::kMaxBytes + 1);
  CHECK(lines[1] == "next");
}

TEST_CASE("fields stay in their line") {
  CHECK(Escaped("a\tb\nc\\d\r") == "a\\tb\\nc\\\\d\\r");
  CHECK(Escaped("\x1b[2J\x7f") == "\\x1b[2J\\x7f");
  CHECK(UtcTime(0) == "1970-01-01T00:00:00.000Z");
  CHECK(UtcTime(1769854272123) == "2026-01-31T10:11:12.123Z");
}

TEST_CASE("the clock of another day names the day") {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  CHECK(ClockTime(1769854272123).size() == std::string("01-31 10:11").size());
  CHECK(ClockTime(now_ms - 400 * int64_t{86'400'000}).size() == std::string("01-31 10:11").size());
}

TEST_CASE("hexadecimal there and back, and nothing else") {
  std::string bytes;
  CHECK(FromHex("00ffAb", &bytes));
  CHECK(ToHex(bytes) == "00ffab");
  CHECK_FALSE(FromHex("0", &bytes));
  CHECK_FALSE(FromHex("zz", &bytes));
}
