#pragma once

#include "base/result.h"
#include "net/address.h"

namespace hongyan::net {

// Makes, binds and listens; answers the descriptor, non-blocking, and writes the bound address
// (with the real port) back. The error says what to do. Any thread.
base::Result<int> OpenListeningSocket(SocketAddress& address);

// Removes the file of a unix socket. Nothing for TCP.
void RemoveSocketFile(const SocketAddress& address);

}  // namespace hongyan::net
