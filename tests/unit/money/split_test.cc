#include "money/split.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

#include "money/wide.h"
#include "tests/doctest_last.h"

namespace hongyan::money {
namespace {

constexpr int kMaxShares = 7;
constexpr int kMaxCap = 8;

// Rational arithmetic without a gcd: every probability is a numerator over one denominator. A step
// with n left chooses j0 of n evenly, then one of m + 1 <= C <= 8 evenly, so n * 840 (840 =
// lcm(1..8)) is a denominator of it, and 7! * 840^6 of all of them. Numerators stay below it, means
// below 8 times it:
constexpr Wide Denominators() {
  Wide product = 1;
  for (int n = 2; n <= kMaxShares; ++n) product *= Wide{n} * 840;
  return product;
}
static_assert(Denominators() * kMaxCap * kMaxShares * kMaxCap < (Wide{1} << 120),
              "128 bits hold every sum of the exact tables");

// The least u with below(u, m) == j.
uint64_t Least(int64_t j, int64_t m) {
  const UnsignedWide scaled = static_cast<UnsignedWide>(j) << 64;
  return static_cast<uint64_t>((scaled + static_cast<UnsignedWide>(m) - 1) /
                               static_cast<UnsignedWide>(m));
}

// The largest one.
uint64_t Greatest(int64_t j, int64_t m) { return j + 1 == m ? UINT64_MAX : Least(j + 1, m) - 1; }

// Runs draw after draw through every outcome of its two numbers, weighed exactly.
void CheckExactly(int64_t total, int32_t shares, int64_t cap) {
  std::map<int64_t, Wide> left{{total, 1}};  // what is left -> weight
  Wide denominator = 1;
  for (int32_t n = shares; n >= 1; --n) {
    std::map<int64_t, Wide> after;
    Wide sum = 0;  // of share * weight
    const Wide step = n == 1 ? 1 : Wide{n} * 840;
    for (const auto& [rest, weight] : left) {
      const int64_t twice = 2 * std::min(rest - n, n * cap - rest);
      for (int64_t j0 = 0; j0 < n; ++j0) {
        const int64_t most = n == 1 ? 0 : twice / n + (j0 < twice % n ? 1 : 0);
        for (int64_t j1 = 0; j1 <= most; ++j1) {
          const int64_t share = DrawShareFrom(rest, n, cap, Least(j0, n), Least(j1, most + 1));
          REQUIRE(share == DrawShareFrom(rest, n, cap, Greatest(j0, n), Greatest(j1, most + 1)));
          REQUIRE(share >= 1);
          REQUIRE(share <= cap);
          const Wide w = n == 1 ? weight : weight * (840 / (most + 1));
          sum += w * share;
          after[rest - share] += w;
        }
      }
      if (n == 1) continue;
    }
    denominator *= step;
    // The mean of this position is total / shares, exactly.
    REQUIRE(sum * shares == denominator * total);
    left = std::move(after);
  }
  REQUIRE(left.size() == 1);
  REQUIRE(left.begin()->first == 0);  // the shares add up to the total, whatever was drawn
  REQUIRE(left.begin()->second == denominator);
}

std::vector<int64_t> Split(int64_t total, int32_t shares, int64_t cap, int64_t packet,
                           const SplitSecret& secret) {
  std::vector<int64_t> drawn;
  int64_t left = total;
  for (int32_t n = shares; n >= 1; --n) {
    drawn.push_back(DrawShare(left, n, cap, model::PacketId(packet), shares - n + 1, secret));
    left -= drawn.back();
  }
  REQUIRE(left == 0);
  return drawn;
}

SplitSecret Counting() {
  SplitSecret secret;
  std::iota(secret.begin(), secret.end(), uint8_t{0});
  return secret;
}

}  // namespace

TEST_CASE("exact tables: every position's mean is total/n, every share in 1..cap") {
  int tables = 0;
  for (int32_t n = 1; n <= kMaxShares; ++n) {
    for (int64_t cap = 1; cap <= kMaxCap; ++cap) {
      for (int64_t total = n; total <= n * cap; ++total) {
        CAPTURE(n);
        CAPTURE(cap);
        CAPTURE(total);
        CheckExactly(total, n, cap);
        ++tables;
      }
    }
  }
  CHECK(tables == 840);  // the sum over n and cap of n * (cap - 1) + 1
}

TEST_CASE("n = 1: the last opener takes the rest") {
  for (const uint64_t u : {uint64_t{0}, UINT64_MAX}) {
    CHECK(DrawShareFrom(1, 1, 1, u, u) == 1);
    CHECK(DrawShareFrom(20'000, 1, 20'000, u, u) == 20'000);
    CHECK(DrawShareFrom(7, 1, 20'000, u, u) == 7);
  }
}

TEST_CASE("T = n: everybody gets one fen") {
  CHECK(Split(500, 500, 500, 2077800000000000010, Counting()) == std::vector<int64_t>(500, 1));
  for (const uint64_t u0 : {uint64_t{0}, UINT64_MAX}) {
    for (const uint64_t u1 : {uint64_t{0}, UINT64_MAX}) CHECK(DrawShareFrom(9, 9, 4, u0, u1) == 1);
  }
}

TEST_CASE("T = nC: everybody gets the cap") {
  CHECK(Split(50'000, 10, 5'000, 2077800000000000010, Counting()) ==
        std::vector<int64_t>(10, 5'000));
  for (const uint64_t u0 : {uint64_t{0}, UINT64_MAX}) {
    for (const uint64_t u1 : {uint64_t{0}, UINT64_MAX}) CHECK(DrawShareFrom(36, 9, 4, u0, u1) == 4);
  }
}

TEST_CASE("failure 14: no draw leaves a share without its fen, or above its cap") {
  // n + 1 fen: one of the sharers gets two, and any of them may.
  std::map<size_t, int> who;
  for (int64_t packet = 0; packet < 2'000; ++packet) {
    const auto drawn = Split(11, 10, 11, 2077800000000000000 + packet * 10, Counting());
    CHECK(std::count(drawn.begin(), drawn.end(), 1) == 9);
    ++who[static_cast<size_t>(std::find(drawn.begin(), drawn.end(), 2) - drawn.begin())];
  }
  CHECK(who.size() == 10);
  // The largest amounts there are do not overflow.
  constexpr int64_t kMuch = 1'000'000'000'000'000;
  for (const uint64_t u : {uint64_t{0}, UINT64_MAX}) {
    const int64_t share = DrawShareFrom(kMuch, 500, kMuch, u, u);
    CHECK(share >= 1);
    CHECK(share <= 2 * (kMuch / 500) + 1);
  }
}

// Computed by a second implementation of the rule (HMAC-SHA-256 of another library).
TEST_CASE("known vectors of the draw") {
  const SplitSecret secret = Counting();
  using Shares = std::vector<int64_t>;
  CHECK(Split(10'000, 10, 10'000, 2077800000000000010, secret) ==
        Shares{1345, 345, 329, 352, 2236, 1101, 1908, 738, 201, 1445});
  CHECK(Split(20, 10, 20, 2077800000000000032, secret) == Shares{2, 3, 2, 1, 2, 3, 1, 1, 2, 3});
  CHECK(Split(150'000, 10, 20'000, 2077800100000007654, secret) ==
        Shares{11367, 17850, 11321, 15495, 18567, 13039, 17048, 13043, 19389, 12881});
  const auto hundred = Split(20'000, 100, 20'000, 2077800000000000021, secret);
  CHECK(Shares(hundred.begin(), hundred.begin() + 10) ==
        Shares{12, 241, 367, 313, 127, 201, 264, 285, 60, 4});
  CHECK(hundred.back() == 47);
  CHECK(*std::max_element(hundred.begin(), hundred.end()) == 702);
}

TEST_CASE("the draw hangs on packet, ordinal and secret, and on nothing else") {
  const SplitSecret secret = Counting();
  const model::PacketId packet(2077800000000000010);
  const auto draw = [](model::PacketId id, int32_t ordinal, const SplitSecret& key) {
    return DrawShare(1'000'000, 10, 1'000'000, id, ordinal, key);
  };
  CHECK(draw(packet, 1, secret) == draw(packet, 1, secret));
  CHECK(draw(packet, 1, secret) != draw(packet, 2, secret));
  CHECK(draw(packet, 1, secret) != draw(model::PacketId(packet.value + 1), 1, secret));
  SplitSecret other = secret;
  other[31] ^= 1;
  CHECK(draw(packet, 1, secret) != draw(packet, 1, other));
}

}  // namespace hongyan::money
