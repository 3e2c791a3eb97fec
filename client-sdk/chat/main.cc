// hongyan-chat: two people in two terminals, or a program at either end of a pipe.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "client-sdk/chat/chat.h"
#include "client-sdk/chat/line_cutter.h"
#include "client-sdk/chat/mailbox.h"
#include "client-sdk/chat/pipe_view.h"
#include "client-sdk/chat/terminal_view.h"
#include "client-sdk/chat/words.h"
#include "hongyan/client.h"

namespace {

using namespace hongyan;
using namespace hongyan::chat;
using Clock = std::chrono::steady_clock;

constexpr const char* kHeader = R"(hongyan-chat, a client of Hongyan for the terminal.

Examples:
  hongyan-chat --user anna --to bert               talk; asks for the password the first time
  hongyan-chat --server chat.example.org:7460 --user anna
  echo "build is green" | hongyan-chat --user bot --to anna
  hongyan-chat --user bot --to anna --once "disk is full"
  hongyan-chat --user anna --follow < /dev/null    print what comes, line by line
)";

constexpr const char* kFooter = R"(
In a terminal: lines are messages, /help lists the commands. By pipe: each line of standard input is
a message or a command; each line of output is one of these, with a tab between the words, tab,
newline and backslash in a text written \t, \n and \\, and other control characters \x1b. WHERE is
@NAME or #GROUP-ID, NUMBER the place in that conversation.
  connected NAME
  message WHERE NUMBER SENDER TIME TEXT    as they come, own ones of other devices included; by
                                           the server itself where SENDER is empty
  history WHERE NUMBER SENDER TIME TEXT    answers to /history
  sent WHERE NUMBER TIME                   it is on the server's disk
  failed WHERE TEXT WHY                    it will not be sent
  chat WHERE UNREAD TITLE                  answers to /list
  group ID MEMBERS OWNER-ID NAME           answers to /groups and /new
  member WHERE USER-ID ROLE NAME           answers to /members
  packet TITLE GREETING STATE              answers to /detail, and below it
  share NAME YUAN TIME BEST                a line for each share; BEST is "best" or empty
  posting TIME YUAN BALANCE WHAT           answers to /statement and /year
  note TEXT                                other answers
Errors are sentences on standard error. Where /to, /group or /new fails, none is open afterwards.

The password comes from --password-file, HONGYAN_PASSWORD or a question; it is needed once, then the
store has a token.

Exit codes: 0 everything was sent, 1 something failed, 2 wrong usage, 3 the server did not answer in
time (it is said how many messages are kept and leave the next time, and what is not kept), 4 the
login was refused or the session ended for good.)";

struct Settings {
  std::string server = "127.0.0.1:7460";
  std::string user;
  std::string password_file;
  std::string token;
  std::string token_file;
  std::string device;
  std::string store;
  std::string to;
  std::string group;
  std::string once;
  bool follow = false;
  double wait_s = 0;
  double timeout_s = 30;
};

int g_signal_fd = -1;
volatile sig_atomic_t g_resized = 0;
volatile sig_atomic_t g_ended_by = 0;

void OnSignal(int number) {
  const int saved = errno;
  if (number == SIGWINCH) {
    g_resized = 1;
  } else {
    g_ended_by = number;
  }
  (void)!write(g_signal_fd, "s", 1);
  errno = saved;
}

// Without this shape of error CLI11 would print a whole help text.
[[noreturn]] void Usage(const std::string& text) {
  std::cerr << "hongyan-chat: " + ForTerminal(text, "  ") + "\n";
  std::exit(kExitUsage);
}

std::string CheckSeconds(const std::string& value) {
  const char* begin = value.c_str();
  char* end = nullptr;
  const double seconds = std::strtod(begin, &end);
  const bool good = end != begin && *end == '\0' && seconds >= 0 && seconds <= 1e9;
  return good ? "" : "give seconds, from 0 to 1000000000; '" + Excerpt(value) + "' is none";
}

// An option left empty is a variable that was not set: never what was meant.
void RefuseEmpty(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& value : option->results()) {
      if (value.empty()) Usage(option->get_name() + " was given an empty value");
    }
  }
}

// Descriptors 0 to 2 closed by the caller would be given to sockets, which would then be printed
// to.
void KeepStandardDescriptors() {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

std::string FirstLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) {
    Usage("cannot read a line from " + Excerpt(path) + ": give a file that has one");
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

// A name may hold anything; in a path it may not.
std::string PathPart(const std::string& name) {
  std::string part;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    const bool plain = u > 0x20 && u != 0x7f && c != '/' && c != '%' && !(part.empty() && c == '.');
    part += plain ? std::string(1, c) : "%" + ToHex(std::string(1, c));
  }
  return part;
}

std::string AskPassword(const std::string& user) {
  std::cerr << "Password of " << user << ": " << std::flush;
  termios before{};
  tcgetattr(STDIN_FILENO, &before);
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  std::string password;
  std::getline(std::cin, password);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  std::cerr << "\n";
  return password;
}

// Who we are and how that is shown to the server.
Options MakeOptions(Settings& settings, bool person) {
  Options options;
  options.address = settings.server;
  options.device_class = person ? "terminal" : "pipe";
  options.program = "hongyan-chat/" HONGYAN_VERSION;
  if (!person) options.timing.idle_sync_ms = 20;  // a pipe ends when its own copies have come back
  if (!settings.token_file.empty()) {
    const auto words = Words(FirstLine(settings.token_file));
    if (words.size() != 4)
      Usage(Excerpt(settings.token_file) + " is not a line of 'hongyan-admin token issue'");
    if (settings.user.empty()) settings.user = words[0];
    settings.device = words[2];
    settings.token = words[3];
  }
  if (!FromHex(settings.token, &options.token))
    Usage("--token is hexadecimal, as hongyan-admin prints it");
  if (!FromHex(settings.device, &options.device_id)) Usage("--device is 32 hexadecimal digits");
  if (settings.user.empty()) Usage("who are you? --user NAME");
  if (settings.user.size() > 64) {
    Usage("a user name has at most 64 bytes; this one has " + std::to_string(settings.user.size()));
  }
  options.user_name = settings.user;

  if (settings.store.empty()) {
    const char* home = std::getenv("HOME");
    if (home == nullptr) Usage("HOME is not set: give --store DIR");
    settings.store = std::string(home) + "/.hongyan/" + PathPart(settings.user) + "@" +
                     PathPart(settings.server);
  }
  auto store = OpenFileStore(settings.store);
  if (!store.ok()) {
    std::cerr << "hongyan-chat: " + ForTerminal(store.error().text, "  ") + " (--store DIR)\n";
    std::exit(kExitFailed);
  }
  options.store = *std::move(store);

  const auto saved = options.store->Load();
  const char* from_environment = std::getenv("HONGYAN_PASSWORD");
  if (!settings.password_file.empty()) {
    options.password = FirstLine(settings.password_file);
  } else if (from_environment != nullptr) {
    options.password = from_environment;
  } else if (person && options.token.empty() && saved.ok() && saved->token.empty()) {
    options.password = AskPassword(settings.user);
  } else if (options.token.empty() && saved.ok() && saved->token.empty()) {
    Usage(
        "the first login needs a password (--password-file FILE or HONGYAN_PASSWORD) or a token "
        "(--token-file FILE)");
  }
  return options;
}

// As one word of a command.
std::string Quoted(const std::string& name) {
  std::string word = "\"";
  for (const char c : name) word += c == '"' ? std::string("\\\"") : std::string(1, c);
  return word + "\"";
}

// Reads what is there: false at the end of the input, which also is where it cannot be read.
bool ReadInput(std::string* bytes) {
  char buffer[64 * 1024];
  const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) return false;
  bytes->append(buffer, static_cast<size_t>(got));
  return true;
}

class Program {
 public:
  Program(const Settings& settings, Chat& chat, Mailbox& mailbox, TerminalView* terminal)
      : settings_(settings), chat_(chat), mailbox_(mailbox), terminal_(terminal) {}

  int Run() {
    bool input_open = settings_.once.empty();
    if (!input_open) chat_.InputEnded();
    std::string bytes;
    while (!chat_.over()) {
      const bool read_input = input_open && chat_.backlog() < 1000;
      pollfd fds[2] = {{mailbox_.read_fd(), POLLIN, 0},
                       {read_input ? STDIN_FILENO : -1, POLLIN, 0}};
      if (poll(fds, 2, input_open ? 1000 : 50) < 0 && errno != EINTR) return kExitFailed;
      if (g_ended_by != 0) return 128 + g_ended_by;
      if (std::exchange(g_resized, 0) != 0 && terminal_ != nullptr) terminal_->Resized();
      mailbox_.RunAll();
      if (fds[1].revents != 0) {
        input_open = ReadInput(&bytes);
        if (terminal_ != nullptr) {
          terminal_->Feed(
              bytes, [this](std::string line) { chat_.Input(std::move(line)); },
              [this] { chat_.Finish(); });
          bytes.clear();
          if (!input_open) chat_.Finish();
        } else {
          const auto input = [this](std::string line) { chat_.Input(std::move(line)); };
          lines_.Feed(std::exchange(bytes, {}), input);
          if (!input_open) lines_.End(input);
          if (!input_open) chat_.InputEnded();
        }
      }
      if (!input_open && terminal_ == nullptr) CheckEnd();
      if (!std::cout) return OutputLost();
      if (Clock::now() - saved_at_ > std::chrono::seconds(5)) Save();
    }
    return chat_.exit_code();
  }

  void Save() {
    chat_.Save();
    saved_at_ = Clock::now();
  }

 private:
  // Nobody can see what comes: going on would take messages for read that were not.
  static int OutputLost() {
    std::cerr << "hongyan-chat: standard output cannot be written: nobody reads it, or the disk is "
                 "full; /history shows again what came\n";
    return kExitFailed;
  }

  // The input is at its end: done when everything is, or when the patience is.
  void CheckEnd() {
    const auto now = Clock::now();
    if (chat_.idle()) {
      if (idle_since_ == Clock::time_point{}) idle_since_ = now;
      if (!settings_.follow && now - idle_since_ >= std::chrono::duration<double>(settings_.wait_s))
        chat_.Finish();
      last_progress_ = now;
      return;
    }
    if (chat_.backlog() != last_backlog_) {
      last_backlog_ = chat_.backlog();
      last_progress_ = now;
    }
    if (!settings_.follow &&
        now - last_progress_ > std::chrono::duration<double>(settings_.timeout_s)) {
      chat_.GiveUp();
    }
  }

  const Settings& settings_;
  Chat& chat_;
  Mailbox& mailbox_;
  TerminalView* terminal_;
  Clock::time_point saved_at_ = Clock::now();
  Clock::time_point idle_since_{};
  Clock::time_point last_progress_ = Clock::now();
  size_t last_backlog_ = 0;
  LineCutter lines_;
};

int Converse(Settings settings) {
  const bool person =
      isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && settings.once.empty();
  Options options = MakeOptions(settings, person);

  Mailbox mailbox;
  g_signal_fd = mailbox.write_fd();
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) signal(number, OnSignal);
  signal(SIGPIPE, SIG_IGN);

  std::unique_ptr<View> view;
  TerminalView* terminal = nullptr;
  if (person) {
    auto owned = std::make_unique<TerminalView>();
    terminal = owned.get();
    view = std::move(owned);
  } else {
    view = std::make_unique<PipeView>();
  }
  Chat chat(mailbox, *view, person ? Style::kPerson : Style::kProgram, settings.store + "/chats");
  if (terminal != nullptr) {
    terminal->editor().complete = [&chat](const std::string& before) {
      return chat.Complete(before);
    };
  }
  if (!settings.to.empty()) chat.Input("/to " + Quoted(settings.to));
  if (!settings.group.empty()) chat.Input("/group " + Quoted(settings.group));
  if (!settings.once.empty())
    chat.Input(settings.once[0] == '/' ? "/" + settings.once : settings.once);

  auto client = Client::Open(std::move(options), chat.MakeEvents());
  if (!client.ok()) {
    view.reset();  // gives the terminal back
    std::cerr << "hongyan-chat: " + ForTerminal(client.error().text, "  ") + "\n";
    return kExitFailed;
  }
  chat.Attach(client->get());
  Program program(settings, chat, mailbox, terminal);
  const int code = program.Run();
  program.Save();
  client->reset();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  KeepStandardDescriptors();
  CLI::App app(kHeader, "hongyan-chat");
  app.footer(kFooter);
  app.set_version_flag("--version", "hongyan-chat " HONGYAN_VERSION);
  app.add_option("--server", settings.server, "HOST:PORT, [IPV6]:PORT or unix:/PATH")
      ->type_name("ADDRESS")
      ->capture_default_str();
  app.add_option("--user", settings.user, "your name")->type_name("NAME");
  app.add_option("--password-file", settings.password_file, "file whose first line is the password")
      ->type_name("FILE");
  const CLI::Validator seconds(CheckSeconds, "", "seconds");
  auto* token = app.add_option("--token", settings.token,
                               "a device token instead of a password (hexadecimal)")
                    ->type_name("HEX");
  app.add_option("--device", settings.device, "the device the token was issued for")
      ->type_name("HEX")
      ->needs(token);
  app.add_option("--token-file", settings.token_file,
                 "a line printed by 'hongyan-admin token issue'")
      ->type_name("FILE")
      ->excludes(token);
  app.add_option("--store", settings.store,
                 "directory for what must outlive the program [~/.hongyan/USER@SERVER]")
      ->type_name("DIR");
  auto* to = app.add_option("--to", settings.to, "open the conversation with this person")
                 ->type_name("NAME");
  app.add_option("--group", settings.group, "open the conversation of this group (id or name)")
      ->type_name("GROUP")
      ->excludes(to);
  app.add_option("--once", settings.once,
                 "send this one message and end; a text, also where it begins with /")
      ->type_name("TEXT");
  app.add_flag("--follow", settings.follow, "by pipe: stay after the end of the input");
  app.add_option("--wait", settings.wait_s, "by pipe: seconds to stay after the end of the input")
      ->type_name("SECONDS")
      ->check(seconds);
  app.add_option("--timeout", settings.timeout_s,
                 "by pipe: seconds without progress before giving up")
      ->type_name("SECONDS")
      ->capture_default_str()
      ->check(seconds);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  RefuseEmpty(app);
  if (!settings.once.empty() && settings.to.empty() && settings.group.empty()) {
    Usage("--once needs --to NAME or --group ID");
  }
  return Converse(std::move(settings));
}
