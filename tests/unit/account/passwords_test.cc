#include "account/passwords.h"

#include <string>

#include "tests/doctest_last.h"

namespace hongyan::account {
namespace {

TEST_CASE("a password is verified against its hash, which is argon2id with 19 MiB and 2 passes") {
  const Passwords passwords;
  const auto hash = passwords.Hash("correct horse");
  REQUIRE(hash.ok());
  CHECK(hash->rfind("$argon2id$v=19$m=19456,t=2,p=1$", 0) == 0);
  CHECK(passwords.Verify(*hash, "correct horse"));
  CHECK_FALSE(passwords.Verify(*hash, "correct horsf"));
  CHECK_FALSE(passwords.Verify(*hash, ""));
  CHECK(*passwords.Hash("correct horse") != *hash);  // salted
}

TEST_CASE("nobody logs in where no password is stored") {
  const Passwords passwords;
  CHECK_FALSE(passwords.Verify("", "nobody has this password"));
  CHECK_FALSE(passwords.Verify("", ""));
}

TEST_CASE("an empty or overlong password is refused, and never right") {
  const Passwords passwords;
  CHECK_FALSE(passwords.Hash("").ok());
  CHECK(passwords.Hash(std::string(kMaxPasswordBytes, 'x')).ok());
  CHECK_FALSE(passwords.Hash(std::string(kMaxPasswordBytes + 1, 'x')).ok());
  const auto hash = passwords.Hash("right");
  CHECK_FALSE(passwords.Verify(*hash, std::string(kMaxPasswordBytes + 1, 'x')));
}

}  // namespace
}  // namespace hongyan::account
