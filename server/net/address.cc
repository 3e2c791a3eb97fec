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

base::Result<void> CheckUnixPath(const std::string& path) {
  if (path.empty()) return Wrong("unix: needs a path, as in unix:/run/hongyan/admin.sock");
  if (path.find('\0') != std::string::npos) return Wrong("a socket path has no NUL bytes");
  if (path.size() > kUnixPathMax) {
    return Wrong("the socket path " + path + " has " + std::to_string(path.size()) +
                 " bytes, the system allows " + std::to_string(kUnixPathMax) +
                 "; choose a shorter one");
  }
  return {};
}

base::Result<SocketAddress> ParseUnix(const std::string& path) {
  if (auto good = CheckUnixPath(path); !good.ok()) return good.error();
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

// An IPv6 address (perhaps with a scope), an IPv4 address, or what may be a name.
bool IsHost(const std::string& host, bool in_brackets) {
  in6_addr v6;
  if (in_brackets) return inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &v6) == 1;
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  if (host.empty() || host.find_first_not_of(kLetters) != std::string::npos) return false;
  in_addr v4;
  const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
  return !numeric || inet_aton(host.c_str(), &v4) == 1;
}

struct HostPort {
  std::string host;
  std::string port;
};

base::Result<HostPort> Split(const std::string& text) {
  // What is wrong may not be fit to be shown.
  const auto shown = [&text] {
    std::string out;
    for (const char c : text.substr(0, 100)) out += c >= ' ' && c <= '~' ? c : '?';
    return '"' + out + '"';
  };
  const size_t colon = text.rfind(':');
  HostPort parts;
  parts.port = colon == std::string::npos ? "" : text.substr(colon + 1);
  parts.host = colon == std::string::npos ? "" : text.substr(0, colon);
  const bool in_brackets = parts.host.starts_with('[') && parts.host.ends_with(']');
  if (in_brackets) {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  } else if (parts.host.find(':') != std::string::npos) {
    return Wrong("the address " + shown() +
                 " is ambiguous; write IPv6 in brackets, as in [::1]:7000");
  }
  if (!IsHost(parts.host, in_brackets) || !IsPort(parts.port)) {
    return Wrong("cannot read the address " + shown() +
                 "; write host:port with a port up to 65535, as in 127.0.0.1:7000 or [::]:7000, "
                 "or unix:/path");
  }
  return parts;
}

}  // namespace

base::Result<void> CheckAddress(const std::string& text) {
  if (text.starts_with("unix:")) return CheckUnixPath(text.substr(5));
  if (auto parts = Split(text); !parts.ok()) return parts.error();
  return {};
}

base::Result<SocketAddress> ParseAddress(const std::string& text) {
  if (text.starts_with("unix:")) return ParseUnix(text.substr(5));
  auto parts = Split(text);
  if (!parts.ok()) return parts.error();
  const auto& [host, port] = *parts;
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
