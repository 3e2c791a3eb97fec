#include "account/tokens.h"

#include <sodium.h>

#include "base/bytes.h"
#include "model/reason.h"

namespace hongyan::account {
namespace {

constexpr char kVersion = 1;
constexpr size_t kSignedBytes = Tokens::kBytes - crypto_auth_BYTES;
static_assert(crypto_auth_BYTES == 32 && crypto_auth_KEYBYTES == 32 && kSignedBytes == 41);

const unsigned char* Bytes(const char* p) { return reinterpret_cast<const unsigned char*>(p); }

base::Error NotOurs() {
  return model::Refuse(base::Code::kUnauthenticated, model::Reason::kBadCredentials,
                       "this is not a token of this server: log in with the password");
}

}  // namespace

std::string Tokens::Issue(Token token, int64_t now_ms) const {
  std::string out;
  out.reserve(kBytes);
  out.push_back(kVersion);
  base::AppendBe64(out, static_cast<uint64_t>(token.user.value));
  out.append(token.device.view());
  base::AppendBe64(out, static_cast<uint64_t>(token.number));
  base::AppendBe64(out, static_cast<uint64_t>(now_ms + life_ms_));
  unsigned char mac[crypto_auth_BYTES];
  crypto_auth(mac, Bytes(out.data()), out.size(), key_.data());
  out.append(reinterpret_cast<const char*>(mac), sizeof mac);
  return out;
}

base::Result<Token> Tokens::Verify(std::string_view bytes, int64_t now_ms) const {
  if (bytes.size() != kBytes || bytes[0] != kVersion) return NotOurs();
  if (crypto_auth_verify(Bytes(bytes.data() + kSignedBytes), Bytes(bytes.data()), kSignedBytes,
                         key_.data()) != 0) {
    return NotOurs();
  }
  Token token;
  token.user = model::UserId(static_cast<int64_t>(base::ReadBe64(bytes.data() + 1)));
  token.device.Assign(bytes.substr(9, 16));
  token.number = static_cast<int64_t>(base::ReadBe64(bytes.data() + 25));
  token.expires_ms = static_cast<int64_t>(base::ReadBe64(bytes.data() + 33));
  if (now_ms >= token.expires_ms) {
    return model::Refuse(base::Code::kUnauthenticated, model::Reason::kTokenExpired,
                         "this token has expired: log in with the password");
  }
  return token;
}

}  // namespace hongyan::account
