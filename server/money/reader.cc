#include "money/reader.h"

#include <algorithm>
#include <utility>

#include "money/calendar.h"
#include "money/refusals.h"

namespace hongyan::money {

using model::PacketState;
using model::Reason;

base::Result<model::ShardId> Reader::PacketShard(model::PacketId packet) const {
  const auto shard = routes_.ShardOf(packet);
  if (!shard) return Refusal(Reason::kNoSuchPacket);
  return *shard;
}

base::Result<model::Packet> Reader::Find(model::PacketId packet) const {
  auto shard = PacketShard(packet);
  if (!shard) return std::move(shard).error();
  auto found = packets_.FindPacket(*shard, packet);
  if (!found) return std::move(found).error();
  if (found->has_value()) return **std::move(found);
  auto missing = ArrivalsMissing(packet, *shard);
  if (!missing) return std::move(missing).error();
  if (*missing) return Busy(kUnannouncedRetryMs);
  found = packets_.FindPacket(*shard, packet);  // it may have arrived between the two
  if (!found) return std::move(found).error();
  if (!found->has_value()) return Refusal(Reason::kNoSuchPacket);
  return **std::move(found);
}

// Whether the shard that gave the id has emitted to the packet's what has not been applied there:
// the packet may be of it. The head is read first: what it holds of this id's money is then either
// applied or missing.
base::Result<bool> Reader::ArrivalsMissing(model::PacketId packet, model::ShardId shard) const {
  const auto id = ReadPacketId(packet);
  const auto source = static_cast<model::ShardId>(model::kFirstMoneyShard + id->allocator);
  const auto given = Given({source, shard});
  if (!given) return given.error();
  const auto arrived = Arrived({source, shard}, *given);
  if (!arrived) return arrived.error();
  return !*arrived;
}

base::Result<int64_t> Reader::Given(storage::ChannelId channel) const {
  auto head = channels_.ReadHead(channel.source);
  if (!head) return std::move(head).error();
  const auto emitted = head->emitted.find(channel.target);
  return emitted == head->emitted.end() ? 0 : emitted->second.number;
}

base::Result<bool> Reader::Arrived(storage::ChannelId channel, int64_t number) const {
  if (number == 0) return true;
  auto mark = channels_.ReadMark(channel);
  if (!mark) return std::move(mark).error();
  return mark->applied >= number;
}

base::Result<Reader::Detail> Reader::Show(model::PacketId packet, model::UserId user, bool member,
                                          int32_t after_ordinal, size_t limit) const {
  auto shard = PacketShard(packet);
  if (!shard) return std::move(shard).error();
  // The claim before the state: a claim made between the two reads is then only missing.
  auto own = packets_.FindClaim(*shard, packet, user);
  if (!own) return std::move(own).error();
  auto detail = Show(packet, after_ordinal, limit);
  if (!detail) return detail;
  if (!own->has_value() && model::Closed(detail->packet.status.state)) {
    own = packets_.FindClaim(*shard, packet, user);  // it may have been the one that closed it
    if (!own) return std::move(own).error();
  }
  if (!member && !own->has_value() && detail->packet.header.terms.sender != user) {
    return Refusal(Reason::kNotEligible);
  }
  detail->own = *own;
  return detail;
}

base::Result<Reader::Detail> Reader::Show(model::PacketId packet, int32_t after_ordinal,
                                          size_t limit) const {
  auto shard = PacketShard(packet);
  if (!shard) return std::move(shard).error();
  auto found = Find(packet);
  if (!found) return std::move(found).error();
  auto claims = packets_.ListClaims(*shard, packet);
  if (!claims) return std::move(claims).error();
  Detail detail;
  detail.packet = *std::move(found);
  const model::PacketHeader& header = detail.packet.header;
  const model::PacketStatus& status = detail.packet.status;
  const bool done = status.state == PacketState::kDone;
  if (done) detail.took_ms = status.closed_ms - header.created_ms;
  limit = std::clamp<size_t>(limit, 1, kMaxPage);
  for (const model::Claim& claim : *claims) {
    // Claims made after the state was read belong to the next reading.
    if (claim.ordinal > int64_t{header.terms.shares} - status.left) continue;
    if (done && header.terms.kind == model::PacketKind::kLucky &&
        claim.ordinal == status.best_ordinal) {
      detail.best_luck = claim.user;
    }
    if (claim.ordinal <= after_ordinal) continue;
    if (detail.claims.size() == limit) {
      detail.more = true;
      continue;
    }
    detail.claims.push_back(claim);
  }
  return detail;
}

base::Result<std::vector<model::PacketId>> Reader::Quarantined(model::ShardId shard,
                                                               size_t limit) const {
  return packets_.ListQuarantined(shard, limit);
}

base::Result<Reader::Send> Reader::FindSend(model::UserId user,
                                            const model::RequestId& request) const {
  auto outcome = ledger_.FindSend(user, request);
  if (!outcome) return std::move(outcome).error();
  if (!outcome->has_value()) {
    return base::Error(
        base::Code::kNotFound,
        "nothing is stored of this send: it is still on its way (send the same again, under the "
        "same id), was never taken, or is more than 8 days old");
  }
  const model::SendOutcome& known = **outcome;
  if (!known.packet) return Refusal(static_cast<Reason>(known.rule));
  Send send{SendState::kSending, known.packet, known.returned};
  if (known.returned != model::ReturnReason::kNone) {
    send.state = SendState::kReturned;
    return send;
  }
  auto shard = PacketShard(known.packet);
  if (!shard) return std::move(shard).error();
  auto packet = packets_.FindPacket(*shard, known.packet);
  if (!packet) return std::move(packet).error();
  if (!packet->has_value()) return send;
  const model::PacketStatus& status = (*packet)->status;
  switch (status.state) {
    case PacketState::kNone:
    case PacketState::kCreated:
      break;
    case PacketState::kRefused:
      send.state = SendState::kReturned;
      send.reason = model::ReturnReason::kRefused;
      break;
    case PacketState::kOpen:
    case PacketState::kDone:
      send.state = SendState::kSent;
      break;
    case PacketState::kExpired:
    case PacketState::kReturned:
      // Nobody was told of one that closed before it was announced, and all of it came back.
      send.state = status.announced ? SendState::kSent : SendState::kReturned;
      if (status.announced) break;
      send.reason = status.state == PacketState::kExpired ? model::ReturnReason::kExpired
                                                          : model::ReturnReason::kByAdmin;
      break;
  }
  return send;
}

base::Result<model::Wallet> Reader::FindWallet(model::UserId user) const {
  auto found = ledger_.FindWallet(routes_.WalletOf(user), user);
  if (!found) return std::move(found).error();
  if (found->has_value()) return **std::move(found);
  model::Wallet empty;
  empty.user = user;
  return empty;
}

base::Result<Reader::StatementPage> Reader::Statement(model::UserId user, int64_t before,
                                                      size_t limit) const {
  limit = std::clamp<size_t>(limit, 1, kMaxPage);
  auto rows = ledger_.ReadStatement(routes_.WalletOf(user), user, before, limit);
  if (!rows) return std::move(rows).error();
  StatementPage page;
  page.rows = *std::move(rows);
  if (page.rows.size() == limit && page.rows.back().account_seq > 1) {
    page.next_before = page.rows.back().account_seq;
  }
  return page;
}

// Below which account_seq the rows are of the year or older: `before`, or where the next year
// begins. A statement is in order of time, so that is looked for by halving: some twenty rows of a
// million.
base::Result<int64_t> Reader::EndOfYear(model::UserId user, int32_t year, int64_t before) const {
  const auto newest_below = [&](int64_t end) {
    return ledger_.ReadStatement(routes_.WalletOf(user), user, end, 1);
  };
  const auto later = [year](const std::vector<model::StatementRow>& row) {
    return !row.empty() && YearOf(row.front().time_ms) > year;
  };
  auto row = newest_below(before);
  if (!row) return std::move(row).error();
  if (!later(*row)) return before;
  int64_t first = 1;                       // all rows before it are of the year or older
  int64_t end = row->front().account_seq;  // of a later one
  while (first < end) {
    const int64_t middle = first + (end - first) / 2;
    row = newest_below(middle + 1);
    if (!row) return std::move(row).error();
    if (later(*row)) {
      end = row->front().account_seq;
    } else {
      first = middle + 1;
    }
  }
  return end;
}

base::Result<Reader::StatementPage> Reader::History(model::UserId user, Side side, int32_t year,
                                                    int64_t before, size_t limit) const {
  limit = std::clamp<size_t>(limit, 1, kMaxPage);
  const auto end = EndOfYear(user, year, before);
  if (!end) return end.error();
  before = *end;
  StatementPage page;
  for (size_t looked = 0; looked < kMaxLooked; looked += kMaxPage) {
    auto rows = ledger_.ReadStatement(routes_.WalletOf(user), user, before, kMaxPage);
    if (!rows) return std::move(rows).error();
    for (const model::StatementRow& row : *rows) {
      if (YearOf(row.time_ms) < year) return page;
      const bool sent =
          row.kind == model::StatementKind::kSent || row.kind == model::StatementKind::kRefund;
      const bool received = row.kind == model::StatementKind::kReceived;
      if (side == Side::kSent ? sent : received) {
        if (page.rows.size() == limit) {
          page.next_before = before;
          return page;
        }
        page.rows.push_back(row);
      }
      before = row.account_seq;
    }
    if (rows->size() < kMaxPage || before <= 1) return page;
  }
  page.next_before = before;
  return page;
}

}  // namespace hongyan::money
