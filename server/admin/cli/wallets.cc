#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "admin/cli/commands.h"
#include "proto/amount.h"

namespace hongyan::admin_cli {

namespace {

using nlohmann::json;
using proto::ParseYuan;
using proto::YuanText;

constexpr size_t kMovesPerRequest = 500;
constexpr size_t kMistakesShown = 20;

// A line of a file and what it asks for.
struct FileMove {
  size_t line = 0;
  v1::MoveFunds::Move move;
};

struct MoveOptions {
  std::string name;
  std::string amount;
  std::string id;
  std::string reason;
  std::string file;
};

using Move = v1::MoveFunds::Move;
using Moved = v1::MoveFundsReply::Result;

// "name,id,amount,reason" of one line of a file.
base::Result<Move> ParseLine(const std::string& line, int sign) {
  std::vector<std::string> fields;
  size_t from = 0;
  for (int i = 0; i < 3; ++i) {
    const size_t comma = line.find(',', from);
    if (comma == std::string::npos) break;
    fields.push_back(line.substr(from, comma - from));
    from = comma + 1;
  }
  fields.push_back(line.substr(from));  // the reason may have commas
  const auto amount = fields.size() == 4 ? ParseYuan(fields[2]) : std::nullopt;
  if (!amount) {
    return base::Error(base::Code::kInvalidArgument,
                       "not \"name,id,amount,reason\" with an amount like 12.50");
  }
  Move move;
  move.set_name(fields[0]);
  move.set_id(fields[1]);
  move.set_amount_fen(sign * *amount);
  move.set_reason(fields[3]);
  return move;
}

json ToJson(const Move& move, const Moved& moved) {
  json out{{"name", move.name()}, {"id", move.id()}};
  if (moved.refused().empty()) {
    out["amount_fen"] = std::to_string(moved.amount_fen());
    out["balance_fen"] = std::to_string(moved.balance_fen());
    out["account_seq"] = std::to_string(moved.account_seq());
    out["time_ms"] = moved.time_ms();
    out["already"] = moved.already();
  } else {
    out["refused"] = moved.refused();
    out["reason"] = moved.reason();
  }
  return out;
}

void MoveOne(Context& context, const MoveOptions& options, int sign) {
  const auto amount = ParseYuan(options.amount);
  if (!amount) {
    context.Fail("'" + options.amount + "' is no amount: use yuan like 12 or 12.50");
    context.exit_code = 2;
    return;
  }
  v1::AdminRequest request;
  Move& move = *request.mutable_move_funds()->add_moves();
  move.set_name(options.name);
  move.set_id(options.id);
  move.set_amount_fen(sign * *amount);
  move.set_reason(options.reason);
  context.Ask(request, [&](const v1::AdminReply& reply) {
    const Moved& moved = reply.move_funds().results(0);
    if (context.json) {
      std::cout << ToJson(move, moved) << '\n';
    } else if (moved.refused().empty()) {
      std::cout << Shown(options.name) << ": " << (sign > 0 ? "+" : "")
                << YuanText(moved.amount_fen()) << " yuan, balance "
                << YuanText(moved.balance_fen()) << " (posting " << moved.account_seq() << ")"
                << (moved.already() ? ": done before under this id, nothing was moved now" : "")
                << '\n';
    }
    if (!moved.refused().empty()) context.Fail(options.name + ": " + moved.refused());
  });
}

struct MoveCounts {
  int64_t moved = 0;
  int64_t already = 0;
  int64_t refused = 0;
  json refused_lines = json::array();
};

base::Result<MoveCounts> MoveAll(Client& client, const std::vector<FileMove>& moves) {
  MoveCounts counts;
  const auto add = [&](size_t place, v1::AdminRequest& request) {
    *request.mutable_move_funds()->add_moves() = moves[place].move;
  };
  const auto take = [&](size_t place, const v1::AdminReply& reply) {
    for (const Moved& moved : reply.move_funds().results()) {
      const FileMove& of = moves.at(place++);
      if (moved.refused().empty()) {
        ++(moved.already() ? counts.already : counts.moved);
      } else {
        ++counts.refused;
        counts.refused_lines.push_back({{"line", of.line},
                                        {"name", of.move.name()},
                                        {"id", of.move.id()},
                                        {"refused", moved.refused()},
                                        {"reason", moved.reason()}});
        std::fprintf(stderr, "line %zu: '%s': %s\n", of.line, ShownShort(of.move.name()).c_str(),
                     Shown(moved.refused()).c_str());
      }
    }
  };
  if (auto asked = client.AskForMany(moves.size(), kMovesPerRequest, add, take); !asked) {
    return asked.error();
  }
  return counts;
}

// Every line is looked at before the first is sent: a file with a mistake moves nothing.
void MoveFile(Context& context, const std::string& path, int sign) {
  auto lines = ReadLines(path);
  if (!lines) return context.Fail(lines.error().text);
  std::vector<FileMove> moves;
  size_t mistakes = 0;
  for (const Line& line : *lines) {
    auto move = ParseLine(line.text, sign);
    if (move) {
      moves.push_back({line.number, std::move(move).value()});
    } else if (++mistakes <= kMistakesShown) {
      context.Fail("line " + std::to_string(line.number) + " of " + path + ": " +
                   move.error().text);
    }
  }
  if (mistakes > 0) {
    return context.Fail(
        (mistakes > kMistakesShown ? std::to_string(mistakes) + " lines are like these; " : "") +
        std::string("nothing was moved"));
  }
  auto client = Client::Connect(context.socket_path());
  if (!client) return context.Fail(client.error().text);
  const auto start = std::chrono::steady_clock::now();
  auto counts = MoveAll(*client, moves);
  if (!counts) {
    return context.Fail(counts.error().text +
                        "; what was moved stays: the same file again completes it, its ids keep "
                        "each line from moving twice");
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (context.json) {
    std::cout << json{{"moved", counts->moved},
                      {"already", counts->already},
                      {"refused", counts->refused},
                      {"refused_lines", counts->refused_lines},
                      {"seconds", seconds}}
              << '\n';
  } else {
    std::printf("moved %" PRId64 ", done before %" PRId64 ", refused %" PRId64
                " in %.2f s (%.0f/s)\n",
                counts->moved, counts->already, counts->refused, seconds,
                static_cast<double>(moves.size()) / std::max(seconds, 1e-6));
  }
  if (counts->refused > 0) context.exit_code = 1;
}

const char* KindText(const v1::StatementRow& row) {
  switch (row.kind()) {
    case v1::STATEMENT_DEPOSIT:
      return "deposit";
    case v1::STATEMENT_WITHDRAWAL:
      return "withdrawal";
    case v1::STATEMENT_SENT:
      return row.packet_kind() == v1::PACKET_TRANSFER ? "transfer sent" : "packet sent";
    case v1::STATEMENT_RECEIVED:
      return row.packet_kind() == v1::PACKET_TRANSFER ? "transfer received" : "packet opened";
    case v1::STATEMENT_REFUND:
      return "refund";
    default:
      return "?";
  }
}

void ShowStatement(Context& context, const v1::ShowWalletReply& show) {
  if (context.json) {
    json rows = json::array();
    for (const auto& row : show.rows()) {
      rows.push_back({{"account_seq", std::to_string(row.account_seq())},
                      {"kind", KindText(row)},
                      {"amount_fen", std::to_string(row.amount_fen())},
                      {"balance_fen", std::to_string(row.balance_fen())},
                      {"time_ms", row.time_ms()},
                      {"packet_id", std::to_string(row.packet_id())},
                      {"peer", std::to_string(row.peer())},
                      {"note", row.note()}});
    }
    std::cout << json{{"rows", rows}, {"more", show.more()}}.dump(2) << '\n';
    return;
  }
  for (const auto& row : show.rows()) {
    std::printf("%8" PRId64 "  %s  %12s  %12s  %-17s", row.account_seq(),
                TimeText(row.time_ms()).c_str(), YuanText(row.amount_fen()).c_str(),
                YuanText(row.balance_fen()).c_str(), KindText(row));
    if (row.packet_id() != 0) std::printf("  packet %" PRId64, row.packet_id());
    std::printf("  %s\n", Shown(row.note()).c_str());
  }
  if (show.more() && show.rows_size() > 0) {
    std::printf("older ones: --before %" PRId64 "\n", show.rows().rbegin()->account_seq());
  }
}

void ShowWallet(Context& context, const v1::ShowWalletReply& show) {
  if (context.json) {
    json years = json::object();
    for (const auto& year : show.years()) {
      const v1::YearTotal& total = year.total();
      years[std::to_string(year.year())] = {{"sent_count", total.sent_count()},
                                            {"sent_fen", std::to_string(total.sent_fen())},
                                            {"returned_fen", std::to_string(total.returned_fen())},
                                            {"received_count", total.received_count()},
                                            {"received_fen", std::to_string(total.received_fen())}};
    }
    std::cout << json{{"user_id", std::to_string(show.user_id())},
                      {"name", show.name()},
                      {"shard", show.shard()},
                      {"balance_fen", std::to_string(show.balance_fen())},
                      {"frozen", show.frozen()},
                      {"account_seq", std::to_string(show.account_seq())},
                      {"years", years}}
                     .dump(2)
              << '\n';
    return;
  }
  std::printf("%s  id=%" PRId64 "  shard %u\n", Shown(show.name()).c_str(), show.user_id(),
              show.shard());
  std::printf("balance  %s yuan%s, %" PRId64 " postings\n", YuanText(show.balance_fen()).c_str(),
              show.frozen() ? ", FROZEN (nothing leaves it)" : "", show.account_seq());
  for (const auto& year : show.years()) {
    const v1::YearTotal& total = year.total();
    std::printf("%d  sent %" PRId64 " (%s yuan, %s came back), received %" PRId64 " (%s yuan)\n",
                year.year(), total.sent_count(), YuanText(total.sent_fen()).c_str(),
                YuanText(total.returned_fen()).c_str(), total.received_count(),
                YuanText(total.received_fen()).c_str());
  }
}

}  // namespace

void AddWalletShow(CLI::App& to, const char* name, Context& context) {
  auto* const show = to.add_subcommand(name, "a wallet's balance and its totals by year");
  const auto shown = std::make_shared<std::string>();
  show->add_option("NAME", *shown, "login name")->required();
  show->callback([&context, shown] {
    v1::AdminRequest request;
    request.mutable_show_wallet()->set_name(*shown);
    context.Ask(request,
                [&](const v1::AdminReply& reply) { ShowWallet(context, reply.show_wallet()); });
  });
}

void AddWalletCommands(CLI::App& app, Context& context) {
  CLI::App* const wallet = app.add_subcommand("wallet", "users' wallets")->require_subcommand(1);
  for (const int sign : {1, -1}) {
    auto* const command =
        sign > 0 ? wallet->add_subcommand("deposit", "pay into a wallet, from outside")
                 : wallet->add_subcommand("withdraw", "pay out of a wallet, to outside");
    const auto options = std::make_shared<MoveOptions>();
    auto* const name = command->add_option("NAME", options->name, "login name");
    auto* const amount = command->add_option("AMOUNT", options->amount, "yuan, e.g. 12.50");
    auto* const id = command->add_option("--id", options->id,
                                         "names this move for ever: the same again moves nothing");
    auto* const reason = command->add_option("--reason", options->reason, "shown in the statement");
    auto* const file = command->add_option(
        "--file", options->file, "many: lines \"name,id,amount,reason\"; - is standard input");
    for (auto* const option : {name, amount, id, reason}) option->excludes(file);
    command->callback([&context, options, sign] {
      if (!options->file.empty()) return MoveFile(context, options->file, sign);
      if (options->name.empty() || options->amount.empty() || options->id.empty() ||
          options->reason.empty()) {
        throw CLI::ValidationError("a move needs NAME, AMOUNT, --id and --reason, or --file");
      }
      MoveOne(context, *options, sign);
    });
  }
  for (const bool frozen : {true, false}) {
    auto* const command =
        frozen ? wallet->add_subcommand("freeze", "nothing leaves the wallet any more")
               : wallet->add_subcommand("unfreeze", "the wallet may be paid from again");
    const auto name = std::make_shared<std::string>();
    command->add_option("NAME", *name, "login name")->required();
    command->callback([&context, name, frozen] {
      v1::AdminRequest request;
      request.mutable_set_frozen()->set_name(*name);
      request.mutable_set_frozen()->set_frozen(frozen);
      context.Ask(request, [&](const v1::AdminReply&) {
        context.Say(Shown(*name) + (frozen ? "'s wallet is frozen; credits still reach it"
                                           : "'s wallet is no longer frozen"),
                    {{"name", *name}, {"frozen", frozen}});
      });
    });
  }
  AddWalletShow(*wallet, "show", context);
  auto* const statement = wallet->add_subcommand("statement", "postings, newest first");
  const auto name = std::make_shared<std::string>();
  const auto before = std::make_shared<int64_t>(0);
  const auto limit = std::make_shared<uint32_t>(50);
  statement->add_option("NAME", *name, "login name")->required();
  statement->add_option("--before", *before, "begin before this posting")
      ->check(CLI::Validator(CheckId, "NUMBER"));
  statement->add_option("--limit", *limit, "at most so many")->check(CLI::Range(1, 200));
  statement->callback([&context, name, before, limit] {
    v1::AdminRequest request;
    request.mutable_show_wallet()->set_name(*name);
    request.mutable_show_wallet()->set_before(*before);
    request.mutable_show_wallet()->set_limit(*limit);
    context.Ask(request,
                [&](const v1::AdminReply& reply) { ShowStatement(context, reply.show_wallet()); });
  });
}

}  // namespace hongyan::admin_cli
