// X25519 (RFC 7748).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "common/bytes.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"

namespace fovea::crypto {

using AgreementPublicKey = std::array<std::uint8_t, 32>;

// A private key and its public key.
class AgreementKey {
 public:
  static AgreementKey generate(RandomSource& random);
  static AgreementKey from_private(const SecretKey& scalar);  // any 32 bytes; clamped in use as the RFC says

  const AgreementPublicKey& public_key() const noexcept { return public_; }
  const SecretKey& private_key() const noexcept { return scalar_; }  // what R2 shares among the sites
  AgreementKey copy() const { return AgreementKey(scalar_.copy(), public_); }

  // permission_denied for a peer key of low order (all-zero output).
  Result<SecretKey> shared_secret(const AgreementPublicKey& peer) const;

  // One secret for each peer, in order; the key is set up once. The error names the position of the bad peer.
  Result<std::vector<SecretKey>> shared_secrets(std::span<const AgreementPublicKey> peers) const;

 private:
  AgreementKey(SecretKey scalar, AgreementPublicKey public_key) : scalar_(std::move(scalar)), public_(public_key) {}
  SecretKey scalar_;
  AgreementPublicKey public_{};
};

// The public key of a revealed private key: how the coordinator checks a reconstructed s_j against S_j.
AgreementPublicKey agreement_public_key(const SecretKey& scalar);

}  // namespace fovea::crypto
