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
  TakeFaults(stage, traffic, outcome);
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

// Of each group: offline members that log in after the load and must find everything.
constexpr int kLateReaders = 2;

struct Groups {
  std::vector<std::vector<Account>> members;  // by group; those online first
  std::vector<size_t> talks;                  // by group, in the traffic
};

// Which members are online. kEnds: of a big group the ones with the highest ids, some with the
// lowest and some between, so that all shards have some and whichever end a shard begins at, it
// ends at one that is watched.
enum class Watchers { kAny, kEnds };

void PutEndsFirst(std::vector<Account>& members, size_t online, std::mt19937_64& random) {
  std::sort(members.begin(), members.end(),
            [](const Account& x, const Account& y) { return x.user_id > y.user_id; });
  const size_t lowest = std::min(online / 4, members.size() - online / 2);
  std::reverse(members.begin() + static_cast<std::ptrdiff_t>(online / 2), members.end());
  std::shuffle(members.begin() + static_cast<std::ptrdiff_t>(online / 2 + lowest), members.end(),
               random);
}

// Into `made`, which outlives the traffic: its clients refer to their accounts.
base::Result<void> MakeGroups(Stage& stage, Traffic& traffic, int groups, int members, int online,
                              int senders, const std::string& kind, Watchers watchers,
                              Groups& made) {
  const size_t connections = static_cast<size_t>(groups) * static_cast<size_t>(online);
  for (int g = 0; g < groups; ++g) {
    auto users = stage.MakeUsers(kind + std::to_string(g) + "u", static_cast<size_t>(members), 0);
    if (!users.ok()) return users.error();
    if (watchers == Watchers::kEnds)
      PutEndsFirst(*users, static_cast<size_t>(online), stage.random());
    const int with_tokens = std::min(members, online + kLateReaders);
    const auto issued =
        stage.admin().IssueTokens(*users, 0, static_cast<size_t>(with_tokens), stage.random());
    if (!issued.ok()) return issued;
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
    for (int i = online; i < std::min(members, online + kLateReaders); ++i) {
      traffic.AddClient(made.talks[g], made.members[g][static_cast<size_t>(i)],
                        Traffic::kReadsAtEnd, std::string());
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
    const int64_t wanted = stage.Run(
        [&] { return traffic.acked_in(groups.talks[g]) + traffic.other_entries(groups.talks[g]); });
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
  const auto made = MakeGroups(
      stage, traffic, options.groups, options.members, std::min(options.online, options.members),
      std::min(options.senders, options.online), "g", Watchers::kAny, groups);
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
  TakeFaults(stage, traffic, outcome);
  stage.Conclude(outcome);
  return outcome;
}

// ---- mix ----

namespace {

// Follows each message of the big group until all watched members have pulled it: an upper bound
// for when its last entry was durable, as those watched stand at both ends of every shard's list.
// That no other member is behind them is asked of some drawn at random.
class DurableWatch {
 public:
  explicit DurableWatch(int64_t watched) : watched_(watched) {}

  // Load thread.
  void OnRead(const Stamp& stamp) {
    if (++pulled_[stamp.number] < watched_) return;
    pulled_.erase(stamp.number);
    durable_.AddNs(NowNs() - stamp.planned_ns);
    ++everywhere_;
  }
  int64_t everywhere() const { return everywhere_; }
  const Histogram& durable() const { return durable_; }

 private:
  const int64_t watched_;
  std::map<uint32_t, int64_t> pulled_;  // by message: by how many
  int64_t everywhere_ = 0;
  Histogram durable_;
};

// How many of some members drawn at random have fewer entries than every member must have by now.
base::Result<int64_t> CountBehind(Stage& stage, const Groups& groups, int64_t wanted) {
  constexpr int kDrawn = 16;
  const std::vector<Account>& members = groups.members.front();
  int64_t behind = 0;
  for (int i = 0; i < kDrawn; ++i) {
    const auto head = stage.admin().HeadOf(members[stage.random()() % members.size()].name);
    if (!head.ok()) return head.error();
    if ((*head & ((int64_t{1} << 40) - 1)) < wanted) ++behind;
  }
  return behind;
}

// The phase with the group: paced messages into it, the channels watched.
void RunBeside(Stage& stage, Traffic& pairs, Traffic& group, const Groups& groups,
               Outcome& outcome) {
  const Options& options = stage.options();
  DurableWatch watch(std::min(options.group_online, options.group_members) - 1);  // not the writer
  stage.Run([&] {
    group.on_read = [&watch](const Stamp& stamp, int64_t) { watch.OnRead(stamp); };
    pairs.BeginWindow();
    group.BeginWindow();
  });
  const int64_t others = stage.Run([&] { return group.other_entries(groups.talks.front()); });
  Start(stage, group, options.group_rate_per_s);
  const Window window(stage);
  const int64_t start_ns = NowNs();
  int64_t asked = 0;
  int64_t behind = 0;
  // After each message that all who are watched have: does anybody lack it?
  const auto look = [&] {
    const int64_t everywhere = stage.Run([&] { return watch.everywhere(); });
    if (everywhere == asked) return true;
    asked = everywhere;
    const auto lacking = CountBehind(stage, groups, others + everywhere);
    if (!lacking.ok()) outcome.failures.push_back("heads of the group: " + lacking.error().text);
    if (lacking.ok()) behind += *lacking;
    return lacking.ok();
  };
  const auto seconds = [start_ns] { return static_cast<double>(NowNs() - start_ns) / 1e9; };
  while (seconds() < options.seconds && stage.Step(2) && look() && !stage.tally().failed()) {
    stage.progress().Show("mix", seconds() / options.seconds, RateText(stage, pairs, start_ns));
  }
  window.Close(outcome);
  TakeCounts(stage, pairs, outcome);
  stage.Run([&] { group.Stop(); });
  const auto settled = [&] {
    return stage.Run(
        [&] { return group.AllAcked() && watch.everywhere() == group.counts().acked; });
  };
  while (seconds() < options.seconds + options.deadline_s && !settled() && stage.Step(2)) {
  }
  (void)look();
  if (!settled()) outcome.failures.push_back("group messages did not reach every inbox in time");
  stage.Run([&] {
    group.on_read = nullptr;
    const Traffic::Counts counts = group.counts();
    outcome.more["group"] = {{"members", options.group_members},
                             {"sent", counts.sent},
                             {"acked", counts.acked},
                             {"delivered", counts.delivered},
                             {"ack_ms", PercentilesMs(group.ack())},
                             {"deliver_ms", PercentilesMs(group.deliver())},
                             {"durable_ms", PercentilesMs(watch.durable())},
                             {"durable_max_ms", watch.durable().MaxMs()},
                             {"behind_the_watched", behind}};
  });
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
  const auto made = MakeGroups(stage, group, 1, options.group_members,
                               std::min(options.group_online, options.group_members), 1, "big",
                               Watchers::kEnds, groups);
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
    if (ok) RunBeside(stage, pairs, group, groups, outcome);
    if (alone_p99 > 0) outcome.more["ack_p99_ratio"] = outcome.ack.PercentileMs(99) / alone_p99;
    if (pairs.Drain("every 1:1 message") && group.Drain("every group message")) {
      CheckHeads(stage, group, groups, outcome);
    }
  }
  TakeFaults(stage, group, outcome);
  TakeFaults(stage, pairs, outcome);
  outcome.notes.push_back(
      "ack_ms, deliver_ms and counts are of the 1:1 traffic beside the group; `alone` is the "
      "same traffic before it");
  outcome.notes.push_back(
      "group.durable_ms: from the planned time until the last of the watched members had pulled "
      "it, an upper "
      "bound; watched are both ends of the list of members; behind_the_watched: members drawn at "
      "random then "
      "that lacked it still");
  stage.Conclude(outcome);
  return outcome;
}

}  // namespace hongyan::bench
