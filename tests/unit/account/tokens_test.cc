#include "account/tokens.h"

#include <string>

#include "model/reason.h"
#include "tests/doctest_last.h"

namespace hongyan::account {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;

Token MakeToken() {
  Token token;
  token.user = model::UserId(INT64_MAX);
  token.device.bytes.fill(0xab);
  token.number = 1'700'000'000'001;
  return token;
}

model::Reason Why(const base::Result<Token>& result) {
  REQUIRE(!result.ok());
  return static_cast<model::Reason>(result.error().reason);
}

TEST_CASE("a token says who it was given to, and until when") {
  const Tokens tokens({1, 2, 3});
  const std::string bytes = tokens.Issue(MakeToken(), kNow);
  CHECK(bytes.size() == Tokens::kBytes);
  const auto token = tokens.Verify(bytes, kNow + 1);
  REQUIRE(token.ok());
  CHECK(token->user == MakeToken().user);
  CHECK(token->device == MakeToken().device);
  CHECK(token->number == MakeToken().number);
  CHECK(token->expires_ms == kNow + Tokens::kDefaultLifeMs);
}

TEST_CASE("a token with any bit changed is not ours") {
  const Tokens tokens({1, 2, 3});
  const std::string good = tokens.Issue(MakeToken(), kNow);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    CHECK(Why(tokens.Verify(bad, kNow)) == model::Reason::kBadCredentials);
  }
}

TEST_CASE("a token of another server, or cut, or longer, is not ours") {
  const std::string good = Tokens({1, 2, 3}).Issue(MakeToken(), kNow);
  CHECK(Why(Tokens({1, 2, 4}).Verify(good, kNow)) == model::Reason::kBadCredentials);
  const Tokens tokens({1, 2, 3});
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK(Why(tokens.Verify(good.substr(0, size), kNow)) == model::Reason::kBadCredentials);
  }
  CHECK(Why(tokens.Verify(good + "x", kNow)) == model::Reason::kBadCredentials);
}

TEST_CASE("a token expires, and is worth renewing in the second half of its life") {
  const Tokens tokens({1, 2, 3}, 1000);
  const std::string bytes = tokens.Issue(MakeToken(), kNow);
  const auto token = tokens.Verify(bytes, kNow + 999);
  REQUIRE(token.ok());
  CHECK(Why(tokens.Verify(bytes, kNow + 1000)) == model::Reason::kTokenExpired);
  CHECK_FALSE(tokens.WorthRenewing(*token, kNow + 500));
  CHECK(tokens.WorthRenewing(*token, kNow + 501));
}

}  // namespace
}  // namespace hongyan::account
