#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"

namespace hongyan::account {

// What a device token says. Whether its number is still valid only the user's shard knows.
struct Token {
  model::UserId user;
  model::DeviceId device;
  int64_t number = 0;
  int64_t expires_ms = 0;
};

// Device tokens, big endian, signed with a key drawn with the store:
//
//    0         1        9         25        33           41        73
//   +---------+--------+---------+---------+------------+---------+
//   | version | user   | device  | number  | expires_ms | HMAC    |
//   |    1    |  i64   | 16 bytes|   i64   |    i64     | 32 bytes|
//   +---------+--------+---------+---------+------------+---------+
//
// HMAC-SHA-512/256 over the first 41 bytes. Immutable; any thread.
class Tokens {
 public:
  static constexpr size_t kBytes = 73;
  static constexpr int64_t kDefaultLifeMs = int64_t{90} * 24 * 3600 * 1000;

  explicit Tokens(const std::array<uint8_t, 32>& key, int64_t life_ms = kDefaultLifeMs)
      : key_(key), life_ms_(life_ms) {}

  // expires_ms is set here: now + life.
  std::string Issue(Token token, int64_t now_ms) const;

  // BAD_CREDENTIALS for anything we did not sign, TOKEN_EXPIRED. Takes the same time whatever is
  // wrong with the signature.
  base::Result<Token> Verify(std::string_view bytes, int64_t now_ms) const;

  // Past half of its life: the answer to a login carries a new one.
  bool WorthRenewing(const Token& token, int64_t now_ms) const {
    return token.expires_ms - now_ms < life_ms_ / 2;
  }

  int64_t life_ms() const { return life_ms_; }

 private:
  std::array<uint8_t, 32> key_;
  int64_t life_ms_;
};

}  // namespace hongyan::account
