#include <utility>

#include "client-sdk/src/call_for.h"
#include "client-sdk/src/codec.h"
#include "hongyan/client.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/money.pb.h"

// The part of the client that is about money. Requests are built once and repeated with the same
// bytes, so a send keeps its request id through every retry.

namespace hongyan {

using sdk::CallFor;
using sdk::Promise;

namespace {

template <class Message>
sdk::Calls::Build Bytes(const Message& message) {
  return [bytes = message.SerializeAsString()] { return bytes; };
}

PacketClaim Read(const v1::PacketClaim& claim) {
  return {
      {claim.user_id()}, claim.ordinal(), claim.amount_fen(), claim.time_ms(), claim.best_luck()};
}

Packet Read(const v1::PacketDetailReply& reply) {
  Packet packet;
  packet.id = {reply.packet_id()};
  packet.kind = static_cast<PacketKind>(reply.kind());
  packet.state = static_cast<PacketState>(reply.state());
  packet.conversation = sdk::FromWire(reply.conversation());
  packet.sender = {reply.sender()};
  packet.named = {reply.named()};
  packet.greeting = reply.greeting();
  packet.shares = reply.shares();
  packet.taken = reply.taken();
  packet.created_ms = reply.created_ms();
  packet.expires_ms = reply.expires_ms();
  packet.closed_ms = reply.closed_ms();
  packet.total_fen = reply.total_fen();
  packet.taken_fen = reply.taken_fen();
  packet.refund_fen = reply.refund_fen();
  packet.mine_fen = reply.mine().amount_fen();
  for (const v1::PacketClaim& claim : reply.claims()) packet.claims.push_back(Read(claim));
  packet.more = reply.more();
  return packet;
}

StatementRow Read(const v1::StatementRow& row) {
  return {row.account_seq(),
          static_cast<StatementKind>(row.kind()),
          row.amount_fen(),
          row.balance_fen(),
          row.time_ms(),
          {row.packet_id()},
          static_cast<PacketKind>(row.packet_kind()),
          {row.peer()},
          static_cast<ReturnReason>(row.reason()),
          row.note()};
}

}  // namespace

std::string Client::NewRequestId() {
  return runtime_->Run([this] { return core_->NewRequestId(); });
}

void Client::SendPacket(const PacketOrder& order, Callback<PacketSent> done, int timeout_ms) {
  v1::SendPacket request;
  request.set_kind(static_cast<v1::PacketKind>(order.kind));
  *request.mutable_conversation() = sdk::ToWire(order.conversation);
  request.set_amount_fen(order.amount_fen);
  request.set_shares(order.shares);
  request.set_named(order.named.value);
  request.set_greeting(order.greeting);
  request.set_request_id(order.request_id);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    // Drawn when the server's clock is known; the answer names it.
    const auto id = std::make_shared<std::string>(request.request_id());
    CallFor<v1::SendPacketReply, PacketSent>(
        core, v1::SEND_PACKET, "send packet",
        [core, request, id]() mutable {
          if (id->empty()) *id = core->NewRequestId();
          request.set_request_id(*id);
          return request.SerializeAsString();
        },
        timeout_ms,
        [id, done](Result<PacketSent> sent) {
          if (sent.ok()) return done(std::move(sent));
          Error error = std::move(sent).error();
          error.request_id = *id;
          done(std::move(error));
        },
        [id](const v1::SendPacketReply& reply) {
          return PacketSent{{reply.packet_id()}, *id};
        });
  });
}

void Client::GetSend(const std::string& request_id, Callback<SendState> done, int timeout_ms) {
  v1::GetSend request;
  request.set_request_id(request_id);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::GetSendReply, SendState>(
        core, v1::GET_SEND, "get send", Bytes(request), timeout_ms, done,
        [](const v1::GetSendReply& reply) {
          return SendState{static_cast<SendState::What>(reply.state()), {reply.packet_id()}};
        });
  });
}

void Client::GrabPacket(PacketId packet, Callback<Grabbed> done, int timeout_ms) {
  v1::GrabPacket request;
  request.set_packet_id(packet.value);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::GrabPacketReply, Grabbed>(
        core, v1::GRAB_PACKET, "grab packet", Bytes(request), timeout_ms, done,
        [](const v1::GrabPacketReply& reply) { return Grabbed{reply.amount_fen()}; });
  });
}

void Client::OpenPacket(PacketId packet, Callback<Opened> done, int timeout_ms) {
  v1::OpenPacket request;
  request.set_packet_id(packet.value);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::OpenPacketReply, Opened>(
        core, v1::OPEN_PACKET, "open packet", Bytes(request), timeout_ms, done,
        [](const v1::OpenPacketReply& reply) {
          return Opened{reply.amount_fen(), reply.ordinal(), reply.time_ms(), reply.already()};
        });
  });
}

void Client::ReturnTransfer(PacketId packet, Callback<Done> done, int timeout_ms) {
  v1::ReturnTransfer request;
  request.set_packet_id(packet.value);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::ReturnTransferReply, Done>(core, v1::RETURN_TRANSFER, "return transfer",
                                           Bytes(request), timeout_ms, done,
                                           [](const v1::ReturnTransferReply&) { return Done{}; });
  });
}

void Client::GetPacket(PacketId packet, int32_t after, uint32_t limit, Callback<Packet> done,
                       int timeout_ms) {
  v1::PacketDetail request;
  request.set_packet_id(packet.value);
  request.set_after(after);
  request.set_limit(limit);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::PacketDetailReply, Packet>(
        core, v1::PACKET_DETAIL, "packet detail", Bytes(request), timeout_ms, done,
        [](const v1::PacketDetailReply& reply) { return Read(reply); });
  });
}

void Client::GetWallet(Callback<Wallet> done, int timeout_ms) {
  runtime_->Post([core = core_.get(), done = std::move(done), timeout_ms] {
    CallFor<v1::GetWalletReply, Wallet>(
        core, v1::GET_WALLET, "wallet", Bytes(v1::GetWallet()), timeout_ms, done,
        [](const v1::GetWalletReply& reply) {
          return Wallet{reply.balance_fen(), reply.frozen(), reply.account_seq()};
        });
  });
}

void Client::ListStatement(int64_t before, uint32_t limit, Callback<Page<StatementRow>> done,
                           int timeout_ms) {
  v1::ListStatement request;
  request.set_before(before);
  request.set_limit(limit);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::ListStatementReply, Page<StatementRow>>(
        core, v1::LIST_STATEMENT, "statement", Bytes(request), timeout_ms, done,
        [](const v1::ListStatementReply& reply) {
          Page<StatementRow> page;
          for (const v1::StatementRow& row : reply.rows()) page.items.push_back(Read(row));
          page.more = reply.more();
          return page;
        });
  });
}

void Client::GetPacketHistory(Which which, int32_t year, int64_t before,
                              Callback<PacketHistory> done, int timeout_ms) {
  v1::PacketHistory request;
  request.set_which(static_cast<v1::PacketHistory::Which>(which));
  request.set_year(year);
  request.set_before(before);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::PacketHistoryReply, PacketHistory>(
        core, v1::PACKET_HISTORY, "packet history", Bytes(request), timeout_ms, done,
        [](const v1::PacketHistoryReply& reply) {
          PacketHistory history;
          history.year = reply.year();
          history.sent_count = reply.total().sent_count();
          history.sent_fen = reply.total().sent_fen();
          history.returned_fen = reply.total().returned_fen();
          history.received_count = reply.total().received_count();
          history.received_fen = reply.total().received_fen();
          for (const v1::StatementRow& row : reply.rows()) history.rows.push_back(Read(row));
          history.more = reply.more();
          history.before = reply.before();
          return history;
        });
  });
}

// ---- the same with futures ----

std::future<Result<PacketSent>> Client::SendPacket(const PacketOrder& order, int timeout_ms) {
  auto [done, future] = Promise<PacketSent>();
  SendPacket(order, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<SendState>> Client::GetSend(const std::string& request_id, int timeout_ms) {
  auto [done, future] = Promise<SendState>();
  GetSend(request_id, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Grabbed>> Client::GrabPacket(PacketId packet, int timeout_ms) {
  auto [done, future] = Promise<Grabbed>();
  GrabPacket(packet, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Opened>> Client::OpenPacket(PacketId packet, int timeout_ms) {
  auto [done, future] = Promise<Opened>();
  OpenPacket(packet, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Done>> Client::ReturnTransfer(PacketId packet, int timeout_ms) {
  auto [done, future] = Promise<Done>();
  ReturnTransfer(packet, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Packet>> Client::GetPacket(PacketId packet, int32_t after, uint32_t limit,
                                              int timeout_ms) {
  auto [done, future] = Promise<Packet>();
  GetPacket(packet, after, limit, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Wallet>> Client::GetWallet(int timeout_ms) {
  auto [done, future] = Promise<Wallet>();
  GetWallet(std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Page<StatementRow>>> Client::ListStatement(int64_t before, uint32_t limit,
                                                              int timeout_ms) {
  auto [done, future] = Promise<Page<StatementRow>>();
  ListStatement(before, limit, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<PacketHistory>> Client::GetPacketHistory(Which which, int32_t year,
                                                            int64_t before, int timeout_ms) {
  auto [done, future] = Promise<PacketHistory>();
  GetPacketHistory(which, year, before, std::move(done), timeout_ms);
  return std::move(future);
}

}  // namespace hongyan
