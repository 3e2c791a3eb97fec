#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "money/split.h"
#include "tests/doctest_last.h"

// Ten million draws with a fixed seed, through HMAC and all, against the law they should follow.

namespace hongyan::money {
namespace {

constexpr int64_t kDrawsPerSetting = 2'000'000;  // five settings

struct Setting {
  const char* name;
  int64_t total;
  int32_t shares;
  int64_t cap;
};
constexpr Setting kSettings[] = {
    {"100.00 yuan in 10", 10'000, 10, 10'000},
    {"200.00 yuan in 100", 20'000, 100, 20'000},
    {"0.20 yuan in 10", 20, 10, 20},
    {"5.10 yuan in 500", 510, 500, 510},
    {"1500.00 yuan in 10 capped at 200", 150'000, 10, 20'000},
};

// The law of one position: p[x] = chance of a share of x fen. Follows the distribution of what is
// left from draw to draw; a uniform stretch is added as two ends of a difference array.
struct Laws {
  std::vector<double> first;
  std::vector<double> last;
};
Laws LawsOf(const Setting& s) {
  const auto size = static_cast<size_t>(s.total) + 2;
  Laws laws;
  std::vector<double> left(size, 0.0);
  left[static_cast<size_t>(s.total)] = 1.0;
  for (int32_t n = s.shares; n > 1; --n) {
    std::vector<double> after(size, 0.0);
    std::vector<double> shares(n == s.shares ? size : 0, 0.0);
    for (int64_t rest = n; rest <= std::min<int64_t>(s.total, n * s.cap); ++rest) {
      const double p = left[static_cast<size_t>(rest)];
      if (p == 0.0) continue;
      const int64_t twice = 2 * std::min(rest - n, n * s.cap - rest);
      const bool low = rest - n <= n * s.cap - rest;
      for (int64_t up = 0; up <= 1; ++up) {
        const auto more = static_cast<double>(twice % n) / n;
        const double chance = up == 1 ? more : 1.0 - more;
        if (chance == 0.0) continue;
        const int64_t most = twice / n + up;
        const int64_t x1 = low ? 1 : s.cap - most;
        const int64_t x2 = low ? 1 + most : s.cap;
        const double each = p * chance / static_cast<double>(most + 1);
        after[static_cast<size_t>(rest - x2)] += each;
        after[static_cast<size_t>(rest - x1 + 1)] -= each;
        if (n == s.shares) {
          shares[static_cast<size_t>(x1)] += each;
          shares[static_cast<size_t>(x2 + 1)] -= each;
        }
      }
    }
    for (size_t i = 1; i < size; ++i) after[i] += after[i - 1];
    for (double& p : after) p = p < 1e-15 ? 0.0 : p;  // rounding of the differences
    if (n == s.shares) {
      for (size_t i = 1; i < size; ++i) shares[i] += shares[i - 1];
      laws.first = std::move(shares);
    }
    left = std::move(after);
  }
  laws.last = std::move(left);  // with one share left, what is left is the share
  return laws;
}

// The chance that a chi-square of `freedom` degrees is above `x`: the regularized upper incomplete
// gamma function Q(freedom / 2, x / 2), as a series where x is small, else as a continued fraction.
double ChiSquareTail(double x, double freedom) {
  const double a = freedom / 2;
  const double z = x / 2;
  if (z <= 0) return 1.0;
  const double scale = std::exp(a * std::log(z) - z - std::lgamma(a));
  if (z < a + 1) {
    double term = 1 / a;
    double sum = term;
    for (int k = 1; k < 100'000 && term > sum * 1e-16; ++k) {
      term *= z / (a + k);
      sum += term;
    }
    return 1.0 - scale * sum;
  }
  double b = z + 1 - a;
  double c = 1e300;
  double d = 1 / b;
  double h = d;
  for (int k = 1; k < 100'000; ++k) {
    const double f = -k * (k - a);
    b += 2;
    d = 1 / (f * d + b);
    c = b + f / c;
    h *= c * d;
    if (std::fabs(c * d - 1) < 1e-16) break;
  }
  return scale * h;
}

// Values are put together until a bin expects 40 draws.
double ChiSquareP(const std::vector<double>& law, const std::vector<int64_t>& seen, double draws) {
  struct Bin {
    double expected = 0;
    double seen = 0;
  };
  std::vector<Bin> bins(1);
  for (size_t x = 0; x < seen.size(); ++x) {
    if (bins.back().expected >= 40) bins.emplace_back();
    bins.back().expected += (x < law.size() ? law[x] : 0.0) * draws;
    bins.back().seen += static_cast<double>(seen[x]);
  }
  if (bins.size() > 1 && bins.back().expected < 40) {
    bins[bins.size() - 2].expected += bins.back().expected;
    bins[bins.size() - 2].seen += bins.back().seen;
    bins.pop_back();
  }
  REQUIRE(bins.size() > 1);
  double chi = 0;
  for (const Bin& bin : bins)
    chi += (bin.seen - bin.expected) * (bin.seen - bin.expected) / bin.expected;
  return ChiSquareTail(chi, static_cast<double>(bins.size() - 1));
}

}  // namespace

TEST_CASE("the chi-square tail is the one of the tables") {
  CHECK(ChiSquareTail(3.841, 1) == doctest::Approx(0.05).epsilon(1e-3));
  CHECK(ChiSquareTail(18.307, 10) == doctest::Approx(0.05).epsilon(1e-3));
  CHECK(ChiSquareTail(29.588, 10) == doctest::Approx(0.001).epsilon(1e-3));
  CHECK(ChiSquareTail(4.0, 10) == doctest::Approx(0.9473).epsilon(1e-3));
}

TEST_CASE("ten million draws follow the law: means, first and last position") {
  SplitSecret secret;
  for (size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<uint8_t>(17 * i + 3);
  int64_t draws = 0;
  int64_t packet = 2077800000000000000;
  for (const Setting& s : kSettings) {
    CAPTURE(std::string(s.name));
    const Laws laws = LawsOf(s);
    const int64_t packets = kDrawsPerSetting / s.shares;
    std::vector<double> sums(static_cast<size_t>(s.shares), 0.0);
    std::vector<double> squares(static_cast<size_t>(s.shares), 0.0);
    std::vector<int64_t> first(static_cast<size_t>(s.total) + 2, 0);
    std::vector<int64_t> last(first);
    int64_t out_of_bounds = 0;
    for (int64_t i = 0; i < packets; ++i) {
      packet += 10;
      int64_t left = s.total;
      for (int32_t k = 1; k <= s.shares; ++k) {
        const int64_t share =
            DrawShare(left, s.shares - k + 1, s.cap, model::PacketId(packet), k, secret);
        if (share < 1 || share > s.cap) ++out_of_bounds;
        left -= share;
        const auto x = static_cast<double>(share);
        sums[static_cast<size_t>(k - 1)] += x;
        squares[static_cast<size_t>(k - 1)] += x * x;
        if (k == 1) ++first[static_cast<size_t>(share)];
        if (k == s.shares) ++last[static_cast<size_t>(share)];
        ++draws;
      }
      if (left != 0) ++out_of_bounds;
    }
    CHECK(out_of_bounds == 0);
    const auto count = static_cast<double>(packets);
    const double fair = static_cast<double>(s.total) / s.shares;
    double worst = 0;
    for (size_t k = 0; k < sums.size(); ++k) {
      const double mean = sums[k] / count;
      const double variance = squares[k] / count - mean * mean;
      worst = std::max(worst, std::fabs(mean - fair) / std::sqrt(variance / count));
    }
    CHECK(worst < 5.0);
    const double p_first = ChiSquareP(laws.first, first, count);
    const double p_last = ChiSquareP(laws.last, last, count);
    MESSAGE(std::string(s.name) << ": worst mean " << worst << " standard errors, p first "
                                << p_first << ", p last " << p_last);
    CHECK(p_first > 1e-6);
    CHECK(p_last > 1e-6);
  }
  CHECK(draws == 10'000'000);
}

}  // namespace hongyan::money
