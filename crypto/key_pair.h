// A private key of 32 bytes, its public key, and the key in OpenSSL's form, kept because making it takes as long as
// using it once. What SigningKey and AgreementKey have in common; for crypto/signature.* and crypto/key_agreement.*
// only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "crypto/secret_bytes.h"

struct evp_pkey_st;

namespace fovea::crypto {

// Move-only; a moved-from pair may only be destroyed or assigned to. Several threads may use one at once.
class KeyPair {
 public:
  enum class Algorithm { x25519, ed25519 };
  using PublicKey = std::array<std::uint8_t, 32>;

  KeyPair(Algorithm algorithm, const SecretKey& secret);  // any 32 bytes are a private key
  KeyPair(KeyPair&&) noexcept = default;
  KeyPair& operator=(KeyPair&&) noexcept = default;
  KeyPair copy() const;

  const SecretKey& secret() const noexcept { return secret_; }
  const PublicKey& public_key() const noexcept { return public_; }
  evp_pkey_st* handle() const;  // stays this object's

 private:
  struct Free {
    void operator()(evp_pkey_st* handle) const noexcept;
  };
  KeyPair(const SecretKey& secret, std::unique_ptr<evp_pkey_st, Free> handle);
  SecretKey secret_;
  PublicKey public_{};
  std::unique_ptr<evp_pkey_st, Free> handle_;
};

}  // namespace fovea::crypto
