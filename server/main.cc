#include <google/protobuf/stubs/logging.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "config.h"
#include "server.h"

// hongyand: the command line. What the server is made of is in server.h.

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

int Complain(int code, const std::string& text) {
  std::fprintf(stderr, "hongyand: %s\n", text.c_str());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "hongyand, the Hongyan instant-messaging server.\n\n"
      "Examples:\n"
      "  hongyand --data ./data                           serve on 127.0.0.1:7460\n"
      "  hongyand --config hongyand.toml --data ./data    with a configuration\n"
      "  hongyand --config hongyand.toml --check-config   only look at the configuration\n\n"
      "SIGTERM drains and ends it. Exit codes: 0 ended in order, 1 failed, 2 wrong usage or "
      "configuration.",
      "hongyand");
  std::string config_path;
  std::string data = "hongyan-data";
  bool check_only = false;
  app.add_option("--config", config_path, "configuration, TOML; see hongyand.example.toml")
      ->type_name("FILE");
  app.add_option("--data", data, "data directory, made if absent")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_flag("--check-config", check_only,
               "check the configuration, print nothing else, and end");
  app.set_version_flag("--version", "hongyand " HONGYAN_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }

  auto config = app.count("--config") == 0 ? hongyan::ParseConfig("", "defaults")
                                           : hongyan::LoadConfig(config_path);
  if (!config) return Complain(kUsage, config.error().text);
  auto admin_socket = hongyan::AdminSocket(*config, data);
  if (!admin_socket) return Complain(kUsage, admin_socket.error().text);
  if (check_only) {
    std::printf("the configuration is good\n");
    return 0;
  }
  hongyan::base::InitLog(config->log.level);
  // What a peer sends wrongly is answered to the peer; it must not be able to fill our log.
  google::protobuf::SetLogHandler(nullptr);
  auto server = hongyan::Server::Open(*config, data, *admin_socket);
  if (!server) return Complain(kFailed, server.error().text);
  // Scripts wait for this line.
  LOG_INFO("ready listen={} admin={} pid={}", (*server)->listen_address(),
           (*server)->admin_address(), getpid());
  (*server)->Run();
  server->reset();
  LOG_INFO("stopped");
  return 0;
}
