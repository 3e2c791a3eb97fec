#include "packet_books.h"

namespace hongyan::bench {

void PacketBooks::Fail(uint32_t person, const std::string& what) {
  tally_.Fail(people_[person].account->name + ": " + what);
}

uint32_t PacketBooks::AddPerson(const Account& account) {
  people_.push_back({&account, 0, 0});
  return static_cast<uint32_t>(people_.size() - 1);
}

void PacketBooks::Deposited(uint32_t person, int64_t fen) {
  people_[person].deposited_fen += fen;
  people_[person].known_fen += fen;
}

// ---- sends ----

uint32_t PacketBooks::Ask(Send send) {
  const auto number = static_cast<uint32_t>(sends_.size());
  people_[send.person].known_fen -= send.total_fen;
  by_request_[send.request_id] = number;
  sends_.push_back(std::move(send));
  return number;
}

void PacketBooks::Taken(uint32_t number, int64_t packet_id) {
  Send& send = sends_[number];
  send.told = Send::Told::kTaken;
  if (packet_id <= 0) return Fail(send.person, "a send was taken as packet 0");
  if (send.packet_id != 0 && send.packet_id != packet_id) {
    return Fail(send.person, "one send became two packets, " + std::to_string(send.packet_id) +
                                 " and " + std::to_string(packet_id));
  }
  send.packet_id = packet_id;
  (void)PacketOf(packet_id);
}

void PacketBooks::Refused(uint32_t number) {
  Send& send = sends_[number];
  send.told = Send::Told::kRefused;
  people_[send.person].known_fen += send.total_fen;
  if (send.packet_id != 0) Fail(send.person, "a send that became a packet was refused");
}

PacketBooks::Send* PacketBooks::SendOf(uint32_t person, const std::string& request_id) {
  const auto it = by_request_.find(request_id);
  if (it != by_request_.end() && sends_[it->second].person == person) return &sends_[it->second];
  Fail(person, "an entry names a send that this user never made");
  return nullptr;
}

void PacketBooks::Announced(uint32_t person, const std::string& request_id, int64_t packet_id) {
  Send* const send = SendOf(person, request_id);
  if (send == nullptr) return;
  if (send->announced) {
    return Fail(person, "the message of packet " + std::to_string(packet_id) + " came twice");
  }
  send->announced = true;
  if (send->packet_id != 0 && send->packet_id != packet_id) {
    return Fail(person, "one send became two packets, " + std::to_string(send->packet_id) +
                            " and " + std::to_string(packet_id));
  }
  send->packet_id = packet_id;
}

void PacketBooks::Returned(uint32_t person, const v1::Entry& entry) {
  const v1::PacketReturned& back = entry.packet_returned();
  Send* const send = SendOf(person, back.request_id());
  if (send == nullptr) return;
  ++send->returns;
  send->returned_fen += back.amount_fen();
  send->why = back.reason();
  people_[person].known_fen += back.amount_fen();
  if (send->packet_id == 0) send->packet_id = back.packet_id();
  if (send->packet_id != back.packet_id() || send->returns > 1) {
    Fail(person, "the money of packet " + std::to_string(send->packet_id) + " came back " +
                     std::to_string(send->returns) + " times, last as packet " +
                     std::to_string(back.packet_id()));
  }
}

// ---- packets ----

uint32_t PacketBooks::PacketOf(int64_t id) {
  const auto [it, added] = by_id_.try_emplace(id, static_cast<uint32_t>(packets_.size()));
  if (added) {
    packets_.emplace_back();
    packets_.back().id = id;
  }
  return it->second;
}

const PacketBooks::Packet* PacketBooks::Find(int64_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &packets_[it->second];
}

void PacketBooks::ClaimedOnce(uint32_t number, uint32_t person, const v1::OpenPacketReply& reply) {
  packets_[number].claims.push_back(
      {person, reply.ordinal(), reply.amount_fen(), reply.time_ms(), reply.already()});
}

bool PacketBooks::Claimed(uint32_t number, uint32_t person, const v1::OpenPacketReply& reply) {
  const Packet& packet = packets_[number];
  const std::string what = " of packet " + std::to_string(packet.id);
  bool first = true;
  for (const Claim& claim : packet.claims) {
    if (claim.person != person) {
      if (claim.ordinal == reply.ordinal()) {
        Fail(person, "share " + std::to_string(claim.ordinal) + what + " was given out twice");
      }
      continue;
    }
    first = false;
    if (claim.amount_fen != reply.amount_fen() || claim.ordinal != reply.ordinal() ||
        claim.time_ms != reply.time_ms()) {
      Fail(person, "was told two different shares" + what);
    }
    if (!claim.already && !reply.already()) Fail(person, "was given a second share" + what);
  }
  if (first) people_[person].known_fen += reply.amount_fen();
  ClaimedOnce(number, person, reply);
  return first;
}

void PacketBooks::Closed(uint32_t number, v1::PacketState state) {
  Packet& packet = packets_[number];
  if (packet.closed != v1::PACKET_STATE_NONE && packet.closed != state) {
    tally_.Fail("packet " + std::to_string(packet.id) + " was told to be " +
                v1::PacketState_Name(packet.closed) + " and then " + v1::PacketState_Name(state));
  }
  packet.closed = state;
}

}  // namespace hongyan::bench
