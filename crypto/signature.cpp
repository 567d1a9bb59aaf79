#include "crypto/signature.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/result.h"
#include "crypto/hash.h"
#include "crypto/openssl_objects.h"

namespace fovea::crypto {

namespace {

using Encoding = std::array<std::uint8_t, 32>;

// The field prime 2^255 − 19 and the group order 2^252 + 27742317777372353535851937790883648493, little-endian.
constexpr Encoding kPrime = {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                             0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                             0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
constexpr Encoding kOrder = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                             0xa2, 0xde, 0xf9, 0xde, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                             0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10};

// The y of every point whose order divides 8.
constexpr std::array<Encoding, 5> kSmallOrder = {{
    {},
    {0x01},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}};

bool below(std::span<const std::uint8_t, 32> a, const Encoding& b) {
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

openssl::HashContext new_hash_context() {
  openssl::HashContext context(EVP_MD_CTX_new());
  FOVEA_CHECK(context != nullptr);
  return context;
}

SignatureVerdict check_key(const VerifyKey& key) {
  Encoding y = key;
  y[31] &= 0x7f;  // the top bit is the sign of x
  if (!below(y, kPrime)) return SignatureVerdict::non_canonical_key;
  if (std::find(kSmallOrder.begin(), kSmallOrder.end(), y) != kSmallOrder.end())
    return SignatureVerdict::small_order_key;
  return SignatureVerdict::valid;
}

}  // namespace

Signature SigningKey::sign(ByteView message) const {
  const openssl::HashContext context = new_hash_context();
  FOVEA_CHECK(EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, pair_.handle(), nullptr) == 1);
  Signature signature{};
  std::size_t size = signature.size();
  FOVEA_CHECK(EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1);
  FOVEA_CHECK(size == signature.size());
  return signature;
}

std::string_view to_string(SignatureVerdict verdict) noexcept {
  switch (verdict) {
    case SignatureVerdict::valid: return "valid";
    case SignatureVerdict::wrong_length: return "the signature is not 64 bytes";
    case SignatureVerdict::non_canonical_key: return "the key is not a canonical encoding";
    case SignatureVerdict::small_order_key: return "the key is of small order";
    case SignatureVerdict::non_canonical_scalar: return "S is not below the group order";
    case SignatureVerdict::mismatch: return "not this key's signature of these bytes";
  }
  return "unknown";
}

SignatureVerdict check_signature(const VerifyKey& key, ByteView message, ByteView signature) {
  if (signature.size() != Signature{}.size()) return SignatureVerdict::wrong_length;
  if (const SignatureVerdict verdict = check_key(key); verdict != SignatureVerdict::valid) return verdict;
  if (!below(signature.last<32>(), kOrder)) return SignatureVerdict::non_canonical_scalar;

  const openssl::KeyHandle handle(EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, key.data(), key.size()));
  FOVEA_CHECK(handle != nullptr);
  const openssl::HashContext context = new_hash_context();
  FOVEA_CHECK(EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, handle.get(), nullptr) == 1);
  const int verified =
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size());
  return verified == 1 ? SignatureVerdict::valid : SignatureVerdict::mismatch;
}

SignatureVerdict VerifiedSignatures::check(const VerifyKey& key, ByteView message, ByteView signature) {
  const Digest entry = TaggedHash("FOVEA/1/verified-signature").add(key).add(message).add(signature).finish();
  if (valid_.contains(entry)) return SignatureVerdict::valid;
  const SignatureVerdict verdict = check_signature(key, message, signature);
  if (verdict != SignatureVerdict::valid) return verdict;
  if (valid_.size() >= size_max_) valid_.clear();
  valid_.insert(entry);
  return verdict;
}

Result<void> verify_signature(const VerifyKey& key, ByteView message, ByteView signature, std::string_view what) {
  const SignatureVerdict verdict = check_signature(key, message, signature);
  if (verdict == SignatureVerdict::valid) return {};
  return permission_denied(std::string(what) + ": " + std::string(to_string(verdict)));
}

}  // namespace fovea::crypto
