#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>

#include "admin/cli/commands.h"

// hongyan-admin: the administrator's command line.

namespace hongyan::admin_cli {

void Context::Fail(const std::string& text) {
  std::fprintf(stderr, "hongyan-admin: %s\n", text.c_str());
  exit_code = 1;
}

void Context::Ask(const v1::AdminRequest& request,
                  const std::function<void(const v1::AdminReply&)>& show) {
  auto client = Client::Connect(socket_path());
  if (!client) return Fail(client.error().text);
  auto reply = client->Ask(request);
  if (!reply) return Fail(reply.error().text);
  show(*reply);
}

base::Result<std::vector<std::string>> ReadLines(const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path);
  std::istream& in = path == "-" ? std::cin : file;
  if (path != "-" && !file) {
    return base::Error(base::Code::kNotFound, "cannot read " + path +
                                                  ": give an existing file, or - for "
                                                  "standard input");
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

std::string TimeText(int64_t ms) {
  if (ms == 0) return "-";
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &utc);
  return text;
}

}  // namespace hongyan::admin_cli

int main(int argc, char** argv) {
  using namespace hongyan::admin_cli;
  Context context;
  CLI::App app(
      "hongyan-admin, the administrator's tool of a running hongyand.\n\n"
      "Examples:\n"
      "  hongyan-admin --data ./data user add anna            asks for the password\n"
      "  hongyan-admin --data ./data user import names.txt    one name per line, without password\n"
      "  hongyan-admin --data ./data token issue bot --class bot\n"
      "  hongyan-admin --data ./data group create Team --owner anna --member bert\n"
      "  hongyan-admin --socket /run/hongyan.sock stats --json\n"
      "  hongyan-admin --data ./data store accept             offline, after a refused start\n\n"
      "Exit codes: 0 done, 1 refused or failed, 2 wrong usage.",
      "hongyan-admin");
  app.add_option("--socket", context.socket, "the server's administration socket")
      ->type_name("PATH");
  app.add_option("--data", context.data,
                 "the server's data directory; its socket is DIR/admin.sock")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_flag("--json", context.json, "print JSON, for programs");
  app.set_version_flag("--version", "hongyan-admin " HONGYAN_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  AddUserCommands(app, context);
  AddTokenCommands(app, context);
  AddGroupCommands(app, context);
  AddServerCommands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return context.exit_code;
}
