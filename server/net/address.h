#pragma once

#include <sys/socket.h>

#include <string>

#include "base/result.h"

namespace hongyan::net {

// Where to listen: "host:port" or "unix:/path" looked up, and the way back from the kernel's form
// to text.
struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;
  std::string unix_path;  // empty for TCP

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
};

// Whether it is written as an address at all, as ParseAddress takes it; whether the host exists,
// and may be listened on, is not asked. The error says what to do.
base::Result<void> CheckAddress(const std::string& text);

// May ask the resolver for a host name: call at start only. The error says what to do.
base::Result<SocketAddress> ParseAddress(const std::string& text);

// "127.0.0.1" or "::1", an IPv4 address inside IPv6 as IPv4; "unix" for a unix socket.
std::string HostText(const SocketAddress& address);

// As ParseAddress takes it: "127.0.0.1:7000", "[::1]:7000", "unix:/path".
std::string AddressText(const SocketAddress& address);

}  // namespace hongyan::net
