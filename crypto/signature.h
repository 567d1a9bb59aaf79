// Ed25519 (RFC 8032, pure). Verification is strict: the key must be a canonical encoding and not of small order,
// and S below the group order, so that one statement has one signature under one key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/key_pair.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

using VerifyKey = KeyPair::PublicKey;
using Signature = std::array<std::uint8_t, 64>;

// A private key and its public key; move-only. Several threads may use one key at once.
class SigningKey {
 public:
  static SigningKey create(RandomSource& random) { return from_seed(random.secret_key()); }
  static SigningKey from_seed(const SecretKey& seed) { return SigningKey(KeyPair(KeyPair::Algorithm::ed25519, seed)); }

  const VerifyKey& verify_key() const noexcept { return pair_.public_key(); }
  const SecretKey& seed() const noexcept { return pair_.secret(); }  // for the key file
  SigningKey copy() const { return SigningKey(pair_.copy()); }

  Signature sign(ByteView message) const;

 private:
  explicit SigningKey(KeyPair pair) : pair_(std::move(pair)) {}
  KeyPair pair_;
};

enum class SignatureVerdict {
  valid,
  wrong_length,          // the signature is not 64 bytes
  non_canonical_key,     // y is not below 2^255 − 19
  small_order_key,       // a key under which many messages verify
  non_canonical_scalar,  // S is not below the group order
  mismatch,              // well-formed, and not this key's signature of this message
};

std::string_view to_string(SignatureVerdict verdict) noexcept;

SignatureVerdict check_signature(const VerifyKey& key, ByteView message, ByteView signature);

// Remembers what was found valid, since the evidence of a round repeats the signatures that were checked one by one
// while it ran, and a verification costs a hundred hashes. Key, message and signature must all be the same. One thread
// at a time.
class VerifiedSignatures {
 public:
  VerifiedSignatures() = default;
  explicit VerifiedSignatures(std::size_t size_max) : size_max_(size_max) {}
  SignatureVerdict check(const VerifyKey& key, ByteView message, ByteView signature);
  std::size_t size() const noexcept { return valid_.size(); }

 private:
  std::size_t size_max_ = 4096;
  std::set<Digest> valid_;
};

// permission_denied with the verdict's name and `what` (for example "roster signature of st-anna").
Result<void> verify_signature(const VerifyKey& key, ByteView message, ByteView signature, std::string_view what);

}  // namespace fovea::crypto
