#pragma once

#include <cstdint>

#include "model/command.h"
#include "proto/frame.h"

namespace hongyan::access {

class Session;

// Handlers: red packets and transfers. Who asks is the session's user and nobody else; the packet's
// conversation comes from the packet. Whether the user belongs there is asked before the command is
// queued, and the answer travels in it.
void SendPacket(Session& session, const proto::Frame& frame);
void PacketSent(Session& session, uint16_t command, uint32_t request_id, model::Reply reply);
void GetSend(Session& session, const proto::Frame& frame);
void GrabPacket(Session& session, const proto::Frame& frame);
void OpenPacket(Session& session, const proto::Frame& frame);
void PacketOpened(Session& session, uint16_t command, uint32_t request_id, model::Reply reply);
void ReturnTransfer(Session& session, const proto::Frame& frame);
void TransferReturned(Session& session, uint16_t command, uint32_t request_id, model::Reply reply);
void PacketDetail(Session& session, const proto::Frame& frame);

}  // namespace hongyan::access
