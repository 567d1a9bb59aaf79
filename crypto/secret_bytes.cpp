#include "crypto/secret_bytes.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace fovea::crypto {

void wipe(std::span<std::uint8_t> bytes) noexcept { OPENSSL_cleanse(bytes.data(), bytes.size()); }

SecretBytes SecretBytes::copy_of(ByteView bytes) {
  SecretBytes out(bytes.size());
  std::copy(bytes.begin(), bytes.end(), out.bytes_.begin());
  return out;
}

}  // namespace fovea::crypto
