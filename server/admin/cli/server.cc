#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "admin/cli/commands.h"
#include "base/clock.h"
#include "storage/rocksdb/rocksdb_message_store.h"
#include "storage/rocksdb/rocksdb_money_store.h"

namespace hongyan::admin_cli {
namespace {

using nlohmann::json;

void ShowStats(Context& context, const v1::StatsReply& stats) {
  if (context.json) {
    json out = json::object();
    for (const auto& value : stats.values()) out[value.name()] = value.value();
    std::cout << out.dump(2) << '\n';
    return;
  }
  for (const auto& value : stats.values()) {
    std::printf("%-56s %16.10g  %s\n", Shown(value.name()).c_str(), value.value(),
                Shown(value.help()).c_str());
  }
}

void ShowChannels(Context& context, const v1::ListChannelsReply& list) {
  if (context.json) {
    json out = json::array();
    for (const auto& channel : list.channels()) {
      out.push_back({{"source", channel.source()},
                     {"target", channel.target()},
                     {"head", std::to_string(channel.head())},
                     {"applied", std::to_string(channel.applied())},
                     {"oldest_age_ms", channel.oldest_age_ms()},
                     {"backlog_items", channel.backlog_items()},
                     {"parked", channel.parked()},
                     {"state", channel.state()}});
    }
    std::cout << out.dump(2) << '\n';
    return;
  }
  std::printf("%6s %6s %14s %14s %9s %8s %7s  %s\n", "source", "target", "head", "applied",
              "age ms", "backlog", "parked", "state");
  for (const auto& channel : list.channels()) {
    std::printf("%6u %6u %14lld %14lld %9lld %8lld %7lld  %s\n", channel.source(), channel.target(),
                static_cast<long long>(channel.head()), static_cast<long long>(channel.applied()),
                static_cast<long long>(channel.oldest_age_ms()),
                static_cast<long long>(channel.backlog_items()),
                static_cast<long long>(channel.parked()), Shown(channel.state()).c_str());
  }
}

void ShowParked(Context& context, const v1::ListParkedReply& list) {
  json out = json::array();
  for (const auto& item : list.items()) {
    if (context.json) {
      out.push_back({{"source", item.source()},
                     {"target", item.target()},
                     {"number", std::to_string(item.number())},
                     {"conversation", item.conversation()},
                     {"parked_ms", item.parked_ms()},
                     {"why", item.why()}});
    } else {
      std::cout << item.source() << " -> " << item.target() << "  number " << item.number() << "  "
                << TimeText(item.parked_ms()) << "  " << Shown(item.conversation()) << "  "
                << Shown(item.why()) << '\n';
    }
  }
  if (context.json) {
    std::cout << out.dump(2) << '\n';
  } else if (list.items_size() == 0) {
    std::cout << "nothing is parked\n";
  }
}

struct ChannelOptions {
  uint32_t source = 0;
  uint32_t target = 0;
  int64_t number = 0;
};

void AddChannelCommands(CLI::App& app, Context& context) {
  const CLI::Validator a_count(CheckCount, "NUMBER");
  app.add_subcommand("channels", "the channels between shards, with what waits in them")
      ->callback([&context] {
        v1::AdminRequest request;
        request.mutable_list_channels();
        context.Ask(request, [&](const v1::AdminReply& reply) {
          ShowChannels(context, reply.list_channels());
        });
      });
  CLI::App* const channel =
      app.add_subcommand("channel", "one channel, or what is parked")->require_subcommand(1);
  const auto limit = std::make_shared<uint32_t>(100);
  auto* const parked = channel->add_subcommand("parked", "items that could not be applied");
  parked->add_option("--limit", *limit, "at most so many")->capture_default_str()->check(a_count);
  parked->callback([&context, limit] {
    v1::AdminRequest request;
    request.mutable_list_parked()->set_limit(*limit);
    context.Ask(request,
                [&](const v1::AdminReply& reply) { ShowParked(context, reply.list_parked()); });
  });

  const auto options = std::make_shared<ChannelOptions>();
  auto* const retry = channel->add_subcommand("retry", "apply parked items again");
  retry->add_option("SOURCE", options->source, "source shard")->required()->check(a_count);
  retry->add_option("TARGET", options->target, "target shard")->required()->check(a_count);
  retry->add_option("--number", options->number, "one item; all if absent")
      ->check(CLI::Validator(CheckId, "NUMBER"));
  retry->callback([&context, options] {
    v1::AdminRequest request;
    request.mutable_retry_parked()->set_source(options->source);
    request.mutable_retry_parked()->set_target(options->target);
    request.mutable_retry_parked()->set_number(options->number);
    context.Ask(request, [&](const v1::AdminReply& reply) {
      std::cout << "retried " << reply.retry_parked().retried() << ", applied "
                << reply.retry_parked().applied() << '\n';
    });
  });

  auto* const accept = channel->add_subcommand(
      "accept", "let a stopped channel go on; what the source no longer keeps is given up");
  accept->add_option("SOURCE", options->source, "source shard")->required()->check(a_count);
  accept->add_option("TARGET", options->target, "target shard")->required()->check(a_count);
  accept->callback([&context, options] {
    v1::AdminRequest request;
    request.mutable_accept_channel()->set_source(options->source);
    request.mutable_accept_channel()->set_target(options->target);
    context.Ask(request, [&](const v1::AdminReply&) {
      std::cout << "accepted: the channel from " << options->source << " to " << options->target
                << " goes on\n";
    });
  });
}

void AcceptStore(Context& context, const std::string& which) {
  const base::SystemClock clock;
  storage::RocksdbOptions options;
  options.path = context.data + "/" + which;
  // Opening creates what is missing: a mistyped directory would be left behind.
  std::error_code ignored;
  if (!std::filesystem::exists(options.path, ignored)) {
    return context.Fail("there is no store in " + options.path +
                        ": name hongyand's data directory with --data");
  }
  options.clock = &clock;
  auto accepted =
      which == "money" ? storage::AcceptMoneyStore(options) : storage::AcceptStore(options);
  if (!accepted) return context.Fail(accepted.error().text);
  if (context.json) {
    std::cout << json{{"generation", accepted->generation}} << '\n';
  } else {
    std::cout << "accepted the store of " << which << " as it can be read now; its generation is "
              << accepted->generation << ". Start hongyand on it.\n";
  }
}

}  // namespace

void AddServerCommands(CLI::App& app, Context& context) {
  app.add_subcommand("stats", "figures of the running server")->callback([&context] {
    v1::AdminRequest request;
    request.mutable_stats();
    context.Ask(request, [&](const v1::AdminReply& reply) { ShowStats(context, reply.stats()); });
  });
  AddChannelCommands(app, context);
  CLI::App* const store = app.add_subcommand("store", "the store of a server that is not running")
                              ->require_subcommand(1);
  const auto which = std::make_shared<std::string>("messages");
  auto* const accept = store->add_subcommand(
      "accept",
      "take the store in --data as it can be read now, after hongyand refused it; what "
      "was acknowledged after the damage is given up");
  accept->add_option("--store", *which, "messages or money: the one that was refused")
      ->check(CLI::IsMember({"messages", "money"}))
      ->capture_default_str();
  accept->callback([&context, which] { AcceptStore(context, *which); });
}

}  // namespace hongyan::admin_cli
