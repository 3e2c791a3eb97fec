#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "admin/cli/commands.h"
#include "base/clock.h"
#include "proto/amount.h"
#include "storage/rocksdb/rocksdb_message_store.h"
#include "storage/rocksdb/rocksdb_money_store.h"

namespace hongyan::admin_cli {
namespace {

using nlohmann::json;
using proto::YuanText;

void ShowStats(Context& context, const v1::StatsReply& stats) {
  if (context.json) {
    json out = json::object();
    for (const auto& value : stats.values()) out[value.name()] = value.value();
    std::cout << out.dump(2) << '\n';
    return;
  }
  for (const auto& value : stats.values()) {
    // Money is counted in fen, each of which is said.
    const bool whole = std::nearbyint(value.value()) == value.value();
    std::printf(whole ? "%-56s %16.0f  %s\n" : "%-56s %16.10g  %s\n", Shown(value.name()).c_str(),
                value.value(), Shown(value.help()).c_str());
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

json ToJson(const v1::ParkedInfo& item) {
  return {{"source", item.source()},
          {"target", item.target()},
          {"number", std::to_string(item.number())},
          {"what", item.what()},
          {"fen", std::to_string(item.fen())},
          {"packet_id", std::to_string(item.packet_id())},
          {"user_id", std::to_string(item.user_id())},
          {"conversation", item.conversation()},
          {"parked_ms", item.parked_ms()},
          {"why", item.why()}};
}

void Print(const v1::ParkedInfo& item) {
  std::cout << item.source() << " -> " << item.target() << "  number " << item.number() << "  "
            << TimeText(item.parked_ms()) << "  "
            << (item.what().empty() ? "unreadable" : Shown(item.what()));
  if (item.fen() != 0) std::cout << "  " << YuanText(item.fen()) << " yuan";
  if (item.packet_id() != 0) std::cout << "  packet " << item.packet_id();
  if (item.user_id() != 0) std::cout << "  user " << item.user_id();
  if (!item.conversation().empty()) std::cout << "  " << Shown(item.conversation());
  std::cout << "  " << Shown(item.why()) << '\n';
}

// A page at a time, up to `most` (0 = all).
void ListParked(Context& context, uint32_t most) {
  constexpr uint32_t kPage = 1000;
  json out = json::array();
  v1::AdminRequest request;
  v1::ListParked& list = *request.mutable_list_parked();
  uint32_t listed = 0;
  bool more = true;
  while (more && (most == 0 || listed < most)) {
    more = false;
    list.set_limit(most == 0 ? kPage : std::min(kPage, most - listed));
    context.Ask(request, [&](const v1::AdminReply& reply) {
      for (const auto& item : reply.list_parked().items()) {
        ++listed;
        if (context.json) {
          out.push_back(ToJson(item));
        } else {
          Print(item);
        }
        list.set_after_target(item.target());
        list.set_after_source(item.source());
        list.set_after_number(item.number());
      }
      more = reply.list_parked().more() && reply.list_parked().items_size() > 0;
    });
  }
  if (context.exit_code != 0) return;
  if (context.json) {
    std::cout << out.dump(2) << '\n';
  } else if (listed == 0) {
    std::cout << "nothing is parked\n";
  }
  if (more) (context.json ? std::cerr : std::cout) << "there are more: --limit 0 lists all\n";
}

// All of a channel, as many at once as a batch takes.
void RetryParked(Context& context, v1::RetryParked retry) {
  int64_t retried = 0, applied = 0;
  std::string why;
  for (bool more = true; more;) {
    more = false;
    v1::AdminRequest request;
    *request.mutable_retry_parked() = retry;
    context.Ask(request, [&](const v1::AdminReply& reply) {
      const v1::RetryParkedReply& counts = reply.retry_parked();
      retried += counts.retried();
      applied += counts.applied();
      if (why.empty()) why = counts.why();
      more = counts.more() && counts.last() > retry.after();
      retry.set_after(counts.last());
    });
  }
  if (context.exit_code != 0 && retried == 0) return;  // the server did not say so
  if (context.json) {
    std::cout << json{{"retried", retried}, {"applied", applied}, {"why", why}} << '\n';
  } else {
    std::cout << "retried " << retried << ", applied " << applied << '\n';
  }
  if (retried == 0 && retry.number() != 0 && context.exit_code == 0) {
    context.Fail("no such item is parked");
  }
  if (applied < retried) context.Fail("still parked: " + why);
}

struct ChannelOptions {
  uint32_t source = 0;
  uint32_t target = 0;
  int64_t number = 0;
  int64_t packet = 0;
  std::string user;
  std::string request;
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
  parked->add_option("--limit", *limit, "at most so many; 0 = all")
      ->capture_default_str()
      ->check(a_count);
  parked->callback([&context, limit] { ListParked(context, *limit); });

  const auto options = std::make_shared<ChannelOptions>();
  const auto add_ends = [options, a_count](CLI::App* command) {
    command->add_option("SOURCE", options->source, "source shard")->required()->check(a_count);
    command->add_option("TARGET", options->target, "target shard")->required()->check(a_count);
  };
  const CLI::Validator a_number(CheckId, "NUMBER");
  auto* const retry = channel->add_subcommand("retry", "apply parked items again");
  add_ends(retry);
  retry->add_option("--number", options->number, "one item; all if absent")->check(a_number);
  retry->callback([&context, options] {
    v1::RetryParked request;
    request.set_source(options->source);
    request.set_target(options->target);
    request.set_number(options->number);
    RetryParked(context, std::move(request));
  });

  auto* const back = channel->add_subcommand(
      "return",
      "send the money of a parked item that cannot be applied on to whom it belongs: funds back to "
      "their sender, a share or a refund to its wallet");
  add_ends(back);
  back->add_option("--number", options->number, "the item")->required()->check(a_number);
  auto* const packet =
      back->add_option("--packet", options->packet,
                       "where the item cannot be read: the packet whose money is missing (see the "
                       "findings of `money audit`)")
          ->check(CLI::Validator(CheckId, "ID"));
  back->add_option("--user", options->user, "and the login name of whose it is")->needs(packet);
  packet->needs("--user");
  back->add_option(
          "--request", options->request,
          "and for funds, if known: the request id of the send, 32 hexadecimal digits (the "
          "sender's app has it, and `money packet` where the packet was made); without it the "
          "sender gets the money, but GetSend goes on saying SENDING")
      ->needs(packet);
  back->callback([&context, options] {
    const auto send = ParseHex16(options->request);
    if (!options->request.empty() && !send) {
      return context.Fail("a request id is 32 hexadecimal digits");
    }
    v1::AdminRequest request;
    v1::ReturnParked& wanted = *request.mutable_return_parked();
    wanted.set_source(options->source);
    wanted.set_target(options->target);
    wanted.set_number(options->number);
    wanted.set_packet_id(options->packet);
    wanted.set_user(options->user);
    if (send) wanted.set_request_id(*send);
    context.Ask(request, [&](const v1::AdminReply&) {
      context.Say("its money is on the way; the item is no longer parked",
                  {{"source", options->source},
                   {"target", options->target},
                   {"number", std::to_string(options->number)},
                   {"returned", true}});
    });
  });

  auto* const accept = channel->add_subcommand(
      "accept",
      "let a stopped channel go on; what the source no longer keeps is given up, its money parked");
  add_ends(accept);
  accept->callback([&context, options] {
    v1::AdminRequest request;
    request.mutable_accept_channel()->set_source(options->source);
    request.mutable_accept_channel()->set_target(options->target);
    context.Ask(request, [&](const v1::AdminReply&) {
      context.Say("accepted: the channel from " + std::to_string(options->source) + " to " +
                      std::to_string(options->target) + " goes on",
                  {{"source", options->source}, {"target", options->target}, {"accepted", true}});
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
      "take the store in --data as it can be read now, after hongyand refused it (what was "
      "acknowledged after the damage is given up), or after a copy was put back; raises its "
      "generation, so that no number is given twice");
  accept
      ->add_option("--store", *which,
                   "messages or money: the one that was refused; of a copy, both in turn")
      ->check(CLI::IsMember({"messages", "money"}))
      ->capture_default_str();
  accept->callback([&context, which] { AcceptStore(context, *which); });
}

}  // namespace hongyan::admin_cli
