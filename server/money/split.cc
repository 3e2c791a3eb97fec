#include "money/split.h"

#include <sodium.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "money/wide.h"

namespace hongyan::money {
namespace {

constexpr std::string_view kPurpose = "hongyan/split/1";

// 0 .. m-1; as even as 64 bits can be.
int64_t Below(uint64_t u, int64_t m) {
  return static_cast<int64_t>((static_cast<UnsignedWide>(u) * static_cast<uint64_t>(m)) >> 64);
}

}  // namespace

// Why it never needs a clamp: with S = R - n to give beyond one fen each, D = n*C - R to spare
// below the cap, S + D = n*(C - 1), so 2*min(S, D)/n <= C - 1, and rounded up it still is. Drawn
// from the side that is nearer, 1 + y or C - y with y in 0..m stays in 1..C, and leaves the others
// a total they can have.
int64_t DrawShareFrom(int64_t left_fen, int32_t left, int64_t cap_fen, uint64_t u0, uint64_t u1) {
  CHECK(left >= 1 && left <= left_fen && Wide{left_fen} <= Wide{left} * cap_fen);
  if (left == 1) return left_fen;
  const Wide surplus = Wide{left_fen} - left;
  const Wide room = Wide{left} * cap_fen - left_fen;
  const Wide twice = 2 * std::min(surplus, room);
  // E[m] is exactly twice / n: rounded up as often as the remainder asks for.
  const bool up = Below(u0, left) < static_cast<int64_t>(twice % left);
  const int64_t most = static_cast<int64_t>(twice / left) + (up ? 1 : 0);
  const int64_t y = Below(u1, most + 1);
  return surplus <= room ? 1 + y : cap_fen - y;
}

int64_t DrawShare(int64_t left_fen, int32_t left, int64_t cap_fen, model::PacketId packet,
                  int32_t ordinal, const SplitSecret& secret) {
  std::string message(kPurpose);
  base::AppendBe64(message, static_cast<uint64_t>(packet.value));
  base::AppendBe32(message, static_cast<uint32_t>(ordinal));
  // Not crypto_auth, which is HMAC-SHA-512-256: the rule says SHA-256.
  static_assert(crypto_auth_hmacsha256_KEYBYTES == std::tuple_size_v<SplitSecret>);
  unsigned char mac[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256(mac, reinterpret_cast<const unsigned char*>(message.data()),
                         message.size(), secret.data());
  return DrawShareFrom(left_fen, left, cap_fen, base::ReadBe64(mac), base::ReadBe64(mac + 8));
}

}  // namespace hongyan::money
