#include "packet_supply.h"

#include <algorithm>

#include "hongyan/v1/command.pb.h"
#include "refusal.h"

namespace hongyan::bench {
namespace {

constexpr int kOnTheWay = 4;  // of each sender

}  // namespace

PacketSupply::PacketSupply(Stage& stage, PacketBooks& books, const std::vector<Account>& accounts,
                           size_t from, size_t to, uint32_t first_person)
    : stage_(stage), books_(books), first_person_(first_person) {
  stage_.Run([&] {
    senders_.reserve(to - from);
    for (size_t i = from; i < to; ++i) {
      Sender sender;
      sender.client =
          std::make_unique<LoadClient>(stage_.thread(), *this, accounts[i], std::string(),
                                       LoadClient::Pulls::kNo, static_cast<uint32_t>(i - from));
      sender.asker = std::make_unique<Asker>(stage_.thread(), *sender.client);
      senders_.push_back(std::move(sender));
    }
    for (Sender& sender : senders_) sender.client->GoOnline();
  });
}

PacketSupply::~PacketSupply() {
  stage_.Run([this] {
    for (Sender& sender : senders_) {
      sender.client->GoOffline();
      sender.asker.reset();
    }
    senders_.clear();
  });
}

std::vector<uint32_t> PacketSupply::Make(int64_t group, size_t count, int32_t shares,
                                         int64_t total_fen) {
  stage_.Run([&] {
    wanted_ = {{0, group}, count, shares, total_fen};
    asked_ = open_ = 0;
    packets_.clear();
    for (int k = 0; k < kOnTheWay; ++k) {
      for (uint32_t i = 0; i < senders_.size(); ++i) SendNext(i);
    }
  });
  const auto detail = [this] {
    return stage_.Run([this] { return std::to_string(open_) + " are"; });
  };
  const bool done = stage_.WaitUntil(
      std::to_string(count) + " packets are made and announced",
      [this] { return open_ == wanted_.count; }, detail);
  return done ? packets_ : std::vector<uint32_t>();
}

void PacketSupply::SendNext(uint32_t sender) {
  if (asked_ == wanted_.count) return;
  ++asked_;
  PacketBooks::Send send;
  send.person = first_person_ + sender;
  send.kind = v1::PACKET_LUCKY;
  send.conversation = wanted_.where;
  send.shares = wanted_.shares;
  send.total_fen = wanted_.total_fen;
  send.request_id.resize(16);
  stage_.thread().DrawId(send.request_id.data());
  v1::SendPacket wire;
  wire.set_request_id(send.request_id);
  wire.set_kind(send.kind);
  wire.mutable_conversation()->set_b(send.conversation.b);
  wire.set_amount_fen(send.total_fen);
  wire.set_shares(send.shares);
  const uint32_t number = books_.Ask(std::move(send));
  senders_[sender].asker->Ask(
      v1::SEND_PACKET, wire.SerializeAsString(), NowNs(),
      [this, sender, number](const Asker::Reply& reply) {
        v1::SendPacketReply sent;
        if (reply.refused != nullptr) {
          return stage_.tally().Fail("a send was refused, " + Describe(*reply.refused));
        }
        if (!reply.Read(sent)) return stage_.tally().Fail("a send's answer cannot be read");
        books_.Taken(number, sent.packet_id());
        packets_.push_back(books_.PacketOf(sent.packet_id()));
        AskFor(number);
        SendNext(sender);
      });
}

// Until its message is stored nobody can take from it.
void PacketSupply::AskFor(uint32_t number) {
  v1::GetSend wire;
  wire.set_request_id(books_.send(number).request_id);
  Asker& asker = *senders_[books_.send(number).person - first_person_].asker;
  asker.Ask(v1::GET_SEND, wire.SerializeAsString(), NowNs(),
            [this, number](const Asker::Reply& reply) {
              v1::GetSendReply said;
              if (reply.refused != nullptr) {
                return stage_.tally().Fail("a send is not known, " + Describe(*reply.refused));
              }
              if (!reply.Read(said) || said.packet_id() != books_.send(number).packet_id) {
                return stage_.tally().Fail("what became of a send is not what was told");
              }
              if (said.state() == v1::SEND_SENDING) return AskFor(number);
              if (said.state() == v1::SEND_SENT) return (void)++open_;
              stage_.tally().Fail("a packet came back while it was announced");
            });
}

}  // namespace hongyan::bench
