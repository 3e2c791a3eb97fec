#include "access/money_wire.h"

namespace hongyan::access {
namespace {

void Fill(const model::Claim& from, model::UserId best_luck, v1::PacketClaim* to) {
  to->set_user_id(from.user.value);
  to->set_ordinal(from.ordinal);
  to->set_amount_fen(from.amount_fen);
  to->set_time_ms(from.time_ms);
  to->set_best_luck(best_luck && from.user == best_luck);
}

}  // namespace

void Fill(const money::Reader::Detail& from, Show show, v1::PacketDetailReply* to) {
  const model::PacketHeader& header = from.packet.header;
  const model::PacketStatus& status = from.packet.status;
  const model::PacketTerms& terms = header.terms;
  to->set_packet_id(header.id.value);
  to->set_kind(static_cast<v1::PacketKind>(terms.kind));
  to->set_state(static_cast<v1::PacketState>(status.state));
  to->mutable_conversation()->set_a(terms.conversation.a);
  to->mutable_conversation()->set_b(terms.conversation.b);
  to->set_sender(terms.sender.value);
  to->set_named(terms.named.value);
  to->set_greeting(terms.greeting);
  to->set_shares(terms.shares);
  to->set_taken(terms.shares - status.left);
  to->set_created_ms(header.created_ms);
  to->set_expires_ms(header.expires_ms);
  to->set_closed_ms(status.closed_ms);
  if (show == Show::kAll || model::Closed(status.state)) {
    to->set_total_fen(terms.total_fen);
    to->set_taken_fen(terms.total_fen - status.left_fen - status.refund_fen);
  }
  if (show == Show::kAll) to->set_refund_fen(status.refund_fen);
  if (from.own) Fill(*from.own, from.best_luck, to->mutable_mine());
  for (const model::Claim& claim : from.claims) Fill(claim, from.best_luck, to->add_claims());
  to->set_more(from.more);
}

void Fill(const model::StatementRow& from, v1::StatementRow* to) {
  to->set_account_seq(from.account_seq);
  to->set_kind(static_cast<v1::StatementKind>(from.kind));
  to->set_amount_fen(from.amount_fen);
  to->set_balance_fen(from.balance_fen);
  to->set_time_ms(from.time_ms);
  to->set_packet_id(from.packet.value);
  to->set_packet_kind(static_cast<v1::PacketKind>(from.packet_kind));
  to->set_peer(from.peer.value);
  to->set_reason(static_cast<v1::ReturnReason>(from.reason));
  to->set_note(from.note);
}

void Fill(const model::YearTotal& from, v1::YearTotal* to) {
  to->set_sent_count(from.sent_count);
  to->set_sent_fen(from.sent_fen);
  to->set_returned_fen(from.returned_fen);
  to->set_received_count(from.received_count);
  to->set_received_fen(from.received_fen);
}

}  // namespace hongyan::access
