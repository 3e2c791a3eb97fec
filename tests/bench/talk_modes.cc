#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>

#include "modes.h"
#include "window.h"

// The modes in which people talk: send, group, mix.

namespace hongyan::bench {
namespace {

std::string RateText(Stage& stage, const Traffic& traffic, int64_t start_ns) {
  const Traffic::Counts counts = stage.Run([&] { return traffic.counts(); });
  char text[96];
  const double seconds = std::max(1e-3, static_cast<double>(NowNs() - start_ns) / 1e9);
  std::snprintf(text, sizeof text, "%" PRId64 " acked, %.0f delivered/s", counts.acked,
                static_cast<double>(counts.delivered) / seconds);
  return text;
}

void Start(Stage& stage, Traffic& traffic, double rate_per_s) {
  stage.Run([&] {
    if (rate_per_s > 0) {
      traffic.StartOpen(rate_per_s);
    } else {
      traffic.StartClosed();
    }
  });
}

bool LetRun(Stage& stage, Traffic& traffic, const std::string& what, double seconds) {
  const int64_t start_ns = NowNs();
  stage.Run([&] { traffic.BeginWindow(); });
  return stage.WaitSeconds(what, seconds,
                           [&, start_ns] { return RateText(stage, traffic, start_ns); });
}

Outcome Failed(Stage& stage, Outcome outcome, const base::Error& error) {
  stage.Conclude(outcome);
  outcome.failures.push_back(error.text);
  return outcome;
}

LoadClient::Conversation Direct(const Account& x, const Account& y) {
  return {std::min(x.user_id, y.user_id), std::max(x.user_id, y.user_id)};
}

// Pairs of users: the first of each writes, the second reads; or both do both.
void AddPairs(Stage& stage, Traffic& traffic, const std::vector<Account>& users, size_t connections,
              bool both) {
  for (size_t i = 0; i + 1 < users.size(); i += 2) {
    const size_t talk = traffic.AddConversation(Direct(users[i], users[i + 1]), 2);
    const uint8_t all = Traffic::kWrites | Traffic::kReads;
    traffic.AddClient(talk, users[i], both ? all : uint8_t{Traffic::kWrites},
                      stage.SourceOf(i, connections));
    traffic.AddClient(talk, users[i + 1], both ? all : uint8_t{Traffic::kReads},
                      stage.SourceOf(i + 1, connections));
  }
}

}  // namespace

// ---- send ----

Outcome RunSend(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  const size_t count = 2 * static_cast<size_t>(options.pairs);
  const auto users = stage.MakeUsers("u", count, count);
  if (!users.ok()) return Failed(stage, outcome, users.error());
  Traffic traffic(stage, static_cast<size_t>(options.bytes));
  AddPairs(stage, traffic, *users, count, options.both);

  if (traffic.Connect("all " + std::to_string(count) + " clients are logged in")) {
    Start(stage, traffic, options.rate_per_s);
    stage.AllowKills(true);
    bool ok = LetRun(stage, traffic, "warm-up", options.warmup_s);
    const Window window(stage);
    ok = ok && LetRun(stage, traffic, "send", options.seconds);
    window.Close(outcome);
    TakeCounts(stage, traffic, outcome);
    stage.AllowKills(false);
    (void)(traffic.Drain("every message") && (options.both || traffic.CheckOwnCopies()));
  }
  TakeFaults(traffic, outcome);
  outcome.notes.push_back("delivered = pulled by the reader with Sync; latencies are from the " +
                          std::string(options.rate_per_s > 0 ? "planned time of an open loop"
                                                             : "moment of sending (closed loop)"));
  stage.Conclude(outcome);
  return outcome;
}

// ---- group ----

namespace {

struct Backlog {
  int64_t items = 0;
  int64_t targets = 1;
};

base::Result<Backlog> ReadBacklog(Stage& stage) {
  const auto channels = stage.admin().Channels();
  if (!channels.ok()) return channels.error();
  Backlog backlog;
  for (const auto& channel : channels->channels()) {
    backlog.items += channel.backlog_items();
    backlog.targets = std::max<int64_t>(backlog.targets, channel.target() + 1);
  }
  return backlog;
}

struct Groups {
  std::vector<std::vector<Account>> members;  // by group; those online first
  std::vector<size_t> talks;                  // by group, in the traffic
};

// Into `made`, which outlives the traffic: its clients refer to their accounts.
base::Result<void> MakeGroups(Stage& stage, Traffic& traffic, int groups, int members, int online,
                              int senders, const std::string& kind, Groups& made) {
  const size_t connections = static_cast<size_t>(groups) * static_cast<size_t>(online);
  for (int g = 0; g < groups; ++g) {
    auto users = stage.MakeUsers(kind + std::to_string(g) + "u", static_cast<size_t>(members),
                                 static_cast<size_t>(online));
    if (!users.ok()) return users.error();
    made.members.push_back(std::move(*users));
    const std::vector<Account>& all = made.members.back();
    std::vector<int64_t> ids;
    for (const Account& user : all) ids.push_back(user.user_id);
    const auto id = stage.admin().MakeGroup(stage.prefix() + kind + std::to_string(g), ids,
                                            all.front().name, stage.random());
    if (!id.ok()) return id.error();
    made.talks.push_back(traffic.AddConversation({0, *id}, members));
  }
  // Only now: accounts must not move any more.
  size_t n = 0;
  for (size_t g = 0; g < made.members.size(); ++g) {
    for (int i = 0; i < online; ++i, ++n) {
      const uint8_t parts = i < senders ? Traffic::kReads | Traffic::kWrites : Traffic::kReads;
      traffic.AddClient(made.talks[g], made.members[g][static_cast<size_t>(i)], parts,
                        stage.SourceOf(n, connections));
    }
  }
  return {};
}

// Every member, online or not, must have every message as an entry: their heads say so.
void CheckHeads(Stage& stage, const Traffic& traffic, const Groups& groups, Outcome& outcome) {
  stage.progress().Show("asking for the heads of all members", -1);
  // What is on its way may arrive until then; the patience is for all of them together.
  const int64_t until_ns = NowNs() + static_cast<int64_t>(stage.options().deadline_s * 1e9);
  int64_t checked = 0;
  for (size_t g = 0; g < groups.members.size(); ++g) {
    const int64_t wanted =
        traffic.acked_in(groups.talks[g]) + traffic.other_entries(groups.talks[g]);
    for (const Account& user : groups.members[g]) {
      int64_t have = -1;
      do {
        const auto head = stage.admin().HeadOf(user.name);
        if (!head.ok()) {
          return outcome.failures.push_back("head of " + user.name + ": " + head.error().text);
        }
        have = *head & ((int64_t{1} << 40) - 1);
      } while (have < wanted && NowNs() < until_ns && stage.Step());
      outcome.lost += std::max<int64_t>(0, wanted - have);
      outcome.duplicated += std::max<int64_t>(0, have - wanted);
      ++checked;
    }
  }
  outcome.more["heads_checked"] = checked;
}

}  // namespace

Outcome RunGroup(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  Groups groups;
  Traffic traffic(stage, static_cast<size_t>(options.bytes));
  const auto made = MakeGroups(stage, traffic, options.groups, options.members,
                               std::min(options.online, options.members),
                               std::min(options.senders, options.online), "g", groups);
  if (!made.ok()) return Failed(stage, outcome, made.error());
  if (traffic.Connect("all online members are logged in")) {
    Start(stage, traffic, options.rate_per_s);
    stage.AllowKills(true);
    bool ok = LetRun(stage, traffic, "warm-up", options.warmup_s);
    const auto before = ReadBacklog(stage);
    const Window window(stage);
    ok = ok && LetRun(stage, traffic, "group", options.seconds);
    window.Close(outcome);
    TakeCounts(stage, traffic, outcome);
    stage.AllowKills(false);
    const auto after = ReadBacklog(stage);
    if (before.ok() && after.ok()) {
      // An item is the part of one message for one target shard: about members / shards entries.
      const int64_t grown = std::max<int64_t>(0, after->items - before->items);
      const double owed =
          static_cast<double>(grown) * options.members / static_cast<double>(after->targets);
      outcome.entries_per_s -= owed / outcome.seconds;
      outcome.more["backlog_items"] = {{"start", before->items}, {"end", after->items}};
      outcome.notes.push_back(
          "entries_per_s = messages acked in the window x members, less what the channels' "
          "backlog grew by from its start to its end");
    } else if (ok) {
      outcome.failures.push_back("the channels cannot be listed: " +
                                 (before.ok() ? after.error().text : before.error().text));
    }
    if (traffic.Drain("every message")) CheckHeads(stage, traffic, groups, outcome);
  }
  TakeFaults(traffic, outcome);
  stage.Conclude(outcome);
  return outcome;
}

// ---- mix ----

namespace {

// Follows messages into the inboxes by asking the channels: a message is durable everywhere once
// every channel has applied what it held when the message's ack had come.
class DurableWatch {
 public:
  // Load thread.
  void OnAcked(int64_t planned_ns) { acked_.push_back(planned_ns); }
  std::vector<int64_t> TakeAcked() { return std::exchange(acked_, {}); }

  // Main thread: one look at the channels, if anything is open. `acked` came before the look.
  base::Result<void> Look(AdminSocket& admin, const std::vector<int64_t>& acked) {
    if (acked.empty() && open_.empty()) return {};
    const auto channels = admin.Channels();
    if (!channels.ok()) return channels.error();
    const int64_t now_ns = NowNs();
    Marks heads;
    Marks applied;
    for (const auto& c : channels->channels()) {
      heads[{c.source(), c.target()}] = c.head();
      applied[{c.source(), c.target()}] = c.applied();
    }
    for (const int64_t planned_ns : acked) open_.push_back({planned_ns, heads});
    std::erase_if(open_, [&](const Open& one) {
      for (const auto& [channel, head] : one.wanted) {
        if (applied[channel] < head) return false;
      }
      durable_.AddNs(now_ns - one.planned_ns);
      return true;
    });
    return {};
  }

  bool idle() const { return open_.empty(); }
  const Histogram& durable() const { return durable_; }

 private:
  using Marks = std::map<std::pair<uint32_t, uint32_t>, int64_t>;
  struct Open {
    int64_t planned_ns;
    Marks wanted;
  };
  std::vector<int64_t> acked_;
  std::vector<Open> open_;
  Histogram durable_;
};

// The phase with the group: paced messages into it, the channels watched.
void RunBeside(Stage& stage, Traffic& pairs, Traffic& group, Outcome& outcome) {
  const Options& options = stage.options();
  DurableWatch watch;
  stage.Run([&] {
    group.on_acked = [&watch](int64_t planned_ns, int64_t) { watch.OnAcked(planned_ns); };
  });
  Start(stage, group, options.group_rate_per_s);
  stage.Run([&] {
    pairs.BeginWindow();
    group.BeginWindow();
  });
  const int64_t start_ns = NowNs();
  const auto look = [&] {
    const auto acked = stage.Run([&] { return watch.TakeAcked(); });
    const auto looked = watch.Look(stage.admin(), acked);
    if (!looked.ok())
      outcome.failures.push_back("the channels cannot be listed: " + looked.error().text);
    return looked.ok();
  };
  const auto seconds = [start_ns] { return static_cast<double>(NowNs() - start_ns) / 1e9; };
  while (seconds() < options.seconds && stage.Step(2) && look()) {
    stage.progress().Show("mix", seconds() / options.seconds, RateText(stage, pairs, start_ns));
  }
  stage.Run([&] { group.Stop(); });
  while (seconds() < options.seconds + options.deadline_s && stage.Step(2) && look() &&
         (!watch.idle() || !stage.Run([&] { return group.AllAcked(); }))) {
  }
  if (!watch.idle())
    outcome.failures.push_back("group messages were not durable in every inbox in time");
  const Traffic::Counts counts = stage.Run([&] {
    group.on_acked = nullptr;
    return group.counts();
  });
  outcome.more["group"] = {{"members", options.group_members},
                           {"sent", counts.sent},
                           {"acked", counts.acked},
                           {"delivered", counts.delivered},
                           {"ack_ms", PercentilesMs(group.ack())},
                           {"deliver_ms", PercentilesMs(group.deliver())},
                           {"durable_ms", PercentilesMs(watch.durable())},
                           {"durable_max_ms", watch.durable().MaxMs()}};
}

}  // namespace

Outcome RunMix(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  const size_t count = 2 * static_cast<size_t>(options.pairs);
  const auto users = stage.MakeUsers("u", count, count);
  if (!users.ok()) return Failed(stage, outcome, users.error());
  Traffic pairs(stage, static_cast<size_t>(options.bytes));
  AddPairs(stage, pairs, *users, count, options.both);
  Groups groups;
  Traffic group(stage, static_cast<size_t>(options.bytes));
  const auto made =
      MakeGroups(stage, group, 1, options.group_members,
                 std::min(options.group_online, options.group_members), 1, "big", groups);
  if (!made.ok()) return Failed(stage, outcome, made.error());

  if (pairs.Connect("all pairs are logged in") &&
      group.Connect("the group's members are logged in")) {
    Start(stage, pairs, options.rate_per_s);
    bool ok = LetRun(stage, pairs, "warm-up", options.warmup_s);
    const double alone_s = options.alone_s < 0 ? options.seconds : options.alone_s;
    double alone_p99 = 0;
    if (ok && alone_s > 0) {
      ok = LetRun(stage, pairs, "1:1 alone", alone_s);
      stage.Run([&] {
        alone_p99 = pairs.ack().PercentileMs(99);
        outcome.more["alone"] = {{"ack_ms", PercentilesMs(pairs.ack())},
                                 {"deliver_ms", PercentilesMs(pairs.deliver())},
                                 {"delivered", pairs.counts().delivered}};
      });
    }
    const Window window(stage);
    if (ok) RunBeside(stage, pairs, group, outcome);
    window.Close(outcome);
    TakeCounts(stage, pairs, outcome);
    if (alone_p99 > 0) outcome.more["ack_p99_ratio"] = outcome.ack.PercentileMs(99) / alone_p99;
    if (pairs.Drain("every 1:1 message") && group.Drain("every group message")) {
      CheckHeads(stage, group, groups, outcome);
    }
  }
  TakeFaults(group, outcome);
  TakeFaults(pairs, outcome);
  outcome.notes.push_back(
      "ack_ms, deliver_ms and counts are of the 1:1 traffic beside the group; `alone` is the "
      "same traffic before it");
  outcome.notes.push_back(
      "group.durable_ms: from the planned time until every channel has applied what it held "
      "when the ack had come; looked at every few ms, so it is an upper bound");
  stage.Conclude(outcome);
  return outcome;
}

}  // namespace hongyan::bench
