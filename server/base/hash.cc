#include "base/hash.h"

#include <sodium.h>

#include "base/bytes.h"

namespace hongyan::base {

static_assert(crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES == 16);

uint64_t SipHash(std::string_view data, const SipKey& key) {
  uint8_t out[crypto_shorthash_BYTES];
  crypto_shorthash(out, reinterpret_cast<const uint8_t*>(data.data()), data.size(), key.data());
  return ReadBe64(out);
}

}  // namespace hongyan::base
