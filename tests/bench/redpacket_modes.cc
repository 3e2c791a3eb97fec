#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <optional>

#include "crowd.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/error.pb.h"
#include "measured_beat.h"
#include "modes.h"
#include "opening.h"
#include "packet_proof.h"
#include "packet_supply.h"
#include "refusal.h"
#include "rush.h"
#include "window.h"

// The modes in which money moves: the rush, and what it measures piece by piece.

namespace hongyan::bench {
namespace {

constexpr size_t kSenders = 32;
constexpr int64_t kSendersFen = 100'000'000'000;
constexpr int64_t kOthersFen = 100;
constexpr int64_t kFenAShare = 20;
// How many opens a second are made ready for, where nobody says how many will be needed.
constexpr double kMostOpensPerS = 60'000;

Outcome Failed(Stage& stage, Outcome outcome, const base::Error& error) {
  outcome.failures.push_back(error.text);
  stage.Conclude(outcome);
  return outcome;
}

// Everything that was told, against everything that is.
void Prove(Stage& stage, PacketProof& proof, Outcome& outcome) {
  if (!stage.tally().failed()) proof.Prove(outcome);
  if (!outcome.more.contains("audit")) outcome.more["audit"] = nullptr;
}

// What the server has committed since then: credits, and what its store of money wrote for them.
class CreditCount {
 public:
  explicit CreditCount(Stage& stage) : stage_(stage), before_(Read()), start_ns_(NowNs()) {}

  // Fills delivered, rate_per_s and the figures of the store.
  void Close(Outcome& outcome) const {
    const Figures now = Read();
    const double seconds = static_cast<double>(NowNs() - start_ns_) / 1e9;
    const double credits = now[0] - before_[0];
    outcome.delivered = static_cast<int64_t>(credits);
    outcome.rate_per_s = credits / seconds;
    outcome.more["opens_per_s"] = outcome.rate_per_s;
    if (credits <= 0) return;
    for (size_t i = 1; i < now.size(); ++i) {
      outcome.more["store"][std::string(kNames[i].said)] = (now[i] - before_[i]) / credits;
    }
  }

 private:
  struct Name {
    const char* asked;
    const char* said;
  };
  static constexpr Name kNames[] = {
      {"hongyan_packet_credits_total", ""},
      {"hongyan_store_records_total{store=\"money\"}", "records_per_open"},
      {"hongyan_store_bytes_total{store=\"money\"}", "bytes_per_open"},
      {"hongyan_store_syncs_total{store=\"money\"}", "syncs_per_open"},
      {"hongyan_batches_total{executor=\"money\"}", "batches_per_open"}};
  using Figures = std::array<double, std::size(kNames)>;

  Figures Read() const {
    Figures figures{};
    for (size_t i = 0; i < figures.size(); ++i) {
      const auto stat = stage_.admin().Stat(kNames[i].asked);
      if (stat.ok()) figures[i] = *stat;
      if (!stat.ok() && i == 0) stage_.tally().Fail("stats: " + stat.error().text);
    }
    return figures;
  }

  Stage& stage_;
  const Figures before_;
  const int64_t start_ns_;
};

std::string RushText(Stage& stage, const Rush& rush) {
  const Rush::Counts total = stage.Run([&] { return rush.total(); });
  char text[128];
  std::snprintf(text, sizeof text, "%lld packets, %lld shares, %lld kills",
                static_cast<long long>(total.sends), static_cast<long long>(total.opened),
                static_cast<long long>(stage.kills()));
  return text;
}

void TakeRush(Stage& stage, const Rush& rush, Outcome& outcome) {
  stage.Run([&] {
    const Rush::Counts& counts = rush.counts();
    outcome.sent = counts.asked;
    outcome.acked = counts.opened;
    outcome.delivered = counts.opened;
    const double s = std::max(1e-9, outcome.seconds);
    outcome.rate_per_s = static_cast<double>(counts.opened) / s;
    outcome.more["opens_per_s"] = outcome.rate_per_s;
    outcome.more["grabs_refused_per_s"] = static_cast<double>(counts.grabs_refused) / s;
    outcome.more["open_ms"] = PercentilesMs(rush.open());
    outcome.more["grab_ms"] = PercentilesMs(rush.grab());
    outcome.more["packets"] = counts.sends;
    outcome.more["opens_refused"] = counts.open_refused;
    outcome.more["notices"] = counts.notices;
    outcome.ack = rush.open();
  });
}

}  // namespace

// ---- the rush ----

namespace {

void EndRush(Stage& stage, Rush& rush, PacketBooks& books, Outcome& outcome) {
  PacketProof proof(stage, books, PacketProof::Inboxes::kRead);
  const bool short_lived = stage.spawned() && stage.options().life_s > 0;
  const bool ok =
      rush.Drain() &&
      proof.CloseAll(short_lived ? PacketProof::Rest::kExpires : PacketProof::Rest::kIsEnded) &&
      rush.AwaitReturns(proof.refunds());
  stage.AllowKills(false);
  if (ok) Prove(stage, proof, outcome);
  if (!outcome.more.contains("audit")) outcome.more["audit"] = nullptr;
}

// With every trouble there is; how fast does not matter.
Outcome RunTroubledRush(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  PacketBooks books(stage.tally());
  Rush rush(stage, books, {options.groups, options.members, Rush::Troubles::kYes});
  if (const auto prepared = rush.Prepare(); !prepared.ok()) {
    return Failed(stage, outcome, prepared.error());
  }
  if (rush.Connect()) {
    stage.AllowKills(true);
    stage.Run([&] { rush.Start(); });
    const Window window(stage);
    const bool ok = stage.WaitUntil(
        "every group has sent its packets",
        [&] {
          return rush.least_sent() >= options.packets &&
                 stage.kills_in_flight() >= options.min_kills;
        },
        [&] { return RushText(stage, rush); });
    window.Close(outcome);
    TakeRush(stage, rush, outcome);
    outcome.more["left_the_group"] = stage.Run([&] { return rush.left(); });
    if (ok) EndRush(stage, rush, books, outcome);
  }
  outcome.notes.push_back(
      "people who do not wait, come and go, leave mid-way, open twice, too late or what is not "
      "theirs; every request is repeated with the same id until it is answered");
  stage.Conclude(outcome);
  return outcome;
}

// Send, notify, sync, grab, open, notices, and nothing else.
Outcome RunVisibleRush(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  PacketBooks books(stage.tally());
  Rush rush(stage, books, {options.groups, options.members, Rush::Troubles::kNo});
  if (const auto prepared = rush.Prepare(); !prepared.ok()) {
    return Failed(stage, outcome, prepared.error());
  }
  if (rush.Connect()) {
    stage.Run([&] { rush.Start(); });
    bool ok = stage.WaitSeconds("warm-up", options.warmup_s);
    stage.Run([&] { rush.BeginWindow(); });
    const CreditCount credits(stage);
    const Window window(stage);
    ok = ok && stage.WaitSeconds("rush", options.seconds, [&] { return RushText(stage, rush); });
    window.Close(outcome);
    TakeRush(stage, rush, outcome);
    credits.Close(outcome);
    if (ok) EndRush(stage, rush, books, outcome);
  }
  outcome.notes.push_back("an open counts when its credit is committed, by the server's counter");
  stage.Conclude(outcome);
  return outcome;
}

}  // namespace

// ---- opens of announced packets ----

namespace {

// One group: those who open, then those who send. All wallets that must exist beside them are of
// users who do nothing.
struct Hall {
  std::vector<Account> accounts;  // openers, senders
  size_t openers = 0;
  int64_t group = 0;
};

base::Result<Hall> MakeHall(Stage& stage, PacketBooks& books, size_t openers) {
  const Options& options = stage.options();
  Hall hall;
  hall.openers = openers;
  auto accounts = stage.MakeUsers("o", openers + kSenders, openers + kSenders);
  if (!accounts.ok()) return accounts.error();
  hall.accounts = std::move(*accounts);
  auto paid = stage.admin().Deposit(hall.accounts, openers, openers + kSenders, kSendersFen,
                                    stage.prefix());
  if (!paid.ok()) return paid.error();
  if (options.wallets > 0) {
    paid = stage.admin().Deposit(hall.accounts, 0, openers, kOthersFen, stage.prefix());
    if (!paid.ok()) return paid.error();
  }
  std::vector<int64_t> ids;
  for (size_t i = 0; i < hall.accounts.size(); ++i) {
    ids.push_back(hall.accounts[i].user_id);
    const uint32_t person = books.AddPerson(hall.accounts[i]);
    if (i >= openers) books.Deposited(person, kSendersFen);
    if (i < openers && options.wallets > 0) books.Deposited(person, kOthersFen);
  }
  const auto group = stage.admin().MakeGroup(stage.prefix() + "hall", ids,
                                             hall.accounts[openers].name, stage.random());
  if (!group.ok()) return group.error();
  hall.group = *group;
  return hall;
}

// Wallets of people who are not here, in batches.
base::Result<void> MakeOtherWallets(Stage& stage, size_t count) {
  constexpr size_t kBatch = 10'000;
  for (size_t made = 0; made < count; made += kBatch) {
    const size_t size = std::min(kBatch, count - made);
    auto users = stage.MakeUsers("w" + std::to_string(made / kBatch) + "n", size, 0);
    if (!users.ok()) return users.error();
    const auto paid = stage.admin().Deposit(*users, 0, size, kOthersFen, stage.prefix());
    if (!paid.ok()) return paid;
    stage.progress().Show("making " + std::to_string(count) + " wallets",
                          static_cast<double>(made + size) / static_cast<double>(count));
    if (!stage.Step(0)) return base::Error(base::Code::kAborted, "interrupted");
  }
  return {};
}

// Pairs who chat beside the opens.
class Chat {
 public:
  explicit Chat(Stage& stage) : stage_(stage), traffic_(stage, 100) {}

  bool Begin(double rate_per_s) {
    auto users = stage_.MakeUsers("c", 2 * kPairs, 2 * kPairs);
    if (!users.ok()) {
      stage_.tally().Fail(users.error().text);
      return false;
    }
    users_ = std::move(*users);
    for (size_t i = 0; i + 1 < users_.size(); i += 2) {
      const int64_t x = users_[i].user_id;
      const int64_t y = users_[i + 1].user_id;
      const size_t talk = traffic_.AddConversation({std::min(x, y), std::max(x, y)}, 2);
      traffic_.AddClient(talk, users_[i], Traffic::kWrites, {});
      traffic_.AddClient(talk, users_[i + 1], Traffic::kReads, {});
    }
    if (!traffic_.Connect("who chats is logged in")) return false;
    stage_.Run([&] { traffic_.StartOpen(rate_per_s); });
    return true;
  }
  void BeginWindow() {
    stage_.Run([&] { traffic_.BeginWindow(); });
  }
  Histogram Ack() {
    return stage_.Run([&] { return traffic_.ack(); });
  }
  void End(Outcome& outcome) {
    (void)(traffic_.Drain("every chat message") && traffic_.CheckOwnCopies());
    outcome.lost += traffic_.lost();
    outcome.duplicated += traffic_.content_duplicated();
    outcome.out_of_order += traffic_.content_out_of_order();
  }

 private:
  static constexpr size_t kPairs = 200;
  Stage& stage_;
  std::vector<Account> users_;
  Traffic traffic_;
};

size_t PacketsNeeded(const Options& options, size_t openers) {
  const double rate = options.rate_per_s > 0 ? options.rate_per_s : kMostOpensPerS;
  const double opens = options.prepare > 0 ? static_cast<double>(options.prepare)
                                           : rate * (options.warmup_s + options.seconds) * 1.1;
  return std::max<size_t>(1, static_cast<size_t>(std::ceil(opens / static_cast<double>(openers))));
}

// Warm-up and window of a prepared opening; false where it could not be measured whole.
bool MeasureOpening(Stage& stage, Opening& opening, Chat* chat, Outcome& outcome) {
  const Options& options = stage.options();
  const auto step =
      options.measure == "grab-open" ? Opening::Step::kGrabAndOpen : Opening::Step::kOpen;
  stage.Run([&] {
    if (options.rate_per_s > 0) {
      opening.StartOpen(step, options.rate_per_s);
    } else {
      opening.StartClosed(step);
    }
  });
  bool ok = stage.WaitSeconds("warm-up", options.warmup_s);
  stage.Run([&] { opening.BeginWindow(); });
  if (chat != nullptr) chat->BeginWindow();
  const CreditCount credits(stage);
  const Window window(stage);
  ok = ok && stage.WaitSeconds("opens", options.seconds, [&] {
    char text[64];
    std::snprintf(text, sizeof text, "%.0f/s",
                  static_cast<double>(stage.Run([&] { return opening.opened(); })) /
                      std::max(1e-3, window.seconds()));
    return std::string(text);
  });
  window.Close(outcome);
  credits.Close(outcome);
  const bool ran_out = stage.Run([&] {
    outcome.sent = opening.asked();
    outcome.acked = opening.opened();
    outcome.ack = opening.open();
    outcome.more["answered_per_s"] = static_cast<double>(opening.opened()) / outcome.seconds;
    outcome.more["grabs_refused_per_s"] = 0;
    outcome.more["open_ms"] = PercentilesMs(opening.open());
    outcome.more["grab_ms"] = PercentilesMs(opening.grab());
    return opening.ran_out();
  });
  if (chat != nullptr) outcome.more["chat_ack_ms"] = PercentilesMs(chat->Ack());
  if (ran_out) stage.tally().Fail("the packets were all opened before the end: say --prepare N");
  return ok && !ran_out;
}

Outcome RunOpening(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  PacketBooks books(stage.tally());
  const auto openers = static_cast<size_t>(options.connections);
  const auto wallets = static_cast<size_t>(options.wallets);
  if (wallets > openers + kSenders) {
    const auto made = MakeOtherWallets(stage, wallets - openers - kSenders);
    if (!made.ok()) return Failed(stage, outcome, made.error());
  }
  const auto hall = MakeHall(stage, books, openers);
  if (!hall.ok()) return Failed(stage, outcome, hall.error());
  Opening opening(stage, books, hall->accounts, openers, 0);
  std::optional<Chat> chat;
  if (options.chat_rate_per_s > 0) {
    chat.emplace(stage);
    if (!chat->Begin(options.chat_rate_per_s)) return outcome;
  }
  std::vector<uint32_t> packets;
  {
    PacketSupply supply(stage, books, hall->accounts, openers, hall->accounts.size(),
                        static_cast<uint32_t>(openers));
    const auto shares = static_cast<int32_t>(openers);
    packets =
        supply.Make(hall->group, PacketsNeeded(options, openers), shares, shares * kFenAShare);
  }
  if (!packets.empty() && opening.Connect()) {
    const size_t at_a_time = options.measure == "hot" ? 1 : static_cast<size_t>(options.packets);
    outcome.more["packets"] = packets.size();
    outcome.more["packets_at_a_time"] = std::min(at_a_time, packets.size());
    outcome.more["wallets"] = std::max(wallets, openers + kSenders);
    stage.Run([&] { opening.SetPackets(packets, at_a_time); });
    bool ok = true;
    if (chat) {
      ok = stage.WaitSeconds("chat alone, warm-up", options.warmup_s);
      chat->BeginWindow();
      ok = ok && stage.WaitSeconds("chat alone", options.seconds);
      outcome.more["chat_alone_ack_ms"] = PercentilesMs(chat->Ack());
    }
    ok = ok && MeasureOpening(stage, opening, chat ? &*chat : nullptr, outcome);
    stage.Run([&] { opening.Stop(); });
    if (chat) chat->End(outcome);
    ok = stage.WaitUntil("every open is answered", [&] { return opening.Idle(); }) && ok;
    PacketProof proof(stage, books, PacketProof::Inboxes::kIgnored);
    if (ok && proof.CloseAll(PacketProof::Rest::kIsEnded)) Prove(stage, proof, outcome);
  }
  if (!outcome.more.contains("audit")) outcome.more["audit"] = nullptr;
  outcome.notes.push_back(
      "opens_per_s counts an open when its credit is committed, by the server's counter; packets "
      "are made and announced before the clock starts");
  stage.Conclude(outcome);
  return outcome;
}

}  // namespace

// ---- refused grabs ----

namespace {

// Packets of one share, which somebody else has: a grab says that it is gone.
Outcome RunRefusedGrabs(Stage& stage) {
  const Options& options = stage.options();
  Outcome outcome = stage.NewOutcome();
  PacketBooks books(stage.tally());
  const size_t count = static_cast<size_t>(options.connections) + 1;  // and who takes them all
  const auto hall = MakeHall(stage, books, count);
  if (!hall.ok()) return Failed(stage, outcome, hall.error());
  std::vector<uint32_t> packets;
  {
    PacketSupply supply(stage, books, hall->accounts, count, hall->accounts.size(),
                        static_cast<uint32_t>(count));
    packets = supply.Make(hall->group, static_cast<size_t>(options.packets), 1, kFenAShare);
  }
  bool ok = !packets.empty();
  if (ok) {
    Opening taker(stage, books, hall->accounts, 1, 0);
    ok = taker.Connect();
    stage.Run([&] {
      taker.SetPackets(packets, packets.size());
      taker.StartClosed(Opening::Step::kOpen);
    });
    ok = ok &&
         stage.WaitUntil("every packet is taken", [&] { return taker.ran_out() && taker.Idle(); });
  }
  std::optional<Beat> beat;  // outlives the connections that call back into it
  const std::vector<Account> others(hall->accounts.begin() + 1,
                                    hall->accounts.begin() + static_cast<std::ptrdiff_t>(count));
  Crowd crowd(stage, others);
  if (ok && crowd.Connect()) {
    std::vector<sdk::Link*> links;
    for (const auto& client : crowd.clients()) links.push_back(client->link());
    std::vector<Beat::Request> requests;
    for (const uint32_t packet : packets) {
      v1::GrabPacket wire;
      wire.set_packet_id(books.packet(packet).id);
      requests.push_back({v1::GRAB_PACKET, wire.SerializeAsString()});
    }
    FrameSizes sizes{requests.front().payload.size(), 0};
    beat.emplace(stage.tally(), links, std::move(requests), [](const sdk::Answer& answer) {
      return answer.kind == sdk::Answer::Kind::kRefused &&
             ErrorOf(answer).reason() == v1::PACKET_DONE;
    });
    Runtime& runtime = stage.thread().runtime;
    MeasureBeat(
        runtime, stage.tally(), *beat, stage.progress(), "refused grabs", options.warmup_s,
        options.seconds, [&stage] { return stage.ServerUsage(); }, outcome);
    sizes.reply_bytes = beat->reply_bytes();
    outcome.more["opens_per_s"] = 0;
    outcome.more["grabs_refused_per_s"] = outcome.rate_per_s;
    outcome.more["grab_ms"] = PercentilesMs(outcome.ack);
    Outcome echo;
    if (!stage.tally().failed()) {
      MeasureEcho(runtime, stage.tally(), stage.progress(), options, sizes, echo);
    }
    CompareWithEcho(options, sizes, echo, outcome);
    PacketProof proof(stage, books, PacketProof::Inboxes::kIgnored);
    if (!stage.tally().failed() && proof.CloseAll(PacketProof::Rest::kIsEnded)) {
      Prove(stage, proof, outcome);
    }
  }
  if (!outcome.more.contains("audit")) outcome.more["audit"] = nullptr;
  stage.Conclude(outcome);
  return outcome;
}

}  // namespace

Outcome RunRedpacket(Stage& stage) {
  const std::string& measure = stage.options().measure;
  if (measure.empty()) return RunTroubledRush(stage);
  if (measure == "rush") return RunVisibleRush(stage);
  if (measure == "grabs") return RunRefusedGrabs(stage);
  return RunOpening(stage);
}

}  // namespace hongyan::bench
