#include "client-sdk/src/address.h"

#include <algorithm>
#include <cctype>

namespace hongyan::sdk {

std::optional<Address> ParseAddress(const std::string& text) {
  constexpr const char kUnix[] = "unix:";
  if (text.rfind(kUnix, 0) == 0) {
    Address address{.host = {}, .port = {}, .path = text.substr(sizeof kUnix - 1)};
    if (address.path.empty()) return std::nullopt;
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  std::string host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return std::nullopt;  // a bare IPv6 address: where its port starts is a guess
  }
  const bool digits =
      std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c); });
  if (host.empty() || port.empty() || port.size() > 5 || !digits || std::stoi(port) > 65535) {
    return std::nullopt;
  }
  return Address{.host = host, .port = port, .path = {}};
}

}  // namespace hongyan::sdk
