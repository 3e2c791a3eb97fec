// The deterministic simulator: the whole core of messages and money in one thread from one seed.

#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "simulation/world.h"

namespace {

using hongyan::simulation::Summary;
using hongyan::simulation::Trace;
using hongyan::simulation::World;

volatile uint64_t seed_under_way = 0;
volatile const Trace* trace_under_way = nullptr;

// A CHECK aborts: say with which seed.
extern "C" void OnAbort(int) {
  std::fprintf(stderr, "simulation: seed %llu aborted at step %lld; replay with --seed %llu\n",
               static_cast<unsigned long long>(seed_under_way),
               trace_under_way == nullptr ? -1LL : static_cast<long long>(trace_under_way->step),
               static_cast<unsigned long long>(seed_under_way));
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

struct Total {
  Summary sum;
  int64_t seeds = 0;

  void Add(const Summary& run) {
    ++seeds;
    sum.messages += run.messages;
    sum.entries += run.entries;
    sum.lives += run.lives;
    sum.commits += run.commits;
    sum.unknown += run.unknown;
    sum.shortcuts += run.shortcuts;
    sum.steps += run.steps;
    sum.money.packets += run.money.packets;
    sum.money.opens += run.money.opens;
    sum.money.done += run.money.done;
    sum.money.expired += run.money.expired;
    sum.money.returned += run.money.returned;
    sum.money.refused += run.money.refused;
    sum.money.late += run.money.late;
    sum.money.reversed += run.money.reversed;
    sum.money.kept_out += run.money.kept_out;
    sum.lost_tails += run.lost_tails;
    sum.days_moved += run.days_moved;
  }
  void Print() const {
    fmt::print(
        "{} seeds: {} steps, {} messages, {} entries, {} commits ({} of unknown outcome), {} "
        "shortcuts, {} lives: every invariant held\n",
        seeds, sum.steps, sum.messages, sum.entries, sum.commits, sum.unknown, sum.shortcuts,
        sum.lives);
    const auto& money = sum.money;
    fmt::print(
        "  {} packets: {} opens; {} done, {} expired, {} returned, {} refused; {} announced after "
        "their end, {} sends reversed, {} kept out; {} days archived or restored; {} tails lost\n",
        money.packets, money.opens, money.done, money.expired, money.returned, money.refused,
        money.late, money.reversed, money.kept_out, sum.days_moved, sum.lost_tails);
  }
};

bool RunSeed(uint64_t seed, bool verbose, bool one, Total& total) {
  Trace trace(verbose);
  seed_under_way = seed;
  trace_under_way = &trace;
  try {
    World world(seed, trace);
    total.Add(world.Run());
  } catch (const std::exception& broken) {
    std::printf(
        "seed %llu broke at step %lld: %s\nreplay: simulation --seed %llu --verbose (trace "
        "%016llx, %lld lines)\n",
        static_cast<unsigned long long>(seed), static_cast<long long>(trace.step), broken.what(),
        static_cast<unsigned long long>(seed), static_cast<unsigned long long>(trace.hash()),
        static_cast<long long>(trace.lines()));
    return false;
  }
  if (one) {
    std::printf("seed %llu: trace %016llx, %lld lines\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(trace.hash()),
                static_cast<long long>(trace.lines()));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Runs Hongyan's core in one thread from one seed, with faults, and checks that nothing\n"
      "acknowledged is lost, doubled or out of order, and no fen made or missing.\n"
      "Exit code 1: an invariant broke; its seed replays it.\n"
      "Examples: simulation --seeds 1..500    simulation --seed 42 --verbose    simulation --long"};
  std::string range = "1..500";
  uint64_t seed = 0;
  bool verbose = false;
  bool forever = false;
  bool server_log = false;
  bool go_on = false;
  int64_t seconds = 0;
  app.add_option("--seeds", range, "run the seeds A..B")->capture_default_str();
  auto* one = app.add_option("--seed", seed, "run this seed and print the hash of its trace");
  app.add_flag("--verbose", verbose, "print the trace");
  app.add_flag("--server-log", server_log, "print what the server logs");
  app.add_flag("--long", forever, "run seeds from the first of --seeds on until stopped");
  app.add_flag("--keep-going", go_on, "go on after a broken seed, count them");
  app.add_option("--seconds", seconds, "stop after so many seconds of real time; 0 = no limit");
  CLI11_PARSE(app, argc, argv);

  unsigned long long first = 0;
  unsigned long long last = 0;
  if (std::sscanf(range.c_str(), "%llu..%llu", &first, &last) != 2 || first > last) {
    std::fprintf(stderr, "simulation: --seeds takes a range such as 1..500, not '%s'\n",
                 range.c_str());
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (!server_log) spdlog::set_level(spdlog::level::off);
  std::signal(SIGABRT, OnAbort);

  Total total;
  if (one->count() > 0) return RunSeed(seed, verbose, true, total) ? 0 : 1;
  const auto start = std::chrono::steady_clock::now();
  int64_t broken = 0;
  for (uint64_t n = first; forever || n <= last; ++n) {
    if (!RunSeed(n, verbose, false, total)) {
      ++broken;
      if (!go_on) return 1;
    }
    if (seconds > 0 && std::chrono::steady_clock::now() - start >= std::chrono::seconds(seconds))
      break;
  }
  if (broken > 0) std::printf("%lld seeds broke an invariant\n", static_cast<long long>(broken));
  if (broken == 0) total.Print();
  return broken == 0 ? 0 : 1;
}
