#pragma once

#include "proto/frame.h"

namespace hongyan::access {

class Session;

// Handlers: the user's own wallet, read beside the writer.
void GetWallet(Session& session, const proto::Frame& frame);
void ListStatement(Session& session, const proto::Frame& frame);
void PacketHistory(Session& session, const proto::Frame& frame);

}  // namespace hongyan::access
