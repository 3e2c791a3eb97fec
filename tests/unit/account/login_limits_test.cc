#include "account/login_limits.h"

#include <string>

#include "tests/doctest_last.h"

namespace hongyan::account {
namespace {

TEST_CASE("an address may try so often at once, then at its rate, and is told when") {
  base::ManualClock clock(0);
  LoginLimits limits(clock, {{3, 1}, {100, 100}, 1000});
  for (int i = 0; i < 3; ++i) CHECK(limits.Admit("10.0.0.1", "u" + std::to_string(i)).ok());
  const auto refused = limits.Admit("10.0.0.1", "u9");
  REQUIRE(!refused.ok());
  CHECK(refused.error().retry_after_ms > 900);
  CHECK(refused.error().retry_after_ms <= 1001);
  CHECK(limits.Admit("10.0.0.2", "u9").ok());
  clock.Advance(refused.error().retry_after_ms);
  CHECK(limits.Admit("10.0.0.1", "u9").ok());
  CHECK_FALSE(limits.Admit("10.0.0.1", "u9").ok());
}

TEST_CASE("a user may be tried so often, from however many addresses") {
  base::ManualClock clock(0);
  LoginLimits limits(clock, {{100, 100}, {2, 0.5}, 1000});
  CHECK(limits.Admit("10.0.0.1", "anna").ok());
  CHECK(limits.Admit("10.0.0.2", "anna").ok());
  CHECK_FALSE(limits.Admit("10.0.0.3", "anna").ok());
  CHECK(limits.Admit("10.0.0.3", "bert").ok());
}

TEST_CASE("what is remembered is bounded, and who still waits is not the first to be forgotten") {
  base::ManualClock clock(0);
  LoginLimits limits(clock, {{1, 0.001}, {1000, 1000}, 10});
  for (int i = 0; i < 10; ++i) CHECK(limits.Admit("address" + std::to_string(i), "u").ok());
  clock.Advance(1'000'000);
  CHECK(limits.Admit("address3", "u").ok());
  CHECK(limits.Admit("one more", "u").ok());  // the nine that have rested make room
  CHECK_FALSE(limits.Admit("address3", "u").ok());
  for (int i = 0; i < 900; ++i) CHECK(limits.Admit("crowd" + std::to_string(i), "u").ok());
}

}  // namespace
}  // namespace hongyan::account
