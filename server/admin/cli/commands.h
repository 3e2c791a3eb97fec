#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "admin/cli/client.h"
#include "admin/cli/text.h"

namespace hongyan::admin_cli {

// What every command knows of the command line.
struct Context {
  std::string socket;  // --socket
  std::string data = "hongyan-data";
  bool json = false;
  int exit_code = 0;  // set by the command that ran

  std::string socket_path() const { return socket.empty() ? data + "/admin.sock" : socket; }

  // Connects, asks, and hands over the answer; prints the error and sets exit_code where there is
  // none.
  void Ask(const v1::AdminRequest& request, const std::function<void(const v1::AdminReply&)>& show,
           int64_t patience_s = Client::kPatienceS);
  // What was done: the sentence for people, the document with --json.
  void Say(const std::string& sentence, const nlohmann::json& document) const;
  // Prints to standard error and sets exit_code to 1.
  void Fail(const std::string& text);
};

// Each adds its subcommands to `app`; their callbacks keep `context`, which outlives them.
void AddUserCommands(CLI::App& app, Context& context);
void AddTokenCommands(CLI::App& app, Context& context);
void AddGroupCommands(CLI::App& app, Context& context);
void AddWalletCommands(CLI::App& app, Context& context);
// `wallet show` and `money wallet` are one.
void AddWalletShow(CLI::App& to, const char* name, Context& context);
void AddMoneyCommands(CLI::App& app, Context& context);
void AddServerCommands(CLI::App& app, Context& context);

}  // namespace hongyan::admin_cli
