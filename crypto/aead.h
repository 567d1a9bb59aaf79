// AES-256-GCM (SP 800-38D) with a 96-bit nonce and a 128-bit tag.
// A (key, nonce) pair seals one message, ever. The protocol makes a key for each message; files draw a random nonce.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

using AeadNonce = std::array<std::uint8_t, 12>;
inline constexpr std::size_t kAeadTagBytes = 16;

// The ciphertext with the tag behind it: plaintext.size() + 16 bytes.
Bytes aead_seal(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView plaintext);

// The same into the caller's memory: `sealed` has plaintext.size() + 16 bytes and does not overlap it.
void aead_seal_into(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView plaintext,
                    std::span<std::uint8_t> sealed);

// Opens into the caller's memory of sealed.size() − 16 bytes, whose contents are unspecified on error.
Result<void> aead_open_into(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView sealed,
                            std::span<std::uint8_t> plaintext);

// corruption: too short, wrong key or nonce, or any byte of ciphertext, tag or associated data changed.
Result<SecretBytes> aead_open(const SecretKey& key, const AeadNonce& nonce, ByteView associated_data, ByteView sealed);

// GMAC (SP 800-38D): the tag of bytes that come in pieces and stay in the clear, at five times the speed of a hash.
// Always under the same nonce, so only for comparing bytes with those seen before: whoever saw two tags could forge
// others, so tags are kept as secret as the key.
using GmacTag = std::array<std::uint8_t, kAeadTagBytes>;
class Gmac {
 public:
  explicit Gmac(const SecretKey& key);
  ~Gmac();

  Gmac& update(ByteView bytes);
  GmacTag finish();  // ends it: update() and finish() after that abort (programmer error)

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea::crypto
