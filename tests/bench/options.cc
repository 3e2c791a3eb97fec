#include "options.h"

#include <CLI/CLI.hpp>
#include <random>

namespace hongyan::bench {
namespace {

void AddServerOptions(CLI::App& mode, Options& o) {
  auto* spawn = mode.add_flag(
      "--spawn", o.spawn, "start a private hongyand on a temporary data directory and a free port");
  auto* server = mode.add_option("--server", o.server, "HOST:PORT of a running server");
  auto* admin = mode.add_option("--admin", o.admin,
                                "admin socket of the running server, for users and tokens");
  server->needs(admin)->excludes(spawn);
  admin->needs(server)->excludes(spawn);
  mode.add_option(
      "--server-pid", o.server_pid,
      "process of the running server, for its CPU and memory (default: who listens on the socket)");
  mode.add_option("--hongyand", o.hongyand, "the hongyand to spawn (default: beside this program)")
      ->needs(spawn);
  mode.add_option("--config-set", o.config_set,
                  "section.key=value for the spawned server's configuration, e.g. "
                  "storage.unsafe_no_sync=true; may be repeated")
      ->needs(spawn);
  mode.add_option("--work-dir", o.work_dir,
                  "where the temporary directory is made (default: the system's)")
      ->needs(spawn);
  mode.add_flag("--keep", o.keep, "leave the temporary directory, with data and log, when done")
      ->needs(spawn);
  auto* kill =
      mode.add_option(
              "--kill-every", o.kill_every_s,
              "kill the spawned server (SIGKILL) at random intervals between half and double "
              "of so many seconds, and start it again on the same data")
          ->needs(spawn)
          ->check(CLI::Range(0.01, 86400.0));
  mode.add_flag(
          "--lose-unsynced", o.lose_unsynced,
          "at each kill also take away every byte that no sync had covered, as a power cut would")
      ->needs(kill);
  mode.add_option("--server-threads", o.server_threads,
                  "loop threads of a spawned server and of echo (default: the server's own choice; "
                  "echo: cores)")
      ->check(CLI::Range(1, 64));
  mode.add_option(
          "--source-addresses", o.source_addresses,
          "spread connections to a loopback server over so many of our own addresses 127.0.x.y "
          "(default: as many as their number needs)")
      ->check(CLI::Range(1, 50'000));
}

void AddRunOptions(CLI::App& mode, Options& o) {
  mode.add_option("--seed", o.seed,
                  "of everything random in the run (default: drawn, and printed)");
  mode.add_option("--deadline", o.deadline_s, "give up when nothing has moved for so many seconds")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  mode.add_option("--json", o.json, "write the result to this file as JSON");
  mode.add_flag("--quiet", o.quiet,
                "no progress bar (there is none where standard error is no terminal)");
}

void AddSeconds(CLI::App& mode, Options& o, const std::string& what) {
  mode.add_option("--seconds", o.seconds, what)->capture_default_str()->check(CLI::PositiveNumber);
}

void AddTimes(CLI::App& mode, Options& o) {
  mode.add_option("--warmup", o.warmup_s, "seconds before the measured window")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  AddSeconds(mode, o, "length of the measured window");
}

void AddRate(CLI::App& mode, Options& o) {
  mode.add_option(
          "--rate", o.rate_per_s,
          "open loop: so many messages a second in all, planned in advance; latency counts from "
          "the "
          "planned time (default: closed loop, each sender's next leaves with the ack of the last)")
      ->check(CLI::PositiveNumber);
}

void AddBytes(CLI::App& mode, Options& o) {
  mode.add_option("--bytes", o.bytes, "text of a message, bytes")
      ->capture_default_str()
      ->check(CLI::Range(32, 60'000));
}

void AddConnections(CLI::App& mode, Options& o) {
  mode.add_option("--connections", o.connections, "how many clients")
      ->capture_default_str()
      ->check(CLI::Range(1, 19'000));
}

void AddPairs(CLI::App& mode, Options& o) {
  mode.add_option("--pairs", o.pairs, "1:1 conversations; one of each pair sends, the other pulls")
      ->capture_default_str()
      ->check(CLI::Range(1, 9'000));
  mode.add_flag("--both", o.both, "both of each pair send and pull");
}

CLI::App& AddMode(CLI::App& app, Options& o, const std::string& name, const std::string& about,
                  const std::string& examples, bool with_server = true) {
  CLI::App& mode = *app.add_subcommand(name, about);
  mode.footer("Examples:\n" + examples);
  if (with_server) AddServerOptions(mode, o);
  AddRunOptions(mode, o);
  return mode;
}

void AddTalkModes(CLI::App& app, Options& o) {
  CLI::App& send = AddMode(
      app, o, "send", "1:1 messages between pairs of users",
      "  hongyan-bench send --spawn --pairs 1000\n"
      "  hongyan-bench send --spawn --pairs 1000 --rate 10000 --json send.json\n"
      "  hongyan-bench send --server 127.0.0.1:7460 --admin data/admin.sock --pairs 1 --rate 10");
  AddPairs(send, o);
  AddBytes(send, o);
  AddRate(send, o);
  AddTimes(send, o);

  CLI::App& group =
      AddMode(app, o, "group", "messages into groups, counted as durable inbox entries",
              "  hongyan-bench group --spawn --members 500 --online 50 --senders 16\n"
              "  hongyan-bench group --spawn --members 500 --online 500 --senders 16");
  group.add_option("--groups", o.groups, "how many")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  group.add_option("--members", o.members, "of each group")
      ->capture_default_str()
      ->check(CLI::Range(2, 100'000));
  group.add_option("--online", o.online, "members that are online and pull")
      ->capture_default_str()
      ->check(CLI::Range(1, 18'000));
  group.add_option("--senders", o.senders, "of those online: members that send")
      ->capture_default_str()
      ->check(CLI::Range(1, 18'000));
  AddBytes(group, o);
  AddRate(group, o);
  AddTimes(group, o);

  CLI::App& mix = AddMode(
      app, o, "mix", "1:1 traffic alone, then beside a paced big group",
      "  hongyan-bench mix --spawn --pairs 1000 --rate 12000 --group-members 10000 --group-rate 1");
  AddPairs(mix, o);
  AddBytes(mix, o);
  AddRate(mix, o);
  AddTimes(mix, o);
  mix.add_option("--group-members", o.group_members, "of the big group")
      ->capture_default_str()
      ->check(CLI::Range(2, 100'000));
  mix.add_option("--group-online", o.group_online, "of them online and pulling; the first writes")
      ->capture_default_str()
      ->check(CLI::Range(2, 9'000));
  mix.add_option("--group-rate", o.group_rate_per_s, "messages a second into it")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  mix.add_option("--alone", o.alone_s,
                 "seconds of 1:1 traffic without the group, for comparison (default: as --seconds)")
      ->check(CLI::NonNegativeNumber);
}

void AddIdleModes(CLI::App& app, Options& o) {
  CLI::App& idle =
      AddMode(app, o, "idle", "connections that are only there: memory each, heartbeats answered",
              "  hongyan-bench idle --spawn --connections 15000 --seconds 10");
  AddConnections(idle, o);
  AddSeconds(idle, o, "how long they only stay");

  CLI::App& reconnect =
      AddMode(app, o, "reconnect", "restart the spawned server under connections; all come back",
              "  hongyan-bench reconnect --spawn --connections 15000\n"
              "  hongyan-bench reconnect --spawn --connections 15000 --signal KILL --restarts 3");
  AddConnections(reconnect, o);
  AddBytes(reconnect, o);
  reconnect.add_option("--talking", o.talking, "pairs among them that keep talking")
      ->capture_default_str()
      ->check(CLI::Range(1, 9'000));
  reconnect.add_option("--restarts", o.restarts, "how often")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  reconnect.add_option("--signal", o.signal, "TERM or KILL")
      ->capture_default_str()
      ->check(CLI::IsMember({"TERM", "KILL"}));
  AddRate(reconnect, o);

  CLI::App& heartbeat = AddMode(
      app, o, "heartbeat", "heartbeats, one unanswered on each connection, compared with echo",
      "  hongyan-bench heartbeat --spawn --connections 1000 --server-threads 2");
  AddConnections(heartbeat, o);
  AddTimes(heartbeat, o);

  CLI::App& echo =
      AddMode(app, o, "echo", "the same against a bare libuv echo server: the machine's own limit",
              "  hongyan-bench echo --connections 1000 --server-threads 2", false);
  AddConnections(echo, o);
  AddTimes(echo, o);
  echo.add_option("--server-threads", o.server_threads, "loops of the echo server (default: cores)")
      ->check(CLI::Range(1, 64));
  echo.add_option("--reply-bytes", o.reply_bytes, "payload of a reply")
      ->capture_default_str()
      ->check(CLI::Range(0, 65536));
  echo.add_flag("--serve-only", o.serve_only, "be only the server, until standard input ends");
}

void AddReplay(CLI::App& app, Options& o) {
  CLI::App& replay =
      AddMode(app, o, "replay",
              "chat logs played again, each as a group of its own, all at once; every member's "
              "transcript must equal the log",
              "  hongyan-bench replay --spawn --log chat/*.txt --members 200\n"
              "  hongyan-bench replay --spawn --log chat/*.txt --kill-every 2 --min-kills 20\n"
              "  hongyan-bench replay --spawn --log chat/*.txt --kill-every 2 --min-kills 20 "
              "--lose-unsynced");
  replay.add_option("--log", o.logs, "chat logs, one line an event")->required()->expected(1, -1);
  replay
      .add_option("--members", o.replay_members,
                  "of each group: its nicks, and silent members up to so many")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  replay
      .add_option("--min-kills", o.min_kills,
                  "with --kill-every: play all logs again until there were so many kills")
      ->check(CLI::Range(0, 100'000));
}

void AddRedpacket(CLI::App& app, Options& o) {
  CLI::App& rush = AddMode(
      app, o, "redpacket",
      "a New Year's rush of red packets and transfers; every fen and every share is checked at the "
      "end, and the books are audited",
      "  hongyan-bench redpacket --spawn\n"
      "  hongyan-bench redpacket --spawn --kill-every 2 --min-kills 20 --lose-unsynced\n"
      "  hongyan-bench redpacket --spawn --measure opens --packets 1000 --wallets 1000000\n"
      "  hongyan-bench redpacket --spawn --measure hot --wallets 1000000\n"
      "  hongyan-bench redpacket --spawn --measure opens --rate 12500 --chat-rate 1000\n"
      "  hongyan-bench redpacket --spawn --measure rush --groups 4 --members 500\n"
      "  hongyan-bench redpacket --spawn --measure grabs");
  rush.add_option(
          "--measure", o.measure,
          "instead of the rush with all its troubles, how fast something is: `opens` of announced "
          "packets, spread over --packets of them; `hot`, the same with one packet after the "
          "other; `grab-open`, a grab before each; `rush`, all that people see, from the send to "
          "the last notice; `grabs` that are refused, compared with echo")
      ->check(CLI::IsMember({"opens", "hot", "grab-open", "rush", "grabs"}));
  rush.add_option("--groups", o.groups, "rush: how many (default: 8; measured: 4)")
      ->check(CLI::Range(1, 1000));
  rush.add_option("--members", o.members, "rush: of each group (default: 60; measured: 500)")
      ->check(CLI::Range(10, 500));
  rush.add_option("--packets", o.packets,
                  "rush: at least so many of each group (default: 30); opens and grab-open: opened "
                  "at a time (default: 1000); grabs: asked for (default: 100)")
      ->check(CLI::Range(1, 100'000));
  rush.add_option("--connections", o.connections,
                  "users who open (default: 500) or grab (default: 200)")
      ->check(CLI::Range(2, 500));
  rush.add_option("--wallets", o.wallets, "opens: how many exist in the store in all")
      ->check(CLI::Range(0, 100'000'000));
  rush.add_option("--prepare", o.prepare,
                  "opens: how many to make packets for (default: more than can be needed)")
      ->check(CLI::Range(1, 100'000'000));
  rush.add_option("--rate", o.rate_per_s,
                  "opens: so many a second, planned in advance; latency counts from the planned "
                  "time (default: closed loop)")
      ->check(CLI::PositiveNumber);
  rush.add_option("--chat-rate", o.chat_rate_per_s,
                  "opens: so many 1:1 messages a second beside them, and alone before")
      ->check(CLI::PositiveNumber);
  rush.add_option("--life", o.life_s,
                  "rush: seconds until a packet expires on a spawned server; 0 = its own choice, "
                  "what is open at the end is then ended by the administrator")
      ->capture_default_str()
      ->check(CLI::Range(0, 86'400));
  rush.add_option("--min-kills", o.min_kills,
                  "with --kill-every: go on until there were so many kills with opens in flight")
      ->check(CLI::Range(0, 100'000));
  AddTimes(rush, o);
}

// Defaults that depend on what is measured.
void SetRedpacketDefaults(const CLI::App& mode, Options& o) {
  const auto unless_said = [&mode](const char* name, int& value, int wanted) {
    if (mode.count(name) == 0) value = wanted;
  };
  unless_said("--groups", o.groups, o.measure.empty() ? 8 : 4);
  unless_said("--members", o.members, o.measure.empty() ? 60 : 500);
  unless_said("--packets", o.packets, o.measure.empty() ? 30 : o.measure == "grabs" ? 100 : 1000);
  unless_said("--connections", o.connections, o.measure == "grabs" ? 200 : 500);
}

bool Consistent(const Options& o) {
  const auto say = [](const char* text) {
    std::fprintf(stderr, "hongyan-bench: %s\n", text);
    return false;
  };
  if (o.mode != "echo" && !o.spawn && o.server.empty()) {
    return say(
        "which server? Say --spawn for a private one, or --server HOST:PORT --admin SOCKET for a "
        "running one");
  }
  if (o.mode == "reconnect" && !o.spawn)
    return say("reconnect restarts the server, so it needs --spawn");
  if (o.min_kills > 0 && o.kill_every_s <= 0) return say("--min-kills needs --kill-every");
  if (!o.measure.empty() && o.kill_every_s > 0) {
    return say("--kill-every goes with the rush itself, not with --measure: figures need a server");
  }
  if (o.mode == "mix" && o.rate_per_s <= 0)
    return say("mix needs --rate: half of what `send` reaches is the usual choice");
  return true;
}

}  // namespace

bool ParseOptions(int argc, char** argv, Options* options, int* exit_code) {
  CLI::App app("hongyan-bench: load, replay and restart tests for hongyand");
  app.set_version_flag("--version", "hongyan-bench " HONGYAN_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  hongyan-bench send --spawn --pairs 1000\n"
      "  hongyan-bench replay --spawn --log chat/*.txt --members 200 --kill-every 2\n"
      "Exit codes: 0 fine; 1 something was lost, doubled or out of order, or the run could not be "
      "finished; "
      "2 wrong usage.\n"
      "hongyan-bench MODE --help shows the options of a mode.");
  AddTalkModes(app, *options);
  AddIdleModes(app, *options);
  AddReplay(app, *options);
  AddRedpacket(app, *options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    *exit_code = app.exit(e);
    return false;
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    *exit_code = kExitUsage;
    return false;
  }
  options->mode = app.get_subcommands().front()->get_name();
  if (options->mode == "heartbeat" || options->mode == "echo") {
    const CLI::App* mode = app.get_subcommands().front();
    if (mode->count("--connections") == 0) options->connections = 1000;
  }
  if (options->mode == "redpacket") {
    SetRedpacketDefaults(*app.get_subcommands().front(), *options);
  }
  while (options->seed == 0) options->seed = std::random_device()();
  *exit_code = kExitUsage;
  return Consistent(*options);
}

}  // namespace hongyan::bench
