#include "packet_proof.h"

#include <algorithm>

#include "hongyan/v1/error.pb.h"

namespace hongyan::bench {
namespace {

using Send = PacketBooks::Send;

constexpr uint32_t kRowsAPage = 200;

bool IsClosed(v1::PacketState state) {
  return state != v1::PACKET_STATE_CREATED && state != v1::PACKET_STATE_OPEN;
}

bool SaysClosed(const base::Error& error) {
  return error.reason >= v1::PACKET_DONE && error.reason <= v1::PACKET_REFUSED;
}

std::string Fen(int64_t fen) { return std::to_string(fen) + " fen"; }

}  // namespace

void PacketProof::Fail(int64_t packet, const std::string& what) {
  stage_.tally().Fail("packet " + std::to_string(packet) + ": " + what);
}

void PacketProof::Fail(const PacketBooks::Person& person, const std::string& what) {
  stage_.tally().Fail("wallet of " + person.account->name + ": " + what);
}

// ---- until everything is closed ----

// False: it cannot be said.
bool PacketProof::LookAt(uint32_t number, Rest rest, bool* closed) {
  const Send& send = books_.send(number);
  const auto shown = stage_.admin().Packet(send.packet_id);
  if (!shown.ok()) {
    if (shown.error().reason != v1::NO_SUCH_PACKET) {
      Fail(send.packet_id, "cannot be shown: " + shown.error().text);
      return false;
    }
    // On its way, or it went back: then its sender was told.
    *closed = send.returns > 0;
    return true;
  }
  refunds_[number] = shown->packet().refund_fen();
  *closed = IsClosed(shown->packet().state());
  if (*closed || rest == Rest::kExpires) return true;
  const auto ended = stage_.admin().EndPacket(send.packet_id);
  if (ended.ok() || SaysClosed(ended.error())) return true;
  Fail(send.packet_id, "cannot be ended: " + ended.error().text);
  return false;
}

bool PacketProof::CloseAll(Rest rest) {
  refunds_.assign(books_.sends().size(), 0);
  std::vector<uint32_t> open;
  for (uint32_t i = 0; i < books_.sends().size(); ++i) {
    if (books_.send(i).told == Send::Told::kTaken) open.push_back(i);
  }
  int64_t moved_ns = NowNs();
  const auto patience_ns = static_cast<int64_t>(stage_.options().deadline_s * 1e9);
  while (!open.empty()) {
    std::vector<uint32_t> still;
    for (const uint32_t n : open) {
      bool closed = false;
      if (!LookAt(n, rest, &closed)) return false;
      if (!closed) still.push_back(n);
    }
    if (still.size() < open.size()) moved_ns = NowNs();
    open = std::move(still);
    if (open.empty()) break;
    stage_.progress().Show("waiting until every packet is closed", -1,
                           std::to_string(open.size()) + " are not");
    if (NowNs() - moved_ns > patience_ns) {
      Fail(books_.send(open.front()).packet_id,
           "is not closed, nor are " + std::to_string(open.size() - 1) + " others");
      return false;
    }
    if (!stage_.Step(50) || stage_.tally().failed()) return false;
  }
  return true;
}

// ---- the proof ----

void PacketProof::Prove(Outcome& outcome) {
  for (uint32_t i = 0; i < books_.people().size(); ++i) {
    person_of_[books_.person(i).account->user_id] = i;
  }
  expected_.assign(books_.people().size(), {});
  stage_.progress().Show("auditing", -1);
  if (!Audit(outcome)) return;
  std::map<int64_t, int> sends_of;
  for (const Send& send : books_.sends()) {
    if (send.packet_id != 0 && ++sends_of[send.packet_id] > 1) {
      Fail(send.packet_id, "is the answer to two sends");
    }
    CheckSend(send);
  }
  for (const PacketBooks::Packet& packet : books_.packets()) {
    if (!sends_of.contains(packet.id)) Fail(packet.id, "nobody was told that it was sent");
  }
  int64_t deposited = 0;
  for (uint32_t i = 0; i < books_.people().size() && stage_.Step(0); ++i) {
    stage_.progress().Show("checking wallets",
                           static_cast<double>(i) / static_cast<double>(books_.people().size()));
    CheckWallet(i);
    deposited += books_.person(i).deposited_fen;
  }
  if (!stage_.tally().failed() && wallets_fen_ != deposited) {
    stage_.tally().Fail("the wallets hold " + Fen(wallets_fen_) + ", deposited were " +
                        Fen(deposited));
  }
  outcome.more["checked"] = {{"packets", packets_},
                             {"claims", claims_},
                             {"wallets", books_.people().size()},
                             {"statement_rows", rows_},
                             {"wallets_fen", std::to_string(wallets_fen_)}};
}

bool PacketProof::Audit(Outcome& outcome) {
  const auto audit = stage_.admin().Audit();
  if (!audit.ok()) {
    stage_.tally().Fail("audit: " + audit.error().text);
    return false;
  }
  outcome.more["audit"] = audit->verdict();
  nlohmann::ordered_json read = nlohmann::ordered_json::object();
  for (const auto& figure : audit->figures()) {
    // Amounts may pass what a JSON number holds exactly.
    if (figure.name().ends_with("_fen")) {
      read[figure.name()] = std::to_string(figure.value());
    } else {
      read[figure.name()] = figure.value();
    }
    if ((figure.name() == "in_transit_fen" || figure.name() == "items_in_flight") &&
        figure.value() != 0) {
      stage_.tally().Fail("after the drain there is still " + figure.name() + " " +
                          std::to_string(figure.value()));
    }
  }
  outcome.more["audit_read"] = read;
  if (audit->verdict() == 0) return true;
  stage_.tally().Fail("audit: exit code " + std::to_string(audit->verdict()) + ", " +
                      (audit->findings().empty() ? "no finding" : audit->findings(0)));
  return true;
}

// ---- packets ----

void PacketProof::CheckSend(const Send& send) {
  if (send.told == Send::Told::kNothing) {
    return stage_.tally().Fail("a send was never answered");
  }
  if (send.told == Send::Told::kRefused) return;
  expected_[send.person].push_back({send.packet_id, v1::STATEMENT_SENT, -send.total_fen});
  auto shown = stage_.admin().Packet(send.packet_id);
  if (!shown.ok()) return CheckMissing(send, shown.error());
  ++packets_;
  CheckShown(send, *shown);
}

// Money that never became a packet went back whole.
void PacketProof::CheckMissing(const Send& send, const base::Error& error) {
  if (error.reason != v1::NO_SUCH_PACKET) {
    return Fail(send.packet_id, "cannot be shown: " + error.text);
  }
  expected_[send.person].push_back({send.packet_id, v1::STATEMENT_REFUND, send.total_fen});
  CheckTellings(send, send.total_fen);
  const PacketBooks::Packet* const told = books_.Find(send.packet_id);
  if (send.announced) Fail(send.packet_id, "has a message and is not there");
  if (told != nullptr && !told->claims.empty()) {
    Fail(send.packet_id, "somebody was given a share of it and it is not there");
  }
}

void PacketProof::CheckShown(const Send& send, const v1::ShowPacketReply& shown) {
  const v1::PacketDetailReply& packet = shown.packet();
  const int64_t sender = books_.person(send.person).account->user_id;
  if (packet.kind() != send.kind || packet.sender() != sender ||
      packet.total_fen() != send.total_fen || packet.shares() != send.shares ||
      packet.conversation().a() != send.conversation.a ||
      packet.conversation().b() != send.conversation.b || packet.named() != send.named ||
      shown.request_id() != send.request_id) {
    Fail(send.packet_id, "is not what was sent: " + packet.ShortDebugString());
  }
  if (shown.quarantined()) Fail(send.packet_id, "is in quarantine");
  if (!IsClosed(packet.state())) {
    Fail(send.packet_id, "is not closed: " + v1::PacketState_Name(packet.state()));
  }
  CheckClaims(send, packet);
  CheckTold(send, packet);
  if (shown.left_fen() != 0) Fail(send.packet_id, "closed with " + Fen(shown.left_fen()));
  CheckTellings(send, packet.refund_fen());
  if (packet.refund_fen() != 0) {
    expected_[send.person].push_back({send.packet_id, v1::STATEMENT_REFUND, packet.refund_fen()});
  }
}

// What the sender's inbox said of money that came back.
void PacketProof::CheckTellings(const Send& send, int64_t refund_fen) {
  if (inboxes_ == Inboxes::kIgnored) return;
  if (send.returned_fen != refund_fen || send.returns != (refund_fen == 0 ? 0 : 1)) {
    Fail(send.packet_id, Fen(refund_fen) + " went back, and its sender was told " +
                             std::to_string(send.returns) + " times, of " + Fen(send.returned_fen));
  }
}

// The packet in itself: nothing given twice, nothing over or short.
void PacketProof::CheckClaims(const Send& send, const v1::PacketDetailReply& packet) {
  int64_t given = 0;
  int32_t ordinal = 0;
  std::map<int64_t, int> takers;
  for (const v1::PacketClaim& claim : packet.claims()) {
    ++claims_;
    given += claim.amount_fen();
    if (claim.ordinal() != ++ordinal) Fail(send.packet_id, "its shares are not numbered 1, 2, ...");
    if (claim.amount_fen() < 1) Fail(send.packet_id, "a share of " + Fen(claim.amount_fen()));
    if (send.kind == v1::PACKET_EQUAL && claim.amount_fen() * send.shares != send.total_fen) {
      Fail(send.packet_id, "a share of an equal packet is " + Fen(claim.amount_fen()));
    }
    if (++takers[claim.user_id()] > 1) {
      Fail(send.packet_id, "user " + std::to_string(claim.user_id()) + " took two shares");
    }
    if (send.named != 0 && claim.user_id() != send.named) {
      Fail(send.packet_id, "user " + std::to_string(claim.user_id()) + " is not the named person");
    }
    if (claim.time_ms() >= packet.expires_ms()) {
      Fail(send.packet_id, "a share was taken after its expiry");
    }
    const auto person = person_of_.find(claim.user_id());
    if (person == person_of_.end()) {
      Fail(send.packet_id, "a stranger took a share, user " + std::to_string(claim.user_id()));
    } else {
      expected_[person->second].push_back(
          {send.packet_id, v1::STATEMENT_RECEIVED, claim.amount_fen()});
    }
  }
  if (given + packet.refund_fen() != send.total_fen) {
    Fail(send.packet_id, Fen(send.total_fen) + " became " + Fen(given) + " of shares and " +
                             Fen(packet.refund_fen()) + " that went back");
  }
  if (packet.taken() != packet.claims_size() || packet.taken_fen() != given) {
    Fail(send.packet_id, "its counts are not those of its shares");
  }
  const bool all_taken = packet.claims_size() == send.shares;
  if (all_taken != (packet.state() == v1::PACKET_STATE_DONE)) {
    Fail(send.packet_id, std::to_string(packet.claims_size()) + " of " +
                             std::to_string(send.shares) + " shares are taken and it is " +
                             v1::PacketState_Name(packet.state()));
  }
}

// What a user was told instead of a share.
std::string PacketProof::Heard(const PacketBooks::Packet* told, int64_t user) const {
  std::string all;
  for (const auto& [person, why] : told == nullptr ? decltype(told->refusals)() : told->refusals) {
    if (books_.person(person).account->user_id == user) all += ", but " + v1::Reason_Name(why);
  }
  return all;
}

// The packet against what people were told.
void PacketProof::CheckTold(const Send& send, const v1::PacketDetailReply& packet) {
  const PacketBooks::Packet* const told = books_.Find(send.packet_id);
  std::map<int64_t, std::pair<const v1::PacketClaim*, bool>> claims;  // and: somebody knows
  for (const v1::PacketClaim& claim : packet.claims()) claims[claim.user_id()] = {&claim, false};
  for (const PacketBooks::Claim& claim :
       told == nullptr ? std::vector<PacketBooks::Claim>() : told->claims) {
    const PacketBooks::Person& person = books_.person(claim.person);
    const auto it = claims.find(person.account->user_id);
    if (it == claims.end()) {
      Fail(send.packet_id,
           person.account->name + " was given " + Fen(claim.amount_fen) + ", which it has lost");
      continue;
    }
    it->second.second = true;
    const v1::PacketClaim& has = *it->second.first;
    if (has.amount_fen() != claim.amount_fen || has.ordinal() != claim.ordinal ||
        has.time_ms() != claim.time_ms) {
      Fail(send.packet_id, person.account->name + " was told share " +
                               std::to_string(claim.ordinal) + ", " + Fen(claim.amount_fen) +
                               "; it has " + has.ShortDebugString());
    }
  }
  // Every open is asked until it is answered, so nobody can have a share without knowing.
  for (const auto& [user, claim] : claims) {
    if (!claim.second) {
      Fail(send.packet_id,
           "user " + std::to_string(user) + " has a share and was never told" + Heard(told, user));
    }
  }
  if (told == nullptr) return;
  if (told->closed != v1::PACKET_STATE_NONE && told->closed != packet.state()) {
    Fail(send.packet_id, "was told to be " + v1::PacketState_Name(told->closed) + " and is " +
                             v1::PacketState_Name(packet.state()));
  }
  if (told->return_done && packet.state() != v1::PACKET_STATE_RETURNED) {
    Fail(send.packet_id, "was given back and is " + v1::PacketState_Name(packet.state()));
  }
}

// ---- wallets ----

void PacketProof::CheckWallet(uint32_t number) {
  const PacketBooks::Person& person = books_.person(number);
  std::vector<Posting> rows;
  int64_t balance = 0;
  if (!ReadStatement(person, &rows, &balance)) return;
  wallets_fen_ += balance;
  rows_ += static_cast<int64_t>(rows.size());
  std::vector<Posting>& wanted = expected_[number];
  if (person.deposited_fen != 0) wanted.push_back({0, v1::STATEMENT_DEPOSIT, person.deposited_fen});
  std::sort(wanted.begin(), wanted.end());
  std::sort(rows.begin(), rows.end());
  if (rows == wanted) return;
  const auto name = [](const Posting& p) {
    return v1::StatementKind_Name(static_cast<v1::StatementKind>(p.kind)) + " " +
           Fen(p.amount_fen) + " of packet " + std::to_string(p.packet);
  };
  std::vector<Posting> lacking;
  std::vector<Posting> too_much;
  std::set_difference(wanted.begin(), wanted.end(), rows.begin(), rows.end(),
                      std::back_inserter(lacking));
  std::set_difference(rows.begin(), rows.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(too_much));
  for (const Posting& p : lacking) Fail(person, "lacks " + name(p));
  for (const Posting& p : too_much) Fail(person, "has, and should not, " + name(p));
}

// The rows must be a chain: numbered without a hole, each balance the one before and its amount.
bool PacketProof::ReadStatement(const PacketBooks::Person& person, std::vector<Posting>* rows,
                                int64_t* balance) {
  int64_t before = 0;
  int64_t newer_seq = 0;
  int64_t newer_before_fen = 0;  // the balance before the next newer row
  for (;;) {
    const auto page = stage_.admin().Wallet(person.account->name, before, kRowsAPage);
    if (!page.ok()) {
      Fail(person, "cannot be shown: " + page.error().text);
      return false;
    }
    if (before == 0) {
      *balance = newer_before_fen = page->balance_fen();
      newer_seq = page->account_seq() + 1;
      if (page->balance_fen() < 0) Fail(person, "holds " + Fen(page->balance_fen()));
    }
    for (const v1::StatementRow& row : page->rows()) {
      if (row.account_seq() != newer_seq - 1 || row.balance_fen() != newer_before_fen) {
        Fail(person, "row " + std::to_string(row.account_seq()) + " is no link of its chain");
        return false;
      }
      newer_seq = row.account_seq();
      newer_before_fen = row.balance_fen() - row.amount_fen();
      rows->push_back({row.packet_id(), row.kind(), row.amount_fen()});
    }
    before = newer_seq;
    if (!page->more() || page->rows().empty()) break;
  }
  if (newer_seq == 1 && newer_before_fen == 0) return true;
  Fail(person, "its statement does not begin with nothing");
  return false;
}

}  // namespace hongyan::bench
