#include "money/audit.h"

#include <limits>
#include <optional>
#include <utility>

#include "money/books.h"
#include "money/calendar.h"
#include "money/proof.h"
#include "money/ties.h"
#include "shard/item_codec.h"

namespace hongyan::money {
namespace {

using model::ShardId;
using model::StatementKind;
using Family = Ties::Family;
using Side = Ties::Side;

constexpr size_t kPage = 500;
constexpr int64_t kProgressEvery = 100'000;

std::string Fen(int64_t fen) { return std::to_string(fen) + " fen"; }
std::string Shard(ShardId shard) { return "shard=" + std::to_string(shard); }
std::string PacketName(model::PacketId id) { return "packet=" + std::to_string(id.value); }
std::string WalletName(model::UserId user) { return "user=" + std::to_string(user.value); }

// Sums that broken rows may overflow: then they are no proof, and say so.
struct Sum {
  int64_t fen = 0;
  bool whole = true;
  void Add(int64_t more) { whole = whole && !__builtin_add_overflow(fen, more, &fen); }
};

// What the rows of one shard add up to.
struct ShardSums {
  Sum wallets, world, escrow, held, parked, given, taken;
  bool channels_read = false;  // what was given and taken is whole
};

class Auditor {
 public:
  Auditor(storage::MoneyStore& store, const AuditOptions& options)
      : store_(store), options_(options) {}

  AuditReport Run() {
    auto snapshot = store_.TakeSnapshot();
    if (!snapshot) {
      Unread("snapshot", snapshot.error());
      return Judged();
    }
    snapshot_ = *std::move(snapshot);
    ReadAll();
    if (!ended_ && !ties_.even() && !gaps_) {
      ties_.LookCloser();
      closer_ = true;
      ReadAll();
      for (const Ties::Odd& odd : ties_.odd()) Report(odd);
    }
    return Judged();
  }

 private:
  void ReadAll() {
    const auto shards = static_cast<ShardId>(store_.identity().shards);
    for (ShardId i = 0; i < shards; ++i) {
      const auto shard = static_cast<ShardId>(store_.identity().first_shard + i);
      ShardSums sums;
      shard_read_ = true;
      ReadWallets(shard, sums);
      ReadPackets(shard, sums);
      ReadDays(shard);
      ReadExpiries(shard);
      ReadParked(shard, sums);
      ReadChannels(shard, shards, sums);
      if (Ended()) return;
      if (!closer_) CheckBooks(shard, sums);
    }
  }

  bool Ended() {
    ended_ = ended_ || (options_.ended && options_.ended());
    return ended_;
  }

  // -- wallets

  void ReadWallets(ShardId shard, ShardSums& sums) {
    model::UserId after;
    while (!Ended()) {
      auto wallets = snapshot_->ledger().ListWallets(shard, after, kPage);
      if (!wallets) return Unread("wallets of " + Shard(shard), wallets.error());
      for (const model::Wallet& wallet : *wallets) {
        ReadStatement(shard, wallet, sums);
        sums.wallets.Add(wallet.balance_fen);
        if (!closer_ && ++report_.wallets % kProgressEvery == 0) Progress();
      }
      if (wallets->size() < kPage) return;
      after = wallets->back().user;
    }
  }

  // From the newest row to the first: each is the one before it plus its amount.
  void ReadStatement(ShardId shard, const model::Wallet& wallet, ShardSums& sums) {
    const std::string name = WalletName(wallet.user);
    if (wallet.balance_fen < 0)
      Find("wallet_negative", name, "it holds " + Fen(wallet.balance_fen));
    int64_t seq = wallet.account_seq;
    int64_t balance = wallet.balance_fen;
    std::map<int32_t, model::YearTotal> years;
    int64_t before = 0;
    while (!Ended()) {
      auto rows = snapshot_->ledger().ReadStatement(shard, wallet.user, before, kPage);
      if (!rows) return Unread("statement of " + name, rows.error());
      for (const model::StatementRow& row : *rows) {
        const std::string where = name + " account_seq=" + std::to_string(row.account_seq);
        if (row.account_seq != seq) {
          return Find("statement_gap", where, "row " + std::to_string(seq) + " should be here");
        }
        if (row.balance_fen != balance) {
          return Find(
              "wallet_chain", where,
              "the balance after it is " + Fen(row.balance_fen) + " and should be " + Fen(balance));
        }
        if (__builtin_sub_overflow(balance, row.amount_fen, &balance) || balance < 0) {
          return Find("wallet_chain", where, "the balance before it would be impossible");
        }
        --seq;
        ReadRow(wallet.user, row, where, years, sums);
      }
      if (rows->size() < kPage) break;
      before = rows->back().account_seq;
    }
    if (seq != 0)
      return Find("statement_gap", name, "rows 1 to " + std::to_string(seq) + " are gone");
    if (balance != 0) {
      return Find("wallet_chain", name + " account_seq=1",
                  "before its first row it held " + Fen(balance));
    }
    CheckYears(wallet, years);
  }

  void ReadRow(model::UserId user, const model::StatementRow& row, const std::string& where,
               std::map<int32_t, model::YearTotal>& years, ShardSums& sums) {
    if (!closer_) ++report_.statement_rows;
    model::YearTotal& year = years[YearOf(row.time_ms)];
    const bool outward = row.kind == StatementKind::kSent || row.kind == StatementKind::kWithdrawal;
    if (row.amount_fen == 0 || (row.amount_fen < 0) != outward) {
      Find("statement_amount", where, Fen(row.amount_fen) + " does not go with its kind");
    }
    const Ties::Thing thing{row.packet.value, user.value, row.amount_fen};
    switch (row.kind) {
      case StatementKind::kDeposit:
      case StatementKind::kWithdrawal:
        sums.world.Add(row.amount_fen);
        break;
      case StatementKind::kSent:
        ++year.sent_count;
        year.sent_fen -= row.amount_fen;
        ties_.Add(Family::kSend, Side::kLeft, {thing.packet, thing.user, -thing.number}, "debit");
        break;
      case StatementKind::kReceived:
        ++year.received_count;
        year.received_fen += row.amount_fen;
        ties_.Add(Family::kCredit, Side::kRight, thing, "credit");
        break;
      case StatementKind::kRefund:
        year.returned_fen += row.amount_fen;
        CameBack(row.reason, thing, "refund booked");
        break;
      default:
        Find("statement_kind", where, "its kind is none");
    }
  }

  // A reversal answers a debit; every other refund answers a close.
  void CameBack(model::ReturnReason reason, const Ties::Thing& thing, const char* row) {
    const bool reversal =
        reason == model::ReturnReason::kTooLate || reason == model::ReturnReason::kRule;
    ties_.Add(reversal ? Family::kSend : Family::kRefund, Side::kRight, thing, row);
  }

  void CheckYears(const model::Wallet& wallet, const std::map<int32_t, model::YearTotal>& years) {
    for (const auto& [year, sum] : years) {
      const auto kept = wallet.years.find(year);
      const model::YearTotal said = kept == wallet.years.end() ? model::YearTotal{} : kept->second;
      if (said.sent_count == sum.sent_count && said.sent_fen == sum.sent_fen &&
          said.returned_fen == sum.returned_fen && said.received_count == sum.received_count &&
          said.received_fen == sum.received_fen) {
        continue;
      }
      Find("wallet_year", WalletName(wallet.user) + " year=" + std::to_string(year),
           "its totals are not those of its statement");
    }
  }

  // -- packets

  void ReadPackets(ShardId shard, ShardSums& sums) {
    model::PacketId after;
    while (!Ended()) {
      auto packets = snapshot_->packets().ListPackets(shard, after, kPage);
      if (!packets) {
        Unread("packets of " + Shard(shard), packets.error());
        return NameBroken(shard);
      }
      for (const model::Packet& packet : *packets) {
        ReadPacket(shard, packet, sums);
        if (!closer_ && ++report_.packets % kProgressEvery == 0) Progress();
      }
      if (packets->size() < kPage) return;
      after = packets->back().header.id;
    }
  }

  // A page that cannot be read does not say which packet it is.
  void NameBroken(ShardId shard) {
    auto listed = snapshot_->packets().ListQuarantined(shard, AuditReport::kMaxFindings);
    if (!listed) return Unread("quarantine of " + Shard(shard), listed.error());
    for (const model::PacketId id : *listed) {
      auto found = snapshot_->packets().FindPacket(shard, id);
      if (!found) Find("packet_unreadable", PacketName(id), found.error().text);
    }
  }

  void ReadPacket(ShardId shard, const model::Packet& packet, ShardSums& sums) {
    const model::PacketHeader& header = packet.header;
    const model::PacketStatus& status = packet.status;
    const std::string name = PacketName(header.id);
    auto claims = snapshot_->packets().ListClaims(shard, header.id);
    if (!claims) return Unread("claims of " + name, claims.error());
    if (status.quarantined) {
      sums.held.Add(status.held_fen);
      if (!closer_) {
        ++report_.quarantined;
        Find("quarantined", name, "it is in quarantine and holds " + Fen(status.held_fen));
      }
    } else {
      sums.escrow.Add(status.left_fen);
      if (const auto flaw = FlawOf(header, status, *claims, store_.money_identity())) {
        Find(flaw->what,
             flaw->ordinal == 0 ? name : name + " ordinal=" + std::to_string(flaw->ordinal),
             flaw->text);
      }
    }
    const model::PacketTerms& terms = header.terms;
    ties_.Add(Family::kSend, Side::kRight, {header.id.value, terms.sender.value, terms.total_fen},
              "packet");
    for (const model::Claim& claim : *claims) {
      if (!closer_) ++report_.claims;
      ties_.Add(Family::kCredit, Side::kLeft, {header.id.value, claim.user.value, claim.amount_fen},
                "claim");
    }
    if (status.refund_fen != 0) {
      ties_.Add(Family::kRefund, Side::kLeft,
                {header.id.value, terms.sender.value, status.refund_fen}, "closed packet");
    }
    if (!model::Closed(status.state)) {
      ties_.Add(Family::kExpiry, Side::kLeft, {header.id.value, 0, header.expires_ms},
                "open packet");
    }
  }

  // Packets of archived days were read from their files. That proves something only of files that
  // are what was archived.
  void ReadDays(ShardId shard) {
    if (closer_) return;
    auto days = store_.days().ListDays(shard);
    if (!days) return SayUnread("archived days of " + Shard(shard), days.error());
    for (const model::ArchivedDay& day : *days) {
      if (Ended()) return;
      auto good = store_.days().Verify(shard, day);
      if (!good) SayUnread(DayText(day.day) + " of " + Shard(shard), good.error());
    }
  }

  void ReadExpiries(ShardId shard) {
    storage::PacketStore::Expiry after;
    while (!Ended()) {
      auto keys =
          snapshot_->packets().Due(shard, after, std::numeric_limits<int64_t>::max(), kPage);
      if (!keys) return Unread("expiry keys of " + Shard(shard), keys.error());
      for (const auto& key : *keys) {
        ties_.Add(Family::kExpiry, Side::kRight, {key.packet.value, 0, key.expires_ms},
                  "expiry key");
      }
      if (keys->size() < kPage) return;
      after = keys->back();
    }
  }

  // -- between shards

  void ReadItem(const model::Item& item) {
    if (const auto* fund = std::get_if<model::FundItem>(&item)) {
      const model::PacketTerms& terms = fund->terms;
      ties_.Add(Family::kSend, Side::kRight,
                {fund->packet.value, terms.sender.value, terms.total_fen}, "funds on their way");
    } else if (const auto* credit = std::get_if<model::CreditItem>(&item)) {
      ties_.Add(Family::kCredit, Side::kRight,
                {credit->packet.value, credit->user.value, credit->amount_fen},
                "credit on its way");
    } else if (const auto* refund = std::get_if<model::RefundItem>(&item)) {
      CameBack(refund->reason, {refund->packet.value, refund->sender.value, refund->amount_fen},
               "refund on its way");
    }
  }

  void ReadParked(ShardId shard, ShardSums& sums) {
    storage::ChannelStore::ParkedPlace after;
    while (!Ended()) {
      auto parked = snapshot_->channels().ListParked(shard, after, kPage);
      if (!parked) return Unread("parked items of " + Shard(shard), parked.error());
      for (const storage::ParkedItem& row : *parked) ReadParkedItem(row, sums);
      if (parked->size() < kPage) return;
      after = {parked->back().channel.source, parked->back().number};
    }
  }

  void ReadParkedItem(const storage::ParkedItem& row, ShardSums& sums) {
    const std::string where = "channel=" + std::to_string(row.channel.source) + "-" +
                              std::to_string(row.channel.target) +
                              " item=" + std::to_string(row.number);
    if (!closer_) {
      ++report_.parked;
      Find("parked", where, row.why);
    }
    sums.parked.Add(row.fen);
    auto item = shard::DecodeItem(row.item);
    if (!item) return SayUnread("parked " + where, item.error());
    if (model::FenOf(*item) != row.fen) {
      Find("item_fen", where,
           "it carries " + Fen(model::FenOf(*item)) + ", its row says " + Fen(row.fen));
    }
    ReadItem(*item);
  }

  // Both ends of every channel into this shard: what was taken, and what is on its way.
  void ReadChannels(ShardId shard, ShardId shards, ShardSums& sums) {
    auto own = snapshot_->channels().ReadHead(shard);
    if (!own) return Unread("head of " + Shard(shard), own.error());
    for (const auto& [target, emitted] : own->emitted) sums.given.Add(emitted.total_fen);
    for (ShardId i = 0; i < shards; ++i) {
      const model::ChannelId channel{static_cast<ShardId>(store_.identity().first_shard + i),
                                     shard};
      auto head = snapshot_->channels().ReadHead(channel.source);
      if (!head) return Unread("head of " + Shard(channel.source), head.error());
      auto mark = snapshot_->channels().ReadMark(channel);
      if (!mark) return Unread("mark of " + Shard(shard), mark.error());
      sums.taken.Add(mark->total_fen);
      const auto emitted = head->emitted.find(shard);
      ReadOnTheWay(channel,
                   emitted == head->emitted.end() ? storage::ShardHead::Emitted{} : emitted->second,
                   *mark);
    }
    sums.channels_read = true;
  }

  void ReadOnTheWay(model::ChannelId channel, const storage::ShardHead::Emitted& given,
                    const storage::ChannelMark& mark) {
    const std::string name =
        "channel=" + std::to_string(channel.source) + "-" + std::to_string(channel.target);
    Sum fen;
    int64_t next = mark.applied + 1;
    while (next <= given.number && !Ended()) {
      auto rows = snapshot_->channels().ReadOutbox(channel, next, kPage, 1 << 20);
      if (!rows) return Unread("outbox of " + name, rows.error());
      if (rows->empty()) break;
      for (const storage::OutboxRow& row : *rows) {
        for (size_t i = 0; i < row.items.size(); ++i) {
          const int64_t number = row.first + static_cast<int64_t>(i);
          if (number < next) continue;
          if (number != next++)
            return Find("channel_gap", name, "item " + std::to_string(next - 1) + " is gone");
          if (!closer_) ++report_.items_in_flight;
          const int64_t said = i < row.fen.size() ? row.fen[i] : 0;
          auto item = shard::DecodeItem(row.items[i]);
          if (!item) {
            gaps_ = true;  // no sum stands on it
            SayUnread(name + " item=" + std::to_string(number), item.error());
            fen.Add(said);
            continue;
          }
          if (model::FenOf(*item) != said) {
            Find("item_fen", name + " item=" + std::to_string(number),
                 "it carries " + Fen(model::FenOf(*item)) + ", its row says " + Fen(said));
          }
          fen.Add(said);
          ReadItem(*item);
        }
      }
    }
    if (closer_) return;
    if (next <= given.number) {
      return Find("channel_gap", name, "item " + std::to_string(next) + " is gone");
    }
    if (mark.applied > given.number) {
      return Find("channel_ahead", name, "more was taken from it than was given to it");
    }
    report_.in_transit_fen += fen.fen;
    if (!fen.whole || given.total_fen - mark.total_fen != fen.fen) {
      Find("channel_total", name,
           "given " + Fen(given.total_fen) + ", taken " + Fen(mark.total_fen) + ", on its way " +
               Fen(fen.fen));
    }
  }

  // -- books

  void CheckBooks(ShardId shard, const ShardSums& sums) {
    auto books = snapshot_->ledger().ReadBooks(shard);
    if (!books) return Unread("books of " + Shard(shard), books.error());
    if (books->sum() != 0) {
      Find("books_sum", Shard(shard), "its accounts add up to " + Fen(books->sum()));
    }
    if (!IdsCanBe(*books)) {
      Find("books_ids", Shard(shard), "day or counter of the ids it gave out cannot be");
    }
    model::Books& total = report_.total;
    total.wallets_fen += books->wallets_fen;
    total.escrow_fen += books->escrow_fen;
    total.suspense_fen += books->suspense_fen;
    total.world_fen += books->world_fen;
    total.transit_out_fen += books->transit_out_fen;
    total.transit_in_fen += books->transit_in_fen;
    // What was read in part adds up to nothing.
    if (sums.channels_read) {
      CheckAccount(shard, "transit_out", books->transit_out_fen, sums.given);
      CheckAccount(shard, "transit_in", books->transit_in_fen, sums.taken);
    }
    if (!shard_read_) return;
    CheckAccount(shard, "wallets", books->wallets_fen, sums.wallets);
    CheckAccount(shard, "escrow", books->escrow_fen, sums.escrow);
    Sum world;
    world.Add(-sums.world.fen);
    CheckAccount(shard, "world", books->world_fen, world);
    Sum suspense = sums.parked;
    suspense.Add(sums.held.fen);
    CheckAccount(shard, "suspense", books->suspense_fen, suspense);
  }

  void CheckAccount(ShardId shard, const char* account, int64_t said, const Sum& rows) {
    if (rows.whole && rows.fen == said) return;
    Find(std::string("account_") + account, Shard(shard),
         "the books say " + Fen(said) + ", the rows add up to " + Fen(rows.fen));
  }

  // -- the report

  void Report(const Ties::Odd& odd) {
    static constexpr const char* kNames[] = {"send_without_packet", "claim_without_credit",
                                             "close_without_refund", "open_without_expiry"};
    const std::string where =
        "packet=" + std::to_string(odd.thing.packet) +
        (odd.thing.user == 0 ? "" : " user=" + std::to_string(odd.thing.user));
    findings_closer_.push_back({kNames[static_cast<size_t>(odd.family)], where,
                                std::to_string(odd.thing.number) +
                                    (odd.family == Family::kExpiry ? " ms" : " fen") +
                                    ": there is only: " + odd.rows});
  }

  void Find(std::string what, std::string where, std::string text) {
    if (closer_) return;  // said in the first reading
    if (report_.findings.size() >= AuditReport::kMaxFindings) {
      ++report_.more_findings;
      return;
    }
    report_.findings.push_back({std::move(what), std::move(where), std::move(text)});
  }

  void Unread(const std::string& what, const base::Error& error) {
    gaps_ = true;
    shard_read_ = false;
    SayUnread(what, error);
  }
  void SayUnread(const std::string& what, const base::Error& error) {
    if (closer_ || report_.unread.size() >= AuditReport::kMaxFindings) return;
    report_.unread.push_back(what + ": " + error.text);
  }

  void Progress() const {
    if (!options_.progress) return;
    options_.progress(std::to_string(report_.wallets) + " wallets, " +
                      std::to_string(report_.packets) + " packets read");
  }

  // Rows before sums: the first finding is the first broken posting, sums only follow from it.
  AuditReport Judged() {
    if (ended_) {
      // What was not read to its end adds up to nothing.
      report_.findings.clear();
      report_.more_findings = 0;
      report_.unread = {"the rest of the books: the audit was ended before it had read all"};
      report_.verdict = AuditReport::Verdict::kNotProven;
      return std::move(report_);
    }
    std::vector<AuditReport::Finding> rows, sums;
    for (auto& finding : report_.findings) {
      const bool sum = finding.what.starts_with("account_") || finding.what == "books_sum" ||
                       finding.what == "channel_total";
      (sum ? sums : rows).push_back(std::move(finding));
    }
    for (auto& finding : findings_closer_) rows.push_back(std::move(finding));
    rows.insert(rows.end(), std::make_move_iterator(sums.begin()),
                std::make_move_iterator(sums.end()));
    report_.findings = std::move(rows);
    using Verdict = AuditReport::Verdict;
    report_.verdict = !report_.findings.empty() ? Verdict::kFinding
                      : !report_.unread.empty() ? Verdict::kNotProven
                                                : Verdict::kProven;
    return std::move(report_);
  }

  storage::MoneyStore& store_;
  const AuditOptions& options_;
  std::unique_ptr<storage::MoneyStore::Snapshot> snapshot_;
  AuditReport report_;
  std::vector<AuditReport::Finding> findings_closer_;
  Ties ties_;
  bool closer_ = false;
  // Something was not read, and has its other end nowhere: that is no finding. An unreadable parked
  // item makes no gap: what it was must be named, for the administrator has to.
  bool gaps_ = false;
  bool shard_read_ = true;  // no such gap in this shard
  bool ended_ = false;
};

}  // namespace

AuditReport Audit(storage::MoneyStore& store, const AuditOptions& options) {
  return std::make_unique<Auditor>(store, options)->Run();
}

}  // namespace hongyan::money
