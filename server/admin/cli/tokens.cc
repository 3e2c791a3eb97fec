#include <algorithm>
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

constexpr size_t kTokensPerRequest = 1000;

constexpr const char* kNoDevice = "a device id is 32 hexadecimal digits";

struct IssueOptions {
  std::vector<std::string> names;
  std::string file;
  std::string device;
  std::string device_class;
};

void Print(Context& context, const std::string& name, const v1::IssueTokensReply::Result& result,
           json* all) {
  if (!result.refused().empty()) return context.Fail("'" + name + "': " + result.refused());
  if (context.json) {
    all->push_back({{"name", name},
                    {"user_id", std::to_string(result.user_id())},
                    {"device_id", base::ToHex(result.device_id())},
                    {"token", base::ToHex(result.token())}});
  } else {
    std::cout << Shown(name) << '\t' << result.user_id() << '\t' << base::ToHex(result.device_id())
              << '\t' << base::ToHex(result.token()) << '\n';
  }
}

void Issue(Context& context, IssueOptions options) {
  if (!options.file.empty()) {
    auto lines = ReadLines(options.file);
    if (!lines) return context.Fail(lines.error().text);
    if (lines->empty()) return context.Fail(options.file + " names nobody");
    for (Line& line : *lines) options.names.push_back(std::move(line.text));
  }
  if (options.names.empty()) return context.Fail("name somebody, or give --file");
  std::string device;
  if (!options.device.empty()) {
    const auto bytes = ParseHex16(options.device);
    if (!bytes) return context.Fail(kNoDevice);
    device = *bytes;
  }
  auto client = Client::Connect(context.socket_path());
  if (!client) return context.Fail(client.error().text);
  json all = json::array();
  for (size_t first = 0; first < options.names.size(); first += kTokensPerRequest) {
    const size_t end = std::min(first + kTokensPerRequest, options.names.size());
    v1::AdminRequest request;
    for (size_t i = first; i < end; ++i) {
      auto* const wanted = request.mutable_issue_tokens()->add_tokens();
      wanted->set_name(options.names[i]);
      wanted->set_device_id(device);
      wanted->set_device_class(options.device_class);
    }
    auto reply = client->Ask(request);
    if (!reply) return context.Fail(reply.error().text);
    for (int i = 0; i < reply->issue_tokens().results_size(); ++i) {
      Print(context, options.names.at(first + static_cast<size_t>(i)),
            reply->issue_tokens().results(i), &all);
    }
  }
  if (context.json) std::cout << all.dump(2) << '\n';
}

void Revoke(Context& context, const std::string& name, const std::string& device) {
  v1::AdminRequest request;
  request.mutable_revoke_tokens()->set_name(name);
  if (!device.empty()) {
    const auto bytes = ParseHex16(device);
    if (!bytes) return context.Fail(kNoDevice);
    request.mutable_revoke_tokens()->set_device_id(*bytes);
  }
  context.Ask(request, [&](const v1::AdminReply&) {
    json document{{"name", name}};
    if (!device.empty()) document["device_id"] = device;
    context.Say(std::string("revoked the tokens of ") +
                    (device.empty() ? "all devices of " : "one device of ") + Shown(name) +
                    "; their sessions have ended",
                document);
  });
}

}  // namespace

void AddTokenCommands(CLI::App& app, Context& context) {
  CLI::App* const token = app.add_subcommand("token", "device tokens")->require_subcommand(1);

  auto* const issue = token->add_subcommand(
      "issue", "give out tokens without a password; prints name, user id, device and token");
  const auto options = std::make_shared<IssueOptions>();
  issue->add_option("NAME", options->names, "login names");
  issue->add_option("--file", options->file,
                    "names from a file, one per line; - is standard input");
  issue
      ->add_option("--device", options->device, "device id, 32 hexadecimal digits; drawn if absent")
      ->type_name("HEX");
  issue->add_option("--class", options->device_class, "the device's label, e.g. bot");
  issue->callback([&context, options] { Issue(context, *options); });

  auto* const revoke =
      token->add_subcommand("revoke", "make tokens invalid and end their sessions");
  const auto name = std::make_shared<std::string>();
  const auto device = std::make_shared<std::string>();
  revoke->add_option("NAME", *name, "login name")->required();
  revoke->add_option("--device", *device, "one device; all of them if absent")->type_name("HEX");
  revoke->callback([&context, name, device] { Revoke(context, *name, *device); });
}

}  // namespace hongyan::admin_cli
