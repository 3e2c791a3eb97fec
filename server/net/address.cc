#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace hongyan::net {
namespace {

constexpr size_t kUnixPathMax = sizeof(sockaddr_un::sun_path) - 1;

base::Error Wrong(std::string text) { return {base::Code::kInvalidArgument, std::move(text)}; }

base::Result<SocketAddress> ParseUnix(const std::string& path) {
  if (path.empty()) return Wrong("unix: needs a path, as in unix:/run/hongyan/admin.sock");
  if (path.size() > kUnixPathMax) {
    return Wrong("the socket path " + path + " has " + std::to_string(path.size()) +
                 " bytes, the system allows " + std::to_string(kUnixPathMax) +
                 "; choose a shorter one");
  }
  SocketAddress address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  address.unix_path = path;
  return address;
}

bool IsPort(const std::string& text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit) &&
         std::stoi(text) <= 65535;
}

}  // namespace

base::Result<SocketAddress> ParseAddress(const std::string& text) {
  if (text.starts_with("unix:")) return ParseUnix(text.substr(5));
  const size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return Wrong("the address " + text + " is ambiguous; write IPv6 in brackets, as in [::1]:7000");
  }
  if (host.empty() || !IsPort(port)) {
    return Wrong("cannot read the address \"" + text +
                 "\"; write host:port, as in 127.0.0.1:7000 or [::]:7000, or unix:/path");
  }
  addrinfo hints = {};
  // A name with both kinds of addresses (localhost) means IPv4 here, whatever the resolver's order
  // is.
  hints.ai_family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* raw_found = nullptr;
  int failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &raw_found);
  if (failed != 0) {
    hints.ai_family = AF_UNSPEC;
    failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &raw_found);
  }
  if (failed != 0) {
    return Wrong("cannot find the host " + host + " of " + text + ": " + gai_strerror(failed) +
                 "; write an address of this machine, or 0.0.0.0 for all of them");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw_found, &freeaddrinfo);
  SocketAddress address;
  address.length = found->ai_addrlen;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  return address;
}

std::string HostText(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
    return text;
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
      inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, text, sizeof text);
    } else {
      inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
    }
    return text;
  }
  return "unix";
}

std::string AddressText(const SocketAddress& address) {
  if (!address.unix_path.empty()) return "unix:" + address.unix_path;
  if (address.storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return HostText(address) + ":" + std::to_string(ntohs(in->sin_port));
  }
  const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  return "[" + HostText(address) + "]:" + std::to_string(ntohs(in6->sin6_port));
}

}  // namespace hongyan::net
