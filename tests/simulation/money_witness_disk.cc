// What must be true of the disk of money: after every commit, and when nothing is under way any
// more.

#include <algorithm>

#include "money/wallets.h"
#include "shard/item_codec.h"
#include "simulation/money_witness.h"

namespace hongyan::simulation {

using model::PacketId;
using model::PacketState;
using model::Reason;
using model::UserId;

void MoneyWitness::Look() {
  LookAtSends();
  LookAtWallets();
  LookAtPackets();
  LookAtMessages();
  AddUp();
  INVARIANT(state_.parked.empty(), "an item of money is parked: {}",
            state_.parked.begin()->second.why);
}

// What is remembered of sends: of those that were asked for, and verdicts only.
void MoneyWitness::LookAtSends() {
  if (known_sends_.size() == state_.sends.size()) return;
  for (const auto& [key, outcome] : state_.sends) {
    if (!known_sends_.insert(key).second) continue;
    const auto asked = sends_asked_.find(key);
    INVARIANT(asked != sends_asked_.end(), "a send of user {} is remembered that nobody asked for",
              key.first.value);
    INVARIANT(std::any_of(asked->second.begin(), asked->second.end(),
                          [&outcome = outcome](const auto& terms) {
                            return money::HashOf(terms) == outcome.hash;
                          }),
              "a send of user {} is remembered by another meaning than it had", key.first.value);
    if (!outcome.packet) {
      INVARIANT(IsVerdict(static_cast<Reason>(outcome.rule)),
                "rule {} is remembered of a send of user {}, which is no verdict on it",
                outcome.rule, key.first.value);
      continue;
    }
    INVARIANT(send_of_.try_emplace(outcome.packet, key).second, "two sends made packet {}",
              outcome.packet.value);
  }
}

void MoneyWitness::LookAtWallets() {
  for (const auto& [key, wallet] : state_.wallets) {
    INVARIANT(wallet.balance_fen >= 0, "the wallet of user {} holds {} fen", key.second.value,
              wallet.balance_fen);
    auto& [looked, balance] = wallets_[key];
    for (auto row = state_.statements.upper_bound({key, looked});
         row != state_.statements.end() && row->first.first == key; ++row) {
      INVARIANT(row->first.second == looked + 1, "the statement of user {} goes from row {} to {}",
                key.second.value, looked, row->first.second);
      ++looked;
      balance += row->second.amount_fen;
      INVARIANT(row->second.balance_fen == balance,
                "row {} of user {} says that {} fen are left, it must be {}", looked,
                key.second.value, row->second.balance_fen, balance);
      TakeRow(key.second, row->second);
    }
    INVARIANT(wallet.balance_fen == balance && wallet.account_seq == looked,
              "the wallet of user {} holds {} fen after row {}, its statement says {} after {}",
              key.second.value, wallet.balance_fen, wallet.account_seq, balance, looked);
  }
}

void MoneyWitness::TakeRow(UserId user, const model::StatementRow& row) {
  switch (row.kind) {
    case model::StatementKind::kDeposit:
    case model::StatementKind::kWithdrawal:
      return TakeMove(user, row);
    case model::StatementKind::kSent:
      return TakeSent(user, row);
    case model::StatementKind::kReceived:
      return TakeReceived(user, row);
    case model::StatementKind::kRefund:
      return TakeRefund(user, row);
    default:
      INVARIANT(false, "a statement row of user {} has no kind", user.value);
  }
}

void MoneyWitness::TakeMove(UserId user, const model::StatementRow& row) {
  const MoveKey key{user, row.note.substr(0, row.note.find(':'))};
  const auto asked = moves_asked_.find(key);
  INVARIANT(asked != moves_asked_.end() && asked->second.contains(row.amount_fen),
            "{} fen were moved for user {} that nobody asked for", row.amount_fen, user.value);
  INVARIANT(moved_.insert(key).second, "move {} of user {} was made twice", key.second, user.value);
  outside_fen_ += row.amount_fen;
}

void MoneyWitness::TakeSent(UserId user, const model::StatementRow& row) {
  const auto send = send_of_.find(row.packet);
  INVARIANT(send != send_of_.end() && send->second.first == user,
            "user {} was debited for packet {} without a send", user.value, row.packet.value);
  const auto& asked = sends_asked_.at(send->second);
  const uint64_t hash = state_.sends.at(send->second).hash;
  INVARIANT(std::any_of(asked.begin(), asked.end(),
                        [&](const auto& terms) {
                          return terms.total_fen == -row.amount_fen && money::HashOf(terms) == hash;
                        }),
            "user {} was debited {} fen for packet {}, which is not what was asked", user.value,
            -row.amount_fen, row.packet.value);
  INVARIANT(debited_.try_emplace(row.packet, Sent{user, -row.amount_fen}).second,
            "user {} was debited twice for packet {}", user.value, row.packet.value);
}

void MoneyWitness::TakeReceived(UserId user, const model::StatementRow& row) {
  const model::Claim* claim = Claim(row.packet, user);
  INVARIANT(claim != nullptr && claim->amount_fen == row.amount_fen,
            "user {} was credited {} fen of packet {} without having opened it", user.value,
            row.amount_fen, row.packet.value);
  INVARIANT(credited_.emplace(row.packet, user).second, "user {} was credited twice for packet {}",
            user.value, row.packet.value);
}

void MoneyWitness::TakeRefund(UserId user, const model::StatementRow& row) {
  const auto sent = debited_.find(row.packet);
  INVARIANT(sent != debited_.end() && sent->second.sender == user,
            "user {} was refunded packet {}, which that user did not send", user.value,
            row.packet.value);
  const model::PacketStatus* status = Status(row.packet);
  const int64_t due = status == nullptr ? sent->second.fen : status->refund_fen;
  INVARIANT((status == nullptr || model::Closed(status->state)) && row.amount_fen == due,
            "user {} was refunded {} fen of packet {}, due were {}", user.value, row.amount_fen,
            row.packet.value, due);
  INVARIANT(refunded_.try_emplace(row.packet, Refund{row.amount_fen, row.reason, status != nullptr})
                .second,
            "user {} was refunded packet {} twice", user.value, row.packet.value);
}

void MoneyWitness::LookAtPackets() {
  for (const auto& [key, header] : state_.headers) {
    INVARIANT(routes_.ShardOf(key.second) == key.first, "packet {} lies in shard {}",
              key.second.value, key.first);
    if (const auto closed = closed_.find(key.second); closed != closed_.end()) {
      const model::PacketStatus& now = *Status(key.second);
      INVARIANT(now.state == closed->second.state && now.left == closed->second.left &&
                    now.left_fen == 0 && now.refund_fen == closed->second.refund_fen,
                "packet {} was closed, and changed", key.second.value);
      continue;
    }
    LookAtPacket(key.second, header);
  }
  for (const auto& [packet, status] : closed_) {
    INVARIANT(Status(packet) != nullptr, "packet {} is neither in the store nor in a file",
              packet.value);
  }
  INVARIANT(state_.statuses.size() == state_.headers.size(), "{} packets have {} states",
            state_.headers.size(), state_.statuses.size());
}

void MoneyWitness::LookAtArchived(int32_t day) const {
  const auto there = [day](const auto& row) {
    return storage::DayOfId(row.first.first.second) == day;
  };
  INVARIANT(
      std::none_of(state_.headers.begin(), state_.headers.end(),
                   [day](const auto& row) { return storage::DayOfId(row.first.second) == day; }) &&
          std::none_of(state_.claims.begin(), state_.claims.end(), there) &&
          std::none_of(state_.ordinals.begin(), state_.ordinals.end(), there),
      "day {} is archived, and rows of it are in the store", day);
  for (const auto& [packet, status] : closed_) {
    if (storage::DayOfId(packet) != day) continue;
    const model::Packet* const archived = InFile(packet);
    const auto claims = FileOf(packet)->claims.find(packet);
    INVARIANT(archived != nullptr && archived->status.state == status.state &&
                  archived->status.refund_fen == status.refund_fen &&
                  archived->header.terms.shares - status.left ==
                      static_cast<int32_t>(claims->second.size()),
              "packet {} is not in its day's file as it was closed", packet.value);
  }
}

void MoneyWitness::LookAtPacket(PacketId packet, const model::PacketHeader& header) {
  const model::PacketStatus& status = *Status(packet);
  const model::PacketTerms& terms = header.terms;
  if (expires_.try_emplace(packet, header.expires_ms).second) {
    packets_.push_back(packet);
    const auto send = send_of_.find(packet);
    INVARIANT(send != send_of_.end() && send->second == SendKey(terms.sender, terms.request_id),
              "packet {} was made without a send", packet.value);
    INVARIANT(debited_.contains(packet) && debited_.at(packet).fen == terms.total_fen,
              "packet {} holds {} fen that nobody paid", packet.value, terms.total_fen);
    const auto refund = refunded_.find(packet);
    INVARIANT(refund == refunded_.end() || refund->second.created,
              "packet {} was made after its money went back", packet.value);
  }
  INVARIANT(expires_.at(packet) == header.expires_ms, "the life of packet {} changed",
            packet.value);
  INVARIANT(!status.quarantined, "packet {} is in quarantine", packet.value);
  int64_t taken = 0;
  const auto claims = ClaimsOf(packet);
  std::set<int32_t> ordinals;
  for (const model::Claim& claim : claims) {
    taken += claim.amount_fen;
    ordinals.insert(claim.ordinal);
    INVARIANT(claim.amount_fen >= 1 && claim.amount_fen <= terms.share_cap_fen,
              "a share of packet {} is {} fen", packet.value, claim.amount_fen);
    INVARIANT(claim.time_ms < header.expires_ms, "packet {} was opened after its time",
              packet.value);
    const auto checked = eligible_.find({packet, claim.user});
    INVARIANT(checked != eligible_.end() && checked->second.contains(claim.member_version),
              "user {} opened packet {} without ever having been let in", claim.user.value,
              packet.value);
    INVARIANT(!terms.named || terms.named == claim.user, "packet {} was opened by user {}",
              packet.value, claim.user.value);
    INVARIANT(claim.user != terms.sender || terms.conversation.is_group(),
              "the sender opened packet {} of a 1:1 chat", packet.value);
  }
  const bool taken_from =
      status.state == PacketState::kOpen || status.state == PacketState::kDone || !claims.empty();
  INVARIANT(!taken_from || status.announced, "packet {} was never announced, and is open",
            packet.value);
  INVARIANT(!status.announced ||
                (status.state != PacketState::kCreated && status.state != PacketState::kRefused &&
                 messages_.announced().contains(packet)),
            "packet {} is said to be announced in state {}", packet.value,
            static_cast<int>(status.state));
  const auto k = static_cast<int32_t>(claims.size());
  INVARIANT(k + status.left == terms.shares && static_cast<int32_t>(ordinals.size()) == k &&
                (k == 0 || (*ordinals.begin() == 1 && *ordinals.rbegin() == k)),
            "packet {} of {} shares has {} claims and {} left", packet.value, terms.shares, k,
            status.left);
  INVARIANT(taken + status.left_fen + status.refund_fen == terms.total_fen,
            "packet {} of {} fen has given {}, given back {} and holds {}", packet.value,
            terms.total_fen, taken, status.refund_fen, status.left_fen);
  const bool keyed = state_.expiries.contains(
      {KeyOf(packet).first, storage::PacketStore::Expiry{header.expires_ms, packet}});
  INVARIANT(keyed != model::Closed(status.state), "packet {} {} an expiry key", packet.value,
            keyed ? "is closed and has" : "is alive without");
  if (!model::Closed(status.state)) {
    INVARIANT(status.refund_fen == 0 && status.left > 0, "packet {} is alive and empty",
              packet.value);
    return;
  }
  INVARIANT(status.left_fen == 0, "packet {} is closed and holds {} fen", packet.value,
            status.left_fen);
  INVARIANT((status.state == PacketState::kDone) == (status.left == 0),
            "packet {} ended as {} with {} shares left", packet.value,
            static_cast<int>(status.state), status.left);
  INVARIANT(status.state != PacketState::kExpired || status.closed_ms >= header.expires_ms,
            "packet {} expired before its time", packet.value);
  closed_.emplace(packet, status);
  if (!messages_.announced().contains(packet)) closed_unannounced_.insert(packet);
}

// A packet that was ever open has its message; a message of a packet has its packet.
void MoneyWitness::LookAtMessages() const {
  for (const PacketId packet : packets_) {
    const model::PacketStatus& status = *Status(packet);
    const bool opened = status.state == PacketState::kOpen || status.state == PacketState::kDone ||
                        status.left < HeaderOf(packet).terms.shares;
    INVARIANT(!opened || messages_.announced().contains(packet),
              "packet {} is open, and its message is not stored", packet.value);
  }
  for (const auto& [packet, place] : messages_.announced()) {
    const model::PacketHeader* header = Header(packet);
    INVARIANT(header != nullptr && header->terms.conversation == place.conversation,
              "packet {} was announced, and there is no such packet", packet.value);
    INVARIANT(Status(packet)->state != PacketState::kRefused,
              "packet {} was refused, and its message is stored", packet.value);
  }
}

// Wallets, packets and channels hold what came in from outside, to the fen, after every commit.
void MoneyWitness::AddUp() const {
  int64_t wallets = 0;
  for (const auto& [key, wallet] : wallets_) wallets += wallet.second;
  int64_t packets = 0;
  for (const auto& [key, status] : state_.statuses) packets += status.left_fen;
  int64_t channels = 0;
  for (const auto& [place, row] : state_.outbox) {
    const auto& channel = place.first;
    if (!model::IsMoneyShard(channel.target)) continue;
    const auto mark = state_.marks.find(channel);
    const int64_t applied = mark == state_.marks.end() ? 0 : mark->second.applied;
    for (size_t i = 0; i < row.items.size(); ++i) {
      if (row.first + static_cast<int64_t>(i) <= applied) continue;
      const auto item = shard::DecodeItem(row.items[i]);
      INVARIANT(item.ok(), "an item of channel {}>{} cannot be read", channel.source,
                channel.target);
      channels += model::FenOf(*item);
    }
  }
  INVARIANT(wallets + packets + channels == outside_fen_,
            "{} fen came in; wallets hold {}, packets {}, channels {}", outside_fen_, wallets,
            packets, channels);
}

// -- the end

bool MoneyWitness::AllClosed() const { return state_.expiries.empty(); }

std::string MoneyWitness::WhatIsUnderWay() const {
  std::string busy;
  for (const auto& [packet, sent] : debited_) {
    if (Header(packet) != nullptr || refunded_.contains(packet)) continue;
    busy += fmt::format("the money of packet {} is neither here nor there; ", packet.value);
  }
  return busy;
}

void MoneyWitness::AskForSends(const money::Reader& reader) const {
  using State = money::Reader::SendState;
  for (const auto& [key, packet] : sent_) {
    const auto send = reader.FindSend(key.first, key.second);
    const model::PacketStatus* status = Status(packet);
    // Closed before its message was known to be stored: nobody was told, and all came back.
    const bool back = status == nullptr || !status->announced;
    INVARIANT(send.ok() && send->packet == packet &&
                  send->state == (back ? State::kReturned : State::kSent),
              "user {} asks for the send of packet {} and hears {}", key.first.value, packet.value,
              send.ok() ? static_cast<int>(send->state) : -1);
  }
  for (const auto& [key, rule] : refused_) {
    const auto send = reader.FindSend(key.first, key.second);
    INVARIANT(!send.ok() && send.error().reason == rule,
              "user {} asks for a refused send and hears another answer", key.first.value);
  }
}

MoneyWitness::Tally MoneyWitness::TallyUp() const {
  Tally tally;
  tally.packets = static_cast<int64_t>(packets_.size());
  tally.opens = static_cast<int64_t>(state_.claims.size());
  for (const auto& [packet, status] : closed_) {
    tally.done += status.state == PacketState::kDone ? 1 : 0;
    tally.expired += status.state == PacketState::kExpired ? 1 : 0;
    tally.returned += status.state == PacketState::kReturned ? 1 : 0;
    tally.refused += status.state == PacketState::kRefused ? 1 : 0;
  }
  for (const PacketId packet : closed_unannounced_) {
    tally.late += messages_.announced().contains(packet) ? 1 : 0;
  }
  for (const auto& [packet, refund] : refunded_) tally.reversed += refund.created ? 0 : 1;
  tally.kept_out = static_cast<int64_t>(refused_.size());
  return tally;
}

void MoneyWitness::LookAtTheEnd() {
  Look();
  INVARIANT(AllClosed() && closed_.size() == state_.headers.size(),
            "{} packets are open though their life is over", state_.expiries.size());
  INVARIANT(state_.outbox.empty(), "items of money are still in the outbox");
  for (const auto& [shard, head] : state_.heads) {
    for (const auto& [target, emitted] : head.emitted) {
      if (!model::IsMoneyShard(target)) continue;
      const auto& mark = state_.marks.at({shard, target});
      INVARIANT(mark.applied == emitted.number && mark.total_fen == emitted.total_fen,
                "channel {}>{}: {} items and {} fen given, {} and {} taken", shard, target,
                emitted.number, emitted.total_fen, mark.applied, mark.total_fen);
    }
  }
  for (const auto& [key, claim] : state_.claims) {
    INVARIANT(credited_.contains({key.first.second, claim.user}),
              "user {} opened packet {} and was never credited", claim.user.value,
              key.first.second.value);
  }
  for (const auto& [packet, sent] : debited_) {
    const model::PacketStatus* status = Status(packet);
    const bool back = status == nullptr || status->refund_fen > 0;
    INVARIANT(back == refunded_.contains(packet), "packet {} {}", packet.value,
              back ? "never came back" : "came back though nothing was due");
    const auto told = messages_.returned().find(packet);
    INVARIANT(back == (told != messages_.returned().end()),
              "the sender of packet {} was {} told that it came back", packet.value,
              back ? "not" : "falsely");
    INVARIANT(!back || (told->second.returned_fen == refunded_.at(packet).fen &&
                        told->second.reason == static_cast<uint8_t>(refunded_.at(packet).reason)),
              "the sender of packet {} was told of {} fen that came back", packet.value,
              told->second.returned_fen);
  }
  for (const auto& [packet, status] : closed_) {
    const bool told = messages_.notices().contains(packet);
    // A group may have been empty when it was to be told.
    const bool there = !HeaderOf(packet).terms.conversation.is_group();
    INVARIANT(status.state != PacketState::kDone || told || !there,
              "nobody was told that packet {} is done", packet.value);
    INVARIANT(messages_.announced().contains(packet) || !told,
              "packet {} was never announced, and its end was", packet.value);
  }
  for (const auto& [packet, entry] : messages_.returned()) {
    INVARIANT(debited_.contains(packet), "a packet came back that was never paid for");
  }
}

}  // namespace hongyan::simulation
