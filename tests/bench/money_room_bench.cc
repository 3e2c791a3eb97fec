// The money module alone, on the embedded store with real syncs: what its own work costs, without
// sockets, and whether it stays that way for forty days. Everything is checked to the fen at the
// end.
//   money_room_bench rush [--wallets N] [--opens N]     opens a second, records and bytes per open
//   money_room_bench days [--packets N] [--days N]      a manual clock; days are archived and come
//                                                       back
#include <CLI/CLI.hpp>

#include "money_days.h"
#include "money_rush.h"

int main(int argc, char** argv) {
  CLI::App app("the money module alone, on the embedded store");
  app.require_subcommand(1);
  hongyan::bench::RushOptions rush;
  auto* const rush_mode = app.add_subcommand("rush", "opens a second, spread and hot");
  rush_mode->add_option("--wallets", rush.wallets, "wallets that exist")->capture_default_str();
  rush_mode->add_option("--opens", rush.opens, "of each kind")->capture_default_str();
  rush_mode->add_option("--shards", rush.shards, "money shards")->capture_default_str();
  rush_mode->add_option("--data", rush.data, "an empty directory; none = one of its own");
  hongyan::bench::DaysOptions days;
  auto* const days_mode = app.add_subcommand("days", "many days of a manual clock");
  days_mode->add_option("--packets", days.packets, "over all days")->capture_default_str();
  days_mode->add_option("--days", days.days, "above 34: the slots of days wrap")
      ->capture_default_str()
      ->check(CLI::Range(36, 400));
  days_mode->add_option("--data", days.data, "an empty directory; none = one of its own");
  CLI11_PARSE(app, argc, argv);
  return rush_mode->parsed() ? hongyan::bench::Rush(rush) : hongyan::bench::FortyDays(days);
}
