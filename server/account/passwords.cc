#include "account/passwords.h"

#include <sodium.h>

#include "base/check.h"
#include "model/reason.h"

namespace hongyan::account {
namespace {

constexpr unsigned long long kPasses = 2;
constexpr size_t kMemoryBytes = size_t{19} << 20;

}  // namespace

Passwords::Passwords() {
  CHECK(sodium_init() >= 0);
  auto dummy = Hash("nobody has this password");
  CHECK(dummy.ok());
  dummy_ = std::move(dummy).value();
}

base::Result<std::string> Passwords::Hash(const std::string& password) const {
  if (password.empty() || password.size() > kMaxPasswordBytes) {
    return model::Refuse(base::Code::kInvalidArgument, model::Reason::kNone,
                         "a password has 1 to 256 bytes");
  }
  char text[crypto_pwhash_STRBYTES];
  if (crypto_pwhash_str_alg(text, password.data(), password.size(), kPasses, kMemoryBytes,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return model::Refuse(base::Code::kResourceExhausted, model::Reason::kBusy,
                         "no memory to hash a password: try again", 1000);
  }
  return std::string(text);
}

bool Passwords::Verify(const std::string& stored, const std::string& password) const {
  // Overlong passwords are refused by Hash, so none can be right; the work is done all the same.
  const std::string& tried = password.size() > kMaxPasswordBytes ? dummy_ : password;
  const std::string& against = stored.empty() ? dummy_ : stored;
  const bool same = crypto_pwhash_str_verify(against.c_str(), tried.data(), tried.size()) == 0;
  return same && !stored.empty() && password.size() <= kMaxPasswordBytes;
}

}  // namespace hongyan::account
