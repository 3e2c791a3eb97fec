#include "false_bank.h"

#include <algorithm>
#include <chrono>

namespace hongyan::bench {
namespace {

// Packets before the lie, so that it stands in the middle of something.
constexpr size_t kTruthful = 12;

// Shares that the people of a test cannot take all, so that a packet told to be gone never is.
constexpr int32_t kMoreThanAll = 12;

int64_t WallMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

v1::Reason ReasonOf(v1::PacketState state) {
  switch (state) {
    case v1::PACKET_STATE_EXPIRED:
      return v1::PACKET_EXPIRED;
    case v1::PACKET_STATE_RETURNED:
      return v1::PACKET_RETURNED;
    default:
      return v1::PACKET_DONE;
  }
}

}  // namespace

bool FalseBank::LieNow(Lie lie) {
  if (lie != lie_ || lied_ || packets_.size() < kTruthful) return false;
  lied_ = true;
  return true;
}

void FalseBank::Post(int64_t user, v1::StatementKind kind, int64_t fen, int64_t packet) {
  Wallet& wallet = wallets_[user];
  wallet.balance_fen += fen;
  v1::StatementRow row;
  row.set_account_seq(static_cast<int64_t>(wallet.rows.size()) + 1);
  row.set_kind(kind);
  row.set_amount_fen(fen);
  row.set_balance_fen(wallet.balance_fen);
  row.set_packet_id(packet);
  wallet.rows.push_back(row);
}

// ---- sending ----

v1::Reason FalseBank::Send(int64_t user, const v1::SendPacket& send, v1::SendPacketReply* reply) {
  const auto known = sends_.find(send.request_id());
  if (known != sends_.end() && !LieNow(Lie::kTwoPackets)) {
    reply->set_packet_id(known->second);
    return v1::REASON_NONE;
  }
  if (!house_.is_member(send.conversation(), user)) return v1::NOT_A_MEMBER;
  if (send.kind() == v1::PACKET_EXCLUSIVE && !house_.is_member(send.conversation(), send.named())) {
    return v1::NAMED_PERSON_INVALID;
  }
  Packet packet;
  packet.terms = send;
  packet.sender = user;
  packet.total_fen =
      send.kind() == v1::PACKET_EQUAL ? send.amount_fen() * send.shares() : send.amount_fen();
  packet.left_fen = packet.total_fen;
  packet.created_ms = WallMs();
  const Wallet& wallet = wallets_[user];
  const bool poor = !wallet.rows.empty() && wallet.rows.front().kind() != v1::STATEMENT_DEPOSIT;
  if (wallet.balance_fen < packet.total_fen) return v1::NO_FUNDS;
  if (poor && LieNow(Lie::kHoldsBack)) held_back_ = send.request_id();
  if (held_back_ == send.request_id()) return v1::NO_FUNDS;
  const int64_t id = ++last_id_;
  sends_[send.request_id()] = id;
  Post(user, v1::STATEMENT_SENT, -packet.total_fen, id);
  reply->set_packet_id(id);
  if (LieNow(Lie::kLosesASend)) return v1::REASON_NONE;
  packets_[id] = packet;
  const int times = LieNow(Lie::kTwoMessages) ? 2 : 1;
  for (int i = 0; i < times; ++i) Announce(id, packet);
  return v1::REASON_NONE;
}

void FalseBank::Announce(int64_t id, const Packet& packet) {
  v1::Body body;
  v1::BodyKind kind = v1::BODY_RED_PACKET;
  if (packet.terms.kind() == v1::PACKET_TRANSFER) {
    kind = v1::BODY_TRANSFER;
    body.mutable_transfer()->set_packet_id(id);
    body.mutable_transfer()->set_to(packet.terms.named());
    body.mutable_transfer()->set_amount_fen(packet.total_fen);
    body.mutable_transfer()->set_expires_ms(packet.created_ms + life_ms_);
  } else {
    body.mutable_red_packet()->set_packet_id(id);
    body.mutable_red_packet()->set_kind(packet.terms.kind());
    body.mutable_red_packet()->set_shares(packet.terms.shares());
    body.mutable_red_packet()->set_named(packet.terms.named());
    body.mutable_red_packet()->set_expires_ms(packet.created_ms + life_ms_);
  }
  house_.post(packet.terms.conversation(), packet.sender, kind, body, packet.terms.request_id());
}

// ---- taking ----

const v1::PacketClaim* FalseBank::OwnClaim(const Packet& packet, int64_t user) const {
  for (const v1::PacketClaim& claim : packet.claims) {
    if (claim.user_id() == user) return &claim;
  }
  return nullptr;
}

v1::Reason FalseBank::Judge(const Packet& packet, int64_t user) {
  if (packet.state != v1::PACKET_STATE_OPEN) return ReasonOf(packet.state);
  if (packet.created_ms + life_ms_ <= WallMs()) return v1::PACKET_EXPIRED;
  if (!house_.is_member(packet.terms.conversation(), user)) {
    if (lie_ != Lie::kGivesStrangers) return v1::NOT_ELIGIBLE;
    lied_ = true;  // again and again: who has only just asked to leave cannot tell
  }
  if (packet.terms.named() != 0 && packet.terms.named() != user &&
      (user == packet.sender || !LieNow(Lie::kGivesTheWrong))) {
    return v1::NOT_THE_NAMED_PERSON;
  }
  if (user == packet.sender && packet.terms.conversation().a() != 0) return v1::OWN_PACKET;
  return v1::REASON_NONE;
}

v1::Reason FalseBank::Grab(int64_t user, const v1::GrabPacket& grab, v1::GrabPacketReply* reply) {
  const auto it = packets_.find(grab.packet_id());
  if (it == packets_.end()) return v1::NO_SUCH_PACKET;
  if (const v1::PacketClaim* own = OwnClaim(it->second, user)) {
    reply->set_amount_fen(own->amount_fen());
    return v1::REASON_NONE;
  }
  const int32_t left = it->second.terms.shares() - static_cast<int32_t>(it->second.claims.size());
  const auto asked = std::make_pair(user, grab.packet_id());
  if (left > kMoreThanAll && LieNow(Lie::kSaysGone)) gone_ = asked;
  if (gone_ == asked) return v1::PACKET_DONE;
  return Judge(it->second, user);
}

int64_t FalseBank::Draw(Packet& packet) {
  const auto n = packet.terms.shares() - static_cast<int64_t>(packet.claims.size());
  int64_t fen = packet.left_fen;
  if (packet.terms.kind() == v1::PACKET_EQUAL) fen = packet.total_fen / packet.terms.shares();
  if (packet.terms.kind() == v1::PACKET_LUCKY && n > 1) {
    fen = 1 + static_cast<int64_t>(random_() %
                                   static_cast<uint64_t>(2 * (packet.left_fen - n) / n + 1));
  }
  packet.left_fen -= fen;
  return fen;
}

v1::Reason FalseBank::Open(int64_t user, const v1::OpenPacket& open, v1::OpenPacketReply* reply) {
  const auto it = packets_.find(open.packet_id());
  if (it == packets_.end()) return v1::NO_SUCH_PACKET;
  Packet& packet = it->second;
  if (const v1::PacketClaim* own = OwnClaim(packet, user)) {
    const bool again = packet.state == v1::PACKET_STATE_OPEN && LieNow(Lie::kGivesTwice);
    if (!again) {
      const auto asked = std::make_pair(user, open.packet_id());
      if (LieNow(Lie::kChangesItsMind)) changed_ = asked;
      reply->set_amount_fen(own->amount_fen() + (changed_ == asked ? 1 : 0));
      reply->set_ordinal(own->ordinal());
      reply->set_time_ms(own->time_ms());
      reply->set_already(true);
      return v1::REASON_NONE;
    }
  } else if (const v1::Reason why = Judge(packet, user); why != v1::REASON_NONE) {
    return why;
  }
  v1::PacketClaim claim;
  claim.set_user_id(user);
  claim.set_ordinal(static_cast<int32_t>(packet.claims.size()) + 1);
  claim.set_amount_fen(Draw(packet) + (LieNow(Lie::kGivesTooMuch) ? 1 : 0));
  claim.set_time_ms(WallMs());
  reply->set_amount_fen(claim.amount_fen());
  reply->set_ordinal(claim.ordinal());
  reply->set_time_ms(claim.time_ms());
  // Of a transfer, so that nobody else is given the place.
  if (packet.terms.kind() == v1::PACKET_TRANSFER && LieNow(Lie::kForgetsAClaim)) {
    forgotten_ = open.packet_id();
  }
  if (forgotten_ == open.packet_id()) {
    packet.left_fen += claim.amount_fen();
    return v1::REASON_NONE;
  }
  packet.claims.push_back(claim);
  int times = LieNow(Lie::kPaysTwice) ? 2 : 1;
  if (LieNow(Lie::kPaysNobody)) times = 0;
  for (int i = 0; i < times; ++i) {
    Post(user, v1::STATEMENT_RECEIVED, claim.amount_fen(), open.packet_id());
  }
  if (claim.ordinal() == packet.terms.shares()) {
    packet.state = v1::PACKET_STATE_DONE;
    Notice(open.packet_id(), packet,
           packet.terms.kind() == v1::PACKET_TRANSFER ? v1::PacketNotice::ACCEPTED
                                                      : v1::PacketNotice::FINISHED);
  }
  return v1::REASON_NONE;
}

// ---- closing ----

v1::Reason FalseBank::Return(int64_t user, const v1::ReturnTransfer& back) {
  const auto it = packets_.find(back.packet_id());
  if (it == packets_.end()) return v1::NO_SUCH_PACKET;
  Packet& packet = it->second;
  if (packet.terms.named() != user) return v1::NOT_THE_NAMED_PERSON;
  if (packet.state == v1::PACKET_STATE_RETURNED) return v1::REASON_NONE;
  if (packet.state != v1::PACKET_STATE_OPEN) return ReasonOf(packet.state);
  Close(back.packet_id(), packet, v1::PACKET_STATE_RETURNED, v1::RETURN_BY_RECEIVER);
  return v1::REASON_NONE;
}

v1::Reason FalseBank::End(int64_t id) {
  const auto it = packets_.find(id);
  if (it == packets_.end()) return v1::NO_SUCH_PACKET;
  if (it->second.state != v1::PACKET_STATE_OPEN) return ReasonOf(it->second.state);
  Close(id, it->second, v1::PACKET_STATE_RETURNED, v1::RETURN_BY_ADMIN);
  return v1::REASON_NONE;
}

void FalseBank::Expire() {
  for (auto& [id, packet] : packets_) {
    if (packet.state != v1::PACKET_STATE_OPEN || packet.created_ms + life_ms_ > WallMs()) continue;
    Close(id, packet, v1::PACKET_STATE_EXPIRED, v1::RETURN_EXPIRED);
  }
}

void FalseBank::Close(int64_t id, Packet& packet, v1::PacketState state, v1::ReturnReason why) {
  packet.state = state;
  packet.refund_fen = packet.left_fen;
  packet.left_fen = 0;
  const int64_t fen = packet.refund_fen - (LieNow(Lie::kKeepsAFen) ? 1 : 0);
  if (!LieNow(Lie::kNeverReturns)) Post(packet.sender, v1::STATEMENT_REFUND, fen, id);
  v1::PacketReturned back;
  back.set_request_id(packet.terms.request_id());
  back.set_packet_id(id);
  back.set_amount_fen(fen);
  back.set_reason(why);
  if (!LieNow(Lie::kTellsNoReturn)) {
    house_.give_back(packet.sender, packet.terms.conversation(), back);
  }
  Notice(id, packet,
         why == v1::RETURN_BY_RECEIVER ? v1::PacketNotice::RETURNED : v1::PacketNotice::REFUNDED);
}

void FalseBank::Notice(int64_t id, const Packet& packet, v1::PacketNotice::What what) {
  v1::Body body;
  v1::PacketNotice& notice = *body.mutable_system()->mutable_packet_notice();
  notice.set_what(what);
  notice.set_packet_id(id);
  notice.set_sender(packet.sender);
  house_.post(packet.terms.conversation(), 0, v1::BODY_SYSTEM, body, {});
}

// ---- the administrator's view ----

void FalseBank::Deposit(int64_t user, int64_t fen, v1::MoveFundsReply::Result* result) {
  Post(user, v1::STATEMENT_DEPOSIT, fen, 0);
  result->set_amount_fen(fen);
}

void FalseBank::ShowWallet(int64_t user, int64_t before, int limit,
                           v1::ShowWalletReply* reply) const {
  const auto it = wallets_.find(user);
  if (it == wallets_.end()) return;
  const Wallet& wallet = it->second;
  reply->set_balance_fen(wallet.balance_fen);
  reply->set_account_seq(static_cast<int64_t>(wallet.rows.size()));
  int64_t n = before == 0 ? static_cast<int64_t>(wallet.rows.size()) : before - 1;
  for (; n > 0 && limit > 0; --n, --limit) {
    *reply->add_rows() = wallet.rows[static_cast<size_t>(n) - 1];
  }
  reply->set_more(n > 0);
}

v1::Reason FalseBank::ShowPacket(int64_t id, v1::ShowPacketReply* reply) const {
  const auto it = packets_.find(id);
  if (it == packets_.end()) return v1::NO_SUCH_PACKET;
  const Packet& packet = it->second;
  v1::PacketDetailReply& detail = *reply->mutable_packet();
  reply->set_left_fen(packet.left_fen);
  reply->set_request_id(packet.terms.request_id());
  detail.set_packet_id(id);
  detail.set_kind(packet.terms.kind());
  detail.set_state(packet.state);
  *detail.mutable_conversation() = packet.terms.conversation();
  detail.set_sender(packet.sender);
  detail.set_named(packet.terms.named());
  detail.set_shares(packet.terms.shares());
  detail.set_taken(static_cast<int32_t>(packet.claims.size()));
  detail.set_created_ms(packet.created_ms);
  detail.set_expires_ms(packet.created_ms + life_ms_);
  detail.set_total_fen(packet.total_fen);
  detail.set_refund_fen(packet.refund_fen);
  int64_t taken = 0;
  for (const v1::PacketClaim& claim : packet.claims) {
    taken += claim.amount_fen();
    *detail.add_claims() = claim;
  }
  detail.set_taken_fen(taken);
  return v1::REASON_NONE;
}

void FalseBank::Audit(v1::AuditReply* reply) {
  if (LieNow(Lie::kAuditFinds)) reply->set_verdict(1);
  if (LieNow(Lie::kAuditUnproven)) reply->set_verdict(2);
  auto* const figure = reply->add_figures();
  figure->set_name("world_fen");
  figure->set_value(-9'007'199'254'740'993);  // no double holds it
  if (reply->verdict() != 0) reply->add_findings("wallet_chain user=7: does not add up");
}

}  // namespace hongyan::bench
