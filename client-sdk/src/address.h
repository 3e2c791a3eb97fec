#pragma once

#include <optional>
#include <string>

namespace hongyan::sdk {

// "host:port", "[v6]:port" or "unix:/path".
struct Address {
  std::string host;  // empty for a unix socket
  std::string port;
  std::string path;  // of a unix socket

  bool is_unix() const { return !path.empty(); }
};

// None if it has none of the three forms. Any thread.
std::optional<Address> ParseAddress(const std::string& text);

}  // namespace hongyan::sdk
