#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "admin/cli/commands.h"
#include "base/bytes.h"

// hongyan-admin: the administrator's command line.

namespace hongyan::admin_cli {

void Context::Fail(const std::string& text) {
  std::fprintf(stderr, "hongyan-admin: %s\n", ShownShort(text).c_str());
  exit_code = 1;
}

void Context::Say(const std::string& sentence, const nlohmann::json& document) const {
  std::cout << (json ? document.dump() : sentence) << '\n';
}

void Context::Ask(const v1::AdminRequest& request,
                  const std::function<void(const v1::AdminReply&)>& show, int64_t patience_s) {
  auto client = Client::Connect(socket_path(), patience_s);
  if (!client) return Fail(client.error().text);
  auto reply = client->Ask(request);
  if (!reply) return Fail(reply.error().text);
  show(*reply);
}

}  // namespace hongyan::admin_cli

namespace {

using namespace hongyan;
using namespace hongyan::admin_cli;

constexpr int kWrongUsage = 2;

int Usage(const std::string& text) {
  std::fprintf(stderr, "hongyan-admin: %s\nRun with --help for more information.\n",
               ShownShort(text).c_str());
  return kWrongUsage;
}

// Which commands there are where the command line stops making sense.
std::string CommandsOf(CLI::App& app) {
  CLI::App* last = &app;
  std::string typed;
  while (!last->get_subcommands().empty()) {
    last = last->get_subcommands().back();
    typed += last->get_name() + " ";
  }
  std::string names;
  for (const CLI::App* command : last->get_subcommands(std::function<bool(CLI::App*)>())) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  const std::vector<std::string> rest = app.remaining(true);
  const std::string unknown = rest.empty() ? "" : "there is no '" + typed + rest.front() + "'; ";
  return unknown + (typed.empty() ? "the commands are " : "after " + typed + "comes one of ") +
         names;
}

// Descriptors 0 to 2 closed by the caller would be given to the socket, and printed to.
void KeepStandardDescriptors() {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  KeepStandardDescriptors();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty()) {
      return Usage("argument " + std::to_string(i) + " is empty: a variable that was not set?");
    }
    if (!base::IsUtf8(word)) return Usage("'" + word + "' is not UTF-8");
  }
  Context context;
  CLI::App app(
      "hongyan-admin, the administrator's tool of a running hongyand.\n\n"
      "Examples:\n"
      "  hongyan-admin --data ./data user add anna            asks for the password\n"
      "  hongyan-admin --data ./data user import names.txt    one name per line, without password\n"
      "  hongyan-admin --data ./data token issue bot --class bot\n"
      "  hongyan-admin --data ./data group create Team --owner anna --member bert\n"
      "  hongyan-admin --data ./data wallet deposit anna 100.00 --id 2026-07-01/17 --reason gift\n"
      "  hongyan-admin --data ./data money audit              exit code 0: every fen is in place\n"
      "  hongyan-admin --socket /run/hongyan.sock stats --json\n"
      "  hongyan-admin --data ./data store accept             offline, after a refused start\n\n"
      "Exit codes: 0 done, 1 refused or failed, 2 wrong usage; of `money audit`: 0 proven, 1 a "
      "finding, 2 not proven.",
      "hongyan-admin");
  app.add_option("--socket", context.socket, "the server's administration socket")
      ->type_name("PATH");
  app.add_option("--data", context.data,
                 "the server's data directory; its socket is DIR/admin.sock")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_flag(
      "--json", context.json,
      "print one JSON document, for programs; what went wrong stays a sentence on standard "
      "error");
  app.set_version_flag("--version", "hongyan-admin " HONGYAN_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  AddUserCommands(app, context);
  AddTokenCommands(app, context);
  AddGroupCommands(app, context);
  AddWalletCommands(app, context);
  AddMoneyCommands(app, context);
  AddServerCommands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const std::string what = error.what();
    return Usage(what == "A subcommand is required" ? CommandsOf(app) : what);
  }
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0) {
    context.Fail(
        "standard output cannot be written (closed, or the disk is full): the command was "
        "carried out, what it printed is lost");
  }
  return context.exit_code;
}
