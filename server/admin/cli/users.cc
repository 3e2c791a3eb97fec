#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "admin/cli/commands.h"
#include "base/bytes.h"

namespace hongyan::admin_cli {
namespace {

using nlohmann::json;

constexpr size_t kUsersPerRequest = 1000;

// One line typed without being shown.
std::string TypeHidden(const char* prompt) {
  std::cerr << prompt << std::flush;
  termios shown{};
  tcgetattr(STDIN_FILENO, &shown);
  termios hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  std::string line;
  std::getline(std::cin, line);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
  std::cerr << '\n';
  return line;
}

// From the file, or typed twice.
base::Result<std::string> ReadPassword(const std::string& file) {
  using base::Code;
  using base::Error;
  if (!file.empty()) {
    auto lines = ReadLines(file);
    if (!lines) return lines.error();
    if (lines->empty()) return Error(Code::kInvalidArgument, file + " holds no password");
    return std::move(lines->front().text);
  }
  if (isatty(STDIN_FILENO) == 0) {
    return Error(
        Code::kInvalidArgument,
        "no terminal to ask for the password: use --password-file FILE (- is standard input) "
        "or --no-password");
  }
  std::string password = TypeHidden("password: ");
  if (password.empty()) return Error(Code::kInvalidArgument, "a password has at least one byte");
  if (TypeHidden("again: ") != password) {
    return Error(Code::kInvalidArgument, "the two are not the same: nothing was changed");
  }
  return password;
}

struct PasswordOptions {
  std::string name;
  std::string file;
  bool none = false;
};

void AddPasswordOptions(CLI::App& command, const std::shared_ptr<PasswordOptions>& options) {
  command.add_option("NAME", options->name, "login name")->required();
  auto* const file = command.add_option("--password-file", options->file,
                                        "first line of FILE is the password; - is standard input");
  command.add_flag("--no-password", options->none, "no login by password, only by token")
      ->excludes(file);
}

// The password of the options ("" = none), or false with the error shown.
bool Resolve(Context& context, const PasswordOptions& options, std::string* password) {
  if (options.none) return true;
  auto read = ReadPassword(options.file);
  if (!read) {
    context.Fail(read.error().text);
    return false;
  }
  *password = *read;
  return true;
}

void Add(Context& context, const PasswordOptions& options) {
  v1::AdminRequest request;
  auto* const user = request.mutable_import_users()->add_users();
  user->set_name(options.name);
  if (!Resolve(context, options, user->mutable_password())) return;
  context.Ask(request, [&](const v1::AdminReply& reply) {
    const auto& result = reply.import_users().results(0);
    if (!result.refused().empty())
      return context.Fail("'" + options.name + "': " + result.refused());
    if (!result.created()) {
      return context.Fail("user '" + options.name +
                          "' exists already; change its password with 'user "
                          "passwd'");
    }
    if (context.json) {
      std::cout << json{{"user_id", std::to_string(result.user_id())}, {"name", options.name}}
                << '\n';
    } else {
      std::cout << "added " << Shown(options.name) << " id=" << result.user_id() << '\n';
    }
  });
}

void SetPassword(Context& context, const PasswordOptions& options) {
  v1::AdminRequest request;
  request.mutable_set_password()->set_name(options.name);
  if (!Resolve(context, options, request.mutable_set_password()->mutable_password())) return;
  context.Ask(request, [&](const v1::AdminReply&) {
    context.Say(std::string(options.none ? "password removed" : "password changed") +
                    "; tokens given out before stay valid until 'token revoke " +
                    Shown(options.name) + "'",
                {{"name", options.name}, {"has_password", !options.none}});
  });
}

struct ImportCounts {
  int64_t created = 0;
  int64_t existed = 0;
  int64_t refused = 0;
  json refused_lines = json::array();
};

base::Result<ImportCounts> Import(Client& client, const std::vector<Line>& names) {
  ImportCounts counts;
  const auto add = [&](size_t place, v1::AdminRequest& request) {
    request.mutable_import_users()->add_users()->set_name(names[place].text);
  };
  const auto take = [&](size_t place, const v1::AdminReply& reply) {
    for (const auto& result : reply.import_users().results()) {
      const Line& line = names.at(place++);
      if (!result.refused().empty()) {
        ++counts.refused;
        counts.refused_lines.push_back(
            {{"line", line.number}, {"name", line.text}, {"refused", result.refused()}});
        std::fprintf(stderr, "line %zu: '%s': %s\n", line.number, ShownShort(line.text).c_str(),
                     Shown(result.refused()).c_str());
      } else {
        ++(result.created() ? counts.created : counts.existed);
      }
    }
  };
  if (auto asked = client.AskForMany(names.size(), kUsersPerRequest, add, take); !asked) {
    return asked.error();
  }
  return counts;
}

void ImportFile(Context& context, const std::string& path) {
  auto names = ReadLines(path);
  if (!names) return context.Fail(names.error().text);
  auto client = Client::Connect(context.socket_path());
  if (!client) return context.Fail(client.error().text);
  const auto start = std::chrono::steady_clock::now();
  auto counts = Import(*client, *names);
  if (!counts) {
    return context.Fail(counts.error().text +
                        "; users created so far stay: the same import again completes it");
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (context.json) {
    std::cout << json{{"created", counts->created},
                      {"existed", counts->existed},
                      {"refused", counts->refused},
                      {"refused_lines", counts->refused_lines},
                      {"seconds", seconds}}
              << '\n';
  } else {
    std::printf("created %lld, existed %lld, refused %lld in %.2f s (%.0f/s)\n",
                static_cast<long long>(counts->created), static_cast<long long>(counts->existed),
                static_cast<long long>(counts->refused), seconds,
                static_cast<double>(names->size()) / std::max(seconds, 1e-6));
  }
  if (counts->refused > 0) context.exit_code = 1;
}

json ToJson(const v1::UserInfo& user) {
  return {{"user_id", std::to_string(user.user_id())},
          {"name", user.name()},
          {"disabled", user.disabled()},
          {"has_password", user.has_password()},
          {"created_ms", user.created_ms()}};
}

void Show(Context& context, const v1::ShowUserReply& show) {
  if (context.json) {
    json out = ToJson(show.user());
    out["head"] = std::to_string(show.head());
    out["floor"] = std::to_string(show.floor());
    out["devices"] = json::array();
    for (const auto& device : show.devices()) {
      out["devices"].push_back({{"device_id", base::ToHex(device.device_id())},
                                {"class", device.device_class()},
                                {"last_login_ms", device.last_login_ms()},
                                {"online", device.online()},
                                {"cursor", std::to_string(device.cursor())}});
    }
    std::cout << out.dump(2) << '\n';
    return;
  }
  const v1::UserInfo& user = show.user();
  std::cout << "name      " << Shown(user.name()) << "\nid        " << user.user_id()
            << "\ncreated   " << TimeText(user.created_ms()) << "\nlogin     "
            << (user.disabled()       ? "disabled"
                : user.has_password() ? "password, token"
                                      : "token")
            << "\nhead      " << show.head() << "\nfloor     " << show.floor() << '\n';
  for (const auto& device : show.devices()) {
    std::cout << "device    " << base::ToHex(device.device_id()) << "  "
              << Shown(device.device_class()) << "  last login " << TimeText(device.last_login_ms())
              << "  cursor " << device.cursor() << (device.online() ? "  online" : "") << '\n';
  }
}

void List(Context& context, int64_t after, int64_t most) {
  auto client = Client::Connect(context.socket_path());
  if (!client) return context.Fail(client.error().text);
  json all = json::array();
  for (int64_t listed = 0; most == 0 || listed < most;) {
    v1::AdminRequest request;
    request.mutable_list_users()->set_after(after);
    request.mutable_list_users()->set_limit(
        static_cast<uint32_t>(most == 0 ? 1000 : std::min<int64_t>(1000, most - listed)));
    auto reply = client->Ask(request);
    if (!reply) return context.Fail(reply.error().text);
    for (const auto& user : reply->list_users().users()) {
      after = user.user_id();
      ++listed;
      if (context.json) {
        all.push_back(ToJson(user));
      } else {
        std::cout << user.user_id() << '\t' << Shown(user.name())
                  << (user.disabled() ? "\tdisabled" : "") << '\n';
      }
    }
    if (!reply->list_users().more() || reply->list_users().users_size() == 0) break;
  }
  if (context.json) std::cout << all.dump(2) << '\n';
}

void Disable(Context& context, const std::string& name, bool disabled) {
  v1::AdminRequest request;
  request.mutable_set_disabled()->set_name(name);
  request.mutable_set_disabled()->set_disabled(disabled);
  context.Ask(request, [&](const v1::AdminReply&) {
    context.Say(
        Shown(name) + (disabled ? " is disabled; its sessions have ended" : " may log in again"),
        {{"name", name}, {"disabled", disabled}});
  });
}

}  // namespace

void AddUserCommands(CLI::App& app, Context& context) {
  CLI::App* const user = app.add_subcommand("user", "accounts")->require_subcommand(1);

  auto* const add = user->add_subcommand("add", "create an account");
  const auto add_options = std::make_shared<PasswordOptions>();
  AddPasswordOptions(*add, add_options);
  add->callback([&context, add_options] { Add(context, *add_options); });

  auto* const import_users = user->add_subcommand(
      "import", "create accounts without password; who exists already is left");
  const auto path = std::make_shared<std::string>();
  import_users->add_option("FILE", *path, "one name per line; - is standard input")->required();
  import_users->callback([&context, path] { ImportFile(context, *path); });

  auto* const passwd = user->add_subcommand("passwd", "set or remove a password");
  const auto passwd_options = std::make_shared<PasswordOptions>();
  AddPasswordOptions(*passwd, passwd_options);
  passwd->callback([&context, passwd_options] { SetPassword(context, *passwd_options); });

  for (const bool disabled : {true, false}) {
    auto* const command =
        disabled ? user->add_subcommand("disable", "refuse logins and end the user's sessions")
                 : user->add_subcommand("enable", "let a disabled user in again");
    const auto name = std::make_shared<std::string>();
    command->add_option("NAME", *name, "login name")->required();
    command->callback([&context, name, disabled] { Disable(context, *name, disabled); });
  }

  auto* const show = user->add_subcommand("show", "one account with its devices");
  const auto shown = std::make_shared<std::string>();
  const auto id = std::make_shared<int64_t>(0);
  auto* const by_name = show->add_option("NAME", *shown, "login name");
  show->add_option("--id", *id, "or the user's id")
      ->check(CLI::Validator(CheckId, "ID"))
      ->excludes(by_name);
  show->callback([&context, shown, id] {
    if (shown->empty() && *id == 0) throw CLI::ValidationError("a NAME or --id is required");
    v1::AdminRequest request;
    request.mutable_show_user()->set_name(*shown);
    request.mutable_show_user()->set_user_id(*id);
    context.Ask(request, [&](const v1::AdminReply& reply) { Show(context, reply.show_user()); });
  });

  auto* const list = user->add_subcommand("list", "accounts in order of id");
  const auto after = std::make_shared<int64_t>(0);
  const auto most = std::make_shared<int64_t>(0);
  list->add_option("--after", *after, "begin after this user id")
      ->check(CLI::Validator(
          [](const std::string& word) { return word == "0" ? std::string() : CheckId(word); },
          "ID"));
  list->add_option("--limit", *most, "at most so many; 0 = all")
      ->check(CLI::Validator(CheckCount, "NUMBER"));
  list->callback([&context, after, most] { List(context, *after, *most); });
}  // namespace hongyan::admin_cli

}  // namespace hongyan::admin_cli
