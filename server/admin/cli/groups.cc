#include <sodium.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "admin/cli/commands.h"

namespace hongyan::admin_cli {
namespace {

using nlohmann::json;

// A UUIDv7: six bytes of time, the rest random.
std::string NewRequestId() {
  std::string id(16, '\0');
  randombytes_buf(id.data(), id.size());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto ms =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  for (int i = 5; i >= 0; --i, ms >>= 8) id[static_cast<size_t>(i)] = static_cast<char>(ms & 0xff);
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x70);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

struct CreateOptions {
  std::string name;
  std::string owner;
  std::vector<std::string> members;
  std::string members_file;
};

void Create(Context& context, const CreateOptions& options) {
  v1::AdminRequest request;
  auto& create = *request.mutable_create_group();
  create.set_request_id(NewRequestId());
  create.set_name(options.name);
  create.set_owner(options.owner);
  for (const std::string& member : options.members) create.add_members(member);
  if (!options.members_file.empty()) {
    auto lines = ReadLines(options.members_file);
    if (!lines) return context.Fail(lines.error().text);
    for (const Line& member : *lines) create.add_members(member.text);
  }
  context.Ask(request, [&](const v1::AdminReply& reply) {
    if (context.json) {
      std::cout << json{{"group_id", std::to_string(reply.group().group_id())}} << '\n';
    } else {
      std::cout << "created group " << reply.group().group_id() << '\n';
    }
  });
}

void Change(Context& context, int64_t group, const std::vector<std::string>& names, bool add) {
  v1::AdminRequest request;
  auto& change = *request.mutable_change_members();
  change.set_request_id(NewRequestId());
  change.set_group_id(group);
  for (const std::string& name : names) {
    if (add) {
      change.add_add(name);
    } else {
      change.add_remove(name);
    }
  }
  context.Ask(request, [&](const v1::AdminReply& reply) {
    const bool changed = reply.group().conv_seq() != 0;
    context.Say(!changed ? "nothing changed"
                : add    ? "added"
                         : "removed",
                {{"group_id", std::to_string(group)}, {"changed", changed}});
  });
}

const char* RoleText(int32_t role) {
  switch (role) {
    case 1:
      return "member";
    case 2:
      return "admin";
    case 3:
      return "owner";
    default:
      return "none";
  }
}

void Show(Context& context, int64_t group) {
  auto client = Client::Connect(context.socket_path());
  if (!client) return context.Fail(client.error().text);
  json out;
  for (int64_t after = 0;;) {
    v1::AdminRequest request;
    request.mutable_show_group()->set_group_id(group);
    request.mutable_show_group()->set_after(after);
    request.mutable_show_group()->set_limit(1000);
    auto reply = client->Ask(request);
    if (!reply) return context.Fail(reply.error().text);
    const v1::ShowGroupReply& show = reply->show_group();
    if (after == 0) {
      out = {{"group_id", std::to_string(show.group_id())},
             {"name", show.name()},
             {"owner", std::to_string(show.owner())},
             {"created_ms", show.created_ms()},
             {"version", show.version()},
             {"member_count", show.member_count()},
             {"last_conv_seq", std::to_string(show.last_conv_seq())},
             {"members", json::array()}};
      if (!context.json) {
        std::cout << "name      " << Shown(show.name()) << "\nid        " << show.group_id()
                  << "\nowner     " << show.owner() << "\ncreated   " << TimeText(show.created_ms())
                  << "\nmembers   " << show.member_count() << "\nmessages  " << show.last_conv_seq()
                  << '\n';
      }
    }
    for (const auto& member : show.members()) {
      after = member.user_id();
      if (context.json) {
        out["members"].push_back({{"user_id", std::to_string(member.user_id())},
                                  {"name", member.name()},
                                  {"role", RoleText(member.role())}});
      } else {
        std::cout << "member    " << member.user_id() << "  " << Shown(member.name()) << "  "
                  << RoleText(member.role()) << '\n';
      }
    }
    if (!show.more() || show.members_size() == 0) break;
  }
  if (context.json) std::cout << out.dump(2) << '\n';
}

}  // namespace

void AddGroupCommands(CLI::App& app, Context& context) {
  const CLI::Validator an_id(CheckId, "ID");
  CLI::App* const group = app.add_subcommand("group", "groups")->require_subcommand(1);

  auto* const create = group->add_subcommand("create", "create a group; prints its id");
  const auto options = std::make_shared<CreateOptions>();
  create->add_option("NAME", options->name, "the group's name")->required();
  create->add_option("--owner", options->owner, "login name of the owner")->required();
  create->add_option("--member", options->members, "login names of members");
  create->add_option("--members-file", options->members_file,
                     "login names from a file, one per line; - is standard input");
  create->callback([&context, options] { Create(context, *options); });

  for (const bool add : {true, false}) {
    auto* const command = add ? group->add_subcommand("add", "add members")
                              : group->add_subcommand("remove", "remove members");
    const auto id = std::make_shared<int64_t>(0);
    const auto names = std::make_shared<std::vector<std::string>>();
    command->add_option("GROUP", *id, "group id")->required()->check(an_id);
    command->add_option("NAME", *names, "login names")->required();
    command->callback([&context, id, names, add] { Change(context, *id, *names, add); });
  }

  auto* const show = group->add_subcommand("show", "a group and its members");
  const auto shown = std::make_shared<int64_t>(0);
  show->add_option("GROUP", *shown, "group id")->required()->check(an_id);
  show->callback([&context, shown] { Show(context, *shown); });
}

}  // namespace hongyan::admin_cli
