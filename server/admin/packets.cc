#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "access/money_wire.h"
#include "admin/day_wire.h"
#include "admin/errand.h"
#include "admin/service.h"
#include "money/audit.h"
#include "money/calendar.h"
#include "money/refusals.h"

namespace hongyan::admin {
namespace {

using model::PacketId;
using Verdict = money::AuditReport::Verdict;

constexpr size_t kMaxQuarantined = 1000;  // listed of one shard
constexpr size_t kDayPage = 1000;
constexpr auto kDrainPause = std::chrono::milliseconds(50);

// The packets of one day added up.
struct DayCounts {
  std::array<int64_t, 8> of_state{};
  int64_t packets = 0, quarantined = 0, claims = 0;
  int64_t total_fen = 0, left_fen = 0, refunded_fen = 0;

  void Add(const model::Packet& packet) {
    const model::PacketStatus& status = packet.status;
    ++packets;
    ++of_state[static_cast<size_t>(status.state) % of_state.size()];
    if (status.quarantined) ++quarantined;
    claims += packet.header.terms.shares - status.left;
    total_fen += packet.header.terms.total_fen;
    left_fen += status.left_fen;
    refunded_fen += status.refund_fen;
  }

  int64_t In(model::PacketState state) const { return of_state[static_cast<size_t>(state)]; }
};

void Fill(const DayCounts& from, v1::ShowDayReply* to) {
  using model::PacketState;
  to->set_packets(from.packets);
  to->set_not_closed(from.In(PacketState::kCreated) + from.In(PacketState::kOpen));
  to->set_done(from.In(PacketState::kDone));
  to->set_expired(from.In(PacketState::kExpired));
  to->set_returned(from.In(PacketState::kReturned));
  to->set_refused(from.In(PacketState::kRefused));
  to->set_quarantined(from.quarantined);
  to->set_claims(from.claims);
  to->set_total_fen(from.total_fen);
  to->set_taken_fen(from.total_fen - from.left_fen - from.refunded_fen);
  to->set_left_fen(from.left_fen);
  to->set_refunded_fen(from.refunded_fen);
}

void Fill(const money::AuditReport& report, v1::AuditReply* to) {
  to->set_verdict(static_cast<int32_t>(report.verdict));
  for (const auto& finding : report.findings) {
    to->add_findings(finding.what + " " + finding.where + ": " + finding.text);
  }
  if (report.more_findings > 0) {
    to->add_findings("and " + std::to_string(report.more_findings) + " more");
  }
  for (const std::string& unread : report.unread) to->add_findings("not read: " + unread);
  const std::pair<const char*, int64_t> figures[] = {
      {"wallets", report.wallets},
      {"statement_rows", report.statement_rows},
      {"packets", report.packets},
      {"claims", report.claims},
      {"items_in_flight", report.items_in_flight},
      {"parked", report.parked},
      {"quarantined", report.quarantined},
      {"wallets_fen", report.total.wallets_fen},
      {"escrow_fen", report.total.escrow_fen},
      {"suspense_fen", report.total.suspense_fen},
      {"world_fen", report.total.world_fen},
      {"in_transit_fen", report.in_transit_fen},
  };
  for (const auto& [name, value] : figures) {
    auto* const figure = to->add_figures();
    figure->set_name(name);
    figure->set_value(value);
  }
}

}  // namespace

std::optional<model::ShardId> Service::PacketShard(const ErrandPtr& errand, int64_t packet) {
  const auto shard = services().money.routes.ShardOf(PacketId(packet));
  if (!shard) errand->Refuse(money::Refusal(model::Reason::kNoSuchPacket));
  return shard;
}

void Service::ShowPacket(ErrandPtr errand, const v1::ShowPacket& request) {
  const PacketId id(request.packet_id());
  const auto shard = PacketShard(errand, id.value);
  if (!shard) return;
  OnPool(services().readers, std::move(errand),
         [this, id, shard]() -> base::Result<v1::AdminReply> {
           v1::AdminReply reply;
           v1::ShowPacketReply& show = *reply.mutable_show_packet();
           for (int32_t after = 0;;) {
             auto detail = services().money.reader.Show(id, after, money::Reader::kMaxPage);
             if (!detail) return std::move(detail).error();
             if (after == 0) {
               access::Fill(*detail, access::Show::kAll, show.mutable_packet());
               const model::Packet& packet = detail->packet;
               show.set_shard(*shard);
               show.set_day(money::DayText(money::ReadPacketId(id)->day));
               show.set_quarantined(packet.status.quarantined);
               show.set_left_fen(packet.status.left_fen);
               show.set_request_id(std::string(packet.header.terms.request_id.view()));
             } else {
               v1::PacketDetailReply more;
               access::Fill(*detail, access::Show::kAll, &more);
               show.mutable_packet()->mutable_claims()->MergeFrom(more.claims());
             }
             if (!detail->more || detail->claims.empty()) break;
             after = detail->claims.back().ordinal;
           }
           show.mutable_packet()->set_more(false);
           return reply;
         });
}

void Service::ShowDay(ErrandPtr errand, const v1::ShowDay& request) {
  const int32_t day = request.day();
  const PacketId first = money::FirstPacketIdOf(day);
  if (!first) {
    return errand->Refuse({base::Code::kInvalidArgument, "no packet can be of this day"});
  }
  // It may be millions.
  ReadLong(std::move(errand), [this, day, first]() -> base::Result<v1::AdminReply> {
    auto snapshot = money_store_.TakeSnapshot();
    if (!snapshot) return std::move(snapshot).error();
    DayCounts counts;
    for (int n = 0; n < money_store_.identity().shards; ++n) {
      const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + n);
      PacketId after(first.value - 1);
      for (bool more = true; more && !ending_;) {
        auto page = (*snapshot)->packets().ListPackets(shard, after, kDayPage);
        if (!page) return std::move(page).error();
        more = page->size() == kDayPage;
        for (const model::Packet& packet : *page) {
          after = packet.header.id;
          const auto parts = money::ReadPacketId(after);
          more = more && parts && parts->day == day;
          if (parts && parts->day == day) counts.Add(packet);
        }
      }
    }
    v1::AdminReply reply;
    Fill(counts, reply.mutable_show_day());
    reply.mutable_show_day()->set_day(day);
    reply.mutable_show_day()->set_slot(money::DaySlot(day));
    for (int n = 0; n < money_store_.identity().shards; ++n) {
      const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + n);
      auto archived = money_store_.days().FindDay(shard, day);
      if (!archived) return std::move(archived).error();
      if (archived->has_value()) Fill(shard, **archived, reply.mutable_show_day()->add_files());
    }
    return reply;
  });
}

void Service::EndPacket(ErrandPtr errand, const v1::EndPacket& request) {
  net::Loop* const loop = &desk_.loop();
  // Its money may be on its way, of which its shard knows nothing: the reader does.
  const bool taken =
      services().readers.Submit([this, loop, errand, packet = PacketId(request.packet_id())] {
        loop->Post([this, errand, packet, found = services().money.reader.Find(packet)] {
          if (!found) return errand->Refuse(found.error());
          SubmitDone(errand, *services().money.routes.ShardOf(packet),
                     model::ReturnPacket{packet, model::UserId()});
        });
      });
  if (!taken) errand->Refuse(services().admission.Busy());
}

void Service::ListQuarantine(ErrandPtr errand) {
  OnPool(services().readers, std::move(errand), [this]() -> base::Result<v1::AdminReply> {
    v1::AdminReply reply;
    auto* const list = reply.mutable_list_quarantine();
    for (int n = 0; n < money_store_.identity().shards; ++n) {
      const auto shard = static_cast<model::ShardId>(model::kFirstMoneyShard + n);
      auto packets = services().money.reader.Quarantined(shard, kMaxQuarantined + 1);
      if (!packets) return std::move(packets).error();
      if (packets->size() > kMaxQuarantined) {
        packets->resize(kMaxQuarantined);
        list->set_more(true);
      }
      for (const PacketId packet : *packets) list->add_packet_ids(packet.value);
    }
    return reply;
  });
}

void Service::MendPacket(ErrandPtr errand, const v1::MendPacket& request) {
  const auto shard = PacketShard(errand, request.packet_id());
  if (!shard) return;
  using How = model::MendPacket::How;
  SubmitDone(std::move(errand), *shard,
             model::MendPacket{PacketId(request.packet_id()),
                               request.give_back() ? How::kReturn : How::kRetry});
}

base::Result<model::Item> Service::Missing(PacketId packet, model::UserId user, int64_t fen,
                                           const std::optional<model::RequestId>& request) const {
  const money::Reader& reader = services().money.reader;
  if (request) {
    auto send = reader.FindSend(user, *request);
    if (!send) {
      return base::Error(base::Code::kFailedPrecondition,
                         "this request is no funded send of the user (" + send.error().text +
                             "): leave it out if the right one is not known");
    }
    if (send->packet != packet) {
      return base::Error(base::Code::kFailedPrecondition,
                         "this request of the user made another packet: look at the id again");
    }
  }
  // What the wallet has of this packet already.
  bool sent = false, received = false, came_back = false;
  model::PacketKind kind = model::PacketKind::kNone;
  for (int64_t before = 0;;) {
    auto page = reader.Statement(user, before, money::Reader::kMaxPage);
    if (!page) return std::move(page).error();
    for (const model::StatementRow& row : page->rows) {
      if (row.packet != packet) continue;
      received = received || row.kind == model::StatementKind::kReceived;
      came_back = came_back || row.kind == model::StatementKind::kRefund;
      if (row.kind == model::StatementKind::kSent && row.amount_fen == -fen) {
        sent = true;
        kind = row.packet_kind;
      }
    }
    if (page->next_before == 0) break;
    before = page->next_before;
  }
  auto found = reader.Find(packet);
  const bool none =
      !found && found.error().reason == static_cast<uint16_t>(model::Reason::kNoSuchPacket);
  if (!found && !none) return std::move(found).error();
  if (none && sent && !came_back) {
    return model::Item(model::RefundItem{packet,
                                         user,
                                         request.value_or(model::RequestId()),
                                         {},
                                         kind,
                                         fen,
                                         model::ReturnReason::kRule,
                                         false});
  }
  if (found) {
    const model::PacketTerms& terms = found->header.terms;
    const auto shard = services().money.routes.ShardOf(packet);
    auto claim = money_store_.packets().FindClaim(*shard, packet, user);
    if (!claim) return std::move(claim).error();
    if (!received && claim->has_value() && (*claim)->amount_fen == fen) {
      return model::Item(
          model::CreditItem{packet, user, fen, terms.kind, terms.sender, (*claim)->time_ms});
    }
    if (!came_back && terms.sender == user && found->status.refund_fen == fen) {
      const bool transfer = terms.kind == model::PacketKind::kTransfer;
      const auto reason =
          found->status.state == model::PacketState::kExpired   ? model::ReturnReason::kExpired
          : found->status.state == model::PacketState::kRefused ? model::ReturnReason::kRefused
          : transfer                                            ? model::ReturnReason::kReturned
                                                                : model::ReturnReason::kByAdmin;
      return model::Item(model::RefundItem{packet, user, terms.request_id, terms.conversation,
                                           terms.kind, fen, reason, true});
    }
  }
  return base::Error(base::Code::kFailedPrecondition,
                     "this packet owes this user no such amount: `hongyan-admin money audit` says "
                     "whose share, refund or funds are missing");
}

bool Service::Drained() const {
  for (shard::Executor* executor : executors_) {
    for (const shard::ChannelReport& channel : executor->report().channels) {
      if (model::IsMoneyShard(channel.source) && channel.backlog_items > 0) return false;
    }
  }
  return true;
}

void Service::Audit(ErrandPtr errand, const v1::Audit& request) {
  ReadLong(std::move(errand),
           [this, wait = request.wait_drained()]() -> base::Result<v1::AdminReply> {
             const auto end = std::chrono::steady_clock::now() + drain_patience_;
             const auto waits = [this, wait, end] {
               return wait && !ending_ && std::chrono::steady_clock::now() < end;
             };
             money::AuditReport report;
             do {
               while (waits() && !Drained()) std::this_thread::sleep_for(kDrainPause);
               report = money::Audit(money_store_, {{}, [this] { return ending_.load(); }});
             } while (waits() && report.in_transit_fen != 0);
             // Who asks for an empty transit is not told that all is proven while it is not empty.
             if (wait && report.in_transit_fen != 0) {
               report.unread.push_back("the channels: money is still on its way between shards");
               if (report.verdict == Verdict::kProven) report.verdict = Verdict::kNotProven;
             }
             if (ending_ && report.verdict != Verdict::kProven) {
               report.unread.push_back(GoingDown().text);
             }
             v1::AdminReply reply;
             Fill(report, reply.mutable_audit());
             return reply;
           });
}

}  // namespace hongyan::admin
