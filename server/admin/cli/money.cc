#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "admin/cli/commands.h"
#include "base/bytes.h"
#include "proto/amount.h"

namespace hongyan::admin_cli {
namespace {

using nlohmann::json;
using proto::YuanText;

constexpr int64_t kAuditPatienceS = 3600;  // it reads every row

const char* KindText(v1::PacketKind kind) {
  switch (kind) {
    case v1::PACKET_LUCKY:
      return "lucky";
    case v1::PACKET_EQUAL:
      return "equal";
    case v1::PACKET_EXCLUSIVE:
      return "exclusive";
    case v1::PACKET_TRANSFER:
      return "transfer";
    default:
      return "?";
  }
}

const char* StateText(v1::PacketState state) {
  switch (state) {
    case v1::PACKET_STATE_CREATED:
      return "created, its message is not known to be stored";
    case v1::PACKET_STATE_OPEN:
      return "open";
    case v1::PACKET_STATE_DONE:
      return "done";
    case v1::PACKET_STATE_EXPIRED:
      return "expired";
    case v1::PACKET_STATE_RETURNED:
      return "returned";
    case v1::PACKET_STATE_REFUSED:
      return "refused by its conversation";
    default:
      return "?";
  }
}

void ShowPacket(Context& context, const v1::ShowPacketReply& show) {
  const v1::PacketDetailReply& packet = show.packet();
  if (context.json) {
    json claims = json::array();
    for (const auto& claim : packet.claims()) {
      claims.push_back({{"user_id", std::to_string(claim.user_id())},
                        {"ordinal", claim.ordinal()},
                        {"amount_fen", std::to_string(claim.amount_fen())},
                        {"time_ms", claim.time_ms()},
                        {"best_luck", claim.best_luck()}});
    }
    std::cout << json{{"packet_id", std::to_string(packet.packet_id())},
                      {"kind", KindText(packet.kind())},
                      {"state", StateText(packet.state())},
                      {"quarantined", show.quarantined()},
                      {"shard", show.shard()},
                      {"day", show.day()},
                      {"conversation",
                       {std::to_string(packet.conversation().a()),
                        std::to_string(packet.conversation().b())}},
                      {"sender", std::to_string(packet.sender())},
                      {"greeting", packet.greeting()},
                      {"request_id", base::ToHex(show.request_id())},
                      {"named", std::to_string(packet.named())},
                      {"shares", packet.shares()},
                      {"taken", packet.taken()},
                      {"total_fen", std::to_string(packet.total_fen())},
                      {"taken_fen", std::to_string(packet.taken_fen())},
                      {"left_fen", std::to_string(show.left_fen())},
                      {"refund_fen", std::to_string(packet.refund_fen())},
                      {"created_ms", packet.created_ms()},
                      {"expires_ms", packet.expires_ms()},
                      {"closed_ms", packet.closed_ms()},
                      {"claims", claims}}
                     .dump(2)
              << '\n';
    return;
  }
  std::printf("packet %" PRId64 "  %s, %s%s\n", packet.packet_id(), KindText(packet.kind()),
              StateText(packet.state()), show.quarantined() ? ", QUARANTINED" : "");
  std::printf("of       day %s, shard %u, from user %" PRId64 " into %s %" PRId64 "\n",
              show.day().c_str(), show.shard(), packet.sender(),
              packet.conversation().a() == 0 ? "group" : "1:1 with",
              packet.conversation().a() == packet.sender() || packet.conversation().a() == 0
                  ? packet.conversation().b()
                  : packet.conversation().a());
  if (!packet.greeting().empty()) {
    std::printf("says     %s\n", Shown(packet.greeting()).c_str());
  }
  std::printf("request  %s\n", base::ToHex(show.request_id()).c_str());
  std::printf("money    %s yuan in %d shares: %d taken (%s), left %s, went back %s\n",
              YuanText(packet.total_fen()).c_str(), packet.shares(), packet.taken(),
              YuanText(packet.taken_fen()).c_str(), YuanText(show.left_fen()).c_str(),
              YuanText(packet.refund_fen()).c_str());
  std::printf("times    made %s, expires %s, closed %s\n", TimeText(packet.created_ms()).c_str(),
              TimeText(packet.expires_ms()).c_str(), TimeText(packet.closed_ms()).c_str());
  for (const auto& claim : packet.claims()) {
    std::printf("%7d  user %-20" PRId64 " %12s  %s%s\n", claim.ordinal(), claim.user_id(),
                YuanText(claim.amount_fen()).c_str(), TimeText(claim.time_ms()).c_str(),
                claim.best_luck() ? "  best luck" : "");
  }
}

// The number of days since 1970-01-01.
std::optional<int32_t> ParseDay(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0;
  int length = 0;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-' ||
      std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &length) != 3 ||
      length != 10) {
    return {};
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return {};
  return static_cast<int32_t>(std::chrono::sys_days(date).time_since_epoch().count());
}

json FilesJson(const google::protobuf::RepeatedPtrField<v1::DayFile>& files) {
  json out = json::array();
  for (const v1::DayFile& file : files) {
    out.push_back({{"shard", file.shard()},
                   {"file", file.file()},
                   {"packets", file.packets()},
                   {"claims", file.claims()},
                   {"created_fen", std::to_string(file.created_fen())},
                   {"claimed_fen", std::to_string(file.claimed_fen())},
                   {"refunded_fen", std::to_string(file.refunded_fen())},
                   {"archived_ms", file.archived_ms()}});
  }
  return out;
}

void ShowDay(Context& context, const std::string& date, const v1::ShowDayReply& day) {
  if (context.json) {
    std::cout << json{{"day", date},
                      {"slot", day.slot()},
                      {"packets", day.packets()},
                      {"not_closed", day.not_closed()},
                      {"done", day.done()},
                      {"expired", day.expired()},
                      {"returned", day.returned()},
                      {"refused", day.refused()},
                      {"quarantined", day.quarantined()},
                      {"claims", day.claims()},
                      {"total_fen", std::to_string(day.total_fen())},
                      {"taken_fen", std::to_string(day.taken_fen())},
                      {"left_fen", std::to_string(day.left_fen())},
                      {"refunded_fen", std::to_string(day.refunded_fen())},
                      {"files", FilesJson(day.files())}}
                     .dump(2)
              << '\n';
    return;
  }
  std::printf("day      %s, slot %02d\n", date.c_str(), day.slot());
  std::printf("packets  %" PRId64 ": %" PRId64 " not closed, %" PRId64 " done, %" PRId64
              " expired, %" PRId64 " returned, %" PRId64 " refused; %" PRId64 " in quarantine\n",
              day.packets(), day.not_closed(), day.done(), day.expired(), day.returned(),
              day.refused(), day.quarantined());
  std::printf("money    %s yuan: %s taken in %" PRId64 " shares, %s left, %s went back\n",
              YuanText(day.total_fen()).c_str(), YuanText(day.taken_fen()).c_str(), day.claims(),
              YuanText(day.left_fen()).c_str(), YuanText(day.refunded_fen()).c_str());
  for (const v1::DayFile& file : day.files()) {
    std::printf("archived shard %u, %s, in money/days/%s\n", file.shard(),
                TimeText(file.archived_ms()).c_str(), Shown(file.file()).c_str());
  }
}

void ShowMovedDay(Context& context, const std::string& date, const v1::MoveDayReply& moved) {
  if (context.json) {
    std::cout << json{{"day", date},
                      {"packets", moved.packets()},
                      {"files", FilesJson(moved.files())}}
                     .dump(2)
              << '\n';
    return;
  }
  std::printf("%s: %" PRId64 " packets are %s\n", date.c_str(), moved.packets(),
              moved.files().empty() ? "in the store; files of the day, if it was archived, stay too"
                                    : "archived");
  for (const v1::DayFile& file : moved.files()) {
    std::printf("shard %u: money/days/%s, %" PRId64 " packets, %s yuan = %s taken + %s gone back\n",
                file.shard(), Shown(file.file()).c_str(), file.packets(),
                YuanText(file.created_fen()).c_str(), YuanText(file.claimed_fen()).c_str(),
                YuanText(file.refunded_fen()).c_str());
  }
}

void ListQuarantine(Context& context, const v1::ListQuarantineReply& list) {
  if (context.json) {
    json ids = json::array();
    for (const int64_t id : list.packet_ids()) ids.push_back(std::to_string(id));
    std::cout << json{{"packet_ids", ids}, {"more", list.more()}}.dump(2) << '\n';
    return;
  }
  for (const int64_t id : list.packet_ids()) std::cout << id << '\n';
  if (list.packet_ids().empty()) std::cout << "nothing is in quarantine\n";
  if (list.more()) std::cout << "there are more: they are listed once these are mended\n";
}

void Audit(Context& context, const v1::AuditReply& audit) {
  static constexpr const char* kVerdicts[] = {
      "proven: every fen is in place", "A FINDING: the books do not add up, or money is held",
      "not proven: something could not be read"};
  const int verdict = audit.verdict() >= 0 && audit.verdict() <= 2 ? audit.verdict() : 2;
  context.exit_code = verdict;
  if (context.json) {
    json out{{"verdict", verdict}, {"findings", audit.findings()}};
    for (const auto& figure : audit.figures()) {
      // Amounts may pass what a JSON number holds exactly.
      if (figure.name().ends_with("_fen")) {
        out[figure.name()] = std::to_string(figure.value());
      } else {
        out[figure.name()] = figure.value();
      }
    }
    std::cout << out.dump(2) << '\n';
    return;
  }
  std::printf("audit: %s\n", kVerdicts[verdict]);
  for (const auto& figure : audit.figures()) {
    const bool fen = figure.name().ends_with("_fen");
    const std::string name =
        fen ? figure.name().substr(0, figure.name().size() - 4) : figure.name();
    const std::string value =
        fen ? YuanText(figure.value()) + " yuan" : std::to_string(figure.value());
    std::printf("  %-16s %20s\n", name.c_str(), value.c_str());
  }
  for (const std::string& finding : audit.findings()) std::printf("  %s\n", Shown(finding).c_str());
}

}  // namespace

void AddMoneyCommands(CLI::App& app, Context& context) {
  CLI::App* const money =
      app.add_subcommand("money", "red packets and the books")->require_subcommand(1);
  const auto add_packet = [](CLI::App* command) {
    const auto id = std::make_shared<int64_t>(0);
    command->add_option("PACKET", *id, "packet id")
        ->required()
        ->check(CLI::Validator(CheckId, "ID"));
    return id;
  };
  auto* const packet = money->add_subcommand("packet", "a packet and who took what");
  packet->callback([&context, id = add_packet(packet)] {
    v1::AdminRequest request;
    request.mutable_show_packet()->set_packet_id(*id);
    context.Ask(request,
                [&](const v1::AdminReply& reply) { ShowPacket(context, reply.show_packet()); });
  });
  AddWalletShow(*money, "wallet", context);
  auto* const end = money->add_subcommand("end", "give back what is left of a packet");
  end->callback([&context, id = add_packet(end)] {
    v1::AdminRequest request;
    request.mutable_end_packet()->set_packet_id(*id);
    context.Ask(request, [&](const v1::AdminReply&) {
      context.Say("ended: its rest is on the way to the sender",
                  {{"packet_id", std::to_string(*id)}, {"ended", true}});
    });
  });

  const auto add_day = [](CLI::App* command) {
    const auto date = std::make_shared<std::string>();
    command->add_option("DAY", *date, "YYYY-MM-DD, UTC")->required();
    return date;
  };
  const auto parse = [](const std::string& date) {
    const auto number = ParseDay(date);
    if (!number) throw CLI::ValidationError("'" + date + "' is no day: use YYYY-MM-DD");
    return *number;
  };
  auto* const day = money->add_subcommand("day", "the packets of one day, by the day in their ids");
  day->callback([&context, parse, date = add_day(day)] {
    v1::AdminRequest request;
    request.mutable_show_day()->set_day(parse(*date));
    context.Ask(
        request, [&](const v1::AdminReply& reply) { ShowDay(context, *date, reply.show_day()); },
        kAuditPatienceS);
  });
  auto* const archive = money->add_subcommand(
      "archive", "move the packets of one day into files, once nothing of it can change any more");
  archive->callback([&context, parse, date = add_day(archive)] {
    v1::AdminRequest request;
    request.mutable_archive_day()->set_day(parse(*date));
    context.Ask(
        request,
        [&](const v1::AdminReply& reply) { ShowMovedDay(context, *date, reply.move_day()); },
        kAuditPatienceS);
  });
  auto* const restore =
      money->add_subcommand("restore-day", "bring the packets of an archived day back");
  restore->callback([&context, parse, date = add_day(restore)] {
    v1::AdminRequest request;
    request.mutable_restore_day()->set_day(parse(*date));
    context.Ask(
        request,
        [&](const v1::AdminReply& reply) { ShowMovedDay(context, *date, reply.move_day()); },
        kAuditPatienceS);
  });

  CLI::App* const quarantine =
      money->add_subcommand("quarantine", "packets whose rows did not add up")
          ->require_subcommand(1);
  quarantine->add_subcommand("list", "their ids")->callback([&context] {
    v1::AdminRequest request;
    request.mutable_list_quarantine();
    context.Ask(request, [&](const v1::AdminReply& reply) {
      ListQuarantine(context, reply.list_quarantine());
    });
  });
  for (const bool give_back : {false, true}) {
    auto* const mend =
        give_back ? quarantine->add_subcommand("return", "its rest goes back to the sender")
                  : quarantine->add_subcommand("retry", "look again: its rows must add up now");
    mend->callback([&context, give_back, id = add_packet(mend)] {
      v1::AdminRequest request;
      request.mutable_mend_packet()->set_packet_id(*id);
      request.mutable_mend_packet()->set_give_back(give_back);
      context.Ask(request, [&](const v1::AdminReply&) {
        context.Say(give_back ? "its rest is on the way to the sender"
                              : "its rows add up: it is out of quarantine",
                    {{"packet_id", std::to_string(*id)}, {"returned", give_back}});
      });
    });
  }

  auto* const audit =
      money->add_subcommand("audit", "prove the books of the running server, down to the fen");
  const auto wait = std::make_shared<bool>(false);
  audit->add_flag("--wait-drained", *wait,
                  "first wait, a minute at most, until no money is between shards");
  audit->callback([&context, wait] {
    v1::AdminRequest request;
    request.mutable_audit()->set_wait_drained(*wait);
    bool answered = false;
    context.Ask(
        request,
        [&](const v1::AdminReply& reply) {
          answered = true;
          Audit(context, reply.audit());
        },
        kAuditPatienceS);
    if (!answered) context.exit_code = 2;
  });
}

}  // namespace hongyan::admin_cli
