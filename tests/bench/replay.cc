#include "replay.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/bytes.h"
#include "modes.h"
#include "window.h"

namespace hongyan::bench {
namespace {

constexpr double kShareComingAndGoing = 0.15;
constexpr double kShareLate = 0.02;
constexpr size_t kLeastLate = 3;
constexpr int64_t kTickMs = 10;
constexpr double kShortestStayMs = 20;
constexpr double kLongestStayMs = 2000;
constexpr size_t kMaxNameBytes = 64;
// Of four members one pulls at every notify; the others pause first, as devices that sleep do, and
// then find several lines at once. Both ways through the server are walked, and a big replay is not
// all notifies.
constexpr uint64_t kEagerOneOf = 4;
constexpr int kShortestPauseMs = 10;
constexpr int kLongestPauseMs = 150;

std::string TextBody(const std::string& line) {
  v1::Body body;
  body.mutable_text()->set_text(line);
  return body.SerializeAsString();
}

// A nick as part of a user's name, if it may be one: names are UTF-8 of limited length, nicks are
// any bytes.
bool MayBeName(const std::string& name) {
  return name.size() <= kMaxNameBytes && base::IsUtf8(name) &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
}

}  // namespace

Replay::Replay(Stage& stage, const std::vector<ChatLog>& logs, int members, int round)
    : stage_(stage),
      logs_(logs),
      members_wanted_(members),
      round_(round),
      random_(stage.options().seed * 1000 + static_cast<uint64_t>(round)) {}

Replay::~Replay() {
  stage_.Run([this] {
    timer_.reset();
    members_.clear();
  });
}

// ---- users and groups ----

base::Result<void> Replay::Prepare() {
  playing_.resize(logs_.size());
  for (size_t i = 0; i < logs_.size(); ++i) {
    stage_.progress().Show("preparing", static_cast<double>(i) / static_cast<double>(logs_.size()),
                           logs_[i].name);
    if (const auto prepared = PrepareLog(i); !prepared.ok()) return prepared;
  }
  stage_.Run([this] {
    for (Playing& playing : playing_) {
      playing.first_member = static_cast<uint32_t>(members_.size());
      for (const Account& account : playing.accounts) {
        Member member;
        const auto index = static_cast<uint32_t>(members_.size());
        member.log = static_cast<uint32_t>(&playing - playing_.data());
        member.client = std::make_unique<LoadClient>(
            stage_.thread(), *this, account,
            stage_.SourceOf(index, playing_.size() * playing.accounts.size()),
            LoadClient::Pulls::kYes, index);
        member.eager = random_() % kEagerOneOf == 0;
        if (!member.eager) {
          member.client->SetPullPause(
              std::uniform_int_distribution<>(kShortestPauseMs, kLongestPauseMs)(random_));
        }
        members_.push_back(std::move(member));
      }
      ChooseHabits(playing);
      lines_ += static_cast<int64_t>(playing.chat->lines.size());
      still_missing_ += static_cast<int64_t>(playing.chat->lines.size() * playing.accounts.size());
    }
  });
  return {};
}

base::Result<void> Replay::PrepareLog(size_t index) {
  Playing& playing = playing_[index];
  playing.chat = &logs_[index];
  playing.sent_ns.resize(playing.chat->lines.size());
  for (const std::string& line : playing.chat->lines) playing.bodies.push_back(TextBody(line));

  const std::string prefix =
      stage_.prefix() + std::to_string(round_) + "." + std::to_string(index) + ".";
  const size_t count =
      std::max({playing.chat->nicks.size(), static_cast<size_t>(members_wanted_), size_t{1}});
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    const bool silent = i >= playing.chat->nicks.size();
    const std::string name = silent ? std::string() : prefix + playing.chat->nicks[i];
    names.push_back(!silent && MayBeName(name) ? name : prefix + "#" + std::to_string(i));
  }
  auto accounts = stage_.admin().MakeUsers(names);
  if (!accounts.ok()) return accounts.error();
  playing.accounts = std::move(*accounts);
  if (const auto issued = stage_.IssueTokens(playing.accounts); !issued.ok()) return issued;
  std::vector<int64_t> ids;
  for (const Account& account : playing.accounts) ids.push_back(account.user_id);
  const auto group = stage_.admin().MakeGroup(prefix + "log", ids, names.front(), stage_.random());
  if (!group.ok()) return group.error();
  playing.id = {0, *group};
  return {};
}

// Late are the silent ones, or else those who say least; who comes and goes is drawn from the
// others.
void Replay::ChooseHabits(Playing& playing) {
  const size_t count = playing.accounts.size();
  std::vector<size_t> lines_of(count);
  for (const uint32_t sender : playing.chat->sender) ++lines_of[sender];
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), random_);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t x, size_t y) { return lines_of[x] < lines_of[y]; });
  const size_t late = std::min(
      count / 2, std::max(kLeastLate,
                          static_cast<size_t>(std::ceil(static_cast<double>(count) * kShareLate))));
  std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(late), order.end(), random_);
  const size_t coming =
      static_cast<size_t>(std::ceil(static_cast<double>(count - late) * kShareComingAndGoing));
  for (size_t i = 0; i < late + coming && i < count; ++i) {
    Member& member = members_[playing.first_member + order[i]];
    member.habit = i < late ? Habit::kLate : Habit::kComesAndGoes;
    member.was_offline = true;  // both begin offline
    if (i < late) {
      member.client->SetPulls(LoadClient::Pulls::kNo);
    } else {
      coming_.push_back(playing.first_member + static_cast<uint32_t>(order[i]));
    }
  }
}

// ---- playing ----

void Replay::Begin() {
  coming_and_going_ = true;
  for (const uint32_t index : coming_) members_[index].change_ns = NextChange();
  timer_ = std::make_unique<sdk::Timer>(stage_.thread().runtime, [this] { ComeAndGo(); });
  timer_->Arm(kTickMs);
  for (Playing& playing : playing_) SendNext(playing);
}

// Stays are log-uniform: short and long ones in the same run.
int64_t Replay::NextChange() {
  const double exponent = std::uniform_real_distribution<>(std::log(kShortestStayMs),
                                                           std::log(kLongestStayMs))(random_);
  return NowNs() + static_cast<int64_t>(std::exp(exponent) * 1e6);
}

void Replay::ComeAndGo() {
  if (!coming_and_going_) return;
  const int64_t now = NowNs();
  for (const uint32_t index : coming_) {
    Member& member = members_[index];
    if (now < member.change_ns) continue;
    if (member.client->sending()) continue;  // its line is on the way: it stays until the ack
    if (member.client->wanted_online()) {
      member.client->GoOffline();
    } else {
      member.client->GoOnline();
    }
    member.change_ns = NextChange();
  }
  timer_->Arm(kTickMs);
}

void Replay::SendNext(Playing& playing) {
  if (playing.next == playing.chat->lines.size()) return;
  Member& member = members_[playing.first_member + playing.chat->sender[playing.next]];
  playing.sent_ns[playing.next] = NowNs();
  ++report_.sent;
  if (!member.client->wanted_online()) member.client->GoOnline();
  member.client->Send(playing.id, playing.bodies[playing.next]);
  ++playing.next;
}

void Replay::OnAcked(LoadClient& client, int64_t conv_seq, int64_t now_ns) {
  Member& member = members_[client.index()];
  Playing& playing = playing_[member.log];
  if (conv_seq <= playing.last_place) {
    stage_.tally().Fail(playing.chat->name + ": line " + std::to_string(playing.acked + 1) +
                        " was acknowledged at place " + std::to_string(conv_seq) +
                        ", which was given out before: an acknowledged line is lost");
  }
  if (playing.acked == 0 && playing.first_place == 0) playing.first_place = conv_seq;
  playing.last_place = conv_seq;
  ack_.AddNs(now_ns - playing.sent_ns[playing.acked]);
  ++playing.acked;
  ++acked_;
  ++report_.acked;
  report_.entries += static_cast<int64_t>(playing.accounts.size());
  if (member.habit == Habit::kLate && coming_and_going_) client.GoOffline();
  SendNext(playing);
}

void Replay::OnEntry(LoadClient& client, const v1::Entry& entry, int64_t now_ns) {
  Member& member = members_[client.index()];
  Playing& playing = playing_[member.log];
  const v1::Message& message = entry.message();
  if (entry.conversation().a() != playing.id.a || entry.conversation().b() != playing.id.b) {
    return stage_.tally().Fail(client.account().name + ": got a message of a group it is not in");
  }
  if (message.kind() == v1::BODY_SYSTEM) return;
  // Until line 0 is acknowledged nothing else has been sent.
  if (playing.first_place == 0) playing.first_place = entry.conv_seq();
  const int64_t line = entry.conv_seq() - playing.first_place - member.doubled;
  const auto known = [&](int64_t n) { return n >= 0 && n < static_cast<int64_t>(playing.next); };
  if (!known(line) || message.body() != playing.bodies[static_cast<size_t>(line)]) {
    if (known(line - 1) && message.body() == playing.bodies[static_cast<size_t>(line - 1)]) {
      ++member.doubled;
      ++report_.duplicated;
      return;
    }
    return stage_.tally().Fail(client.account().name + ": place " +
                               std::to_string(entry.conv_seq()) + " of " + playing.chat->name +
                               " is not line " + std::to_string(line + 1) + " byte for byte");
  }
  switch (member.seen.Add(static_cast<uint32_t>(line))) {
    case OrderCheck::Seen::kNext:
    case OrderCheck::Seen::kAhead:
      break;
    case OrderCheck::Seen::kLate:
      ++report_.out_of_order;
      break;
    case OrderCheck::Seen::kAgain:
      ++report_.duplicated;
      return;
  }
  ++report_.delivered;
  --still_missing_;
  // Who was away or paused measures that, not the server.
  if (member.habit == Habit::kStays && member.eager &&
      client.index() != playing.first_member + playing.chat->sender[static_cast<size_t>(line)]) {
    deliver_.AddNs(now_ns - playing.sent_ns[static_cast<size_t>(line)]);
  }
}

void Replay::BringEverybody() {
  coming_and_going_ = false;
  for (Member& member : members_) {
    member.client->SetPulls(LoadClient::Pulls::kYes);
    member.client->GoOnline();
    member.client->Pull();
  }
}

void Replay::PullAll() {
  for (Member& member : members_) {
    const Playing& playing = playing_[member.log];
    if (member.seen.seen() < static_cast<int64_t>(playing.chat->lines.size()))
      member.client->Pull();
  }
}

void Replay::Play() {
  stage_.Run([this] {
    for (Member& member : members_) {
      if (member.habit == Habit::kStays) member.client->GoOnline();
    }
  });
  bool ok = stage_.WaitUntil("the members are logged in", [this] {
    return std::all_of(members_.begin(), members_.end(), [](const Member& member) {
      return member.habit != Habit::kStays || member.client->online();
    });
  });
  stage_.AllowKills(true);
  if (ok) stage_.Run([this] { Begin(); });
  const auto detail = [this] {
    return stage_.Run([this] {
      return std::to_string(acked_) + " of " + std::to_string(lines_) + " lines, " +
             std::to_string(stage_.kills()) + " kills";
    });
  };
  ok = ok && stage_.WaitUntil(
                 "every line is acknowledged", [this] { return acked_ == lines_; }, detail);
  stage_.Run([this] { BringEverybody(); });
  int64_t asked_ns = NowNs();
  const auto patience_ns =
      static_cast<int64_t>(std::min(0.5, stage_.options().deadline_s / 4) * 1e9);
  ok = ok && stage_.WaitUntil("every member has every line", [&] {
    if (still_missing_ == 0) return true;
    if (NowNs() - asked_ns > patience_ns) {
      asked_ns = NowNs();
      PullAll();
    }
    return false;
  });
  stage_.AllowKills(false);
  // What came twice behind the last line would show now.
  if (ok) {
    stage_.Run([this] {
      for (Member& member : members_) member.client->Pull();
    });
    (void)stage_.WaitUntil("the last pull", [this] {
      return std::none_of(members_.begin(), members_.end(), [](const Member& member) {
        return member.client->syncing() || !member.client->online();
      });
    });
  }
  stage_.Run([this] { Count(); });
}

void Replay::Count() {
  coming_and_going_ = false;
  report_.members = static_cast<int64_t>(members_.size());
  report_.lines = lines_;
  for (const Member& member : members_) {
    const Playing& playing = playing_[member.log];
    const int64_t lines = static_cast<int64_t>(playing.chat->lines.size());
    report_.lost += std::max<int64_t>(0, static_cast<int64_t>(playing.acked) - member.seen.seen());
    if (member.seen.seen() == lines && member.doubled == 0) ++report_.exact;
    if (member.was_offline) ++report_.were_offline;
    if (member.habit == Habit::kLate) ++report_.late;
    member.client->GoOffline();  // nothing is counted any more
  }
}

// ---- the mode ----

Outcome RunReplay(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  std::vector<ChatLog> logs;
  for (const std::string& path : options.logs) {
    auto log = ReadChatLog(path);
    if (!log.ok()) {
      outcome.failures.push_back(log.error().text);
      return outcome;
    }
    logs.push_back(std::move(*log));
  }
  Replay::Report total;
  int rounds = 0;
  for (bool again = true; again; ++rounds) {
    Replay replay(stage, logs, options.replay_members, rounds);
    if (const auto prepared = replay.Prepare(); !prepared.ok()) {
      stage.tally().Fail(prepared.error().text);
      break;
    }
    const Window window(stage);
    replay.Play();
    const double before_s = outcome.seconds;
    const Usage server_before = outcome.server;
    const Usage tool_before = outcome.tool;
    window.Close(outcome);
    outcome.seconds += before_s;
    outcome.server.cpu_s += server_before.cpu_s;
    outcome.tool.cpu_s += tool_before.cpu_s;
    const Replay::Report& report = replay.report();
    outcome.sent += report.sent;
    outcome.acked += report.acked;
    outcome.delivered += report.delivered;
    outcome.lost += report.lost;
    outcome.duplicated += report.duplicated;
    outcome.out_of_order += report.out_of_order;
    outcome.ack = replay.ack();
    outcome.deliver = replay.deliver();
    total.entries += report.entries;
    total.members += report.members;
    total.exact += report.exact;
    total.were_offline += report.were_offline;
    total.late += report.late;
    total.lines = report.lines;
    again = !stage.tally().failed() && stage.kills() < options.min_kills;
  }
  if (outcome.seconds > 0) {
    outcome.rate_per_s = static_cast<double>(outcome.delivered) / outcome.seconds;
    outcome.entries_per_s = static_cast<double>(total.entries) / outcome.seconds;
  }
  outcome.more["logs"] = logs.size();
  outcome.more["lines"] = total.lines;
  outcome.more["rounds"] = rounds;
  outcome.more["members"] = total.members;
  outcome.more["exact_transcripts"] = total.exact;
  outcome.more["offline_for_parts"] = total.were_offline;
  outcome.more["late"] = total.late;
  stage.Conclude(outcome);
  if (outcome.ok() && total.exact != total.members) {
    outcome.failures.push_back(std::to_string(total.members - total.exact) +
                               " transcripts are not exact");
  }
  outcome.notes.push_back(
      "late members pull nothing before the end; those of them who have lines connect for "
      "these lines only");
  return outcome;
}

}  // namespace hongyan::bench
